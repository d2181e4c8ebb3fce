"""What an image system may be: senseless combinations are refused, and arrays follow from the system."""

import pytest

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.objective import Contrast, System, parameters

NETWORK = Network(
    "three", (2, 4, 4), tuple(Layer(name, units, "conv") for name, units in (("a", 3), ("b", 4), ("c", 5)))
)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "cross_entropy", "prediction": Prediction("split")}, "a shared gate is the hinge's"),
        ({"loss": "info_nce", "prediction": Prediction("split")}, "a shared gate is the hinge's"),
        ({"source": "same_place", "negatives": 2}, "has one negative, not 2"),
        ({"source": "one_image", "negatives": 16}, "has one negative, not 16"),
        ({"source": "same_image", "task": "views"}, "only sample is the positive"),
        ({"loss": "info_nce", "pairs": "either"}, "pairs = 'either' parts them"),
        ({"blocks": (1, 2, 1)}, r"blocks = \[1, 2, 1\] need task = 'views', not 'rows'"),
        ({"blocks": (3,), "task": "around"}, "need task = 'views', not 'around'"),
    ],
)
def test_senseless_contrasts_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Contrast(**settings)


def test_blocks_of_one_are_no_blocks():
    assert Contrast(blocks=(1, 1)).blocks == (1, 1)


def test_blocks_must_fit_the_modules():
    with pytest.raises(ValueError, match=r"one entry for each of the 3 modules"):
        parameters(NETWORK, System("views", contrast=Contrast(task="views", blocks=(2, 2))), 10)


def test_arrays_of_a_contrast():
    """Two blocks a side make four features of a unit; around, every direction and step has a matrix."""
    contrast = Contrast(task="around", steps=2, context="both", prediction=Prediction("split"))
    found = parameters(NETWORK, System("all", modules=(2, 1), contrast=contrast), 10)
    assert found == {
        "a.w_ff": (3, 2, 3, 3),
        "a.bias": (3,),
        "b.w_ff": (4, 3, 3, 3),
        "b.bias": (4,),
        "c.w_ff": (5, 4, 3, 3),
        "c.bias": (5,),
        "b.w_pred": (8, 4, 4),
        "b.w_top": (8, 4, 5),
        "b.w_retro": (8, 4, 4),
        "c.w_pred": (8, 5, 5),
        "c.w_retro": (8, 5, 5),
    }
    views = Contrast(task="views", context="top", blocks=(2, 1), prediction=Prediction("split"))
    found = parameters(NETWORK, System("views", modules=(1, 2), contrast=views), 10)
    predictions = {name: shape for name, shape in found.items() if "w_ff" not in name and "bias" not in name}
    assert predictions == {"a.w_pred": (1, 12, 5), "c.w_pred": (1, 5, 5), "c.w_retro": (1, 5, 5)}


def test_arrays_of_the_supervised_and_of_the_untrained():
    encoder = {f"{layer}.{name}" for layer in "abc" for name in ("w_ff", "bias")}
    assert parameters(NETWORK, System("none", "nothing"), 10).keys() == encoder
    supervised = parameters(NETWORK, System("one", "labels", (3,)), 10)
    assert supervised.keys() - encoder == {"c.w_head", "c.b_head"}
    assert (supervised["c.w_head"], supervised["c.b_head"]) == ((10, 5), (10,))
    greedy = parameters(NETWORK, System("greedy", "labels"), 10)
    assert greedy.keys() - encoder == {f"{layer}.{name}" for layer in "abc" for name in ("w_head", "b_head")}

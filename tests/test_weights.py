"""Weights in files: whole, shape-checked, with errors that name the array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction, load_network
from neuroclapp.weights import Initial, Weights, load_weights, shapes

SMALL = Network("small", (3,), (Layer("a", 2), Layer("b", 4, bias=False)), prediction=Prediction("split"))


@given(seed=st.integers(0, 2**32 - 1))
def test_a_file_gives_back_the_same_bits(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    weights = Initial().draw(SMALL, np.random.default_rng(seed))
    weights.save(path)
    again = load_weights(path, SMALL)
    assert len(again) == 7
    assert all(np.array_equal(again[name], weights[name]) for name in weights)
    assert [p.name for p in path.parent.iterdir()] == ["w.safetensors"]


def test_names_and_shapes_are_those_of_the_network():
    assert shapes(SMALL) == {
        "a.w_ff": (2, 3), "a.bias": (2,), "a.w_pred": (2, 2), "a.w_retro": (2, 2),
        "b.w_ff": (4, 2), "b.w_pred": (4, 4), "b.w_retro": (4, 4),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a.w_ff": np.zeros((2, 4))}, r"a.w_ff = \(2, 4\): its shape must be \(2, 3\)"),
        ({"a.w_ff": np.full((2, 3), np.nan)}, "a.w_ff = 'not finite': every weight must be a finite number"),
        ({"c.w_ff": np.zeros(1)}, "c.w_ff = .*: unknown array"),
        ({"a.w_ff": None}, r"a.w_ff = None: this array of shape \(2, 3\) is missing"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, message):
    path = tmp_path / "w.safetensors"
    arrays = {**Initial().draw(SMALL, np.random.default_rng(0)), **change}
    Weights({name: array for name, array in arrays.items() if array is not None}).save(path)
    with pytest.raises(InputError, match=message) as caught:
        load_weights(path, SMALL)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a file of weights", b"\xff" * 100])
def test_a_broken_file_is_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a safetensors file"):
        load_weights(path)


def test_initial_weights_have_the_stated_spread_and_are_independent():
    weights = Initial().draw(load_network("digits"), np.random.default_rng(0))
    assert abs(weights["layer1.w_ff"].std() * np.sqrt(128) - 1) < 0.05
    for name in ("w_pred", "w_retro"):
        assert abs(weights[f"layer2.{name}"].std() * 64 - 1) < 0.05
    together = np.corrcoef(weights["layer1.w_pred"].ravel(), weights["layer1.w_retro"].T.ravel())[0, 1]
    assert abs(together) < 0.05


def test_weights_cannot_be_changed_in_place():
    weights = Initial().draw(SMALL, np.random.default_rng(0))
    with pytest.raises(ValueError, match="read-only"):
        weights["a.w_ff"][0, 0] = 1

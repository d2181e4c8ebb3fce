"""Image systems in closed form equal autograd: every contrast, every cut of an encoder, array by array."""

from dataclasses import replace
from itertools import product
from unittest.mock import patch

import numpy as np
import pytest
import torch
from agreement import image_oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.objective import Contrast, System, parameters
from neuroclapp.rate import patchnet, stack
from neuroclapp.rate.patchnet import PatchNetwork

CLASSES = 3
#: A gradient may be a sum that cancels (a bias under InfoNCE with blocked feedback: exactly) while its terms
#: are of order one, so that their rounding is all that is left. Arrays count as no smaller than this.
LEAST = 1e-2

FEEDBACK = {
    "symmetric": Prediction("symmetric"),
    "blocked": Prediction("blocked"),
    "separate": Prediction("split", "separate"),
    "shared": Prediction("split", "shared"),
}
VARIANTS = [
    (loss, feedback)
    for loss, feedback in product(("hinge", "cross_entropy", "info_nce"), FEEDBACK)
    if loss == "hinge" or feedback != "shared"  # a shared gate is the hinge's
]
SOURCES = [("anywhere", 1), ("anywhere", 4), ("same_place", 1), ("one_image", 1)]
CONTEXTS = ["own", "top", "both"]
CUTS = [(), (2, 1), (3,)]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def conv(name, units, kernel=3, **settings):
    return Layer(name, units, "conv", kernel=kernel, padding=settings.pop("padding", kernel // 2), **settings)


#: 4 x 4 maps, then 2 x 2, then 2 x 2: each can be cut into 2 x 2 blocks.
THREE = Network("three", (2, 4, 4), (conv("a", 3), conv("b", 4, pool=2, bias=False), conv("c", 3, 1)))


def draw_arrays(network, system, seed, predict=1.0):
    """Weights of order one: features of order one, scores on either side of the hinge's corners."""
    draw = np.random.default_rng(seed)
    arrays = {}
    for name, shape in parameters(network, system, CLASSES).items():
        target = name.split(".")[1]
        fan_in = shape[-1] if target.startswith("w_") and target != "w_ff" else np.prod(shape[1:], dtype=int)
        scale = {"w_ff": 1.5, "bias": 0.3, "b_head": 0.3, "w_head": 1.0}.get(target, predict)
        arrays[name] = scale * draw.standard_normal(shape) / max(1, fan_in) ** 0.5
    return arrays


def draw_input(network, grid, seed):
    return torch.tensor(np.random.default_rng([seed, 1]).standard_normal((*grid, *network.input)))


def randomness(seed):
    return patchnet.Randomness(seed, 0)


def closed_form(net, x, seed=0, labels=None):
    """Return the changes of every array, each module's loss, what was drawn, and the shares of open gates."""
    drawn, draw = [], patchnet.draw

    def record(*args):
        drawn.append(draw(*args))
        return drawn[-1]

    with patch.object(patchnet, "draw", record):
        learned = net.learn(x, randomness(seed), labels)
    changes = {name: -array.grad for name, array in net.named_arrays()}
    return changes, [each.loss for each in learned], drawn, [float(each.share) for each in learned]


def assert_equal(found, expected, tolerance=1e-12):
    """Each array to ``tolerance`` of its largest entry."""
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        assert found[name].shape == change.shape, name
        largest = max(float(change.abs().max()), LEAST)
        assert float((found[name] - change).abs().max()) <= tolerance * largest, name


def compare(network, system, grid, seed, labels=None, arrays=None, x=None):
    """Hold a system's changes and losses to the oracle's; return the changes and the shares of open gates."""
    arrays = draw_arrays(network, system, seed) if arrays is None else arrays
    x = draw_input(network, grid, seed) if x is None else x
    net = PatchNetwork(network, system, arrays, CLASSES, torch.float64)
    changes, losses, drawn, shares = closed_form(net, x, seed, labels)
    expected, expected_losses = image_oracle.gradients(network, system, arrays, x, drawn, labels)
    assert_equal(changes, expected)
    if system.learns == "labels" or system.contrast.prediction != FEEDBACK["shared"]:
        # Where a gate is shared, the oracle has a slope but no loss. torch's softplus is linear from 20 on.
        linear = np.exp(-20) if system.contrast.loss == "cross_entropy" else 0
        for loss, expected_loss in zip(losses, expected_losses, strict=True):
            assert float(loss) == pytest.approx(float(expected_loss), rel=1e-12, abs=linear)
    return changes, shares


# ------------------------------------------------------------------------------------------------- contrasts


def contrasts(loss, feedback):
    """Every combination of what a contrast may be, for one loss and one feedback."""
    for pairs, (source, negatives), task in product(("both", "either"), SOURCES, ("rows", "around", "views")):
        if (loss, pairs) == ("info_nce", "either"):
            continue
        for blocks, context in product((1, 2) if task == "views" else (1,), CONTEXTS):
            yield Contrast(
                loss,
                task,
                steps=2,
                skip=0 if task == "around" else 1,
                negatives=negatives,
                source=source,
                pairs=pairs,
                context=context,
                blocks=(blocks,) if blocks > 1 else (),
                prediction=FEEDBACK[feedback],
            )


GRIDS = {"rows": (2, 4, 1), "around": (2, 2, 2), "views": (3, 2, 1)}


@pytest.mark.parametrize(("loss", "feedback"), VARIANTS)
def test_every_contrast_equals_autograd(loss, feedback):
    """Numbers are drawn anew for each combination of contrast and cut."""
    shares = []
    for number, (contrast, cut) in enumerate(product(contrasts(loss, feedback), CUTS)):
        if contrast.blocks:
            contrast = replace(contrast, blocks=contrast.blocks * len(cut or THREE.layers))
        system = System("every", modules=cut, contrast=contrast)
        try:
            shares += compare(THREE, system, GRIDS[contrast.task], seed=number)[1]
        except AssertionError as error:
            raise AssertionError(f"{contrast}, modules = {cut}") from error
    if loss == "hinge":
        assert min(shares) < 0.5
        assert max(shares) > 0.5
        assert len(set(shares)) > 5


# -------------------------------------------------------------------------------------------------- encoders

ENCODERS = {
    "pooled and unpooled": THREE,
    "kernels of 5, 1 and 3, one stride of 2": Network(
        "strided", (1, 9, 7), (conv("a", 3, 5, stride=2), conv("b", 4, 1, bias=False), conv("c", 3, pool=2))
    ),
    "pools that leave a rest, unlike sides": Network(
        "rest", (2, 8, 11), (conv("a", 3, pool=3), conv("b", 4), conv("c", 4, 1, stride=2, bias=False))
    ),
    "maps smaller than the kernel": Network(
        "taps", (2, 4, 4), (conv("a", 256, 1, pool=2), conv("b", 256, 3), conv("c", 3, 5))
    ),
    "layers without a rectifier": Network(
        "linear",
        (2, 7, 6),
        (conv("a", 3, pool=2, rectified=False), conv("b", 3), conv("c", 4, rectified=False)),
    ),
    "dense on top of a map": Network(
        "dense", (2, 5, 4), (conv("a", 3, pool=2), Layer("b", 6), Layer("c", 4, bias=False))
    ),
    "dense all through": Network("vectors", (7,), (Layer("a", 6), Layer("b", 5), Layer("c", 4))),
}
LEARNING = {
    "hinge": System("hinge", contrast=Contrast(steps=2, skip=0)),
    "split": System("split", contrast=Contrast("info_nce", steps=1, prediction=FEEDBACK["separate"])),
    "top": System("top", contrast=Contrast("cross_entropy", steps=1, context="both")),
    "labels": System("labels", "labels"),
}


@pytest.mark.parametrize("chunk", [stack.CHUNK, 100, 1], ids=lambda chunk: f"chunk-{chunk}")
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_and_every_cut_equal_autograd(encoder, chunk, monkeypatch):
    monkeypatch.setattr(stack, "CHUNK", chunk)
    labels = torch.tensor([2, 0, 2])
    for cut, (name, system) in product(CUTS, LEARNING.items()):
        changes, _ = compare(ENCODERS[encoder], replace(system, modules=cut), (3, 3, 1), 6, labels)
        assert {array[0] for array, change in changes.items() if change.any()} == {"a", "b", "c"}, name


@st.composite
def encoders(draw):
    side = st.integers(1, 9)
    shape = (draw(st.integers(1, 3)), draw(side), draw(side))
    network = None
    for number in range(draw(st.integers(1, 4))):
        kernel = draw(st.sampled_from([1, 3, 5]))
        settings = {
            "padding": draw(st.integers(0, kernel // 2 + 1)),
            "stride": draw(st.integers(1, 3)),
            "pool": draw(st.integers(1, 3)),
            "bias": draw(st.booleans()),
            "rectified": draw(st.booleans()),
        }
        layer = conv(f"layer{number}", draw(st.integers(1, 5)), kernel, **settings)
        if draw(st.integers(0, 5)) == 0:
            layer = Layer(layer.name, layer.units, bias=layer.bias)
        try:
            network = Network("drawn", shape, (*(network.layers if network else ()), layer))
        except ValueError:  # does not fit
            break
    if network is None:
        network = Network("drawn", shape, (conv("only", 2, 1),))
    cuts, left = [], len(network.layers)
    while left:
        cuts.append(draw(st.integers(1, left)))
        left -= cuts[-1]
    return network, tuple(cuts)


@settings(max_examples=150)
@given(
    drawn=encoders(),
    seed=st.integers(0, 2**32 - 1),
    learning=st.sampled_from(sorted(LEARNING)),
    chunk=st.sampled_from([1, 50, 2**21]),
)
def test_drawn_encoders_equal_autograd(drawn, seed, learning, chunk):
    network, cut = drawn
    with patch.object(stack, "CHUNK", chunk):
        compare(network, replace(LEARNING[learning], modules=cut), (2, 3, 1), seed, torch.tensor([1, 0]))


@pytest.mark.parametrize("cut", CUTS)
def test_labels_equal_autograd_with_blocks_of_the_map(cut):
    blocks = Contrast(task="views", blocks=(2,) * len(cut or THREE.layers))
    compare(THREE, System("labels", "labels", cut, blocks), (4, 1, 1), 0, torch.tensor([0, 1, 1, 2]))


# ------------------------------------------------------------------------------------ corners, ties, silence


@pytest.mark.parametrize("feedback", FEEDBACK)
@pytest.mark.parametrize(("up", "down"), list(product((-1, 0, 1), repeat=2)))
def test_hinge_equals_autograd_at_its_corners(feedback, up, down):
    """All values are dyadic: scores are exactly 1 and -1, or one rounding step below or above.

    Image 0 has a positive at the one corner and a negative at the other. Its gates are closed at equality.
    In image 1 the scores are exchanged, so that both gates are open.
    """
    one, minus_one = (float(np.nextafter(edge, edge + step)) for edge, step in ((1, up), (-1, down)))
    network = Network("identity", (2, 1, 1), (conv("a", 2, 1, bias=False),))
    contrast = Contrast(steps=1, skip=0, source="same_place", prediction=FEEDBACK[feedback])
    arrays = {"a.w_ff": np.eye(2)[:, :, None, None], "a.w_pred": np.array([[[one, 0], [minus_one, 0]]])}
    if contrast.prediction.feedback == "split":
        arrays["a.w_retro"] = arrays["a.w_pred"].transpose(0, 2, 1).copy()
    first, second = [1.0, 0.0], [0.0, 1.0]
    x = torch.tensor([[first, first], [first, second]]).double().view(2, 2, 1, 2, 1, 1)
    changes, (share,) = compare(network, System("corner", contrast=contrast), None, 0, arrays=arrays, x=x)
    positive, negative = one < 1, minus_one > -1
    assert share == (positive + negative + 2) / 4
    half = 0.5 if contrast.prediction.feedback == "split" else 1.0
    expected = half * torch.tensor([[[positive - 1.0, 0], [1.0 - negative, 0]]]).double() / 2
    assert torch.equal(changes["a.w_pred"], expected)


def test_ties_of_the_max_pool_equal_autograd():
    """Constant maps: all places of a window are equal, and of each window one place wins."""
    network = Network("ties", (2, 4, 4), (conv("a", 3, 1, pool=2), conv("b", 3, 1, pool=2)))
    for cut, system in product(((), (2,)), LEARNING.values()):
        arrays = draw_arrays(network, replace(system, modules=cut), 3)
        x = draw_input(network, (3, 3, 1), 3)[..., :1, :1].expand(3, 3, 1, 2, 4, 4).clone()
        compare(network, replace(system, modules=cut), None, 3, torch.tensor([0, 1, 2]), arrays, x)


def test_only_one_of_tied_places_changes_weights():
    network = Network("tied", (1, 2, 2), (conv("a", 1, 1, pool=2, bias=False),))
    system = System(
        "tied", contrast=Contrast(steps=1, skip=0, source="same_place", prediction=FEEDBACK["blocked"])
    )
    arrays = {"a.w_ff": np.ones((1, 1, 1, 1)), "a.w_pred": np.full((1, 1, 1), 0.25)}
    x = torch.ones(2, 2, 1, 1, 2, 2).double()
    x[1] = 0.5
    changes, _ = compare(network, system, None, 0, arrays=arrays, x=x)
    # d = 0.25 c; W changes by d (x+ - x-) of the two images: 0.25 * (1 - 0.5) and 0.125 * (0.5 - 1), halved.
    assert changes["a.w_ff"].item() == (0.25 * 0.5 - 0.125 * 0.5) / 2


@pytest.mark.parametrize("learning", LEARNING)
@pytest.mark.parametrize("silent", ["a", "b", "c"])
def test_silent_layers_equal_autograd(learning, silent):
    """A layer that is silent, or whose pre-activation is exactly 0, learns nothing: rho'(0) = 0."""
    system = LEARNING[learning]
    for cut, bias in product(CUTS, (-100.0, 0.0)):
        network = replace(THREE, layers=tuple(replace(layer, bias=True) for layer in THREE.layers))
        arrays = draw_arrays(network, replace(system, modules=cut), 1)
        arrays[f"{silent}.bias"] = np.full_like(arrays[f"{silent}.bias"], bias)
        if bias == 0:
            arrays[f"{silent}.w_ff"] = np.zeros_like(arrays[f"{silent}.w_ff"])
        labels = torch.tensor([0, 1])
        changes, _ = compare(network, replace(system, modules=cut), (2, 3, 1), 1, labels, arrays)
        assert not changes[f"{silent}.w_ff"].any()
        assert not changes[f"{silent}.bias"].any()


# ----------------------------------------------------------------------------------------------- Appendix A


@pytest.mark.parametrize(
    "network",
    [
        Network("dense", (5,), (Layer("z", 4, bias=False),)),
        Network("1x1", (5, 1, 1), (conv("z", 4, 1, bias=False),)),
    ],
    ids=lambda network: network.title,
)
def test_info_nce_is_appendix_a(network):
    """Eqs. 5 to 8, each written out as it stands, for InfoNCE on one layer that is context and feature."""
    contrast = Contrast("info_nce", steps=1, skip=0, negatives=3)
    systems = {
        feedback: System("A", contrast=replace(contrast, prediction=Prediction(feedback)))
        for feedback in ("symmetric", "blocked")
    }
    arrays = draw_arrays(network, systems["symmetric"], 8, predict=0.5)
    x = draw_input(network, (3, 3, 1), 8)
    net = PatchNetwork(network, systems["symmetric"], arrays, dtype=torch.float64)
    ours, _, (pairs,), _ = closed_form(net, x)
    net = PatchNetwork(network, systems["blocked"], arrays, dtype=torch.float64)
    blocked, *_ = closed_form(net, x)
    drawn, _ = image_oracle.decoded(contrast, pairs, 3, 3, 1)

    w, w_pred = arrays["z.w_ff"].reshape(4, 5), arrays["z.w_pred"][0]
    inputs = x.numpy().reshape(3, 3, 1, 5)
    eq_6, eq_7, eq_8 = np.zeros((4, 4)), np.zeros((4, 5)), np.zeros((4, 5))
    for (_, image, (row, column)), negatives in drawn.items():
        x_c = inputs[image, row, column]
        x_z = np.array([inputs[place] for place in [(image, row + 1, column), *negatives]])  # the set T
        a_c, a_z = w @ x_c, x_z @ w.T
        c, z = np.maximum(a_c, 0), np.maximum(a_z, 0)
        slope_c, slope_z = (a_c > 0).astype(float), (a_z > 0).astype(float)
        u = z @ w_pred @ c
        pi = np.exp(u) / np.exp(u).sum()

        pair_6, pair_7, pair_8 = np.zeros((4, 4)), np.zeros((4, 5)), np.zeros((4, 5))
        surprise = z[0] - sum(pi[tau] * z[tau] for tau in range(4))
        for j in range(4):
            for k in range(4):
                pair_6[j, k] = c[k] * (z[0, j] - sum(pi[tau] * z[tau, j] for tau in range(4)))
            for i in range(5):
                seen = sum(pi[tau] * slope_z[tau, j] * x_z[tau, i] for tau in range(4))
                pair_7[j, i] = (w_pred @ c)[j] * (slope_z[0, j] * x_z[0, i] - seen)
                pair_8[j, i] = (w_pred.T @ surprise)[j] * slope_c[j] * x_c[i]

        # Autograd of log pi, W^c and W^z apart; and Eq. 5 from the gradients of the scores.
        leaves = [torch.tensor(array, requires_grad=True) for array in (w_pred, w, w)]
        p, w_z, w_c = leaves
        scores = torch.relu(torch.tensor(x_z) @ w_z.T) @ p @ torch.relu(torch.tensor(x_c) @ w_c.T)
        slopes = [torch.autograd.grad(score, leaves, retain_graph=True) for score in scores]
        found = torch.autograd.grad(torch.log_softmax(scores, 0)[0], leaves)
        for n, equation in enumerate((pair_6, pair_7, pair_8)):
            eq_5 = slopes[0][n] - sum(pi[tau] * slopes[tau][n] for tau in range(4))
            np.testing.assert_allclose(eq_5, equation, rtol=0, atol=1e-14)
            np.testing.assert_allclose(found[n], equation, rtol=0, atol=1e-14)
        eq_6, eq_7, eq_8 = eq_6 + pair_6, eq_7 + pair_7, eq_8 + pair_8

    count = len(drawn)
    for change, equation in (
        (ours["z.w_pred"][0], eq_6),
        (blocked["z.w_ff"], eq_7),
        (ours["z.w_ff"] - blocked["z.w_ff"], eq_8),
        (ours["z.w_ff"], eq_7 + eq_8),
    ):
        expected = equation / count
        found = change.numpy().reshape(expected.shape)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


# ------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize(
    ("optimizer", "tolerance"),
    [
        # Each step rounds by 1e-16, and those that follow may make more of it: 1e-14 in the end.
        (lambda arrays: torch.optim.SGD(arrays, lr=0.1), 1e-12),
        # Adam divides each gradient by its own size: where one is small because its terms cancel, their
        # rounding is divided too.
        (lambda arrays: torch.optim.Adam(arrays, lr=0.01), 1e-10),
    ],
    ids=["SGD", "Adam"],
)
def test_closed_form_and_autograd_training_stay_equal(optimizer, tolerance):
    """A hundred steps of layer-wise CLAPP, one training by each, with the same images and negatives.

    There is something to learn: the patches of an image are one pattern, each with fresh noise at every step.
    """
    system = System("CLAPP", contrast=Contrast(steps=2, skip=0))
    arrays = draw_arrays(THREE, system, 2, predict=0.3)
    net = PatchNetwork(THREE, system, arrays, CLASSES, torch.float64)
    theirs = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    ours_steps, their_steps = optimizer(net.parameters()), optimizer(theirs.values())
    losses, shares = [], []
    for step in range(100):
        x = draw_input(THREE, (4, 1, 1), 1000) + 0.2 * draw_input(THREE, (4, 3, 1), step)
        _, loss, drawn, share = closed_form(net, x, step)
        expected, _ = image_oracle.gradients(
            THREE, system, {n: a.detach() for n, a in theirs.items()}, x, drawn
        )
        for name, array in theirs.items():
            array.grad = -expected[name]
        ours_steps.step()
        their_steps.step()
        losses.append(sum(map(float, loss)))
        shares += share
    assert np.mean(losses[-20:]) < 0.95 * np.mean(losses[:20])
    assert min(shares) < 0.9  # gates have closed
    for name, array in net.named_arrays():
        array, expected = array.detach(), theirs[name].detach()
        largest = float(expected.abs().max())
        assert float((array - expected).abs().max()) <= tolerance * largest, name
        assert float((array - torch.tensor(arrays[name])).abs().max()) > 0.01 * largest, name


# ------------------------------------------------------------------------------------- boundaries of modules


def layers_that_learn_otherwise(cut, context, disturbed, feedback="separate"):
    """Return the layers whose changes are no longer the same bits after one array was changed a little."""
    contrast = Contrast(steps=2, skip=0, context=context, prediction=FEEDBACK[feedback])
    system = System("boundaries", modules=cut, contrast=contrast)
    arrays, x = draw_arrays(THREE, system, 4), draw_input(THREE, (3, 3, 1), 4)
    disturbance = 0.1 * np.random.default_rng(0).standard_normal(arrays[disturbed].shape)
    before, after = (
        closed_form(PatchNetwork(THREE, system, weights, CLASSES, torch.float64), x)[0]
        for weights in (arrays, {**arrays, disturbed: arrays[disturbed] + disturbance})
    )
    return "".join(sorted({n[0] for n in before if not torch.equal(before[n], after[n])}))


@pytest.mark.parametrize("feedback", ["symmetric", "blocked", "separate"])
@pytest.mark.parametrize("layer", ["a", "b", "c"])
@pytest.mark.parametrize("context", CONTEXTS)
def test_what_a_module_predicts_with_is_its_own_affair(context, layer, feedback):
    """Prediction weights act on the gradient alone: they must not be felt in any other module."""
    assert layers_that_learn_otherwise((), context, f"{layer}.w_pred", feedback) == layer
    if context == "both" and layer != "c":
        assert layers_that_learn_otherwise((), context, f"{layer}.w_top", feedback) == layer
    if feedback == "separate" and (context != "top" or layer == "c"):
        assert layers_that_learn_otherwise((), context, f"{layer}.w_retro", feedback) == layer


def test_modules_feel_those_below_and_not_those_above():
    assert layers_that_learn_otherwise((), "own", "a.w_ff") == "abc"
    assert layers_that_learn_otherwise((), "own", "b.w_ff") == "bc"
    assert layers_that_learn_otherwise((), "own", "c.w_ff") == "c"
    assert layers_that_learn_otherwise((2, 1), "own", "b.w_ff") == "abc"
    assert layers_that_learn_otherwise((2, 1), "own", "b.w_pred") == "ab"
    assert layers_that_learn_otherwise((2, 1), "own", "c.w_ff") == "c"
    assert layers_that_learn_otherwise((2, 1), "own", "c.w_pred") == "c"


def test_the_test_of_boundaries_sees_a_gradient_that_crosses():
    """In a single module gradients do cross layers: the same disturbances reach all of them."""
    assert layers_that_learn_otherwise((3,), "own", "b.w_ff") == "abc"
    assert layers_that_learn_otherwise((3,), "own", "c.w_ff") == "abc"
    assert layers_that_learn_otherwise((3,), "own", "c.w_pred") == "abc"


@pytest.mark.parametrize("context", ["top", "both"])
def test_of_the_top_layer_only_activity_reaches_the_others(context):
    """The context is what the top layer says, so its encoder is felt; its predictions are not (see above).

    That the activity carries no gradient back is held to autograd of a detached context by the tests of every
    contrast: the top layer's own changes are those of its own loss.
    """
    for layer in "abc":
        assert layers_that_learn_otherwise((), context, f"{layer}.w_ff") == "abc"
    contrast = Contrast(steps=2, skip=0)
    changes = []
    for each in ("own", context):
        system = System("top", contrast=replace(contrast, context=each))
        arrays = draw_arrays(THREE, System("own", contrast=contrast), 4)
        other = draw_arrays(THREE, system, 5)
        arrays = {n: arrays[n] if n[0] == "c" or n.endswith((".w_ff", ".bias")) else other[n] for n in other}
        net = PatchNetwork(THREE, system, arrays, CLASSES, torch.float64)
        changes.append(closed_form(net, draw_input(THREE, (3, 3, 1), 4))[0])
    for name in ("c.w_ff", "c.bias", "c.w_pred"):
        assert torch.equal(changes[0][name], changes[1][name])

"""The torch module of an image system: gradients for an optimiser, features, and initial weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.objective import Contrast, System
from neuroclapp.rate import patchnet
from neuroclapp.rate.modular import initial
from neuroclapp.rate.patchnet import PatchNetwork

NETWORK = Network(
    "three",
    (2, 6, 6),
    (
        Layer("a", 4, "conv"),
        Layer("b", 5, "conv", kernel=5, padding=2, pool=2, bias=False),
        Layer("c", 6, "conv", kernel=1, padding=0),
    ),
)
HINGE = Contrast(steps=2, skip=0)
SYSTEMS = [
    System("CLAPP", contrast=HINGE),
    System("split", contrast=replace(HINGE, prediction=Prediction("split", "separate"))),
    System("CPC", modules=(3,), contrast=replace(HINGE, loss="info_nce", negatives=4)),
    System("CLAPP++", contrast=replace(HINGE, context="both")),
    System("top", contrast=replace(HINGE, context="top")),
    System("supervised", "labels", (3,)),
    System("greedy supervised", "labels"),
]
LABELS = torch.tensor([1, 0, 2])


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def randomness(seed):
    return patchnet.Randomness(seed, 0)


def network_of(system, dtype=torch.float64, seed=0):
    return PatchNetwork(NETWORK, system, initial(NETWORK, system, 3, seed, gain=2**0.5), 3, dtype)


def places(seed=0, dtype=torch.float64):
    return torch.tensor(np.random.default_rng(seed).standard_normal((3, 4, 2, 2, 6, 6)), dtype=dtype)


def plain(net):
    """The encoder as torch's own layers, ``Sequential`` for each of ours."""
    arrays, found = dict(net.named_arrays()), []
    for layer, shape in zip(NETWORK.layers, NETWORK.shapes, strict=False):
        convolution = nn.Conv2d(
            shape[0],
            layer.units,
            layer.kernel,
            layer.stride,
            layer.padding,
            bias=layer.bias,
            dtype=torch.float64,
        )
        with torch.no_grad():
            convolution.weight.copy_(arrays[f"{layer.name}.w_ff"])
            if layer.bias:
                convolution.bias.copy_(arrays[f"{layer.name}.bias"])
        found.append(nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(layer.pool)))
    return found


def test_features_equal_those_of_a_plain_convolutional_network():
    net, x = network_of(SYSTEMS[0]), places()
    found, maps = net.features(x), x.view(-1, 2, 6, 6)
    for layer, response in zip(plain(net), found, strict=True):
        maps = layer(maps)
        expected = maps.mean((2, 3)).view(3, 8, -1).mean(1)
        torch.testing.assert_close(response, expected, rtol=1e-12, atol=1e-14)
    assert torch.equal(net(x), found[-1])


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.title)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gradients_are_as_an_optimiser_needs_them(system, dtype):
    net = network_of(system, dtype)
    before = {name: array.detach().clone() for name, array in net.named_arrays()}
    net.learn(places(dtype=dtype), randomness(0), LABELS)
    for name, array in net.named_arrays():
        gradient = array.grad
        assert gradient.shape == array.shape, name
        assert (gradient.dtype, gradient.device) == (array.dtype, array.device), name
        assert gradient.layout == array.layout == torch.strided, name
        assert not gradient.requires_grad, name
    changed = dict.fromkeys(before, 0.0)
    for optimizer in (
        torch.optim.SGD(net.parameters(), lr=0.5),
        torch.optim.Adam(net.parameters(), lr=0.01, foreach=True),
        torch.optim.Adam(net.parameters(), lr=0.01, fused=True),
    ):
        optimizer.step()
        for name, array in net.named_arrays():
            if type(optimizer) is torch.optim.SGD:
                assert torch.equal(array, before[name] - 0.5 * array.grad), name
            assert torch.isfinite(array).all(), name
            changed[name] += float((array - before[name]).detach().abs().max())
    assert min(changed.values()) > 0


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.title)
def test_gradients_are_set_and_not_added_up(system):
    net, x = network_of(system), places()
    gradients = []
    for _ in range(2):
        net.learn(x, randomness(0), LABELS)
        gradients.append({name: array.grad.clone() for name, array in net.named_arrays()})
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.title)
def test_after_is_called_once_for_each_module_lowest_first_with_its_gradients(system):
    net, calls = network_of(system), []
    count = len(net.modules_of)

    def after(learned):
        calls.append(learned.module)
        assert all(array.grad is not None for array in net.of(learned.module).values())
        for later in range(learned.module + 1, count):
            assert all(array.grad is None for array in net.of(later).values())

    learned = net.learn(places(), randomness(0), LABELS, after)
    assert calls == [each.module for each in learned] == list(range(count))
    names = [name for index in range(count) for name in net.of(index)]
    assert sorted(names) == sorted(name for name, _ in net.named_arrays())


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.title)
def test_a_step_at_once_and_one_at_the_end_are_the_same(system):
    """``after`` may apply a module's gradients and let them go before the next module has any."""
    at_once, at_the_end = network_of(system), network_of(system)

    def apply(net, index):
        with torch.no_grad():
            for array in net.of(index).values():
                array -= 0.1 * array.grad
                array.grad = None

    at_once.learn(places(), randomness(0), LABELS, lambda learned: apply(at_once, learned.module))
    for learned in at_the_end.learn(places(), randomness(0), LABELS):
        apply(at_the_end, learned.module)
    for (name, array), (_, expected) in zip(at_once.named_arrays(), at_the_end.named_arrays(), strict=True):
        assert array.grad is None
        assert torch.equal(array, expected), name


def test_what_learns_nothing_changes_nothing():
    net = network_of(System("random", "nothing"))
    assert net.learn(places(), randomness(0)) == []
    assert all(array.grad is None for array in net.parameters())


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.title)
def test_float32_agrees_with_float64(system):
    """Single precision is 6e-8; sums here have up to some thousand terms."""
    gradients = []
    for dtype in (torch.float64, torch.float32):
        net = network_of(system, dtype)
        net.learn(places(dtype=dtype), randomness(0), LABELS)
        gradients.append({name: array.grad.double() for name, array in net.named_arrays()})
    for name, expected in gradients[0].items():
        largest = float(expected.abs().max())
        assert float((gradients[1][name] - expected).abs().max()) <= 1e-4 * largest, name


def test_systems_of_one_seed_share_their_encoder():
    encoders = []
    for system in [*SYSTEMS, System("random", "nothing")]:
        arrays = initial(NETWORK, system, 3, seed=7)
        encoders.append({n: array for n, array in arrays.items() if n.endswith((".w_ff", ".bias"))})
        assert set(encoders[-1]) == {"a.w_ff", "a.bias", "b.w_ff", "c.w_ff", "c.bias"}
        for name, array in encoders[-1].items():
            np.testing.assert_array_equal(array, encoders[0][name])
    other = initial(NETWORK, SYSTEMS[0], 3, seed=8)
    assert all(not np.array_equal(other[name], array) for name, array in encoders[0].items())


def test_initial_weights_are_uniform_like_those_of_torch():
    """Bounds of 1 / sqrt(fan-in), biases included; the fan-in of a prediction is its context."""
    network = Network("wide", (16, 4, 4), (Layer("a", 64, "conv"),))
    contrast = replace(HINGE, prediction=Prediction("split"))
    supervised, clapp = System("head", "labels"), System("clapp", contrast=contrast)
    arrays = initial(network, supervised, 50, 0) | initial(network, clapp, 50, 0)
    fans = {"w_ff": 144, "bias": 144, "w_pred": 64, "w_retro": 64, "w_head": 64, "b_head": 64}
    assert {name.split(".")[1] for name in arrays} == set(fans)
    for name, fan in fans.items():
        array, bound = arrays[f"a.{name}"], fan**-0.5
        assert array.dtype == np.float32
        assert 0.9 * bound < np.abs(array).max() <= bound * (1 + 1e-6), name
        if array.size > 1000:
            assert array.std() == pytest.approx(bound / 3**0.5, rel=0.05), name
    gained = initial(network, clapp, 50, 0, gain=2**0.5)
    np.testing.assert_allclose(gained["a.w_ff"], 6**0.5 * arrays["a.w_ff"], rtol=1e-6)
    np.testing.assert_array_equal(gained["a.w_pred"], arrays["a.w_pred"])


@pytest.mark.parametrize("broken", ["missing", "shape"])
def test_arrays_that_do_not_fit_are_named(broken):
    system = SYSTEMS[1]
    arrays = initial(NETWORK, system, 3, 0)
    if broken == "missing":
        del arrays["b.w_retro"]
    else:
        arrays["b.w_retro"] = arrays["b.w_retro"][:1]
    with pytest.raises(InputError, match=r"three: b\.w_retro = .*needs an array of shape \(2, 5, 5\)"):
        PatchNetwork(NETWORK, system, arrays, 3)


def test_who_learns_from_labels_needs_them():
    with pytest.raises(InputError, match="this system learns from labels"):
        network_of(SYSTEMS[-1]).learn(places(), randomness(0))

"""Modules of residual blocks: against a ResNet in plain torch, and against autograd through it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy, max_pool2d

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Module, Network, Prediction, load_network
from neuroclapp.objective import Contrast, System
from neuroclapp.rate import residual, stack
from neuroclapp.rate.modular import Randomness, initial
from neuroclapp.rate.pairs import draw
from neuroclapp.rate.patchnet import PatchNetwork

NARROW = replace(load_network("resnet50"), width=1 / 16)  # 4 channels, then blocks of 16, 32 and 64
INFO_NCE = Contrast(loss="info_nce", steps=2, negatives=3)
HINGE = Contrast(steps=2, negatives=2)
SPLIT = Contrast(steps=2, source="one_image", prediction=Prediction("split", "separate"))
LABELS = System("labels", "labels")
SPLITS = [(14,), (4, 4, 6), (2, 2, 2, 2, 3, 3), (1,) * 14]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Bottleneck(nn.Module):
    """As Greedy InfoMax has it: pre-activation, no normalisation, a bias everywhere."""

    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1)
        projected = stride != 1 or inputs != 4 * planes
        self.shortcut = nn.Conv2d(inputs, 4 * planes, 1, stride=stride) if projected else None

    def forward(self, x):
        y = torch.relu(x)
        shortcut = x if self.shortcut is None else self.shortcut(y)
        return self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(y))))) + shortcut


class ResNet50(nn.Module):
    """Stages of 3, 4 and 6 bottlenecks behind a convolution of 5x5; ``cuts`` (layers) stop gradients."""

    def __init__(self, first, cuts=()):
        super().__init__()
        self.cuts, inputs = set(np.cumsum(cuts)), first
        layers = [("conv1", nn.Conv2d(1, first, 5, padding=2))]
        for stage, blocks in enumerate((3, 4, 6)):
            planes = first * 2**stage
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                layers.append((f"stage{stage + 1}_{block + 1}", Bottleneck(inputs, planes, stride)))
                inputs = 4 * planes
        self.layers = nn.ModuleDict(layers)

    def forward(self, x):
        """Return each layer's features (patches, channels)."""
        found = {}
        for index, (name, layer) in enumerate(self.layers.items()):
            x = layer(x.detach() if index in self.cuts else x)
            found[name] = x.mean((2, 3))
        return found

    def named(self):
        """Yield each parameter with the name that `neuroclapp` has for it."""
        theirs = {"conv1": "1", "conv2": "2", "conv3": "3", "shortcut": "_skip"}
        for name, parameter in self.layers.named_parameters():
            layer, *inner, kind = name.split(".")
            if inner:
                yield f"{layer}.{kind[0]}{theirs[inner[0]]}", parameter
            else:
                yield f"{layer}.{'w_ff' if kind == 'weight' else 'bias'}", parameter


def ours(system, network=NARROW):
    arrays = initial(network, system, 3, 0, gain=1.0)
    for name in arrays:
        if name.endswith((".w_pred", ".w_retro")):
            arrays[name] *= 8  # some gates of the hinge shut
    return PatchNetwork(network, system, arrays, 3, torch.float64)


def theirs(net):
    model = ResNet50(4, net.network.modules).double()
    arrays, found = dict(net.named_arrays()), dict(model.named())
    with torch.no_grad():
        for name, parameter in found.items():
            parameter.copy_(arrays[name])
    return model


def places(images=3, rows=4, columns=2):
    draws = torch.Generator().manual_seed(1)
    return torch.randn(images, rows, columns, 1, 16, 16, dtype=torch.float64, generator=draws)


def assert_close(found, expected, name):
    largest = float(expected.detach().abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 * largest, msg=name)


def test_forward_equals_the_network_in_plain_torch():
    net, x = ours(LABELS), places()
    model = theirs(net)
    encoder = {name for name, _ in net.named_arrays() if not name.endswith("_head")}
    assert {name for name, _ in model.named()} == encoder
    expected = model(x.flatten(0, 2))
    for found, layer in zip(net.features(x), net.network.layers, strict=True):
        assert_close(found, expected[layer.name].view(3, 8, -1).mean(1), layer.name)


def _loss(net, name, features, weights, randomness, labels):
    """Return the loss of the module whose top layer is ``name``, pair by pair."""
    if net.system.learns == "labels":
        logits = features.view(len(labels), -1, features.shape[1]).mean(1) @ weights[f"{name}.w_head"].T
        return cross_entropy(logits + weights[f"{name}.b_head"], labels)
    contrast = net.system.contrast
    pairs = draw(contrast, 3, 4, 2, randomness(name), features)
    w_pred, w_retro = weights[f"{name}.w_pred"], weights.get(f"{name}.w_retro")
    means = []
    for k, first, last in pairs.bounds:
        for at in range(first, last):
            c = features[pairs.context[at]]
            z = features[torch.cat([pairs.sample[at : at + 1], pairs.negative[at]])]
            if w_retro is None:
                each = _compared(contrast.loss, z @ w_pred[k] @ c)
            else:  # Eq. 10: either factor learns through a matrix of its own
                each = _compared(contrast.loss, z @ w_pred[k] @ c.detach()) / 2
                each = each + _compared(contrast.loss, z.detach() @ w_retro[k].T @ c) / 2
            means.append(each / (last - first))
    return sum(means) / len(pairs.bounds)


def _compared(loss, scores):
    """Return the loss of a positive's score and of its negatives'."""
    if loss == "info_nce":
        return torch.logsumexp(scores, 0) - scores[0]
    return torch.relu(1 - scores[0]) + torch.relu(1 + scores[1:]).mean()


@pytest.mark.parametrize("modules", SPLITS[:3])
@pytest.mark.parametrize(
    "system",
    [
        System("info_nce", contrast=INFO_NCE),
        System("hinge", contrast=HINGE),
        System("split", contrast=SPLIT),
        LABELS,
    ],
    ids=lambda system: system.title,
)
def test_changes_equal_autograd(system, modules):
    net = ours(replace(system, modules=modules))
    model, randomness, labels, x = theirs(net), Randomness(0, 0), torch.tensor([0, 2, 1]), places()
    learned = net.learn(x, randomness, labels if system.learns == "labels" else None)
    features = model(x.flatten(0, 2))
    weights = {name: array.detach().clone().requires_grad_() for name, array in net.named_arrays()}
    losses = []
    for module in net.modules_of:
        name = module.layers[-1].name
        losses.append(_loss(net, name, features[name], weights, randomness, labels))
    sum(losses).backward()
    expected = {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
    expected |= {name: parameter.grad for name, parameter in model.named()}
    found = {name: array.grad for name, array in net.named_arrays()}
    assert set(expected) == set(found)
    for name, grad in found.items():
        assert grad.shape == expected[name].shape
        assert_close(grad, expected[name], name)
    assert [float(each.loss) for each in learned] == pytest.approx(
        [float(each.detach()) for each in losses], rel=1e-12
    )
    if system.title in ("hinge", "split"):
        assert any(0 < each.share < 1 for each in learned)


@pytest.mark.parametrize("modules", SPLITS)
def test_no_gradient_crosses_a_module(modules):
    system = System("x", contrast=INFO_NCE, modules=modules)
    before, after = ours(system), ours(system)
    top = {layer.name for layer in before.modules_of[-1].layers}
    with torch.no_grad():
        for name, array in after.named_arrays():
            if name.split(".")[0] in top:
                array += 0.1
    for net in (before, after):
        net.learn(places(), Randomness(0, 0))
    changed = dict(after.named_arrays())
    for name, array in before.named_arrays():
        same = torch.equal(array.grad, changed[name].grad)
        assert same == (name.split(".")[0] not in top), name


def test_chunks_of_images_do_not_matter(monkeypatch):
    net = ours(System("x", contrast=INFO_NCE, modules=(4, 4, 6)))
    net.learn(places(), Randomness(0, 0))
    expected = {name: array.grad.clone() for name, array in net.named_arrays()}
    monkeypatch.setattr(stack, "CHUNK", 5 * 16 * 16 * 16)
    net.learn(places(), Randomness(0, 0))
    for name, array in net.named_arrays():
        assert_close(array.grad, expected[name], name)


def _drawn(network):
    draws = np.random.default_rng(0)
    named = zip(network.layers, pairwise(network.shapes), strict=True)
    return {
        f"{layer.name}.{target}": torch.tensor(draws.normal(size=array) / np.prod(array[1:]) ** 0.5)
        for layer, (shape, _) in named
        for target, array in layer.arrays(shape).items()
    }


def test_plain_layers_and_averages_of_parts_inside_a_module_of_blocks():
    layers = (
        Layer("a", 6, "conv", kernel=3, pool=2, rectified=False),
        Layer("b", 6, "residual", bias=False),
        Layer("c", 4, "conv", pool=2, bias=False),
        Layer("d", 8, "residual", kernel=5, padding=2),
    )
    network = Network("mixed", (3, 16, 16), layers, (4,))
    arrays = _drawn(network)
    assert "b.b1" not in arrays
    assert arrays["b.w1"].shape == (2, 6, 1, 1)  # 6 / 4, rounded
    x = torch.randn(5, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    delta = torch.randn(5, 8 * 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    w = {name: array.clone().requires_grad_() for name, array in arrays.items()}
    a = max_pool2d(torch.conv2d(x, w["a.w_ff"], w["a.bias"], padding=1), 2)
    b = torch.conv2d(torch.relu(torch.conv2d(torch.relu(a), w["b.w1"])), w["b.w2"], padding=1)
    b = torch.conv2d(torch.relu(b), w["b.w3"]) + a
    c = max_pool2d(torch.relu(torch.conv2d(b, w["c.w_ff"], padding=1)), 2)
    d = torch.relu(torch.conv2d(torch.relu(c), w["d.w1"], w["d.b1"]))
    d = torch.relu(torch.conv2d(d, w["d.w2"], w["d.b2"], padding=2))
    d = torch.conv2d(d, w["d.w3"], w["d.b3"]) + torch.conv2d(torch.relu(c), w["d.w_skip"], w["d.b_skip"])
    features = avg_pool2d(d, 2).flatten(1)
    expected = dict(zip(w, torch.autograd.grad(features, list(w.values()), delta), strict=True))

    (module,) = network.split()
    response = residual.respond(module, arrays, x, blocks=2)
    assert_close(response.features, features, "features")
    assert_close(residual.respond(module, arrays, x, 2, keep=False).features, features, "kept")
    found = residual.learn(module, arrays, response, delta, blocks=2)
    assert set(found) == set(expected)
    for name, change in found.items():
        assert_close(change, expected[name], name)


def test_a_dense_layer_on_top_of_a_block():
    network = Network("top", (2, 4, 4), (Layer("a", 4, "residual"), Layer("b", 5)), (2,))
    arrays, (module,) = _drawn(network), network.split()
    x = torch.randn(3, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    delta = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    response = residual.respond(module, arrays, x)
    found = residual.learn(module, arrays, response, delta)
    block = residual.respond(Module(module.layers[:1], module.prediction), arrays, x).output
    expected = torch.relu(block.reshape(3, -1) @ arrays["b.w_ff"].T + arrays["b.bias"])
    assert_close(response.features, expected, "features")
    local = delta * (expected > 0)
    assert_close(found["b.w_ff"], local.T @ block.reshape(3, -1), "b.w_ff")
    # The block alone, for the linear map that the dense layer is around x
    w = {name: array.clone().requires_grad_() for name, array in arrays.items()}
    inner = torch.relu(torch.conv2d(torch.relu(x), w["a.w1"], w["a.b1"]))
    inner = torch.relu(torch.conv2d(inner, w["a.w2"], w["a.b2"], padding=1))
    z = torch.conv2d(inner, w["a.w3"], w["a.b3"])
    z = z + torch.conv2d(torch.relu(x), w["a.w_skip"], w["a.b_skip"])
    ((local @ arrays["b.w_ff"]) * z.flatten(1)).sum().backward()
    assert_close(found["a.w1"], w["a.w1"].grad, "a.w1")


@pytest.mark.parametrize("pool", [1, 2])
def test_an_unrectified_convolution_learns_by_its_own_rule(pool):
    network = Network("linear", (2, 8, 8), (Layer("a", 3, "conv", pool=pool, rectified=False),))
    arrays, (module,) = _drawn(network), network.split()
    x = torch.randn(4, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    delta = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    w = {name: array.clone().requires_grad_() for name, array in arrays.items()}
    features = max_pool2d(torch.conv2d(x, w["a.w_ff"], w["a.bias"], padding=1), pool).mean((2, 3))
    features.backward(delta)
    response = stack.respond(module, arrays, x)
    assert (response.output < 0).any()
    assert_close(response.features, features, "features")
    for name, change in stack.learn(module, arrays, response, delta).items():
        assert_close(change, w[name].grad, name)


def test_initial_weights_are_torch_s_own():
    network = load_network("resnet50")
    arrays = initial(network, LABELS, 10, 0)
    summed = {"stage2_1.w1": 256, "stage2_1.w2": 128 * 9, "stage2_1.w3": 128, "stage2_1.w_skip": 256}
    for kernel, inputs in {**summed, "conv1.w_ff": 25}.items():
        bias = "conv1.bias" if kernel == "conv1.w_ff" else kernel.replace(".w", ".b")
        for name in (kernel, bias):  # nn.Conv2d: uniform within 1 / sqrt(inputs), kernel and bias
            assert 0.9 < np.abs(arrays[name]).max() * inputs**0.5 <= 1, name


def test_a_missing_array_of_a_block_is_named():
    arrays = initial(NARROW, LABELS, 3, 0)
    del arrays["stage2_1.w_skip"]
    with pytest.raises(InputError, match=r"stage2_1\.w_skip.*needs an array of shape \(32, 16, 1, 1\)"):
        PatchNetwork(NARROW, LABELS, arrays, 3)

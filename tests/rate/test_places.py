"""Populations at places in rates: their changes are the gradients of every place's own score."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, unfold

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.places import drawn, learn, places_of
from neuroclapp.presentations import Presentations
from neuroclapp.rate.places import PlacedRates
from neuroclapp.weights import Initial

SHAPE = (2, 7, 6)
LAYERS = (
    Layer("one", 5, "conv", kernel=3, stride=2, padding=0),
    Layer("two", 4, "conv", bias=False, kernel=2, padding=0),
)


def network(feedback="split"):
    return Network("small", SHAPE, LAYERS, prediction=Prediction(feedback=feedback))


def weights_of(net, sharing, seed=0):
    """Weights that differ between places where they may, with biases."""
    draw = np.random.default_rng(seed)
    found = drawn(net, sharing, Initial(1.0, 3.0, 3.0), draw)
    return {name: array + 0.2 * draw.normal(size=array.shape) for name, array in found.items()}


def responses(layer, w, bias, x, shared):
    """Activity (places, units) of maps, and as a map: torch's convolution, or a product per place."""
    if shared:
        kernel = w[0].view(len(w[0]), x.shape[0], layer.kernel, layer.kernel)
        a = conv2d(x[None], kernel, None if bias is None else bias[0], layer.stride)[0]
        return torch.relu(a.flatten(1).T), torch.relu(a)
    a = torch.einsum("pnm,mp->pn", w, unfold(x[None], layer.kernel, stride=layer.stride)[0])
    z = torch.relu(a if bias is None else a + bias)
    rows, columns = layer.output(tuple(x.shape))[1:]
    return z, z.T.reshape(-1, rows, columns)


@pytest.mark.parametrize("sharing", ["local", "shared"])
@pytest.mark.parametrize("feedback", ["split", "symmetric", "blocked"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_changes_equal_autograd(sharing, feedback, sign):
    """Of sum_p gamma_p u_p, or the mean over places where a kernel is shared, gamma held fixed."""
    net, shared, draw = network(feedback), sharing == "shared", np.random.default_rng(2)
    weights = weights_of(net, sharing)
    seen = draw.normal(size=(2, int(np.prod(SHAPE))))
    world = PlacedRates(net)
    world.present(weights, seen[0], 0.0)
    found = world.present(weights, seen[1], sign)
    maps = [torch.from_numpy(each).view(SHAPE) for each in seen]
    opened = 0
    for index, layer in enumerate(LAYERS):
        w = {
            name.split(".")[1]: torch.from_numpy(array).requires_grad_()
            for name, array in weights.items()
            if name.startswith(layer.name)
        }
        (c, c_map), (z, z_map) = (responses(layer, w["w_ff"], w.get("bias"), x, shared) for x in maps)

        def score(post, matrix, pre):
            return (post * (matrix @ pre[:, :, None])[:, :, 0]).sum(1)

        if feedback == "symmetric":
            u = score(z, w["w_pred"], c)
        elif feedback == "blocked":
            u = score(z, w["w_pred"], c.detach())
        else:
            u = (score(z, w["w_pred"], c.detach()) + score(c, w["w_retro"], z.detach())) / 2
        value = score(z, w["w_pred"], c).detach()
        gamma = sign * (sign * value < 1)
        objective = (gamma * u).mean() if shared else (gamma * u).sum()
        objective.backward()
        np.testing.assert_allclose(found.score[index], value.numpy(), rtol=0, atol=1e-12)
        np.testing.assert_array_equal(found.gamma[index], gamma.numpy())
        for target, array in w.items():
            expected = np.zeros(array.shape) if array.grad is None else array.grad.numpy()
            change = found.changes.get(f"{layer.name}.{target}", np.zeros(array.shape))
            np.testing.assert_allclose(change, expected, rtol=0, atol=1e-12)
        opened += int((gamma != 0).sum())
        maps = [c_map.detach(), z_map.detach()]
    assert 0 < opened < sum(len(gamma) for gamma in found.gamma) or sign > 0


def test_places_hear_what_a_convolution_hears():
    one, two = places_of(network())
    assert (one.count, two.count) == (3 * 2, 2 * 1)
    channel, y, x = np.unravel_index(one.hears[3], SHAPE)  # row 1, column 1 of 3 x 2
    assert channel.tolist() == [0] * 9 + [1] * 9
    assert y.tolist() == [2, 2, 2, 3, 3, 3, 4, 4, 4] * 2
    assert x.tolist() == [2, 3, 4] * 6


def test_a_world_beside_changes_nothing_and_both_kinds_of_sharing_start_alike():
    net, draw = network(), np.random.default_rng(3)
    stream = Presentations(
        draw.normal(size=(9, int(np.prod(SHAPE)))),
        np.array([0, 1, -1, 1, -1, 1, -1, 1, -1]),
        np.zeros(9, int),
    )
    start = {kind: drawn(net, kind, Initial(), np.random.default_rng(1)) for kind in ("local", "shared")}
    for name, array in start["local"].items():
        np.testing.assert_array_equal(array, np.broadcast_to(start["shared"][name], array.shape))
    alone, beside = ({name: array.copy() for name, array in start["local"].items()} for _ in range(2))
    for _ in learn(PlacedRates(net), alone, stream, (0.1, 0.1), (0.1, 0.1)):
        pass
    for found, other in learn(PlacedRates(net), beside, stream, (0.1, 0.1), (0.1, 0.1), PlacedRates(net)):
        for name, change in found.changes.items():
            np.testing.assert_array_equal(change, other.changes[name])
    for name, array in alone.items():
        np.testing.assert_array_equal(array, beside[name])
    assert np.ptp(alone["one.w_ff"], axis=0).max() > 1e-3  # places have parted


@pytest.mark.parametrize("change", [{"padding": 1}, {"pool": 2}, {"rectified": False}])
def test_other_layers_are_refused(change):
    layer = Layer("one", 5, **{"kind": "conv", "kernel": 3, "padding": 0, **change})
    with pytest.raises(InputError, match=r"small: layers\.one = 'conv': populations at places need"):
        places_of(Network("small", SHAPE, (layer,)))

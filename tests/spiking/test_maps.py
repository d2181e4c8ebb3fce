"""Maps of spikes: in rates they are the convolution and its pooling, in spikes they approach it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, relu

from neuroclapp.errors import InputError
from neuroclapp.network import Layer
from neuroclapp.spiking.maps import blocks, connections, exact_step, map_convolutions
from neuroclapp.spiking.maps_counting import count_maps
from neuroclapp.spiking.maps_pooling import STEPS
from neuroclapp.spiking.populations import Timing
from neuroclapp.spiking.unrolled import Resolution

LAYERS = (
    Layer("conv1", 4, "conv", pool=2),
    Layer("conv2", 3, "conv", kernel=4, stride=2, padding=1),
    Layer("conv3", 5, "conv", pool=2),
)
PATCH = (2, 13, 13)  # 13: what fills no block is left out
RESOLUTION = Resolution(Timing(duration=0.1, flush=0.03, dt=0.005), spikes=16.0)


def arrays(scale=0.4, seed=0):
    draw = np.random.default_rng(seed)
    found, channels = {}, PATCH[0]
    for layer in LAYERS:
        shape = (layer.units, channels, layer.kernel, layer.kernel)
        found[f"{layer.name}.w_ff"] = scale * draw.normal(size=shape)
        found[f"{layer.name}.bias"] = 0.1 * draw.normal(size=layer.units)
        channels = layer.units
    return found


def patches(count=6, seed=1):
    return np.random.default_rng(seed).normal(size=(count, *PATCH))


def rates(weights, x, pool=max_pool2d):
    """Every layer's activity before and after pooling, by torch's own operations."""
    x, found = torch.from_numpy(x), []
    for layer in LAYERS:
        w, b = (torch.from_numpy(weights[f"{layer.name}.{name}"]) for name in ("w_ff", "bias"))
        before = relu(conv2d(x, w, b, layer.stride, layer.padding))
        x = before if layer.pool == 1 else pool(before, layer.pool)
        found.append((before.numpy(), x.numpy()))
    return found


def mapped(neurons=8, pooling="lead", resolution=RESOLUTION, pool=max_pool2d):
    weights = arrays()
    active = [before for before, _ in rates(weights, patches(), pool)]
    largest = [3.0, *(float(np.percentile(each[each > 0], 99)) for each in active)]
    return map_convolutions("small", LAYERS, PATCH, weights, neurons, largest, resolution, pooling)


@pytest.mark.parametrize(("pooling", "pool"), [("lead", max_pool2d), ("mean", avg_pool2d)])
def test_the_synapses_give_the_convolution(pooling, pool):
    """Products of the sparse matrices, rectified, in rates; where a mean is taken it is in them."""
    maps, x = mapped(pooling=pooling), patches()
    z = (maps.charges(x) * maps.input.quantum * maps.timing.steps_on).reshape(len(x), -1)
    quantum = maps.input.quantum
    for index, (each, (before, after)) in enumerate(zip(maps.layers, rates(arrays(), x, pool), strict=True)):
        pre, post, charge = connections(maps, index)
        matrix = coo_matrix(
            (charge * each.soma.quantum / quantum, (post, pre)), (each.soma.units, z.shape[1])
        )
        _, height, width = each.shape
        bias = np.repeat(arrays()[f"{each.layer.name}.bias"], height * width)
        z = np.maximum((matrix.tocsr() @ z.T).T + bias, 0.0)
        # Weights are rounded for charges that add up exactly in single precision.
        np.testing.assert_allclose(z, before.reshape(len(x), -1), rtol=0, atol=3e-3 * before.max())
        if pooling == "lead" and each.layer.pool > 1:
            soma, relay = blocks(each)
            pooled = np.full((len(x), int(np.prod(each.sends))), -np.inf)
            np.maximum.at(pooled, (slice(None), relay), z[:, soma])
            z = pooled
            np.testing.assert_allclose(z, after.reshape(len(x), -1), rtol=0, atol=3e-3 * before.max())
        quantum = each.soma.quantum


def test_counts_equal_those_of_a_loop_over_single_units():
    """The equations of the module's docstring, one unit and one gate of a relay after the other."""
    maps, x = mapped(neurons=3), patches(2)
    source, counted = count_maps(maps, x)
    timing = maps.timing
    for n in range(2):
        charge = maps.charges(x)[n].ravel()
        v, count = np.full(len(charge), 0.5), np.zeros(len(charge))
        somata = [np.full(each.soma.units, 0.5) for each in maps.layers]
        counts = [np.zeros(each.soma.units) for each in maps.layers]
        drive = [np.zeros(each.soma.units) for each in maps.layers]
        gates = [{} for _ in maps.layers]
        sent = [np.zeros(int(np.prod(each.sends))) for each in maps.layers]
        synapses = [connections(maps, index) for index in range(len(maps.layers))]
        waiting = [np.zeros(each.soma.units) for each in maps.layers]
        for step in range(timing.steps):
            v += charge * (step < timing.steps_on)
            packets = [np.clip(np.floor(v), 0, 3)]
            v -= packets[0]
            count += packets[0]
            for index, each in enumerate(maps.layers):
                _, height, width = each.shape
                bias = np.repeat(each.bias, height * width)
                somata[index] += drive[index]
                somata[index] += bias * (each.late <= step < each.late + timing.steps_on)
                packet = np.clip(np.floor(somata[index]), 0, 3)
                somata[index] -= packet
                counts[index] += packet
                if each.layer.pool == 1:
                    sent[index] += packet
                    packets.append(packet)
                    continue
                # The relay hears the somata's packets of the step before.
                passed = np.zeros(len(sent[index]))
                for soma, relay in zip(*blocks(each), strict=True):
                    gates[index].setdefault(relay, {}).setdefault(soma, 0.0)
                    gates[index][relay][soma] += waiting[index][soma]
                for relay, branch in gates[index].items():
                    passed[relay] = max(0.0, *branch.values())
                    for soma in branch:
                        branch[soma] -= passed[relay]
                waiting[index] = packet
                sent[index] += passed
                packets.append(passed)
            drive = [np.zeros_like(each) for each in drive]
            for index, (pre, post, w) in enumerate(synapses):
                np.add.at(drive[index], post, w * packets[index][pre])
        np.testing.assert_array_equal(source[n].ravel(), count)
        for index, each in enumerate(counted):
            np.testing.assert_array_equal(each.soma.count[n].ravel(), counts[index])
            np.testing.assert_array_equal(each.sent[n].ravel(), sent[index])
            np.testing.assert_array_equal(each.soma.charge[n].ravel(), counts[index] + somata[index] - 0.5)
        assert counts[-1].sum() > 20


def test_counts_approach_the_rates_as_neurons_are_added():
    """Error of the top layer relative to its rates: .24, .022, .0035, .0009 with 1, 8, 64, 512 neurons."""
    x, gentle = patches(), replace(RESOLUTION, spikes=6.0)  # nothing is lost to saturation
    expected = rates(arrays(), x)[-1][1]
    errors = []
    for neurons in (1, 8, 64, 512):
        maps = mapped(neurons, resolution=gentle)
        found = count_maps(maps, x)[1][-1].sent * maps.layers[-1].soma.quantum
        errors.append(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    for error, allowed in zip(errors, (0.4, 0.04, 0.006, 0.002), strict=True):
        assert error < allowed


#: Packets of four units in five steps, and what each pooling makes of them, by hand.
PACKETS = ((0, 1, 0, 0), (2, 0, 0, 0), (0, 0, 3, 0), (1, 1, 0, 0), (1, 0, 1, 0))
BY_HAND = {
    "lead": (1, 1, 1, 0, 1),  # counts 0100 2100 2130 3230 4240: the largest is 1 2 3 3 4
    "most": (1, 2, 3, 1, 1),  # the first of the largest: unit 1, 0, 2, 0, 0
    "first": (1, 0, 0, 1, 0),  # unit 1 fires first
    "mean": (0.25, 0.5, 0.75, 0.5, 0.5),
}


@pytest.mark.parametrize("pooling", list(BY_HAND))
def test_poolings_by_hand(pooling):
    state, counts, found = None, np.zeros(4), []
    for step in PACKETS:
        counts += step
        units = [[torch.full((1, 1, 1, 1), float(each)) for each in every] for every in (step, counts)]
        sent, state = STEPS[pooling](*units, state)
        found.append(sent.item())
    assert tuple(found) == BY_HAND[pooling]


def test_the_first_of_two_that_fire_together_is_the_one_with_the_larger_packet():
    one, two = torch.full((1, 1, 1, 1), 1.0), torch.full((1, 1, 1, 1), 2.0)
    sent, chosen = STEPS["first"]([one, two], [one, two], None)
    assert (sent.item(), chosen.item()) == (2.0, 1)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1000),
    neurons=st.sampled_from([1, 5, 64]),
    parts=st.sampled_from([1, 4]),
    fan_in=st.integers(1, 300),
)
def test_charges_of_single_precision_add_up_exactly_in_any_order(seed, neurons, parts, fan_in):
    draw = np.random.default_rng(seed)
    w = draw.normal(size=(3, fan_in))
    step = exact_step(w, neurons, parts)
    w = np.round(w / step) * step
    packets = draw.integers(0, neurons * parts, size=fan_in, endpoint=True) / parts
    packets[: fan_in // 2] = neurons
    exact = (w * packets).sum(1)
    terms = (w * packets).astype(np.float32)
    np.testing.assert_array_equal(terms, w * packets)
    for _ in range(3):
        total = np.zeros(3, dtype=np.float32)
        for place in draw.permutation(fan_in):
            total += terms[:, place]
        np.testing.assert_array_equal(total, exact)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layers": (replace(LAYERS[0], rectified=False),)}, "layers.conv1.kind = 'conv, not rectified'"),
        ({"layers": (Layer("top", 3),)}, "layers.top.kind = 'dense': only rectified convolutions"),
        (
            {"layers": (replace(LAYERS[0], pool=3),), "pooling": "mean"},
            "layers.conv1.pool = 3: must be a power",
        ),
        ({"pooling": "max"}, "pooling = 'max': must be one of lead, most, first, mean"),
        ({"largest": [1.0, 1.0]}, r"largest = \[1.0, 1.0\]: needs one value for the pixels"),
        ({"largest": [1.0, 0.0, 1.0, 1.0]}, "largest.conv1 = 0.0: must be positive"),
        (
            {"resolution": replace(RESOLUTION, timing=Timing(duration=0.1, flush=0.02, dt=0.005))},
            "timing.flush = '0.02 s': 3 layers with their relays need 5 steps",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_layer_and_value(change, said):
    given_ = {"layers": LAYERS, "largest": [1.0] * 4, "resolution": RESOLUTION, "pooling": "lead", **change}
    if "largest" not in change:
        given_["largest"] = [1.0] * (len(given_["layers"]) + 1)
    with pytest.raises(InputError, match=said):
        map_convolutions(
            "small",
            given_["layers"],
            PATCH,
            arrays(),
            1,
            given_["largest"],
            given_["resolution"],
            given_["pooling"],
        )

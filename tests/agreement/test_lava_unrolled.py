"""Convolution and pooling unrolled to Lava's sparse connections, packet for packet as the equations say."""

import importlib.util
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from neuroclapp.errors import InputError, RunError
from neuroclapp.network import Layer, load_network
from neuroclapp.onchip.lava import jobs
from neuroclapp.onchip.unrolled2d import integers, unroll2d, write
from neuroclapp.spiking.maps import map_convolutions
from neuroclapp.spiking.maps_counting import count_maps
from neuroclapp.spiking.populations import Timing
from neuroclapp.spiking.unrolled import Resolution

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed"),
]

PATCH, STEPS, STEPS_ON, NEURONS = (2, 7, 8), 22, 14, 3
LAYERS = (
    Layer("a", 4, "conv"),
    Layer("b", 5, "conv", kernel=3, pool=2),
    Layer("c", 6, "conv", kernel=2, stride=1, padding=1, pool=2),
)
QUANTA = (1 / 16, 1 / 8, 1 / 8, 1 / 4)
LATE = {"a": 1, "b": 2, "c": 4}  # b's relays take a step of their own


def grid(array):
    return np.round(np.asarray(array) * 2**24) / 2**24


@pytest.fixture(scope="module")
def case():
    """Weights strong enough that packets saturate, biases, and patches of either sign."""
    draw = np.random.default_rng(3)
    shapes = {"a": (4, 2, 3, 3), "b": (5, 4, 3, 3), "c": (6, 5, 2, 2)}
    arrays = {}
    for name, shape in shapes.items():
        arrays[f"{name}.w_ff"] = grid(1.5 * draw.standard_normal(shape) / np.sqrt(np.prod(shape[1:])))
        arrays[f"{name}.bias"] = grid(0.2 * draw.standard_normal(shape[0]))
    return arrays, grid(0.7 * draw.standard_normal((6, *PATCH)))


def convolve(maps, kernel, layer):
    """A convolution of (patches, channels, height, width) by its definition."""
    pad = layer.padding
    padded = np.pad(maps, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = sliding_window_view(padded, (layer.kernel, layer.kernel), (2, 3))
    windows = windows[:, :, :: layer.stride, :: layer.stride]
    return np.einsum("nchwyx,ucyx->nuhw", windows, kernel)


def shrink(maps, how):
    n, u, h, w = maps.shape
    blocks = maps[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, u, h // 2, 2, w // 2, 2)
    return how(blocks, axis=(3, 5))


def simulate(charge, kernels, bias, thresholds, relayed):
    """Packets of every population by step: counts of relays are the largest counts of their blocks.

    ``charge`` is that of ON less OFF pixels as two maps (on, off); ``thresholds`` by population.
    """
    n = len(charge[0])
    v = {"on": np.full(charge[0].shape, thresholds["input"] / 2)}
    v["off"] = v["on"]
    sent = {key: np.zeros_like(value) for key, value in v.items()}
    counts, best, found = {}, {}, []
    for step in range(STEPS):
        was = dict(sent)
        for key, part in zip(("on", "off"), charge, strict=True):
            v[key] = v[key] + part * (step < STEPS_ON)
            sent[key] = np.clip(v[key] // thresholds["input"], 0, NEURONS)
            v[key] = v[key] - sent[key] * thresholds["input"]
        below = was["on"] - was["off"]
        record = {}
        for layer in LAYERS:
            name = layer.name
            drive = convolve(below, kernels[name], layer)
            if step == 0:
                v[name] = np.full(drive.shape, thresholds[name] / 2)
                sent[name] = np.zeros(drive.shape)
                counts[name] = np.zeros(drive.shape)
            on = LATE[name] - (0 if relayed or name != "c" else 1) <= step
            on = on and step < LATE[name] - (0 if relayed or name != "c" else 1) + STEPS_ON
            v[name] = v[name] + (drive if step else 0) + on * bias[name][:, None, None]
            before = sent[name]
            sent[name] = np.clip(v[name] // thresholds[name], 0, NEURONS)
            v[name] = v[name] - sent[name] * thresholds[name]
            record[name] = sent[name]
            below = before
            if layer.pool > 1 and relayed:
                counts[name] = counts[name] + before
                largest = shrink(counts[name], np.max)
                relay = f"{name}.pool"
                last = best.get(relay, np.zeros(largest.shape)) if step else np.zeros(largest.shape)
                below, best[relay] = sent.get(relay, np.zeros(largest.shape)), largest
                sent[relay] = largest - last
                record[relay] = sent[relay]
            elif layer.pool > 1:
                below = shrink(before, np.mean)
        found.append(record)
    names = [name for layer in LAYERS for name in (layer.name, f"{layer.name}.pool") if name in found[0]]
    return {name: np.stack([one[name] for one in found], 1).reshape(n, STEPS, -1) for name in names}


def unrolled(arrays, pooling):
    return unroll2d("test", LAYERS, PATCH, arrays, QUANTA, NEURONS, STEPS, STEPS_ON, pooling)


@pytest.mark.parametrize("pooling", ["relay", "mean"])
def test_float_lava_sends_the_packets_of_the_equations(case, pooling, tmp_path):
    arrays, patches = case
    network = unrolled(arrays, pooling)
    write(network, tmp_path)
    found = jobs.infer_unrolled(tmp_path, patches, limit_s=120)
    kernels = {
        layer.name: grid(arrays[f"{layer.name}.w_ff"] * QUANTA[k] / QUANTA[k + 1])
        for k, layer in enumerate(LAYERS)
    }
    bias = {
        layer.name: grid(arrays[f"{layer.name}.bias"] / (QUANTA[k + 1] * STEPS_ON))
        for k, layer in enumerate(LAYERS)
    }
    charge = patches / (QUANTA[0] * STEPS_ON)
    parts = (grid(np.maximum(charge, 0)), grid(np.maximum(-charge, 0)))
    ones = {"input": 1.0, **{layer.name: 1.0 for layer in LAYERS}}
    wanted = simulate(parts, kernels, bias, ones, pooling == "relay")
    assert [layer.name for layer in network.layers] == list(wanted)
    for one, (name, other) in zip(found, wanted.items(), strict=True):
        assert one.shape == other.shape
        assert other.sum() > 200, name
        assert np.array_equal(one, other), name
    assert max(other.max() for other in wanted.values()) == NEURONS


def test_fixed_point_lava_sends_the_packets_of_the_equations_in_integers(case, tmp_path):
    """Even weights up to 254, thresholds on the same scale, computed here once more."""
    arrays, patches = case
    write(integers(unrolled(arrays, "relay")), tmp_path)
    found = jobs.infer_unrolled(tmp_path, patches, limit_s=120)
    kernels, bias, thresholds = {}, {}, {"input": 4096}
    for k, layer in enumerate(LAYERS):
        scaled = grid(arrays[f"{layer.name}.w_ff"] * QUANTA[k] / QUANTA[k + 1])
        thresholds[layer.name] = threshold = 2 * int(254 / np.abs(scaled).max() / 2)
        kernels[layer.name] = 2 * np.round(scaled * threshold / 2)
        assert np.abs(kernels[layer.name]).max() in (252, 254)
        charge = grid(arrays[f"{layer.name}.bias"] / (QUANTA[k + 1] * STEPS_ON))
        bias[layer.name] = np.round(charge * threshold)
    charge = patches / (QUANTA[0] * STEPS_ON)
    parts = (np.round(np.maximum(charge, 0) * 4096), np.round(np.maximum(-charge, 0) * 4096))
    wanted = simulate(parts, kernels, bias, thresholds, True)
    for one, (name, other) in zip(found, wanted.items(), strict=True):
        assert other.sum() > 200, name
        assert np.array_equal(one, other), name


def test_wrong_patches_and_files_are_refused(case, tmp_path):
    arrays, patches = case
    with pytest.raises(InputError, match=r"unrolled\.npz: no such file"):
        jobs.infer_unrolled(tmp_path, patches)
    write(unrolled(arrays, "mean"), tmp_path)
    with pytest.raises(InputError, match="patches: shape"):
        jobs.infer_unrolled(tmp_path, patches[:, :1])
    with pytest.raises(RunError, match=r"took longer than 0\.01 s"):
        jobs.infer_unrolled(tmp_path, patches, limit_s=0.01)


@pytest.mark.slow
def test_a_narrow_vgg6_counts_in_lava_what_the_simulator_of_maps_counts():
    """All six layers with their four max-pools at 1/16 of their width, on whole patches of 16 x 16.

    Scales are powers of two and weights on a coarse grid, so that both hold exactly the same numbers.
    """
    network = replace(load_network("vgg6"), width=1 / 16)
    draw = np.random.default_rng(0)
    layers, shapes = network.scaled_layers, network.shapes
    arrays = {}
    for layer, shape in zip(layers, shapes, strict=False):
        kernel = layer.weight_shape(shape)
        scale = 1.8 / np.sqrt(np.prod(kernel[1:]))
        arrays[f"{layer.name}.w_ff"] = np.round(scale * draw.standard_normal(kernel) * 2**8) / 2**8
        arrays[f"{layer.name}.bias"] = np.zeros(layer.units)
    timing = Timing(duration=0.1, flush=0.06, dt=0.005)
    largest = [2.0] * 7  # quanta of 2 / (4 * 16) = 1 / 32
    maps = map_convolutions(
        "vgg6", layers, (1, 16, 16), arrays, 4, largest, Resolution(timing, spikes=16), "lead"
    )
    patches = np.round(draw.standard_normal((3, 1, 16, 16)) * 2**6) / 2**6
    source, counted = count_maps(maps, patches)
    made = unroll2d("vgg6", layers, (1, 16, 16), arrays, [1 / 32] * 7, 4, timing.steps, timing.steps_on)
    assert made.synapses == maps.synapses + sum(
        np.prod(each.sends) * each.layer.pool**2 for each in maps.layers if each.layer.pool > 1
    )
    with tempfile.TemporaryDirectory() as folder:
        write(made, Path(folder))
        found = jobs.infer_unrolled(Path(folder), patches, limit_s=280)
    counts = {layer.name: one.sum(1) for layer, one in zip(made.layers, found, strict=True)}
    assert source.sum() > 1000
    for layer, each in zip(layers, counted, strict=True):
        wanted = each.soma.count.reshape(3, -1)
        assert wanted.sum() > 100, layer.name
        assert np.array_equal(counts[layer.name], wanted), layer.name
        if layer.pool > 1:
            assert np.array_equal(counts[f"{layer.name}.pool"], each.sent.reshape(3, -1)), layer.name

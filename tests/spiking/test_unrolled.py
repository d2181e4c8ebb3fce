"""Unrolled encoders of sound: in rates they are the convolution, in spikes they approach it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from torch.nn.functional import conv1d, relu

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, load_network
from neuroclapp.rate.convolution1d import respond
from neuroclapp.spiking.counting import count
from neuroclapp.spiking.populations import Timing
from neuroclapp.spiking.unrolled import GRID, Resolution, connections, positions, unroll
from neuroclapp.spiking.windows import seen, windows

LAYERS = (
    Layer("conv1", 4, "conv1d", kernel=10, stride=5, padding=2),
    Layer("conv2", 3, "conv1d", kernel=8, stride=4, padding=2),
    Layer("conv3", 5, "conv1d", kernel=3, stride=2, padding=1),
)
RESOLUTION = Resolution(Timing(duration=0.1, flush=0.04, dt=0.005), spikes=16.0)
SAMPLES = 403


def arrays(scale=0.6, seed=0):
    draw = np.random.default_rng(seed)
    found, channels = {}, 1
    for layer in LAYERS:
        found[f"{layer.name}.w_ff"] = scale * draw.normal(size=(layer.units, channels, layer.kernel))
        found[f"{layer.name}.bias"] = 0.1 * draw.normal(size=layer.units)
        channels = layer.units
    return found


def sound(seed=1):
    return np.random.default_rng(seed).normal(size=SAMPLES)


def rates(weights, samples):
    """Every layer's activity (steps, units), by torch's own convolution."""
    x, found = torch.from_numpy(samples)[None, None], []
    for layer in LAYERS:
        w, b = (torch.from_numpy(weights[f"{layer.name}.{name}"]) for name in ("w_ff", "bias"))
        x = relu(conv1d(x, w, b, layer.stride, layer.padding))
        found.append(x[0].T.numpy())
    return found


def unrolled(neurons=8, weights=None, resolution=RESOLUTION):
    weights = weights or arrays()
    largest = [3.0, *(float(np.percentile(each[each > 0], 99)) for each in rates(weights, sound()))]
    return unroll("small", LAYERS, weights, neurons, largest, resolution)


def test_positions_are_those_of_the_receptive_field():
    layers = [layer for layer in load_network("audio_small").layers if layer.kind == "conv1d"]
    assert positions(layers) == [465, 92, 22, 10, 4, 1]  # by hand: 4, 3*2+4, 9*2+4, 21*4+8, 91*5+10


def test_the_unrolled_matrices_give_the_convolution_also_at_the_ends_of_a_sound():
    """Products of the sparse matrices, rectified, in rates; padding positions are silent."""
    weights, samples = arrays(), sound()
    network = unrolled(weights=weights)
    expected = rates(weights, samples)
    x = torch.from_numpy(samples)[None, :, None]
    for layer, found in zip(LAYERS, expected, strict=True):
        w, b = (torch.from_numpy(weights[f"{layer.name}.{name}"]) for name in ("w_ff", "bias"))
        x = respond(layer, x, w, b).z
        np.testing.assert_allclose(x[0].numpy(), found, rtol=0, atol=1e-12)

    steps = range(len(expected[-1]))
    shown = windows(network, samples, steps)
    z = shown.charges * network.input.quantum * network.timing.steps_on
    assert not shown.inside[0].all()  # there is padding at both ends
    quantum = network.input.quantum
    for index, each in enumerate(network.layers):
        pre, post, charge = connections(network, index)
        matrix = coo_matrix((charge * each.soma.quantum / quantum, (post, pre))).tocsr()
        assert matrix.shape == (each.positions * each.units, z.shape[1])
        bias = np.tile(weights[f"{each.layer.name}.bias"], each.positions)
        z = np.maximum((matrix @ z.T).T + bias, 0.0)
        z = (z.reshape(len(z), each.positions, -1) * shown.inside[index + 1][..., None]).reshape(len(z), -1)
        quantum = each.soma.quantum
    # Charges are rounded to 2^-24 of a threshold, in sums of some hundred of them.
    np.testing.assert_allclose(z, expected[-1], rtol=0, atol=1e-4 * expected[-1].max())


def test_every_presentation_is_a_window_of_the_sound():
    network, samples = unrolled(), sound()
    counted = count(network, samples)
    last = len(counted[-1].count) - 1
    shown = windows(network, samples, [0, 4, last])
    for level, each in enumerate(seen(counted, shown)):
        for n in range(3):
            for place in range(each.shape[1]):
                at = shown.first[level][n] + place
                there = 0 <= at < len(counted[level].count)
                expected = counted[level].count[at] if there else 0
                np.testing.assert_array_equal(each[n, place], expected)
    assert (seen(counted, shown)[-1][:, 0] == counted[-1].count[[0, 4, last]]).all()
    with pytest.raises(ValueError, match=f"step {last + 1} of 'conv3': it has {last + 1} steps"):
        windows(network, samples, [last + 1])


def test_charges_lie_on_the_grid_and_on_and_off_exclude_each_other():
    network, samples = unrolled(), sound()
    charges = network.charges(samples)
    for each in (charges, *(layer.w for layer in network.layers), *(layer.bias for layer in network.layers)):
        np.testing.assert_array_equal(each / GRID, np.round(each / GRID))
    np.testing.assert_array_equal(charges.min(1), 0)
    signed = (charges[:, 0] - charges[:, 1]) * network.input.quantum * network.timing.steps_on
    np.testing.assert_allclose(signed, samples, rtol=0, atol=1e-5)


def test_counts_equal_those_of_a_loop_over_single_units():
    """The equations of the module's docstring, one unit after the other."""
    network, samples = unrolled(neurons=3), sound()
    counted = count(network, samples)
    shown = windows(network, samples, [0, 7])
    timing = network.timing
    for n in range(2):
        v = [np.full(network.input.units, 0.5)]
        v += [np.full(each.soma.units, 0.5) for each in network.layers]
        drive, total = [np.zeros_like(each) for each in v], [np.zeros_like(each) for each in v]
        synapses = [connections(network, index) for index in range(len(network.layers))]
        for step in range(timing.steps):
            arriving = [np.zeros_like(each) for each in v]
            for level, each in enumerate(v):
                if level == 0:
                    each += shown.charges[n] * (step < timing.steps_on)
                else:
                    layer = network.layers[level - 1]
                    each += drive[level]
                    if level <= step < level + timing.steps_on:
                        each += np.tile(layer.bias, layer.positions)
                packet = np.clip(np.floor(each), 0, 3)
                if level:
                    packet *= np.repeat(shown.inside[level][n], layer.units)
                each -= packet
                total[level] += packet
                if level < len(network.layers):
                    pre, post, charge = synapses[level]
                    np.add.at(arriving[level + 1], post, charge * packet[pre])
            drive = arriving
        for level, each in enumerate(seen(counted, shown)):
            np.testing.assert_array_equal(each[n].ravel(), total[level])


def test_counts_approach_the_rates_as_neurons_are_added():
    """Error of the top layer relative to its rates: .42, .046, .0052, .00056 with 1, 8, 64, 512 neurons."""
    weights, samples = arrays(), sound()
    expected = rates(weights, samples)
    gentle = replace(RESOLUTION, spikes=8.0)  # nothing is lost to saturation
    errors = []
    for neurons in (1, 8, 64, 512):
        network = unrolled(neurons, weights, gentle)
        found = count(network, samples)[-1].count * network.layers[-1].soma.quantum
        errors.append(np.linalg.norm(found - expected[-1]) / np.linalg.norm(expected[-1]))
    for error, allowed in zip(errors, (0.6, 0.07, 0.008, 0.0009), strict=True):
        assert error < allowed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layers": (LAYERS[0], replace(LAYERS[1], kind="gru"))}, "small: layers.conv2.kind = 'gru': only"),
        ({"largest": [1.0, 1.0]}, r"largest = \[1.0, 1.0\]: needs one value for the samples"),
        ({"largest": [1.0, 1.0, 0.0, 1.0]}, "largest.conv2 = 0.0: must be positive"),
        (
            {"resolution": replace(RESOLUTION, timing=Timing(duration=0.1, flush=0.01, dt=0.005))},
            "timing.flush = '0.01 s': 3 layers need as many steps",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_layer_and_value(change, said):
    given = {"layers": LAYERS, "largest": [1.0] * 4, "resolution": RESOLUTION, **change}
    with pytest.raises(InputError, match=said):
        unroll("small", given["layers"], arrays(), 1, given["largest"], given["resolution"])


def test_a_neuron_fires_at_most_once_in_a_step():
    with pytest.raises(ValueError, match=r"spikes = 21.0 must be at most 20"):
        Resolution(spikes=21.0)

"""Inference with weights of few bits: fixed-point Lava, our integer simulator, and equations written out."""

import importlib.util

import numpy as np
import pytest

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.onchip import integer, nir
from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.export import export
from neuroclapp.onchip.lava import jobs
from neuroclapp.presentations import Presentations
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Timing
from neuroclapp.weights import Initial, Weights

pytestmark = pytest.mark.lava
needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed")

STEPS, STEPS_ON, NEURONS, INPUTS, UNITS = 28, 20, 8, 14, (10, 7)


def case(folder, w_ff=1.0, seed=5):
    draw = np.random.default_rng(seed)
    layers = (Layer("layer1", UNITS[0]), Layer("layer2", UNITS[1], bias=False))
    network = Network("test", (INPUTS,), layers, prediction=Prediction("split"))
    timing = Timing(duration=0.020, flush=0.008)
    spiking = Spiking(timing=timing, neurons=NEURONS, input_gain=6.0, gain=(4.0, 3.0))
    made = populations(network, spiking, (0.1, 0.1), (0.1, 0.1), draw)
    weights = dict(Initial(w_ff=w_ff).draw(network, draw))
    weights["layer1.bias"] = 0.3 * draw.standard_normal(UNITS[0])
    weights = Weights(weights)
    export(made, weights, Chip(name="ideal", title="no limits"), folder)
    return made, weights, np.maximum(draw.standard_normal((20, INPUTS)), 0)


def simulate(weights, inputs, quanta, bits):
    """Packets (samples, steps, units) in Python's own integers, unit by unit, from weights in rate units."""
    found = [np.zeros((len(inputs), STEPS, units), int) for units in UNITS]
    step = 2 ** (9 - bits)
    matrices, thresholds, biases = [], [], []
    for k, name in enumerate(("layer1", "layer2")):
        scaled = weights[f"{name}.w_ff"] * (quanta[k] / quanta[k + 1])
        most = step * (2 ** (bits - 1) - 1)
        threshold = int(most / np.abs(scaled).max())
        matrices.append([[step * round(float(w) * threshold / step) for w in row] for row in scaled])
        bias = weights[f"{name}.bias"] if f"{name}.bias" in weights else np.zeros(UNITS[k])
        biases.append([round(float(b) / (quanta[k + 1] * STEPS_ON) * threshold) for b in bias])
        thresholds.append(threshold)
    for sample, x in enumerate(inputs):
        charge = [round(float(a) / (quanta[0] * STEPS_ON) * 4096) for a in x]
        v = [[t // 2] * units for t, units in zip((4096, *thresholds), (INPUTS, *UNITS), strict=True)]
        sent = [[0] * INPUTS, *([0] * units for units in UNITS)]
        for t in range(STEPS):
            before, sent = sent, []
            for k, threshold in enumerate((4096, *thresholds)):
                packets = []
                for i in range(len(v[k])):
                    if k:
                        v[k][i] += sum(w * n for w, n in zip(matrices[k - 1][i], before[k - 1], strict=True))
                    if t < STEPS_ON:
                        v[k][i] += biases[k - 1][i] if k else charge[i]
                    n = max(0, min(NEURONS, v[k][i] // threshold)) if t < STEPS - 3 else 0
                    v[k][i] -= n * threshold
                    packets.append(n)
                sent.append(packets)
                if k:
                    found[k - 1][sample, t] = packets
    return found


def quanta_of(made):
    return (made.input.quantum, *(layer.soma.quantum for layer in made.layers))


@pytest.mark.parametrize("bits", [8, 5])
def test_the_integer_simulator_equals_the_equations(bits, tmp_path):
    made, weights, inputs = case(tmp_path, w_ff=3.0)
    network = nir.read(tmp_path)
    small = integer.quantised(network, bits)
    found = integer.simulate(small, small.charge(network.charge(inputs)))
    for ours, theirs in zip(found, simulate(weights, inputs, quanta_of(made), bits), strict=True):
        assert theirs.max() == NEURONS  # packets saturate
        assert np.array_equal(ours, theirs)


@needs_lava
@pytest.mark.parametrize("bits", [8, pytest.param(5, marks=pytest.mark.slow)])
def test_fixed_point_lava_equals_the_integer_simulator(bits, tmp_path):
    _, _, inputs = case(tmp_path, w_ff=3.0)
    network = nir.read(tmp_path)
    small = integer.quantised(network, bits)
    wanted = integer.simulate(small, small.charge(network.charge(inputs)))
    found = jobs.infer(tmp_path, inputs, limit_s=120, weight_bits=bits)
    for ours, theirs in zip(found, wanted, strict=True):
        assert theirs.max() == NEURONS
        assert np.array_equal(ours, theirs)


def test_eight_bits_keep_every_count_within_a_few_spikes_of_floating_point(tmp_path):
    """A weight is at most half a step off, so that a charge is off by at most half a step per input spike."""
    made, weights, inputs = case(tmp_path)
    network = nir.read(tmp_path)
    small = integer.quantised(network)
    found = integer.simulate(small, small.charge(network.charge(inputs)))[0].sum(1)
    stream = Presentations(inputs, np.zeros(len(inputs), np.int8), np.arange(len(inputs)))
    record = Engine(made).run(stream, weights, learn=False).record
    wanted, spikes = record.layers[0].count, record.input_count.sum(1)
    largest = 1.0 / small.layers[0].threshold * (spikes + INPUTS + STEPS_ON)
    assert (np.abs(found - wanted) <= np.ceil(largest)[:, None] + 1).all()
    assert np.abs(found - wanted).mean() < 0.2 < wanted.mean()


def test_weights_are_even_integers_of_eight_bits_that_use_them_all(tmp_path):
    case(tmp_path)
    network = nir.read(tmp_path)
    for layer, given in zip(integer.quantised(network).layers, network.layers, strict=True):
        assert not (layer.weights % 2).any()
        assert 250 <= np.abs(layer.weights).max() <= 254
        np.testing.assert_allclose(layer.weights / layer.threshold, given.weights, atol=1.0 / layer.threshold)


def test_what_does_not_fit_is_refused_by_name(tmp_path):
    case(tmp_path, w_ff=400.0)
    network = nir.read(tmp_path)
    with pytest.raises(InputError, match=r"layer1\.w_ff, largest = .*: must be at most 127"):
        integer.quantised(network)
    with pytest.raises(InputError, match=r"weight_bits = 9: must be 2 \.\. 8"):
        integer.quantised(network, 9)


def test_a_membrane_saturates_and_does_not_wrap():
    from neuroclapp.onchip.clock import Clock

    units = integer.IntegerSomata((2,), 4, 1000, Clock(0.001, 10, 5))
    for phase in range(3):
        units.step(np.array([-(2**22), 2**31 - 1]), phase)
    assert units.v.tolist() == [-(2**23) + 1, 2**23 - 1 - 4 * 1000]

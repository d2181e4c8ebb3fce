"""Brian2 and a plain simulator written from the equations agree spike for spike."""

from dataclasses import replace

import numpy as np
import pytest
from agreement.oracle import simulate
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.plasticity import Control, permuted_dendrites
from neuroclapp.presentations import Presentations
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Modulator, Timing
from neuroclapp.spiking.state import scores
from neuroclapp.weights import Initial, Weights

pytest.importorskip("brian2")
from neuroclapp.spiking.simulation import CompiledNetwork, run_all, run_steps

TIMING = Timing(duration=0.02, flush=0.006)
MODULATOR = Modulator(units=8, fan_in=4)


def network(feedback, bias=False):
    layers = (Layer("a", 6, bias=bias), Layer("b", 6, bias=bias))
    return Network("small", (9,), layers, prediction=Prediction(feedback))


def spiking_network(net, eta=0.125):
    spiking = Spiking(timing=TIMING, neurons=8, input_gain=8.0, gain=(4.0, 4.0), modulator=MODULATOR)
    return populations(net, spiking, (eta, eta), (eta, eta), np.random.default_rng(2))


def initial(net, grid=2.0**-16):
    drawn = Initial(w_ff=2.0, w_pred=3.0, w_retro=2.0).draw(net, np.random.default_rng(3))
    return Weights({name: np.round(array / grid) * grid for name, array in drawn.items()})


def stream(count, seed=4):
    draw = np.random.default_rng(seed)
    sign = np.where(np.arange(count) % 2 == 1, 1, -1).astype(np.int8)
    sign[0] = 0
    return Presentations(draw.random((count, 9)), sign, np.arange(count))


def assert_same(record, weights, expected):
    np.testing.assert_array_equal(record.input_count, expected.input_count)
    for found, layer in zip(record.layers, expected.layers, strict=True):
        for name in ("count", "gamma", "total"):
            np.testing.assert_array_equal(getattr(found, name), getattr(layer, name), err_msg=name)
        np.testing.assert_allclose(found.charge, layer.charge, atol=1e-10)
    for name, array in weights.items():
        np.testing.assert_allclose(array, expected.weights[name], rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("feedback", ["symmetric", "blocked", "split"])
def test_learning_equals_the_oracle(feedback):
    net = network(feedback, bias=feedback != "split")
    pops, weights, shown = spiking_network(net), initial(net), stream(14)
    stretch, _ = run_steps(pops, shown, weights, steps=False)
    expected = simulate(pops, weights, shown.inputs, shown.sign)
    assert {-1.0, 0.0, 1.0} <= set(np.concatenate([layer.gamma for layer in expected.layers]))
    assert_same(stretch.record, stretch.weights, expected)
    assert all(np.abs(stretch.weights[name] - weights[name]).max() > 0 for name in weights)


def test_every_packet_in_every_step_equals_the_oracle():
    net = network("split")
    pops, weights, shown = spiking_network(net), initial(net), stream(5)
    packets = []
    simulate(pops, weights, shown.inputs, shown.sign, packets=packets)
    _, model = run_steps(pops, shown, weights)
    for index in range(2):
        monitor = model.monitors[f"soma{index}_spikes"]
        found = np.zeros((len(shown) * TIMING.steps + 1, 6))
        found[np.round(np.array(monitor.t) / TIMING.dt).astype(int), np.array(monitor.i)] = np.array(
            monitor.packet
        )
        np.testing.assert_array_equal(found[:-1], np.concatenate([shot[index] for shot in packets]))


def test_permuted_dendrites_equal_the_oracle():
    net = network("split")
    pops, weights, shown = spiking_network(net), initial(net), stream(8)
    control = permuted_dendrites(8, 2, 6, np.random.default_rng(5))
    stretch, _ = run_steps(pops, shown, weights, control=control, steps=False)
    expected = simulate(pops, weights, shown.inputs, shown.sign, permutations=control.permutations)
    assert_same(stretch.record, stretch.weights, expected)


def test_gamma_always_on_takes_the_sign_and_bounds_the_weights():
    net = network("split")
    shown = stream(10)
    control = Control(always_open=True, bound=0.5)
    stretch, _ = run_steps(spiking_network(net, 1.0), shown, initial(net), control=control, steps=False)
    for layer in stretch.record.layers:
        np.testing.assert_array_equal(layer.gamma, shown.sign)
    assert max(np.abs(stretch.weights[f"{name}.w_ff"]).max() for name in "ab") == 0.5


def test_without_learning_no_weight_changes():
    net = network("split")
    weights = initial(net)
    stretch, _ = run_steps(spiking_network(net), stream(6), weights, learn=False, steps=False)
    assert all(np.array_equal(stretch.weights[name], weights[name]) for name in weights)


def test_compiled_stretches_equal_the_oracle_and_an_unbroken_run(tmp_path):
    """C++: stretches of 4 and one of 3, resumed in the middle; the permutable build with the identity."""
    net = network("split")
    pops, weights, shown = spiking_network(net), initial(net), stream(11)
    compiled = CompiledNetwork(pops, 4, tmp_path / "build", permutable=True)
    kept = []
    final, _ = run_all(compiled, shown, weights, after=lambda done, stretch: kept.append(stretch))
    expected = simulate(pops, weights, shown.inputs, shown.sign)
    counts = np.concatenate([stretch.record.layers[1].count for stretch in kept])
    np.testing.assert_array_equal(counts, expected.layers[1].count)
    for name, array in final.items():
        np.testing.assert_allclose(array, expected.weights[name], rtol=0, atol=1e-12)
    resumed, _ = run_all(compiled, shown, kept[0].weights, start=4, state=kept[0].state)
    assert all(np.array_equal(resumed[name], final[name]) for name in final)

    control = permuted_dendrites(11, 2, 6, np.random.default_rng(5))
    final, _ = run_all(compiled, shown, weights, control=control)
    expected = simulate(pops, weights, shown.inputs, shown.sign, permutations=control.permutations)
    for name, array in final.items():
        np.testing.assert_allclose(array, expected.weights[name], rtol=0, atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), neurons=st.integers(1, 20), steps=st.integers(1, 60))
def test_a_packet_unit_counts_like_its_staggered_neurons(seed, neurons, steps):
    """Each neuron fires at most once a step; the drive stays below one threshold of a neuron per step."""
    drive = np.round(np.random.default_rng(seed).uniform(-0.5, 0.9, steps) * 2**20) / 2**20
    v = (np.arange(neurons) + 0.5) / neurons
    packet_v = 0.5
    for step in drive:
        v = v + step
        fired = v >= 1 - 1e-12
        v = v - fired
        packet_v += step * neurons
        packet = np.clip(np.floor(packet_v + 1e-9), 0, neurons)
        packet_v -= packet
        assert packet == fired.sum()


@given(seed=st.integers(0, 2**32 - 1), target=st.floats(-3, 3))
def test_the_modulator_estimates_the_score(seed, target):
    """Each half's mean is the score, to the resolution of its staggered units, wherever none saturates."""
    draw = np.random.default_rng(seed)
    net = Network("one", (4,), (Layer("a", 64, bias=False),))
    spiking = Spiking(
        gain=(10.0,), modulator=Modulator(units=32, fan_in=32, resolution=8.0, tonic=100, burst=255)
    )
    layer = populations(net, spiking, (0.1,), (0.1,), draw).layers[0]
    part = draw.random(64)
    part *= target / part.sum()
    m = layer.modulator
    stagger = (np.arange(m.units) + 0.5) / m.units
    evidence = np.split(layer.listens @ part, 2)
    fired = [
        np.clip(np.floor(m.tonic + stagger + m.resolution * (1 + d * e)), 0, m.burst).sum()
        for d, e in zip((-1, 1), evidence, strict=True)
    ]
    record = replace(_no_record(), total=np.array([fired, fired]))
    found = scores(
        record, populations(net, spiking, (0.1,), (0.1,), draw), 0, np.array([1, -1], dtype=np.int8)
    )
    np.testing.assert_allclose(found, target, atol=0.05)
    np.testing.assert_allclose([e.mean() for e in evidence], target, atol=1e-12)


def _no_record():
    from neuroclapp.spiking.state import LayerRecord

    return LayerRecord(*(np.zeros(0) for _ in range(4)))

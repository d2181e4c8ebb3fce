"""Lava and Brian2, from the same weights and the same stream: identical packets, the same learning."""

import importlib.util

import numpy as np
import pytest

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.export import export
from neuroclapp.onchip.lava.jobs import infer, learn
from neuroclapp.presentations import Presentations
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Modulator, Timing
from neuroclapp.weights import Initial, Weights

pytest.importorskip("brian2")
from neuroclapp.spiking.simulation import run_steps

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed"),
]

UNITS, COUNT = (10, 8), 12


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Populations, weights and inputs on a dyadic grid, a stream, and the folder of the export."""
    folder = tmp_path_factory.mktemp("export")
    draw = np.random.default_rng(9)
    layers = tuple(Layer(f"layer{n + 1}", units, bias=False) for n, units in enumerate(UNITS))
    network = Network("test", (12,), layers, prediction=Prediction("split"))
    timing, modulator = Timing(duration=0.030, flush=0.006), Modulator(units=8, fan_in=5)
    spiking = Spiking(timing=timing, neurons=8, input_gain=8.0, gain=(8.0, 4.0), modulator=modulator)
    made = populations(network, spiking, (0.06, 0.03), (0.2, 0.1), draw)
    drawn = Initial(w_ff=1.5, w_pred=2.0, w_retro=2.0).draw(network, draw)
    weights = Weights({name: np.round(array * 2**20) / 2**20 for name, array in drawn.items()})
    inputs = np.round(np.repeat(draw.random((COUNT // 2, 12)), 2, axis=0) * 2**20) / 2**20
    sign = np.where(np.arange(COUNT) % 2 == 1, 1, -1).astype(np.int8)
    sign[0] = 0
    export(made, weights, Chip(name="ideal", title="no limits"), folder)
    return made, weights, Presentations(inputs, sign, np.arange(COUNT)), folder


def test_spike_trains_are_identical_step_by_step(case):
    made, weights, stream, folder = case
    _, model = run_steps(made, stream, weights, learn=False)
    steps = made.timing.steps
    for n, found in enumerate(infer(folder, stream.inputs, limit_s=120)):
        monitor = model.monitors[f"soma{n}_spikes"]
        wanted = np.zeros(((COUNT + 1) * steps, UNITS[n]))
        wanted[np.round(np.asarray(monitor.t) / made.timing.dt).astype(int), np.asarray(monitor.i)] = (
            monitor.packet
        )
        wanted = wanted[: COUNT * steps].reshape(COUNT, steps, -1)
        assert wanted.sum() > COUNT
        assert np.array_equal(found, wanted)


def test_learning_is_the_same(case):
    made, weights, stream, folder = case
    stretch, _ = run_steps(made, stream, weights, steps=False)
    learned = learn(folder, stream.inputs, stream.sign, limit_s=120)
    for layer, record in zip(made.layers, stretch.record.layers, strict=True):
        for name in ("count", "gamma", "total"):
            assert np.array_equal(getattr(learned[layer.name], name), getattr(record, name)), name
        assert 0.2 < np.mean(record.gamma != 0) < 1
        for target, after in learned[layer.name].after.items():
            wanted = stretch.weights[f"{layer.name}.{target}"]
            assert np.abs(wanted - weights[f"{layer.name}.{target}"]).max() > 1e-3
            np.testing.assert_allclose(after, wanted, rtol=0, atol=1e-12, err_msg=target)

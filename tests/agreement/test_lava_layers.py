"""All layers learn at once in float Lava, held against the engine and the plain oracle of the populations."""

import importlib.util

import numpy as np
import pytest
from agreement.oracle import simulate

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.clock import Clock
from neuroclapp.onchip.export import export
from neuroclapp.onchip.lava.jobs import learn
from neuroclapp.presentations import Presentations
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Modulator, Timing
from neuroclapp.weights import Initial, Weights

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed"),
]

INPUTS, UNITS = 10, (8, 6, 5)


def case(folder, feedback, bias, count=24, gain=(8.0, 4.0, 4.0), gate="shared"):
    """Export a random network of three layers that all learn; return populations, weights and stream."""
    draw = np.random.default_rng(11)
    layers = tuple(Layer(f"layer{n + 1}", units, bias=bias) for n, units in enumerate(UNITS))
    network = Network("test", (INPUTS,), layers, prediction=Prediction(feedback, gate))
    spiking = Spiking(
        timing=Timing(duration=0.020, flush=0.006),
        neurons=8,
        input_gain=8.0,
        gain=gain,
        modulator=Modulator(units=8, fan_in=4),
    )
    made = populations(network, spiking, (0.06, 0.05, 0.04), (0.2, 0.1, 0.1), draw)
    weights = Initial(w_ff=2.0, w_pred=3.0, w_retro=2.0).draw(network, draw)
    biases = {
        name: 0.2 * draw.standard_normal(w.shape) for name, w in weights.items() if name.endswith("bias")
    }
    weights = Weights({name: np.round(w * 2**20) / 2**20 for name, w in {**weights, **biases}.items()})
    inputs = np.repeat(draw.random((count // 2, INPUTS)), 2, axis=0)
    sign = np.where(np.arange(count) % 2 == 1, 1, -1).astype(np.int8)
    sign[0] = 0
    export(made, weights, Chip(name="ideal", title="no limits"), folder)
    return made, weights, Presentations(inputs, sign, np.arange(count))


@pytest.mark.parametrize(
    ("feedback", "gate", "bias", "count"),
    [
        ("split", "shared", True, 12),
        *(
            pytest.param(*values, 24, marks=pytest.mark.slow)
            for values in (
                ("split", "shared", False),
                ("split", "separate", True),
                ("symmetric", "shared", True),
                ("blocked", "shared", False),
            )
        ),
    ],
)
def test_layers_that_learn_at_once_equal_the_engine_at_every_presentation(
    feedback, gate, bias, count, tmp_path
):
    made, weights, stream = case(tmp_path, feedback, bias, count, gate=gate)
    expected = Engine(made).run(stream, weights)
    found = learn(tmp_path, stream.inputs, stream.sign, limit_s=120)

    assert list(found) == ["layer1", "layer2", "layer3"]
    below = expected.record.input_count
    for layer, record in found.items():
        wanted = expected.record.layers[list(found).index(layer)]
        assert np.array_equal(record.pre_count, below)
        for name in ("count", "gamma", "total", "gamma_retro", "total_retro"):
            assert np.array_equal(getattr(record, name), getattr(wanted, name)), (layer, name)
        assert wanted.is_separate == (gate == "separate")
        assert not wanted.is_separate or not np.array_equal(wanted.gamma, wanted.gamma_retro)
        assert 0 < np.mean(wanted.gamma != 0) < 1
        np.testing.assert_allclose(record.charge, wanted.charge, rtol=0, atol=1e-10)
        below = wanted.count
        for target, after in record.after.items():
            mirrored = feedback == "symmetric" and target == "w_retro"
            theirs, before = (
                w[f"{layer}.w_pred"].T if mirrored else w[f"{layer}.{target}"]
                for w in (expected.weights, weights)
            )
            assert np.abs(theirs - before).max() > 1e-3, (layer, target)
            np.testing.assert_allclose(after, theirs, rtol=0, atol=1e-12, err_msg=f"{layer}.{target}")


@pytest.mark.slow
def test_saturated_units_lose_what_the_release_cuts_off_as_in_the_oracle(tmp_path):
    made, weights, stream = case(tmp_path, "split", True, gain=(40.0, 30.0, 20.0))
    packets = []
    expected = simulate(made, weights, stream.inputs, stream.sign, packets=packets)
    found = learn(tmp_path, stream.inputs, stream.sign, limit_s=120)

    last = made.timing.release - 1
    assert any(one[0][last].max() == made.layers[0].soma.neurons for one in packets)  # it still had more
    for record, wanted in zip(found.values(), expected.layers, strict=True):
        for name in ("count", "gamma", "total"):
            assert np.array_equal(getattr(record, name), getattr(wanted, name)), name
        np.testing.assert_allclose(record.charge, wanted.charge, rtol=0, atol=1e-9)
    for layer, record in found.items():
        for target, after in record.after.items():
            np.testing.assert_allclose(after, expected.weights[f"{layer}.{target}"], rtol=0, atol=1e-12)


@pytest.mark.slow
def test_layers_below_those_that_learn_keep_their_weights(tmp_path):
    """Layer 1 rests under two that learn: as if its rates were 0."""
    made, weights, stream = case(tmp_path, "split", False)
    still = made.layers[0].__class__(**{**vars(made.layers[0]), "eta": 0.0, "eta_pred": 0.0})
    resting = made.__class__(**{**vars(made), "layers": (still, *made.layers[1:])})
    expected = Engine(resting).run(stream, weights)
    found = learn(tmp_path, stream.inputs, stream.sign, ["layer3", "layer2"], limit_s=120)
    assert list(found) == ["layer2", "layer3"]
    for n, (layer, record) in enumerate(found.items(), start=1):
        assert np.array_equal(record.count, expected.record.layers[n].count)
        for target, after in record.after.items():
            np.testing.assert_allclose(after, expected.weights[f"{layer}.{target}"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [8, 25, 105])
def test_units_fall_silent_where_the_populations_release(steps):
    timing = Timing(duration=0.001 * (steps - 5), flush=0.005, dt=0.001)
    assert Clock(timing.dt, timing.steps, timing.steps_on, 8).silent == timing.release

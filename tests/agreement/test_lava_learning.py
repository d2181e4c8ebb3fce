"""On-chip learning in float Lava against numpy loops written from the equations."""

import importlib.util

import numpy as np
import pytest

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.export import export
from neuroclapp.onchip.lava.jobs import learn
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Modulator, Timing
from neuroclapp.weights import Initial, Weights

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed"),
]

STEPS, STEPS_ON, NEURONS = 45, 40, 8
QUANTUM_IN, QUANTUM = 1 / 64, (1 / 32, 1 / 64)
INPUTS, UNITS, PRESENTATIONS = 20, (12, 8), 24
ETA, ETA_PRED = (0.03, 0.02), (0.1, 0.05)
IDEAL = Chip(name="ideal", title="no limits")


def grid(array):
    return np.round(np.asarray(array) * 2**20) / 2**20


class Case:
    """A random two-layer network, its export and its stream."""

    def __init__(self, feedback, bias, folder, seed=3):
        draw = np.random.default_rng(seed)
        layers = tuple(Layer(f"layer{n + 1}", units, bias=bias) for n, units in enumerate(UNITS))
        network = Network("test", (INPUTS,), layers, prediction=Prediction(feedback))
        self.modulator = Modulator(units=16, fan_in=6)
        spiking = Spiking(
            timing=Timing(duration=0.040, flush=0.005),
            neurons=NEURONS,
            input_gain=1 / (NEURONS * QUANTUM_IN),
            gain=tuple(1 / (NEURONS * q) for q in QUANTUM),
            modulator=self.modulator,
        )
        self.populations = populations(network, spiking, ETA, ETA_PRED, draw)
        weights = Initial(w_ff=1.5, w_pred=1.5, w_retro=1.5).draw(network, draw)
        biases = {
            name: 0.1 * draw.standard_normal(w.shape) for name, w in weights.items() if name.endswith("bias")
        }
        self.weights = Weights({name: grid(w) for name, w in {**weights, **biases}.items()})
        objects = np.repeat(np.maximum(draw.standard_normal((PRESENTATIONS // 2, INPUTS)), 0), 2, axis=0)
        self.inputs = grid(np.maximum(objects + 0.2 * draw.standard_normal(objects.shape), 0) * 0.7)
        self.sign = np.where(np.arange(PRESENTATIONS) % 2 == 1, 1, -1)
        self.sign[0] = 0
        self.folder = folder
        export(self.populations, self.weights, IDEAL, folder)


def simulate(case, plastic):
    """The equations of a spiking CLAPP network, one numpy statement each; layer ``plastic`` learns."""
    depth = plastic + 1
    quanta = (QUANTUM_IN, *QUANTUM)
    w = {name: np.array(array) for name, array in case.weights.items()}
    names = [f"layer{n + 1}" for n in range(depth)]
    own, quantum, m = names[plastic], QUANTUM[plastic], case.modulator
    feedback = case.populations.plasticity.prediction.feedback
    listens = case.populations.layers[plastic].listens
    half, factor = m.units, 0.5 if feedback == "split" else 1.0
    units = UNITS[plastic]
    x_before, z_before, slope_before = np.zeros(w[f"{own}.w_ff"].shape[1]), np.zeros(units), np.zeros(units)
    arriving_next = np.zeros(units)
    kept = {name: [] for name in ("pre_count", "count", "charge", "apical", "retro", "gamma", "total")}
    for x, sign in zip(case.inputs, case.sign, strict=True):
        held, arriving_next = arriving_next, np.zeros(units)
        v = [np.full(len(x), 0.5)] + [np.full(n, 0.5) for n in UNITS[:depth]]
        count = [np.zeros(len(one)) for one in v]
        drive = [np.zeros(len(one)) for one in v]
        evidence, retro = np.zeros(2 * half), np.zeros(units)
        for step in range(STEPS):
            drive[0] = x * (step < STEPS_ON) / (QUANTUM_IN * STEPS_ON)
            packets = []
            for k in range(depth + 1):
                v[k] = v[k] + drive[k]
                if k and f"{names[k - 1]}.bias" in w:
                    v[k] = v[k] + w[f"{names[k - 1]}.bias"] * (step < STEPS_ON) / (quanta[k] * STEPS_ON)
                n = np.clip(np.floor(v[k]), 0, NEURONS) * (step < STEPS - 3)
                v[k] = v[k] - n
                count[k] = count[k] + n
                packets.append(n)
            for k in range(depth):
                drive[k + 1] = w[f"{names[k]}.w_ff"] @ (packets[k] * quanta[k]) / quanta[k + 1]
            z_step = packets[-1] * quantum
            arriving_next = arriving_next + w[f"{own}.w_pred"] @ z_step
            if feedback == "symmetric":
                retro = retro + w[f"{own}.w_pred"].T @ z_step
            elif feedback == "split":
                retro = retro + w[f"{own}.w_retro"] @ z_step
            evidence = evidence + listens @ (held * z_step)
        stagger = np.tile((np.arange(half) + 0.5) / half, 2)
        direction = np.repeat([-1.0, 1.0], half)
        fired = np.clip(np.floor(m.tonic + stagger + m.resolution * (1 + direction * evidence)), 0, m.burst)
        total = fired[:half].sum(), fired[half:].sum()
        opened = total[0 if sign > 0 else 1] > half * m.tonic
        gamma = float(sign) if opened else 0.0
        x_now, z_now, charge = count[plastic] * quanta[plastic], count[-1] * quantum, count[-1] + v[-1] - 0.5
        slope = (charge > 0).astype(float)
        eta, eta_pred = ETA[plastic] * factor * gamma, ETA_PRED[plastic] * factor * gamma
        post = [held * slope, retro * slope_before]
        w[f"{own}.w_ff"] += eta * (np.outer(post[0], x_now) + np.outer(post[1], x_before))
        if f"{own}.bias" in w:
            w[f"{own}.bias"] += eta * (post[0] + post[1])
        w[f"{own}.w_pred"] += eta_pred * np.outer(z_now, z_before)
        if feedback == "split":
            w[f"{own}.w_retro"] += eta_pred * np.outer(z_before, z_now)
        for name, value in zip(
            kept, (count[plastic], count[-1], charge, held, retro, gamma, total), strict=True
        ):
            kept[name].append(value)
        x_before, z_before, slope_before = x_now, z_now, slope
    return {name: np.array(value) for name, value in kept.items()}, w


def cosine(a, b):
    return float(np.vdot(a, b) / np.sqrt(np.vdot(a, a) * np.vdot(b, b)))


@pytest.mark.parametrize(
    ("feedback", "bias", "layer"),
    [("split", False, 0), ("split", True, 1), ("symmetric", False, 0), ("blocked", False, 0)],
)
def test_on_chip_learning_equals_the_equations(feedback, bias, layer, tmp_path):
    case = Case(feedback, bias, tmp_path)
    wanted, weights = simulate(case, layer)
    name = f"layer{layer + 1}"
    learned = learn(tmp_path, case.inputs, case.sign, [name], limit_s=120)[name]

    assert 0.2 < np.mean(wanted["gamma"] != 0) < 1
    for name in ("pre_count", "count", "gamma", "total"):
        assert np.array_equal(getattr(learned, name), wanted[name]), name
    for name in ("charge", "apical", "retro"):
        np.testing.assert_allclose(getattr(learned, name), wanted[name], rtol=0, atol=1e-9, err_msg=name)
    targets = set(learned.after)
    assert {"w_ff", "w_pred"} <= targets
    for target in targets:
        name = f"layer{layer + 1}.{target}"
        mirrored = feedback == "symmetric" and target == "w_retro"
        after = weights[f"layer{layer + 1}.w_pred"].T if mirrored else weights[name]
        before = case.weights[f"layer{layer + 1}.w_pred"].T if mirrored else case.weights[name]
        assert np.array_equal(learned.before[target], before) or np.allclose(
            learned.before[target], before, rtol=1e-15
        )
        assert np.abs(after - before).max() > 1e-4
        assert cosine(learned.after[target] - learned.before[target], after - before) >= 0.9999
        np.testing.assert_allclose(learned.after[target], after, rtol=0, atol=1e-9, err_msg=target)

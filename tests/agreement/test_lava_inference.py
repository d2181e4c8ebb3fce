"""Inference in float Lava against the equations of the packet units, and Lava's parser against our rules."""

import importlib.util
import os
import time
from pathlib import Path

import numpy as np
import pytest

from neuroclapp.errors import InputError, MissingPackageError, RunError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.onchip import products, series
from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.export import export
from neuroclapp.onchip.lava import jobs
from neuroclapp.onchip.lava.shim import import_lava
from neuroclapp.plasticity import clapp
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Timing
from neuroclapp.weights import Initial, Weights

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed"),
]

STEPS, STEPS_ON, NEURONS = 36, 30, 3
QUANTA = (1 / 32, 1 / 64, 1 / 16)
UNITS = (24, 16, 12)


def grid(array):
    return np.round(np.asarray(array) * 2**20) / 2**20


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """An export with biases and weights strong enough to saturate packets, and its weights and inputs."""
    folder = tmp_path_factory.mktemp("export")
    draw = np.random.default_rng(5)
    layers = (Layer("layer1", UNITS[1]), Layer("layer2", UNITS[2]))
    network = Network("test", (UNITS[0],), layers, prediction=Prediction("split"))
    spiking = Spiking(
        timing=Timing(duration=0.030, flush=0.006),
        neurons=NEURONS,
        input_gain=1 / (NEURONS * QUANTA[0]),
        gain=tuple(1 / (NEURONS * quantum) for quantum in QUANTA[1:]),
    )
    made = populations(network, spiking, (0.03, 0.01), (0.1, 0.03), draw)
    weights = Initial(w_ff=2.0).draw(network, draw)
    biases = {
        name: 0.3 * draw.standard_normal(w.shape) for name, w in weights.items() if name.endswith("bias")
    }
    weights = Weights({name: grid(w) for name, w in {**weights, **biases}.items()})
    export(made, weights, Chip(name="ideal", title="no limits"), folder)
    inputs = grid(np.maximum(draw.standard_normal((25, UNITS[0])), 0))
    return folder, weights, inputs


def simulate(weights, inputs):
    """Packets of layers 1 and 2, (samples, steps, units): the model's equations, one presentation a row."""
    samples = len(inputs)
    v = [np.full((samples, units), 0.5) for units in UNITS]
    drive = [np.zeros_like(one) for one in v]
    found = [np.zeros((samples, STEPS, units)) for units in UNITS[1:]]
    for step in range(STEPS):
        on = step < STEPS_ON
        drive[0] = inputs * on / (QUANTA[0] * STEPS_ON)
        packets = []
        for k in range(3):
            bias = weights[f"layer{k}.bias"] * on / (QUANTA[k] * STEPS_ON) if k else 0.0
            v[k] = v[k] + (drive[k] + bias)
            n = np.clip(np.floor(v[k]), 0, NEURONS) * (step < STEPS - 3)
            v[k] = v[k] - n
            packets.append(n)
            if k:
                found[k - 1][:, step] = n
        for k in (1, 2):
            drive[k] = packets[k - 1] @ (weights[f"layer{k}.w_ff"] * (QUANTA[k - 1] / QUANTA[k])).T
    return found


def test_spike_trains_are_identical_packet_for_packet(case):
    folder, weights, inputs = case
    steps_done = []
    found = jobs.infer(
        folder, inputs, limit_s=120, progress=lambda done, total: steps_done.append((done, total))
    )
    wanted = simulate(weights, inputs)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        assert other.max() == NEURONS
        assert np.array_equal(one, other)
    assert steps_done[-1] == (len(inputs) * STEPS, len(inputs) * STEPS)


def test_presentations_do_not_depend_on_each_other(case):
    folder, weights, inputs = case
    order = np.random.default_rng(0).permutation(6)
    found = jobs.infer(folder, inputs[order], limit_s=120)
    assert np.array_equal(found[1], simulate(weights, inputs[order])[1])


def test_a_job_past_its_limit_is_ended_with_all_that_it_started(case):
    folder, _, inputs = case
    before = _processes()
    begun = time.monotonic()
    with pytest.raises(RunError, match=r"Lava inference job: it took longer than 3 s"):
        jobs.infer(folder, np.tile(inputs, (400, 1)), limit_s=3)
    assert time.monotonic() - begun < 12
    assert _processes() <= before


def test_a_job_that_fails_shows_the_end_of_its_error_output(case, tmp_path):
    with pytest.raises(RunError, match=r"(?s)it failed with exit status 1.*network\.nir: no such file"):
        jobs.run_job("inference", tmp_path, {"inputs": case[2]}, {"weight_bits": None}, limit_s=60)


def test_wrong_inputs_are_refused_before_a_job_starts(case):
    folder, _, inputs = case
    with pytest.raises(InputError, match="inputs: shape"):
        jobs.infer(folder, inputs[:, :5])
    with pytest.raises(InputError, match=r"sign: shape = \(2,\): must be \(25,\)"):
        jobs.learn(folder, inputs, [0, 1])
    with pytest.raises(InputError, match="sign: value = 2: must be"):
        jobs.learn(folder, inputs, [2] * 25, ["layer1"])
    with pytest.raises(InputError, match="no such layer; known: layer1, layer2"):
        jobs.learn(folder, inputs, [0] * 25, ["layer1", "layer7"])


def test_missing_lava_is_answered_with_the_line_that_installs_it(case, monkeypatch):
    folder, _, inputs = case
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"pip install --no-deps --ignore-requires-python lava-nc==0\.10\.0"
    ):
        jobs.infer(folder, inputs)


def test_lava_reads_every_rendered_rule_as_we_do():
    import_lava()
    from lava.magma.core.learning.learning_rule import Loihi3FLearningRule

    variants = [("symmetric", "shared"), ("blocked", "shared"), ("split", "shared"), ("split", "separate")]
    for feedback, gate in variants:
        for rule in products.rules(clapp(Prediction(feedback, gate))):
            for rate in (0.0, 1e-5, 0.003, 0.5, 7.0, 200.0):
                made = products.render(rule, rate)
                theirs = Loihi3FLearningRule(dw=made.text, t_epoch=8).dw.products
                assert len(theirs) == len(made.terms)
                for one, term in zip(theirs, made.terms, strict=True):
                    assert one.s_mantissa * 2.0 ** (one.s_exp - 7) == term.mantissa * 2.0**term.exponent
                    assert one.dependency[0] == term.dependency[0]
                    assert [factor.state_var for factor in one.factors] == [o.name for o in term.operands]


@pytest.mark.parametrize(
    "rule", ["3*2^-5*x0*x1*(y1-64)", "-7*2^8*y0*x2*w", "u4*x1*y3 - 2^-7*u4*t", "-8*2^-7*x0"]
)
def test_lava_reads_our_grammar_as_we_do(rule):
    import_lava()
    from lava.magma.core.learning.learning_rule import Loihi3FLearningRule

    theirs = Loihi3FLearningRule(dw=rule).dw.products
    for one, term in zip(theirs, series.parse(rule), strict=True):
        assert one.s_mantissa * 2.0 ** (one.s_exp - 7) == term.mantissa * 2.0**term.exponent
        found = [(factor.state_var, factor.const or 0) for factor in one.factors]
        assert found == [(operand.name, operand.constant) for operand in term.operands]


def test_importing_lava_leaves_dataclasses_as_they_were():
    import dataclasses

    before = dataclasses.dataclass
    import_lava()
    assert dataclasses.dataclass is before


def _processes():
    """Ids of all processes on this machine that run our worker."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            if b"neuroclapp.onchip.lava.worker" in command:
                found.add(int(entry.name))
    return found

"""The whole fixed-point network inside real Lava, learning: the same bits as the integer simulator."""

import importlib.util

import numpy as np
import pytest
from agreement.test_fixed_and_engine import drawn, scales, small

from neuroclapp.onchip.chip import load_chip
from neuroclapp.onchip.fixed import file
from neuroclapp.onchip.fixed.machine import Machine
from neuroclapp.onchip.fixed.scaling import fixed_program
from neuroclapp.onchip.fixed.schemes import Scheme
from neuroclapp.onchip.lava.jobs import learn_fixed

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed"),
]

SCHEMES = {
    "carry": Scheme(),
    "low": Scheme(low=True),
    "shares": Scheme(synapses=2),
    "weight": Scheme("weight", mantissa=1, keeps=False, remainder=False),
    "batch": Scheme("batch", every=5),
}


@pytest.mark.parametrize(
    ("scheme", "feedback", "bias"),
    [
        ("carry", "split", True),
        pytest.param("carry", "blocked", False, marks=pytest.mark.slow),
        pytest.param("low", "split", False, marks=pytest.mark.slow),
        pytest.param("shares", "blocked", False, marks=pytest.mark.slow),
        pytest.param("batch", "split", False, marks=pytest.mark.slow),
        pytest.param("weight", "symmetric", True, marks=pytest.mark.slow),
    ],
)
def test_lava_learns_the_same_bits(scheme, feedback, bias, tmp_path):
    network, mapped = small(feedback, bias)
    weights, stream = drawn(7, network, mapped, 20)
    program = fixed_program(mapped, weights, load_chip("loihi2"), scales(SCHEMES[scheme]))
    file.write(program, tmp_path)
    found = learn_fixed(tmp_path, stream.inputs, stream.sign, limit_s=240)
    machine = Machine([program])
    for n in range(len(stream)):
        seen = machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
        for number, (layer, now) in enumerate(zip(program.layers, seen.layers, strict=True)):
            name = layer.soma.name
            assert np.array_equal(found[f"{name}/count"][n], now.count[0]), (name, n)
            assert np.array_equal(found[f"{name}/charge"][n], now.charge[0]), (name, n)
            assert np.array_equal(found[f"{name}/retro"][n], now.retro[0]), (name, n)
            assert found[f"{name}/gamma"][n] == seen.gamma[number][0], (name, n)
    for name in machine.weights:
        assert np.array_equal(found[f"{name}/weights"], machine.weights[name][0]), name
        assert np.array_equal(found[f"{name}/tags"], machine.tags[name][0]), name
    assert not bias or {"a.bias", "b.bias"} <= set(machine.weights)
    first = program.layers[0].connections[0]
    assert (found["a.w_ff/weights"] != first.weights).any() or (found["a.w_ff/tags"] != first.tags).any()


def test_a_program_reads_back_as_it_was_written(tmp_path):
    _reads_back(small(bias=True), scales(), tmp_path)


def test_a_program_of_synapses_side_by_side_reads_back(tmp_path):
    _reads_back(small(), scales(Scheme(synapses=2)), tmp_path)


def _reads_back(made, chosen, tmp_path):
    network, mapped = made
    weights, _ = drawn(8, network, mapped, 2)
    program = fixed_program(mapped, weights, load_chip("loihi2"), chosen)
    file.write(program, tmp_path)
    again = file.read(tmp_path)
    assert (again.chip, again.clock, again.input) == (program.chip, program.clock, program.input)
    for one, other in zip(again.layers, program.layers, strict=True):
        assert (one.soma, one.axon) == (other.soma, other.axon)
        assert all(
            np.array_equal(a, b)
            for a, b in zip(vars(one.modulator).values(), vars(other.modulator).values(), strict=True)
        )
        for a, b in zip(one.connections, other.connections, strict=True):
            assert (a.key, a.exponent, a.carry, a.dw, a.dt, a.folds) == (
                b.key,
                b.exponent,
                b.carry,
                b.dw,
                b.dt,
                b.folds,
            )
            assert np.array_equal(a.weights, b.weights)
            assert np.array_equal(a.tags, b.tags)

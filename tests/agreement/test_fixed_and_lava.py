"""The whole fixed-point network inside real Lava, learning: the same bits as the integer simulator."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from agreement.test_fixed_and_engine import drawn, scales, small

from neuroclapp.errors import InputError
from neuroclapp.onchip.chip import load_chip
from neuroclapp.onchip.fixed import file
from neuroclapp.onchip.fixed.machine import Machine
from neuroclapp.onchip.fixed.scaling import fixed_program
from neuroclapp.onchip.fixed.schemes import Scheme
from neuroclapp.onchip.interpreter import Words
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
    ("scheme", "feedback", "bias", "gate"),
    [
        ("carry", "split", True, "separate"),
        pytest.param("carry", "split", True, "shared", marks=pytest.mark.slow),
        pytest.param("carry", "blocked", False, "shared", marks=pytest.mark.slow),
        pytest.param("low", "split", False, "separate", marks=pytest.mark.slow),
        pytest.param("shares", "blocked", False, "shared", marks=pytest.mark.slow),
        pytest.param("batch", "split", False, "shared", marks=pytest.mark.slow),
        pytest.param("batch", "split", True, "separate", marks=pytest.mark.slow),
        pytest.param("weight", "symmetric", True, "shared", marks=pytest.mark.slow),
    ],
)
def test_lava_learns_the_same_bits(scheme, feedback, bias, gate, tmp_path):
    network, mapped = small(feedback, bias, gate)
    weights, stream = drawn(9, network, mapped, 20)
    program = fixed_program(mapped, weights, load_chip("loihi2"), scales(SCHEMES[scheme]))
    file.write(program, tmp_path)
    found = learn_fixed(tmp_path, stream.inputs, stream.sign, limit_s=240)
    machine, apart = Machine([program]), 0
    for n in range(len(stream)):
        seen = machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
        for number, (layer, now) in enumerate(zip(program.layers, seen.layers, strict=True)):
            name = layer.soma.name
            assert np.array_equal(found[f"{name}/count"][n], now.count[0]), (name, n)
            assert np.array_equal(found[f"{name}/charge"][n], now.charge[0]), (name, n)
            assert np.array_equal(found[f"{name}/retro"][n], now.retro[0]), (name, n)
            for which, gamma in seen.gamma[number].items():
                assert found[f"{name}/{which}"][n] == gamma[0], (name, which, n)
            apart += len({int(gamma[0]) for gamma in seen.gamma[number].values()}) - 1
    assert (apart > 0) == (gate == "separate")
    for name in machine.weights:
        assert np.array_equal(found[f"{name}/weights"], machine.weights[name][0]), name
        assert np.array_equal(found[f"{name}/tags"], machine.tags[name][0]), name
    assert not bias or {"a.bias", "b.bias"} <= set(machine.weights)
    first = program.layers[0].connections[0]
    assert (found["a.w_ff/weights"] != first.weights).any() or (found["a.w_ff/tags"] != first.tags).any()


@pytest.mark.parametrize("gate", ["shared", "separate"])
def test_a_program_reads_back_as_it_was_written(gate, tmp_path):
    _reads_back(small(bias=True, gate=gate), scales(), tmp_path)
    assert f'"version": {1 + (gate == "separate")},' in (tmp_path / file.FILE).read_text()


def test_a_program_of_synapses_side_by_side_reads_back(tmp_path):
    _reads_back(small(), scales(Scheme(synapses=2)), tmp_path)


def test_lava_has_no_other_words(tmp_path):
    network, mapped = small()
    weights, stream = drawn(8, network, mapped, 2)
    program = fixed_program(mapped, weights, load_chip("loihi2"), scales())
    words = Words(weight=10, accumulator=17)
    file.write(replace(program, words=words), tmp_path)
    assert file.read(tmp_path).words == words
    with pytest.raises(
        InputError, match=r"fixed\.json: words = .*'weight': 10.*Lava's fixed point has words"
    ):
        learn_fixed(tmp_path, stream.inputs, stream.sign)


def _reads_back(made, chosen, tmp_path):
    network, mapped = made
    weights, _ = drawn(8, network, mapped, 2)
    program = fixed_program(mapped, weights, load_chip("loihi2"), chosen)
    file.write(program, tmp_path)
    again = file.read(tmp_path)
    assert (again.chip, again.clock, again.input) == (program.chip, program.clock, program.input)
    for one, other in zip(again.layers, program.layers, strict=True):
        assert (one.soma, one.axon) == (other.soma, other.axon)
        assert one.modulators.keys() == other.modulators.keys()
        for gate, m in one.modulators.items():
            theirs = vars(other.modulators[gate])
            assert all(np.array_equal(value, theirs[key]) for key, value in vars(m).items())
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

"""The integer simulator against the engine and the equations: the same spikes, updates that lose nothing."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.onchip.chip import load_chip
from neuroclapp.onchip.fixed.machine import Machine
from neuroclapp.onchip.fixed.scales import MatrixScale, Scales, with_carries
from neuroclapp.onchip.fixed.scaling import fixed_program
from neuroclapp.onchip.fixed.schemes import Scheme
from neuroclapp.onchip.interpreter import Words
from neuroclapp.presentations import Presentations
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Modulator, Timing
from neuroclapp.weights import Weights

NAMES = ("a", "b")
CARRY = Scheme()
PARTS = ("w_ff", "w_pred", "w_retro")


def small(feedback="split", bias=False, gate="shared"):
    layers = tuple(Layer(name, 4, bias=bias) for name in NAMES)
    network = Network("small", (6,), layers, prediction=Prediction(feedback, gate))
    spiking = Spiking(
        timing=Timing(duration=0.08, flush=0.04, dt=0.005),
        neurons=128,
        input_gain=4.0,
        gain=(2.0, 2.0),
        modulator=Modulator(units=8, fan_in=4),
    )
    return network, populations(network, spiking, (0.05, 0.05), (0.05, 0.05), np.random.default_rng(0))


def scales(scheme=CARRY, carry=16, product=-3):
    parts = (*PARTS, "bias")
    matrices = {f"{name}.{part}": MatrixScale(8, carry, product) for name in NAMES for part in parts}
    return Scales(matrices, {"input": 4, "a": 3, "b": 3}, scheme)


def drawn(seed, network, populations_, presentations):
    """Weights of even steps of 2^-8, and a stream whose activities are whole steps of an input's charge."""
    draw = np.random.default_rng(seed)
    shapes = {"a.w_ff": (4, 6), "b.w_ff": (4, 4), **{f"{n}.{p}": (4, 4) for n in NAMES for p in PARTS[1:]}}
    if network.layers[0].bias:
        shapes |= {"a.bias": (4,), "b.bias": (4,)}
    weights = Weights({name: 2 * draw.integers(-100, 101, shape) / 256 for name, shape in shapes.items()})
    step = populations_.input.quantum * populations_.timing.steps_on / 4096
    inputs = draw.integers(0, 4096 * 24, (presentations, 6)) * step
    sign = np.where(np.arange(presentations) % 2 == 1, 1, -1).astype(np.int8)
    sign[0] = 0
    return weights, Presentations(inputs, sign, np.zeros(presentations, dtype=np.int64))


@pytest.mark.parametrize("gate", ["shared", "separate"])
@pytest.mark.parametrize("seed", range(3))
def test_counts_charges_and_dendrites_are_those_of_the_engine(seed, gate):
    network, mapped = small(gate=gate)
    weights, stream = drawn(seed, network, mapped, 12)
    engine = Engine(mapped).run(stream, weights, learn=False)
    machine = Machine([fixed_program(mapped, weights, load_chip("loihi2"), scales())])
    for n in range(len(stream)):
        seen = machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1], learn=False)
        assert np.array_equal(seen.input_count[0], engine.record.input_count[n])
        for index, (layer, record) in enumerate(zip(seen.layers, engine.record.layers, strict=True)):
            threshold = machine.program.layers[index].soma.threshold
            assert np.array_equal(layer.count[0], record.count[n])
            assert np.array_equal(layer.charge[0] / threshold, record.charge[n])
            assert seen.total[index].keys() == record.totals().keys()
            for which, total in record.totals().items():  # the score has fewer bits
                assert abs(seen.total[index][which][0] - total[n]).max() <= 1
            retro = weights[f"{NAMES[index]}.w_retro"] @ (record.count[n] * mapped.layers[index].soma.quantum)
            assert np.array_equal(layer.retro[0] * mapped.layers[index].soma.quantum / 256, retro)
    assert sum(record.count.sum() for record in engine.record.layers) > 100


def test_a_bias_brings_in_a_presentation_what_it_is_worth():
    network, mapped = small(bias=True)
    weights, stream = drawn(9, network, mapped, 12)
    engine = Engine(mapped).run(stream, weights, learn=False)
    machine = Machine([fixed_program(mapped, weights, load_chip("loihi2"), scales())])
    for layer in machine.program.layers:  # 16 steps with input, of 1/512 and of 1/256 a spike
        assert (layer.axon.activity, layer.axon.replay) == (1.0, 32)
    assert [layer.axon.payload for layer in machine.program.layers] == [32, 16]
    for name in ("a.bias", "b.bias"):
        assert np.array_equal(machine.rates()[name][0], weights[name])
    together = machine.infer(stream.inputs)
    alike = 0
    for n in range(len(stream)):
        seen = machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1], learn=False)
        for index, (layer, record) in enumerate(zip(seen.layers, engine.record.layers, strict=True)):
            threshold = machine.program.layers[index].soma.threshold
            assert np.array_equal(together[index].count[n], layer.count[0])
            alike += int((layer.count[0] == record.count[n]).sum())
            if index == 0:  # above, counts differ where a bias that comes a step later let a spike out
                assert np.allclose(layer.charge[0] / threshold, record.charge[n], rtol=0, atol=1e-9)
    assert alike > 0.8 * 2 * 12 * 4
    without = Engine(mapped).run(stream, {**weights, "a.bias": np.zeros(4)}, learn=False)
    assert (without.record.layers[0].count != engine.record.layers[0].count).mean() > 0.5


def test_samples_shown_at_once_answer_as_one_by_one():
    network, mapped = small()
    weights, stream = drawn(5, network, mapped, 9)
    machine = Machine([fixed_program(mapped, weights, load_chip("loihi2"), scales())])
    found = machine.infer(stream.inputs)
    for n in range(len(stream)):
        seen = machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1], learn=False)
        for one, layer in zip(found, seen.layers, strict=True):
            assert np.array_equal(one.count[n], layer.count[0])
            assert np.array_equal(one.charge[n], layer.charge[0])


def shown_by(fold, gamma, value, rest):
    """A fold as `neuroclapp.onchip.fixed.program` states it, for one neuron."""
    v = gamma * value * fold.multiplier + rest
    y = max(-fold.most, min(fold.most, (v + 2 ** (fold.shift - 1)) >> fold.shift))
    return y, v - y * 2**fold.shift


@pytest.mark.parametrize(("gate", "seed"), [("shared", 1), ("separate", 74)])  # no tag fills
def test_what_is_carried_and_what_is_in_the_tag_are_the_sum_of_all_products(gate, seed):
    """All matrices of the first layer, neuron by neuron, from counts, gates and the equations."""
    network, mapped = small(bias=True, gate=gate)
    weights, stream = drawn(seed, network, mapped, 60)
    machine = Machine([fixed_program(mapped, weights, load_chip("loihi2"), scales())])
    w_ff, _, w_pred, w_retro = machine.program.layers[0].connections
    expected = {
        name: machine.weights[name][0] * 16 + machine.tags[name][0]
        for name in ("a.w_ff", "a.bias", "a.w_pred", "a.w_retro")
    }
    rest, context, carried, apart = {}, None, 0, 0
    for n in range(len(stream)):
        before = {name: machine.weights[name][0].copy() for name in expected}
        seen = machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
        now, gammas = seen.layers[0], seen.gamma[0]
        first = int(gammas["gamma"][0])
        second = int(gammas["gamma_retro"][0]) if gate == "separate" else first
        apart += first != second
        if context is not None:
            (x_then, then), x_now = context, seen.input_count
            windows = [
                ("a.w_ff", w_ff.folds[0], first, then.ahead, now.charge > 0, (x_now + 8) >> 4),
                ("a.w_ff", w_ff.folds[1], second, now.retro, then.charge > 0, (x_then + 8) >> 4),
                ("a.w_pred", w_pred.folds[0], first, now.count, now.count >= 0, (then.count + 4) >> 3),
                ("a.w_retro", w_retro.folds[0], second, then.count, now.count >= 0, (now.count + 4) >> 3),
            ]
            for number, (name, fold, gamma, value, shows, x1) in enumerate(windows):
                for j in range(4):
                    if gamma and shows[0, j]:
                        y, rest[number, j] = shown_by(fold, gamma, int(value[0, j]), rest.get((number, j), 0))
                        expected[name][j] += 2 * x1[0] * y
                        if name == "a.w_ff":  # an input of 1: 512 spikes, replayed in steps of 2^4
                            expected["a.bias"][j] += 2 * 32 * y
        carried += sum(int((machine.weights[name][0] != before[name]).sum()) for name in expected)
        context = seen.input_count, now
    assert not any(machine.saturated.values())
    for name, total in expected.items():
        assert np.array_equal(machine.weights[name][0] * 16 + machine.tags[name][0], total), name
        assert np.abs(machine.tags[name][0]).max() < 128
    assert carried > 100
    assert (apart > 5) == (gate == "separate")


@pytest.mark.parametrize("accumulate", ["carry", "batch"])
def test_a_bias_learns_as_the_rate_rule_says(accumulate):
    """Eqs. 13 and 14 for a constant input of 1, from weights and inputs alone."""
    network, mapped = small(bias=True)
    weights, stream = drawn(11, network, mapped, 600)
    weights = Weights({**weights, "a.bias": np.array([0.25, -0.25, 0.125, 0.0])})
    scheme = Scheme(accumulate, every=8)
    chosen = scales(scheme)
    chosen.matrices["a.bias"] = MatrixScale(9, 16)  # half an activity of 1, in the steps of w_ff
    machine = Machine([fixed_program(mapped, weights, load_chip("loihi2"), chosen)])
    (axon,) = {machine.program.layers[0].axon}
    assert abs(axon.activity * axon.replay * 2**4 / 512 - 1) < 0.02
    expected, before, start = np.zeros(4), None, machine.rates()["a.bias"][0]
    for n in range(len(stream)):
        rates = {name: array[0] for name, array in machine.rates().items()}
        a = rates["a.w_ff"] @ stream.inputs[n] + rates["a.bias"]
        z = np.maximum(a, 0)
        if before is not None:
            d, r = before[2], rates["a.w_retro"] @ z
            gamma = stream.sign[n] * (stream.sign[n] * (z @ d) < 1)
            expected += 0.05 / 2 * gamma * (d * (a > 0) + r * (before[0] > 0))
        machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
        before = a, z, rates["a.w_pred"] @ z
    left = machine.tags["a.bias"][0, :, 0] * 2.0**-8 / 16 * axon.activity
    found = machine.rates()["a.bias"][0] + left - start
    cosine = found @ expected / np.sqrt((found @ found) * (expected @ expected))
    assert np.abs(expected).max() > 0.05
    assert cosine > (0.995 if accumulate == "carry" else 0.9)
    if accumulate == "carry":
        assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_a_bias_that_cannot_learn_as_fast_as_w_is_refused():
    network, mapped = small(bias=True)
    weights, _ = drawn(11, network, mapped, 2)
    chosen = scales(carry=128)
    chosen.replay["input"] = 8  # an input of 1 is replayed as 2, with tags 128 times as fine
    chosen.matrices["a.bias"] = MatrixScale(8, 1)
    with pytest.raises(InputError, match=r"a\.bias, x1 = 0\.\d+: .* larger carry for the bias"):
        fixed_program(mapped, weights, load_chip("loihi2"), chosen)


def test_a_bias_is_given_the_tag_that_it_needs_as_far_as_a_tag_goes():
    _, mapped = small(bias=True)
    chosen = scales(carry=128)
    chosen.replay["input"] = (
        12  # x1 is of 2^12 / 512 = 8; one spike a step, 16 / 512: 128 * 8 / 32 = 32 at least
    )
    chosen.matrices["a.bias"] = MatrixScale(8, 2)
    assert with_carries(chosen, {}, mapped).matrices["a.bias"].carry == 32
    chosen.replay["input"] = 16
    assert with_carries(chosen, {}, mapped).matrices["a.bias"].carry == 128  # half of a tag's 256


SIDE_BY_SIDE = {
    "low": Scheme(low=True),
    "carry, two": Scheme(synapses=2),
    "carry, four": Scheme(synapses=4),
    "weight, four": Scheme("weight", synapses=4),
}


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_neurons_hear_the_sum_of_synapses_side_by_side(name):
    """Counts, charges and dendrites are those of the engine with the weights that the synapses add up to."""
    network, mapped = small()
    weights, stream = drawn(12, network, mapped, 40)
    machine = Machine([fixed_program(mapped, weights, load_chip("loihi2"), scales(SIDE_BY_SIDE[name]))])
    for n in range(30):
        machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
    rates = Weights({name: array[0] for name, array in machine.rates().items()})
    assert set(rates) == set(weights)
    finest = 2.0 ** (8 + {"low": 4, "carry, two": 1}.get(name, 2))
    assert all(np.array_equal(array * finest, np.round(array * finest)) for array in rates.values())
    engine = Engine(mapped).run(stream[30:], rates, learn=False)
    for n in range(30, 40):
        seen = machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1], learn=False)
        for index, (layer, record) in enumerate(zip(seen.layers, engine.record.layers, strict=True)):
            threshold, quantum = (
                machine.program.layers[index].soma.threshold,
                mapped.layers[index].soma.quantum,
            )
            assert np.array_equal(layer.count[0], record.count[n - 30])
            assert np.array_equal(layer.charge[0] / threshold, record.charge[n - 30])
            ahead = rates[f"{NAMES[index]}.w_pred"] @ (record.count[n - 30] * quantum)
            assert np.allclose(layer.ahead[0] * quantum / finest, ahead, rtol=0, atol=1e-12)


def test_a_low_synapse_shows_the_tag_and_nothing_is_lost():
    network, mapped = small()
    weights, stream = drawn(13, network, mapped, 60)
    machines = [
        Machine([fixed_program(mapped, weights, load_chip("loihi2"), scales(scheme))])
        for scheme in (Scheme(), Scheme(low=True))
    ]
    for n in range(60):
        for machine in machines:
            machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
        for name, tags in machines[1].tags.items():
            if not name.endswith("+1"):
                assert np.array_equal(machines[1].weights[f"{name}+1"], tags)
                assert not (tags % 2).any()
    assert not any(any(machine.saturated.values()) for machine in machines)
    moved = machines[1].weights["a.w_ff"] - machines[1].program.layers[0].connections[0].weights
    assert (moved != 0).any()


def test_shares_start_in_turn_and_lavas_one_number_rounds_them_alike():
    network, mapped = small()
    weights, stream = drawn(14, network, mapped, 40)
    chip, scheme = load_chip("loihi2"), Scheme("weight", synapses=2)
    shared = Machine([fixed_program(mapped, weights, chip, scales(scheme))])
    own = Machine([fixed_program(mapped, weights, chip, scales(scheme))], seeds=[0])
    apart = [one.weights["a.w_ff+1"] - one.weights["a.w_ff"] for one in (shared, own)]
    for n in range(40):
        for one in (shared, own):
            one.present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
    assert np.array_equal(shared.weights["a.w_ff+1"] - shared.weights["a.w_ff"], apart[0])
    assert not np.array_equal(own.weights["a.w_ff+1"] - own.weights["a.w_ff"], apart[1])
    four = fixed_program(mapped, weights, chip, scales(Scheme(synapses=4))).layers[0]
    shares = [one.weights * 16 + one.tags for one, _ in four.parts("w_ff")]
    for lower, upper in itertools.pairwise(shares):  # a quarter of 16 tag steps apart, to the next odd one
        assert np.abs(upper - lower - 4).max() <= 2
    total = np.sum(shares, axis=0) / (4 * 16) / 256
    assert np.abs(total - weights["a.w_ff"]).max() <= 4 / (4 * 16) / 256


def test_what_synapses_side_by_side_cannot_be_is_named():
    with pytest.raises(ValueError, match="low = true needs accumulate = 'carry'"):
        Scheme("weight", low=True)
    network, mapped = small(bias=True)
    weights, _ = drawn(14, network, mapped, 2)
    with pytest.raises(InputError, match=r"layers\.a\.bias = True: a bias has one synapse"):
        fixed_program(mapped, weights, load_chip("loihi2"), scales(Scheme(synapses=2)))


@pytest.mark.parametrize("seeds", [None, (5, 6)])
def test_a_simulation_goes_on_from_its_arrays_to_the_same_bits(seeds):
    network, mapped = small()
    weights, stream = drawn(2, network, mapped, 40)
    program = fixed_program(mapped, weights, load_chip("loihi2"), scales(Scheme("batch", every=4)))
    whole, first, second = (Machine([program, program], seeds=seeds) for _ in range(3))
    for n in range(40):
        shown = np.stack([stream.inputs[n], stream.inputs[39 - n]]), np.repeat(stream.sign[n : n + 1], 2)
        whole.present(*shown)
        if n == 17:
            second.restore({name: array.copy() for name, array in first.arrays().items()})
        (first if n < 17 else second).present(*shown)
    for name in whole.weights:
        assert np.array_equal(whole.weights[name], second.weights[name])
        assert np.array_equal(whole.tags[name], second.tags[name])
    started = Machine([program, program], seeds=seeds)
    assert all((whole.weights[name] != started.weights[name]).any() for name in ("a.w_ff", "b.w_pred"))


@pytest.mark.parametrize("seeds", [None, (3, 4)])
def test_learning_side_by_side_is_learning_alone(seeds):
    network, mapped = small()
    pairs = [drawn(seed, network, mapped, 25) for seed in (3, 4)]
    chip = load_chip("loihi2")
    scheme = Scheme() if seeds is None else Scheme("weight")
    programs = [fixed_program(mapped, weights, chip, scales(scheme)) for weights, _ in pairs]
    together = Machine(programs, seeds=seeds)
    alone = [Machine([one], seeds=None if seeds is None else [seeds[n]]) for n, one in enumerate(programs)]
    for n in range(25):
        sign = np.array([stream.sign[n] for _, stream in pairs])
        together.present(np.stack([stream.inputs[n] for _, stream in pairs]), sign)
        for number, (_, stream) in enumerate(pairs):
            alone[number].present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
    for number in range(2):
        for name in together.weights:
            assert np.array_equal(together.weights[name][number], alone[number].weights[name][0])
            assert np.array_equal(together.tags[name][number], alone[number].tags[name][0])


def test_a_program_keeps_to_the_words_of_its_chip():
    """Weights of five bits and tags of four, whatever is learned, and in the file; nothing else changes."""
    network, mapped = small()
    weights, stream = drawn(6, network, mapped, 40)
    words = Words(weight=5, tag=4, trace=5, accumulator=12)
    matrices = {name: replace(one, exponent=5, carry=4) for name, one in scales().matrices.items()}
    narrow = replace(scales(), matrices=matrices, words=words, replay={"input": 6, "a": 5, "b": 5})
    program = fixed_program(mapped, weights, load_chip("loihi2"), narrow)
    machine = Machine([program])
    for n in range(40):
        machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
    for name, array in machine.weights.items():
        assert np.abs(array).max() <= 2**5, name
        assert np.abs(machine.tags[name]).max() <= 2**4 + 1, name
    moved = machine.weights["a.w_ff"][0] - program.layers[0].connections[0].weights
    assert (moved != 0).any()


def test_random_numbers_of_ones_own_round_differently():
    network, mapped = small()
    weights, stream = drawn(6, network, mapped, 30)
    program = fixed_program(mapped, weights, load_chip("loihi2"), scales(Scheme("weight", keeps=False)))
    shared, own = Machine([program]), Machine([program], mode="corrected", seeds=[0])
    for n in range(30):
        for one in (shared, own):
            one.present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
    assert any((shared.weights[name] != own.weights[name]).any() for name in shared.weights)

"""Synapses and neurons in integers, step by step: hand calculations, and equal ways to the same bits.

What Lava makes of the same networks stands in tests/agreement/test_interpreter_and_lava.py.
"""

import dataclasses

import numpy as np
import pytest
from agreement.fixed_networks import draw_network, draw_neurons, draw_trace, neurons, synapses
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroclapp.errors import InputError
from neuroclapp.onchip import series
from neuroclapp.onchip.interpreter import (
    LIF,
    NO_DECAY,
    LavaNumbers,
    Learning,
    OwnNumbers,
    PlasticDense,
    Rule,
    StaticDense,
    Trace,
    Words,
    apply,
    loop,
    run,
)
from neuroclapp.onchip.interpreter.random import Draws
from neuroclapp.onchip.interpreter.traces import GRADED
from neuroclapp.onchip.series import Operand, Term

STILL = Trace(0.0, NO_DECAY)
RULE = Rule.parse(dw="2^-3*x0*(x1-3)*y1 + 2^-2*u1*t", dt="2^-2*x0*x1*y2 - 2^-1*u1*t")


def assert_equal(one, other):
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, vars(other)[name], err_msg=name)


def test_blocks_hold_what_lava_draws_number_by_number():
    generator = np.random.default_rng(7)
    floats = Draws(7)
    assert [floats[n] for n in range(2500)] == [generator.random(1)[0] for _ in range(2500)]
    generator = np.random.default_rng(8)
    integers = Draws(8, 128)
    drawn = [generator.integers(0, 128, size=1, dtype=int)[0] for _ in range(2500)]
    assert [integers[n] for n in range(2500)] == drawn


@pytest.mark.parametrize("seed", range(60))
def test_steps_at_once_equal_step_by_step(seed):
    network, arrays = draw_network(seed, 37)
    dense = synapses(network)
    together = dense.start(arrays["weights"], arrays["tags"], arrays["delays"])
    alone = together.copy()
    sent = (arrays["spikes"], arrays["back"], arrays["written"])
    parts = (slice(0, 20), slice(20, 20), slice(20, 37))
    arriving = np.concatenate([run(dense, together, *(one[part] for one in sent)) for part in parts])
    expected = [dense.step(alone, *now) for now in zip(*sent, strict=True)]
    np.testing.assert_array_equal(arriving, expected)
    assert_equal(together, alone)


@pytest.mark.parametrize("seed", range(100, 250))
def test_a_loop_with_neurons_equals_step_by_step(seed):
    draw = np.random.default_rng([seed, 1])
    network, arrays = draw_network(seed, 61)
    network |= {"neurons": draw_neurons(draw), "written": False}
    dense, cells = synapses(network), neurons(network)
    start = cells.start(arrays["weights"].shape[0])
    state = dense.start(arrays["weights"], arrays["tags"], arrays["delays"])
    other, membrane = state.copy(), start.copy()
    parts = (slice(0, 20), slice(20, 21), slice(21, 61))
    together = [loop(dense, state, cells, start, arrays["spikes"][part]) for part in parts]
    arriving, fired = [], []
    for spikes in arrays["spikes"]:
        fired.append(cells.step(membrane, other.pending))
        arriving.append(dense.step(other, spikes, fired[-1]))
    np.testing.assert_array_equal(np.concatenate([one for one, _ in together]), arriving)
    np.testing.assert_array_equal(np.concatenate([one for _, one in together]), fired)
    assert_equal(state, other)
    assert_equal(start, membrane)


operands = st.one_of(
    st.builds(Operand, st.sampled_from(series.VARIABLES), st.integers(-300, 300)),
    st.builds(Operand, st.sampled_from(series.SYNAPTIC), st.integers(-300, 300), st.just(True)),
)
terms = st.lists(
    st.builds(
        Term,
        st.integers(-8, 7),
        st.integers(-7, 8),
        st.sampled_from(["x0", "y0", "u1"]),
        st.lists(operands, max_size=5).map(tuple),
    ),
    max_size=4,
).map(tuple)


@settings(deadline=None, max_examples=150)
@given(
    rules=st.tuples(terms, terms, terms).filter(any),
    words=st.sampled_from([Words(), Words.of(4), Words.of(12, 10), Words.of(16, 16), Words.of(6, 5)]),
    mode=st.sampled_from(["lava", "corrected"]),
    sign=st.sampled_from(["mixed", "excitatory", "inhibitory"]),
    graded=st.sampled_from(GRADED),
    payload=st.booleans(),
    epoch=st.sampled_from([1, 2, 3, 7]),
    written=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_rule_in_any_words_equals_step_by_step(
    rules, words, mode, sign, graded, payload, epoch, written, seed
):
    draw = np.random.default_rng(seed)
    traces = {name: Trace(*draw_trace(draw)) for name in ("x1", "x2", "y1", "y2", "y3")}
    learning = Learning(Rule(*rules), **traces, written=written, epoch=epoch, seed=(3, 4))
    dense = PlasticDense(learning, payload, graded, 0, words.weight, sign, words, mode)
    steps, pre, post = 3 * epoch + 1, 5, 3
    most = 2**words.weight
    together = dense.start(*(draw.integers(-most, most, (2, post, pre)) for _ in "wtd"))
    together.x[:] = draw.integers(-5, 2**words.trace + 5, together.x.shape)
    alone = together.copy()
    spikes = draw.integers(0, 600, (steps, 2, pre)) * (draw.random((steps, 2, pre)) < 0.4)
    back = draw.random((steps, 2, post)) < 0.4
    shown = draw.integers(-200, 200, (steps, 3, 2, post))
    try:
        expected = [dense.step(alone, *now) for now in zip(spikes, back, shown, strict=True)]
    except InputError:  # a product of more than 62 bits
        return
    np.testing.assert_array_equal(run(dense, together, spikes, back, shown), expected)
    assert_equal(together, alone)


def test_products_that_wrap_and_weights_of_any_size_equal_step_by_step():
    rule = Rule.parse(
        dw="2^8*x0*x1*x2*y1*y2*y3 - 7*2^8*y0*w*w*w*w - 8*2^8*u0*t*d*w*y1", dt="2^8*y0*w*t*t*d*d"
    )
    traces = dict.fromkeys(("x1", "x2", "y1", "y2", "y3"), Trace(127.0, 50.0))
    dense, draw = PlasticDense(Learning(rule, **traces)), np.random.default_rng(0)
    together = dense.start(*(draw.integers(-(2**31), 2**31, (4, 6), np.int64) for _ in "wtd"))
    alone, sent = together.copy(), np.ones((30, 6), int)
    back = draw.random((30, 4)) < 0.5
    found = run(dense, together, sent, back)
    np.testing.assert_array_equal(found, [dense.step(alone, *now) for now in zip(sent, back, strict=True)])
    assert_equal(together, alone)


def test_what_is_passed_in_is_left_as_it_is():
    network, arrays = draw_network(3, 12)
    dense = synapses(network | {"written": True})
    state = dense.start(arrays["weights"])
    dense.step(state, arrays["spikes"][0], None, arrays["written"][0])  # y is what the neurons wrote
    kept = {name: value.copy() for name, value in arrays.items()}
    for value in arrays.values():
        value.flags.writeable = False
    run(dense, state, arrays["spikes"], arrays["back"], arrays["written"])
    for name, value in kept.items():
        np.testing.assert_array_equal(arrays[name], value)


def test_loops_side_by_side_equal_each_alone():
    network, _ = draw_network(3, 40)
    seeds, cells = (5, 6, 7), LIF(vth=20, du=2000, dv=300)
    network |= {"dw": "2^-2*x1*y0 - 2^-2*x0*y1", "dd": None, "dt": None, "written": False, "graded": 0}
    network |= {"x1": [16.5, 10.0], "y1": [20.3, 5.0], "epoch": 8, "exponent": 0}
    dense, draw = synapses(network), np.random.default_rng(0)
    weights = draw.integers(-200, 201, (3, 9, 14))
    spikes = draw.integers(0, 3, (40, 3, 14))
    side = dataclasses.replace(dense, learning=dataclasses.replace(dense.learning, seed=seeds))
    together, membrane = side.start(weights), cells.start(3, 9)
    arriving, fired = loop(side, together, cells, membrane, spikes)
    for n, seed in enumerate(seeds):
        one = dataclasses.replace(dense, learning=dataclasses.replace(dense.learning, seed=seed))
        alone, cell = one.start(weights[n]), cells.start(9)
        expected = loop(one, alone, cells, cell, spikes[:, n])
        np.testing.assert_array_equal(arriving[:, n], expected[0])
        np.testing.assert_array_equal(fired[:, n], expected[1])
        np.testing.assert_array_equal(together.w[n], alone.w)
        np.testing.assert_array_equal(together.y[:, n], alone.y)
        np.testing.assert_array_equal(membrane.v[n], cell.v)
    assert 0 < fired.mean() < 1
    assert (together.w != side.start(weights).w).mean() > 0.5


@pytest.mark.parametrize("seed", range(30))
def test_large_matrices_take_other_ways_to_the_same_bits(seed, monkeypatch):
    network, arrays = draw_network(seed, 20)
    sent = (arrays["spikes"], arrays["back"], arrays["written"])
    states = []
    for large in (False, True):
        if large:
            monkeypatch.setattr("neuroclapp.onchip.interpreter.epoch._BLOCK", 7)
            monkeypatch.setattr("neuroclapp.onchip.interpreter.integers._LARGE", 3)
        states.append(synapses(network).start(arrays["weights"], arrays["tags"], arrays["delays"]))
        run(synapses(network), states[-1], *sent)
    assert_equal(*states)


def test_a_copy_goes_on_to_the_same_bits():
    network, arrays = draw_network(3, 40)
    sent = (arrays["spikes"], arrays["back"], arrays["written"])
    state = synapses(network).start(arrays["weights"])
    run(synapses(network), state, *(one[:17] for one in sent))
    kept = state.copy()
    run(synapses(network), state, *(one[17:] for one in sent))
    assert kept.step == 17
    run(synapses(network), kept, *(one[17:] for one in sent))  # other numbers, drawn anew
    assert_equal(kept, state)


@pytest.mark.parametrize("seed", range(20))
def test_networks_side_by_side_equal_each_alone(seed):
    network, arrays = draw_network(seed, 20)
    draw = np.random.default_rng(seed)
    seeds = (5, 6, 7)
    dense = synapses(network)
    sent = [[draw.permutation(arrays[key]) for _ in seeds] for key in ("spikes", "back", "written")]
    weights = np.stack([draw.permuted(arrays["weights"]) for _ in seeds])
    side = dataclasses.replace(dense, learning=dataclasses.replace(dense.learning, seed=seeds))
    together = side.start(weights, arrays["tags"])
    spikes, back = (np.stack(one, axis=1) for one in sent[:2])
    arriving = run(side, together, spikes, back, np.stack(sent[2], axis=2))
    for n, own in enumerate(seeds):
        one = dataclasses.replace(dense, learning=dataclasses.replace(dense.learning, seed=own))
        alone = one.start(weights[n], arrays["tags"])
        expected = run(one, alone, *(array[n] for array in sent))
        np.testing.assert_array_equal(arriving[:, n], expected)
        for name in ("w", "t", "d"):
            np.testing.assert_array_equal(getattr(together, name)[n], getattr(alone, name))
        np.testing.assert_array_equal(together.x[:, n], alone.x)


@pytest.mark.parametrize("corrected", [False, True])
def test_one_epoch_by_itself_equals_its_steps(corrected):
    draw = np.random.default_rng(1)
    pre, post, epoch, epochs = 12, 9, 8, 30
    options = {"x1": STILL, "x2": STILL, "y1": STILL, "y2": STILL, "y3": STILL, "epoch": epoch}
    numbers = [OwnNumbers(np.random.default_rng(2), np.random.default_rng(3)) if corrected else None, None]
    mode = "corrected" if corrected else "lava"
    dense = PlasticDense(
        Learning.three_factor(RULE, **options), True, "overwrite", mode=mode, numbers=numbers[0]
    )
    state = dense.start(draw.integers(-256, 256, (post, pre)))
    w, t, own = state.w.copy(), state.t.copy(), np.random.default_rng(2)
    for number in range(1, epochs + 1):
        spikes = np.zeros((epoch, pre), int)
        counts = draw.integers(0, 100, pre) * (draw.random(pre) < 0.5)
        spikes[draw.integers(0, epoch), :] = 2 * counts  # a replay of counts in some step of the window
        written = np.zeros((epoch, 3, post), int)
        written[-1] = draw.integers(-60, 60, (3, post))
        run(dense, state, spikes, None, written)
        values = {"x0": counts, "x1": counts, "y1": written[-1, 0], "y2": written[-1, 1], "w": w, "t": t}
        random = own if corrected else LavaNumbers(1).synapses(number)
        changed = apply(RULE, {**values, "u": number % 2 == 0}, random, mode=mode)
        w, t = changed["w"], changed["t"]
        np.testing.assert_array_equal(w, state.w)
        np.testing.assert_array_equal(t, state.t)
    assert t.any()


@pytest.mark.parametrize(
    ("graded", "x1"),
    [
        (
            "overwrite",
            [0, 0, 1, 2, 2, 128, 255, 0, 2],
        ),  # 0.5 2.5 are rounded to even, 1.5 127.5 too; 256 wraps
        ("saturate", [0, 0, 1, 2, 2, 127, 127, 0, 2]),
        ("overflow", [0, 0, 1, 2, 2, 1, 128, 0, 2]),
    ],
)
def test_half_a_payload_reaches_x1(graded, x1):
    sent = np.array([0, 1, 2, 3, 5, 255, 510, 512, 516])
    learning = Learning.three_factor(Rule.parse(dw="u0*y1"), x1=STILL, epoch=2)
    dense = PlasticDense(learning, payload=True, graded=graded)
    state = dense.start(np.zeros((1, len(sent)), int))
    dense.step(state, sent, None, np.zeros((3, 1)))
    assert state.x[0].tolist() == x1
    counted = sent > 0 if graded != "overflow" else [False] * 5 + [True, True, False, False]
    assert (state.pre_spike > 0).tolist() == list(counted)


def test_weights_are_truncated_and_brought_one_step_later():
    learning = Learning(Rule.parse(dw="u9*x1"), x1=STILL)
    for sign, put, kept in (
        ("mixed", [-5, 5, -256, 255], [-6, 4, -256, 254]),  # a sign takes the lowest bit
        ("excitatory", [1, 5, 0, 255], [1, 5, 0, 255]),
        ("inhibitory", [-1, -5, 0, -255], [-1, -5, 0, -255]),
    ):
        state = PlasticDense(learning, sign=sign).start([put])
        assert state.w.tolist() == [kept]
    seven = PlasticDense(learning, sign="inhibitory", weight_bits=7)
    assert seven.start([[-1, -5, -6, -7]]).w.tolist() == [[0, -4, -6, -6]]
    dense = PlasticDense(learning, exponent=-1)
    state = dense.start([[10, 20], [-11, 3]])
    assert dense.step(state, [1, 0]).tolist() == [0, 0]
    assert dense.step(state, [0, 9]).tolist() == [5, -6]  # 10 >> 1; -12 >> 1
    assert dense.step(state, [0, 0]).tolist() == [10, 1]
    static = StaticDense.of([[300, -300]], payload=True, exponent=2)
    _, pending = static.step(static.start(), [2, 1])
    assert pending.tolist() == [(2 * 254 - 256) << 2]


def test_neurons_leak_towards_zero_and_spike_above_threshold():
    cells = LIF(vth=10, du=2047, dv=1024, mantissa=3, exponent=2)
    state = cells.start(2)
    # u = 64 a; then u 2048/4096; v = 3/4 v + u + 12; a spike above 640
    assert cells.step(state, [5, -5]).tolist() == [0, 0]
    assert (state.u.tolist(), state.v.tolist()) == ([320, -320], [332, -308])
    assert cells.step(state, [0, 0]).tolist() == [0, 0]
    assert (state.u.tolist(), state.v.tolist()) == ([160, -160], [249 + 172, -231 - 148])
    assert cells.step(state, [4, -1]).tolist() == [1, 0]  # 315 + 336 + 12 = 663; -284.25 -> -284, -144 + 12
    assert state.v.tolist() == [0, -284 - 144 + 12]
    both = LIF(vth=10, vth_low=-3, du=4095)
    assert both.step(both.start(3), [11, -4, -3]).tolist() == [1, -1, 0]
    reset = LIF(vth=10, interval=2, offset=1)
    state = reset.start(1)
    reset.step(state, [9])
    reset.step(state, [0])
    reset.step(state, [0])
    assert state.v.tolist() == [0]


def test_own_numbers_keep_the_mean_of_a_decaying_trace():
    learning = Learning(Rule.parse(dw="u9*x1"), x1=Trace(60.0, 20.0), seed=1)
    numbers = OwnNumbers(np.random.default_rng(0), np.random.default_rng(1))
    dense = PlasticDense(learning, numbers=numbers)
    state = dense.start(np.zeros((1, 4000), int))
    run(dense, state, np.eye(1, 11, dtype=int).T * np.ones(4000, int))
    expected = 60 * np.exp(-10 / 20)
    assert len(np.unique(state.x[0])) > 3
    assert abs(state.x[0].mean() - expected) < 4 * state.x[0].std() / np.sqrt(4000)
    shared = PlasticDense(learning)
    state = shared.start(np.zeros((1, 4000), int))
    run(shared, state, np.eye(1, 11, dtype=int).T * np.ones(4000, int))
    assert len(np.unique(state.x[0])) == 1  # Lava's one number for all


def test_an_impulse_of_a_half_rounds_up_in_half_of_the_cases_with_own_numbers_only():
    learning = Learning(Rule.parse(dw="u9*x1"), x1=Trace(10.5, NO_DECAY))
    own = PlasticDense(learning, numbers=OwnNumbers(np.random.default_rng(0), np.random.default_rng(1)))
    for dense, mean in ((own, 10.5), (PlasticDense(learning), 11.0)):
        state = dense.start(np.zeros((1, 4000), int))
        dense.step(state, np.ones(4000, int))
        assert abs(state.x[0].mean() - mean) < 4 * 0.5 / np.sqrt(4000)


def test_what_is_wrong_is_named():
    learning = Learning.three_factor(Rule.parse(dw="x0*y1"))
    with pytest.raises(InputError, match="synapses: graded = 'half'"):
        PlasticDense(learning, graded="half")
    with pytest.raises(InputError, match="synapses: weight_bits = 10"):
        PlasticDense(learning, weight_bits=10).start([[1]])
    with pytest.raises(InputError, match=r"synapses: weights = dtype\('float64'\)"):
        PlasticDense(learning).start([[0.5]])
    state = PlasticDense(learning).start([[1]])
    with pytest.raises(InputError, match="written = None"):
        PlasticDense(learning).step(state, [1])
    with pytest.raises(InputError, match="written = None"):
        run(PlasticDense(learning), state, [[1]])
    with pytest.raises(ValueError, match="reshape"):
        run(PlasticDense(learning), state, np.ones((3, 1)), None, np.ones((2, 3, 1)))
    two = PlasticDense(Learning(Rule.parse(dw="x0*y1"), epoch=3))
    with pytest.raises(InputError, match=r"membrane = \(2,\)"):
        loop(two, two.start([[1]]), LIF(1), LIF(1).start(2), [[1]])
    late = two.start([[1]])
    run(two, late, [[0], [1]])
    with pytest.raises(InputError, match="epoch = 1: the state holds spikes of a longer epoch"):
        run(dataclasses.replace(two, learning=Learning(two.learning.rule)), late, [[1]])
    seeds = PlasticDense(Learning(Rule.parse(dw="x0*y1"), seed=(1, 2, 3)))
    with pytest.raises(InputError, match=r"seed = \(1, 2, 3\)"):
        run(seeds, seeds.start(np.zeros((2, 1, 1), int)), np.zeros((1, 2, 1)))
    with pytest.raises(InputError, match="learning: epoch = 0"):
        Learning(Rule.parse(dw="x0*y1"), epoch=0)
    with pytest.raises(InputError, match="trace: tau = -1"):
        Trace(1.0, -1.0)
    with pytest.raises(InputError, match="neurons: du = 4096"):
        LIF(vth=1, du=4096)

"""Rules in integers: against the equations written out in Python's integers, one synapse after the other."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroclapp.errors import InputError
from neuroclapp.onchip import series
from neuroclapp.onchip.chip import Chip, load_chip
from neuroclapp.onchip.interpreter import LAVA_WORDS, Rule, Words, apply, apply_once, rate
from neuroclapp.onchip.series import Operand, Term

PRE, POST = 5, 4
TRACES = ("x1", "x2", "y1", "y2", "y3")


def clip(value, low, high):
    return min(max(value, low), high)


def at(name, value, i, j):
    if np.ndim(value) == 2:
        return value[i, j]
    return value if np.ndim(value) == 0 else value[j] if name[0] == "x" else value[i]


def by_hand(terms, target, values, random, words, mode, sign):
    """One synapse, all values Python's integers and fractions: the equations of the engine."""
    magnitude = {"w": words.weight, "t": words.tag, "d": words.delay}
    widths = {**dict.fromkeys(TRACES, words.trace), **{name: bits + 1 for name, bits in magnitude.items()}}
    fraction = words.accumulator - magnitude[target]
    low, high = -(2**words.accumulator) - 1, 2**words.accumulator - 1
    result = values[target] * 2**fraction
    for term in terms:
        mantissa, exponent = term.mantissa, term.exponent
        if mantissa == -8 and exponent < 8:
            mantissa, exponent = -4, exponent + 1
        product = mantissa * values["u" if term.dependency[0] == "u" else term.dependency]
        for operand in term.operands:
            bits = widths[operand.name]
            factor = values[operand.name] + operand.constant
            factor = (factor > 0) - (factor < 0) if operand.sign else factor
            product *= clip(factor, -(2**bits), 2**bits - 1)
        if mode == "lava" and words.weight <= 8 and words.trace <= 7:
            product = (product + 2**31) % 2**32 - 2**31
        shift = max(0, sum(widths[operand.name] for operand in term.operands) + 4 - words.accumulator)
        scaled = Fraction(product, 2**shift)
        product = floor(scaled) if mode == "lava" else floor(scaled + Fraction(1, 2))
        result = clip(result + clip(product * 2 ** (exponent + 7), low, high), low, high)
    if target == "d" or (target == "w" and sign == "excitatory"):
        result = max(result, 0)
    if target == "w" and sign == "inhibitory":
        result = min(result, 0)
    whole = result // 2**fraction
    whole += Fraction(random) < Fraction(result % 2**fraction, 2**fraction)
    most = 2 ** magnitude[target] - 1
    bounds = {"d": (0, most), "t": (-most - 2, most), "w": (-most - 1, most)}[target]
    if target == "w" and sign != "mixed":
        bounds = (0, most) if sign == "excitatory" else (-most, 0)
    return clip(whole, *bounds)


constants = st.one_of(st.integers(-128, 127), st.integers(-(2**15), 2**15 - 1))
operands = st.one_of(
    st.builds(Operand, st.sampled_from(series.VARIABLES), constants),
    st.builds(Operand, st.sampled_from(series.SYNAPTIC), constants, st.just(True)),
)
terms = st.lists(
    st.builds(
        Term,
        st.integers(-8, 7),
        st.integers(-7, 8),
        st.sampled_from(["x0", "y0", "u0"]),
        st.lists(operands, max_size=3).map(tuple),
    ),
    max_size=3,
).map(tuple)


@settings(deadline=None, max_examples=100)
@given(
    dw=terms,
    dd=terms,
    dt=terms,
    words=st.sampled_from([LAVA_WORDS, Words.of(4), Words.of(12, 10), Words.of(16, 16), Words.of(6, 5)]),
    mode=st.sampled_from(["lava", "corrected"]),
    sign=st.sampled_from(["mixed", "excitatory", "inhibitory"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_epoch_equals_the_equations_synapse_by_synapse(dw, dd, dt, words, mode, sign, seed):
    if not dw + dd + dt:
        return
    draw = np.random.default_rng(seed)
    values = {name: draw.integers(0, 2**words.trace, PRE if name[0] == "x" else POST) for name in TRACES}
    values |= {"x0": draw.integers(0, 2, PRE), "y0": draw.integers(0, 2, POST), "u": draw.integers(0, 2)}
    for name in "wdt":
        low, high = words.range(name, sign)
        values[name] = draw.integers(low, high + 1, (POST, PRE))
    random = draw.random((POST, PRE))
    found = apply(Rule(dw, dd, dt), values, random, words, mode, sign)
    assert set(found) == {name for name, one in zip("wdt", (dw, dd, dt), strict=True) if one}
    for i in range(POST):
        for j in range(PRE):
            here = {name: int(at(name, value, i, j)) for name, value in values.items()}
            for target, series_ in zip("wdt", (dw, dd, dt), strict=True):
                if series_:
                    expected = by_hand(series_, target, here, random[i, j], words, mode, sign)
                    assert found[target][i, j] == expected


@settings(deadline=None, max_examples=100)
@given(
    rules=st.tuples(terms, terms, terms).filter(any),
    words=st.sampled_from([LAVA_WORDS, Words.of(4), Words.of(12, 10), Words.of(16, 16), Words.of(6, 5)]),
    mode=st.sampled_from(["lava", "corrected"]),
    sign=st.sampled_from(["mixed", "excitatory", "inhibitory"]),
    own=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_compiled_epoch_equals_the_other(rules, words, mode, sign, own, seed):
    draw, networks = np.random.default_rng(seed), 3
    shapes = {**dict.fromkeys(TRACES[:2], (networks, PRE)), **dict.fromkeys(TRACES[2:], (networks, POST))}
    values = {name: draw.integers(-9, 2**words.trace + 9, shape) for name, shape in shapes.items()}
    values |= {"x0": draw.integers(0, 2, (networks, PRE)), "y0": draw.integers(-1, 2, (networks, POST))}
    values["u"] = draw.integers(0, 2)
    for name in "wdt":
        low, high = words.range(name)
        values[name] = draw.integers(low - 20, high + 20, (networks, POST, PRE)).astype(np.int32)
    before = {name: value.copy() for name, value in values.items()}
    random = [
        lambda: float(draw.random()),
        lambda: [np.random.default_rng([seed, n]) for n in range(networks)],
    ][own]
    state = draw.bit_generator.state
    try:
        expected = apply(Rule(*rules), values, random(), words, mode, sign)
    except InputError:  # a product of more than 62 bits
        return
    draw.bit_generator.state = state
    found = apply_once(Rule(*rules), values, random(), words, mode, sign)
    assert list(found) == list(expected)
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])
    for name, value in before.items():
        np.testing.assert_array_equal(values[name], value)


def test_a_weight_changes_by_its_rate_and_lava_rounds_all_synapses_alike():
    # 2^-3 * 90 * 100 >> 3 = 1125 -> (1125 << 4) / 128 = 140.625 steps of a weight
    rule = Rule.parse(dw="2^-3*x0*x1*y1")
    values = {"x0": [1, 0], "x1": [90, 90], "y1": [100, 100], "w": [[0, 5], [-200, 7]]}
    assert rate(rule.w[0]) * 9000 == 140.625
    low = apply(rule, values, 0.625)["w"]
    high = apply(rule, values, np.nextafter(0.625, 0))["w"]
    assert low.tolist() == [[140, 5], [-60, 7]]
    assert high.tolist() == [[141, 5], [-59, 7]]


def test_lava_floors_a_product_and_the_corrected_mode_does_not():
    values = {"x0": [1], "x1": [1], "y1": [1], "w": [[0]]}
    rule = Rule.parse(dw="-2^-7*x0*x1*y1")  # one unit, of which the shift by 3 leaves -1 or 0
    assert apply(rule, values, 0.0)["w"].tolist() == [[0]]
    assert apply(rule, values, 0.993)["w"].tolist() == [[-1]]
    assert apply(rule, values, 0.993, mode="corrected")["w"].tolist() == [[0]]


def test_five_traces_overflow_in_lava_only():
    rule = Rule.parse(dw="2^8*u0*x1*x2*y1*y2*y3")
    values = {"x1": [127], "x2": [127], "y1": [127], "y2": [127], "y3": [127], "w": [[0]]}
    exact = 127**5  # 33 038 369 407 = 7 * 2^32 + 2 973 598 335, negative in 32 bits
    assert exact >= 2**31
    assert apply(rule, values, 0.0, mode="corrected")["w"].tolist() == [[255]]
    assert apply(rule, values, 0.0)["w"].tolist() == [[-256]]


def test_numbers_of_each_synapse_have_the_mean_that_was_meant():
    rule = Rule.parse(dw="2^-5*x0*x1*y1")
    values = {"x0": np.ones(200, int), "x1": np.full(200, 20), "y1": np.full(100, 12)}
    values["w"] = np.zeros((100, 200), int)
    found = apply(rule, values, np.random.default_rng(0))["w"]  # 240 * 2^-5 / 8 = 0.9375 steps
    assert set(np.unique(found)) == {0, 1}
    assert abs(found.mean() - 0.9375) < 4 * np.sqrt(0.9375 * 0.0625 / found.size)


def test_networks_side_by_side_learn_as_each_alone():
    draw = np.random.default_rng(5)
    rule = Rule.parse(dw="2^-4*x0*(x1-3)*y1 - 2^-6*u1*y2*t", dt="x0*y1 - 2^-1*u1*t")
    shapes = {**dict.fromkeys(("x0", "x1"), (PRE,)), **dict.fromkeys(("y1", "y2"), (POST,))}
    shapes |= dict.fromkeys(("w", "t"), (POST, PRE))
    values = {name: draw.integers(0, 2 if name == "x0" else 128, (3, *one)) for name, one in shapes.items()}
    together = apply(rule, values, [np.random.default_rng(seed) for seed in range(3)])
    for n in range(3):
        alone = apply(rule, {name: v[n] for name, v in values.items()}, np.random.default_rng(n))
        for name in "wt":
            np.testing.assert_array_equal(together[name][n], alone[name])


def test_loihi_2_as_the_catalogue_has_it_takes_lavas_words():
    assert Words.of_chip(load_chip("loihi2")) == LAVA_WORDS


def test_what_does_not_fit_is_named():
    with pytest.raises(InputError, match=r"no product"):
        Rule()
    with pytest.raises(InputError, match=r"one k"):
        Rule.parse(dw="u1*x1", dt="u2*y1")
    with pytest.raises(InputError, match=r"words: accumulator = 10"):
        Words(weight=12, accumulator=10)
    with pytest.raises(InputError, match=r"hardware 'ideal': widths.weight = None"):
        Words.of_chip(Chip(name="ideal", title="no limits"))
    with pytest.raises(InputError, match=r"62 bits"):
        apply(Rule.parse(dw="x0*w*w*w*w*w*w*w"), {"x0": [1], "w": [[1]]}, 0.5, mode="corrected")
    with pytest.raises(InputError, match=r"values: x1 = dtype"):
        apply(Rule.parse(dw="x0*x1"), {"x0": [1], "x1": [0.5], "w": [[1]]}, 0.5)

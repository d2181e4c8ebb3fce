"""Rules of fixed-point schemes, evaluated in integers, against what they are for; folds and their rests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroclapp.errors import InputError
from neuroclapp.onchip import series
from neuroclapp.onchip.fixed.presented import folded
from neuroclapp.onchip.fixed.program import FixedFold
from neuroclapp.onchip.fixed.scaling import ratio
from neuroclapp.onchip.fixed.schemes import Scheme, neutral, per_product, rules, stride
from neuroclapp.onchip.interpreter import Rule, Words, apply
from neuroclapp.plasticity import Factor

LAVA = Words()


def learned(scheme, carry, words, **values):
    dw, dt = rules(scheme, -3, carry, words)
    values = {"w": np.zeros((1, 1), int), "t": np.zeros((1, 1), int), **values}
    return apply(Rule(w=dw, t=dt), {k: np.asarray(v) for k, v in values.items()}, 0.5, words)


@pytest.mark.parametrize(
    "scheme", [Scheme(), Scheme(pairs=1), Scheme("weight"), Scheme("weight", mantissa=1), Scheme("batch")]
)
def test_a_scheme_is_text_that_a_chip_can_read(scheme):
    for terms in rules(scheme, -3, 32):
        if terms:
            assert series.parse(series.text(terms)) == terms


@given(
    st.integers(-255, 255).map(lambda t: 2 * (t // 2) + 1),
    st.integers(0, 127),
    st.integers(-15, 15),
    st.sampled_from([8, 16, 32, 64]),
    st.integers(1, 4),
)
def test_a_carry_moves_whole_steps_and_adds_the_product_to_the_tag(t, x1, y, carry, pairs):
    if abs(t) + 2 * x1 * abs(y) > 250:
        return
    found = learned(
        Scheme(pairs=pairs), carry, LAVA, x0=[1], x1=[x1], y1=[64 + 2 * y], y3=[64], w=[[10]], t=[[t]]
    )
    moved = min(pairs, (abs(t) + carry // 2) // carry) * np.sign(t)
    assert found["w"][0, 0] == 10 + moved
    assert found["t"][0, 0] == t - moved * carry + 2 * x1 * y
    assert found["t"][0, 0] % 2 == 1


def test_nothing_is_carried_where_no_replay_came_or_the_gate_is_closed():
    for x0, y3 in ((0, 64), (1, 0)):
        found = learned(Scheme(), 16, LAVA, x0=[x0], x1=[5], y1=[64], y3=[y3], w=[[10]], t=[[101]])
        assert found["w"][0, 0] == 10
        assert found["t"][0, 0] == 101


@pytest.mark.parametrize(
    ("weight", "trace", "accumulator"), [(4, 7, 15), (12, 7, 19), (14, 7, 21), (8, 5, 15), (8, 10, 21)]
)
def test_a_carry_is_exact_with_other_word_widths(weight, trace, accumulator):
    words, scheme = Words(weight=weight, tag=8, trace=trace, accumulator=accumulator), Scheme()
    middle, multiple = neutral(words), stride(scheme, words)
    for t, x1, y in ((1, 3, 5), (-33, 7, -2), (65, 2, 1)):
        values = {
            "x0": [1],
            "x1": [x1],
            "y1": [middle + multiple * y],
            "y3": [middle],
            "w": [[2]],
            "t": [[t]],
        }
        found = learned(scheme, 32, words, **values)
        moved = ((abs(t) + 16) // 32) * np.sign(t)
        assert found["w"][0, 0] == 2 + moved
        assert found["t"][0, 0] == t - 32 * moved + 2 * x1 * y


def test_a_batch_adds_the_tag_to_the_weight_and_clears_it():
    found = learned(Scheme("batch"), 32, LAVA, x0=[0], x1=[0], y1=[64], y3=[64], w=[[10]], t=[[96]])
    assert found["w"][0, 0] == 13
    assert found["t"][0, 0] == 0
    kept = learned(Scheme("batch"), 32, LAVA, x0=[1], x1=[64], y1=[64 + 8], y3=[0], w=[[10]], t=[[96]])
    assert kept["w"][0, 0] == 10
    assert kept["t"][0, 0] == 96 + 64 * 8 * per_product(Scheme("batch"), -3)


def test_the_plain_scheme_changes_the_weight_by_its_rate():
    scheme = Scheme("weight")
    found = learned(scheme, 1, LAVA, x0=[1], x1=[64], y1=[64 + 32], w=[[10]])
    assert found["w"][0, 0] == 10 + 64 * 32 * per_product(scheme, -3)


def test_a_carry_that_no_exponent_reaches_is_refused():
    with pytest.raises(InputError, match="exponents are"):
        rules(Scheme(), 0, 32, Words(weight=8, tag=8, trace=12, accumulator=25))


@given(st.floats(1e-6, 100))
def test_a_ratio_is_half_a_percent_off_at_most(value):
    multiplier, shift = ratio(value)
    assert abs(multiplier / 2.0**shift / value - 1) < 0.005
    assert shift >= 0


@settings(max_examples=50)
@given(st.lists(st.integers(-3000, 3000), min_size=1, max_size=30), st.integers(100, 255), st.integers(6, 12))
def test_the_rests_of_a_fold_add_up_to_less_than_half_a_step(values, multiplier, shift):
    fold = FixedFold("sample", (Factor("d", "sample"),), multiplier, shift, 2, 10**6)
    rest, shown = np.zeros((1, 1), dtype=np.int64), 0
    for value in values:
        y, rest = folded(fold, np.array([1]), {Factor("d", "sample"): np.array([[value]])}, rest)
        shown += int(y[0, 0]) // 2
    assert abs(shown - sum(values) * multiplier / 2.0**shift) <= 0.5

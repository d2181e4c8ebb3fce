"""Measures, against hand calculations and other libraries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from neuroclapp.analysis.measures import (
    cosine,
    figures_of_gates,
    gate_figures,
    kappa,
    summarise,
    total_change_cosine,
)
from neuroclapp.weights import Weights


@given(seed=st.integers(0, 2**32 - 1), length=st.integers(2, 60), share=st.floats(0.1, 0.9))
def test_kappa_equals_scikit_learns(seed, length, share):
    a, b = np.random.default_rng(seed).random((2, length)) < share
    if len(set(a) | set(b)) == 2:
        assert kappa(a, b) == pytest.approx(cohen_kappa_score(a, b), abs=1e-12)


def test_cosine_by_hand():
    assert cosine(np.array([3.0, 4.0]), np.array([4.0, 3.0])) == pytest.approx(24 / 25)
    assert cosine(np.zeros(3), np.ones(3)) == 0


def test_interval_is_students_t():
    values = [1.0, 2.0, 4.0, 5.0, 9.0]
    figure = summarise(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert figure["mean"] == pytest.approx(4.2)
    assert figure["interval"] == pytest.approx((high - low) / 2)
    assert summarise([[1.0, 2.0], [3.0, 6.0]])["mean"] == [2.0, 4.0]
    # Student's t of one degree of freedom is 12.7062; times half the difference.
    assert summarise([[1.0, 2.0], [3.0, 6.0]])["interval"] == pytest.approx([12.7062, 25.4124], abs=1e-3)


def test_one_seed_says_nothing_of_the_spread():
    assert summarise([7.0]) == {"mean": 7.0, "interval": None, "per_seed": [7.0]}
    assert summarise([[7.0, 8.0]]) == {"mean": [7.0, 8.0], "interval": None, "per_seed": [[7.0, 8.0]]}


def test_gates_and_scores_by_hand():
    sign = np.array([0, 1, -1, 1, -1])
    spiking, rate = np.array([0, 1, -1, 0, 0]), np.array([0, 1, -1, 1, 0])
    u_spiking, u_rate = np.array([9.0, 0.5, 0.0, 1.0, -2.0]), np.array([0.0, 0.4, 0.1, 0.9, -2.0])
    figures = gate_figures(sign, spiking, rate, u_spiking, u_rate)
    assert figures["gate_agreement"] == 0.75
    assert figures["gate_open_fraction"] == 0.5
    assert figures["gate_kappa"] == pytest.approx(cohen_kappa_score([1, 1, 0, 0], [1, 1, 1, 0]))
    assert figures["gate_agreement_near_margin"] == 0.0  # only the fourth is within 0.2 of the corner
    assert figures["score_rmse"] == pytest.approx(np.sqrt((0.01 + 0.01 + 0.01) / 4))


def test_total_change_is_measured_from_the_start():
    start = Weights({"w": np.array([1.0, 1.0])})
    a, b = Weights({"w": np.array([2.0, 1.0])}), Weights({"w": np.array([1.0, 3.0])})
    assert total_change_cosine(a, b, start, ["w"]) == [0.0]
    assert total_change_cosine(a, a, start, ["w"]) == [1.0]


def test_two_gates_are_counted_over_the_pairs_of_both():
    """Four pairs after a first presentation without one; the second layer has one gate."""
    sign = np.array([0.0, 1.0, -1.0, 1.0, -1.0])
    first, second = np.zeros((5, 2)), np.zeros((5, 2))
    first[:, 0], second[:, 0] = [0, 1, -1, 1, 0], [0, 1, 0, 0, -1]
    first[:, 1] = second[:, 1] = [0, 1, 0, 1, 0]
    rate, rate_retro = first.copy(), second.copy()
    rate[1, 0] = rate_retro[4, 0] = rate_retro[1, 0] = 0  # 3 of 4 pairs agree, and 2 of 4
    score = np.zeros((5, 2))
    compared = {"gamma": [first, rate, score, score], "gamma_retro": [second, rate_retro, score, score + 0.5]}
    found = figures_of_gates(sign, compared, [True, False])
    assert found["gate_agreement"] == [5 / 8, 1.0]
    assert found["gate_agreement_by_gate"] == {"gamma": [3 / 4, 1.0], "gamma_retro": [2 / 4, 1.0]}
    assert found["gate_open_fraction"] == [5 / 8, 2 / 4]
    assert found["gates_apart"] == {"spiking": [3 / 4, 0.0], "rate": [2 / 4, 0.0]}
    assert found["score_rmse"] == [pytest.approx(np.sqrt(0.125)), 0.0]
    alone = figures_of_gates(sign, {"gamma": compared["gamma"]}, [False, False])
    assert set(alone) == set(gate_figures(sign, first[:, 0], first[:, 0], sign, sign))

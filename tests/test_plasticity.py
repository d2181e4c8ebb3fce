"""The rule as data."""

import numpy as np
import pytest

from neuroclapp.network import Prediction
from neuroclapp.plasticity import clapp, permuted_dendrites, third_factor


@pytest.mark.parametrize(
    ("sign", "score", "gamma"),
    [
        (1, 0.9, 1),
        (1, 1.0, 0),
        (1, 1.1, 0),
        (-1, -0.9, -1),
        (-1, -1.0, 0),
        (-1, 0.0, -1),
        (0, 0.0, 0),
        (1, -5.0, 1),
    ],
)
def test_gamma_is_the_negative_slope_of_the_hinge(sign, score, gamma):
    assert third_factor(np.array(score), np.array(sign)) == gamma


@pytest.mark.parametrize(
    ("prediction", "targets"),
    [
        (Prediction("symmetric"), ("w_ff", "bias", "w_pred")),
        (Prediction("blocked"), ("w_ff", "bias", "w_pred")),
        (Prediction("split"), ("w_ff", "bias", "w_pred", "w_retro")),
    ],
)
def test_each_variant_changes_its_weights(prediction, targets):
    assert clapp(prediction).targets == targets


def test_blocking_drops_the_second_half_of_equation_4():
    assert len(clapp(Prediction("symmetric")).rule("w_ff").products) == 2
    assert len(clapp(Prediction("blocked")).rule("w_ff").products) == 1


def test_a_split_carries_the_half_of_equation_10():
    for rule in clapp(Prediction("split", "separate")).rules:
        assert all(product.coefficient == 0.5 for product in rule.products)
    gates = [product.gate for product in clapp(Prediction("split", "separate")).rule("w_ff").products]
    assert gates == ["gamma", "gamma_retro"]


def test_a_weight_without_a_rule_is_named():
    with pytest.raises(KeyError, match="w_retro"):
        clapp(Prediction("symmetric")).rule("w_retro")


def test_permutations_are_drawn_afresh():
    drawn = permuted_dendrites(50, 2, 8, np.random.default_rng(0)).permutations
    assert (np.sort(drawn, axis=2) == np.arange(8)).all()
    assert len({tuple(row) for row in drawn.reshape(-1, 8)}) > 95

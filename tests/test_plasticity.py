"""The rule as data."""

import numpy as np
import pytest

from neuroclapp.catalog import describe
from neuroclapp.errors import InputError
from neuroclapp.network import Prediction
from neuroclapp.plasticity import Control, Treatment, clapp, permuted_dendrites, third_factor


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


@pytest.mark.parametrize("feedback", ["symmetric", "blocked", "split"])
def test_below_the_top_direct_feedback_has_no_second_half(feedback):
    rules = clapp(Prediction(feedback), "top")
    below, top = rules.of_layer(False), rules.of_layer(True)
    assert top.targets == clapp(Prediction(feedback)).targets
    assert below.targets == ("w_ff", "bias", "w_pred")
    assert [len(rule.products) for rule in below.rules] == [1, 1, 1]
    assert not below.retrodicts
    assert clapp(Prediction(feedback)).of_layer(False) == clapp(Prediction(feedback))


def test_a_treatment_is_read_from_a_file_and_becomes_a_control():
    draw = np.random.default_rng(0)
    found = describe({"dendrite": "constant", "level": 0.5, "delay": 2}, Treatment, "file.toml")
    assert found.control(7, (3, 4), draw) == Control(dendrite="constant", level=0.5, delay=2)
    found = describe({"gate": "always_open", "bound": 1.5}, Treatment, "file.toml")
    assert found.control(7, (3, 4), draw) == Control(always_open=True, bound=1.5)
    assert Treatment().control(7, (3, 4), draw) == Control()
    permuted = Treatment(dendrite="permuted").control(7, (4, 4), draw)
    assert permuted.permutations.shape == (7, 2, 4)
    assert permuted.dendrite == "intact"


@pytest.mark.parametrize(
    ("table", "message"),
    [({"dendrite": "shuffled"}, "'permuted'"), ({"delay": -1}, "greater than"), ({"bound": 0.0}, "greater")],
)
def test_a_wrong_treatment_is_one_clear_error(table, message):
    with pytest.raises(InputError, match=message):
        describe(table, Treatment, "file.toml")


def test_dendrites_of_layers_of_several_sizes_cannot_be_permuted():
    with pytest.raises(InputError, match=r"needs layers of one size, not \[3, 4\]"):
        Treatment(dendrite="permuted").control(7, (3, 4), np.random.default_rng(0))

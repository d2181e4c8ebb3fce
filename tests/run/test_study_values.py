"""What conditions of a study do to order, feedback, dendrites and spikes reaches its worlds."""

import numpy as np
import pytest
from run.checks import assert_refused, results_of

from neuroclapp.catalog import find
from neuroclapp.cli import main
from neuroclapp.data import digits
from neuroclapp.plasticity import Control
from neuroclapp.run.study_worlds import Learner, Worlds, check
from neuroclapp.study import load_study

STUDY = """
kind = "study"
title = "values"
model = "digits"
seeds = [3]
[data]
name = "digits"
presentations = 61
few_labels = 50
[learning]
eta = [0.1, 0.1]
eta_pred = [0.1, 0.1]
[spiking]
neurons = 16
gain = [2.0, 2.0]
timing = {duration = "20 ms", flush = "20 ms", dt = "2 ms"}
modulator = {units = 8, fan_in = 16}
[[pictures]]
name = "values"
title = "values"
x = "value"
[[conditions]]
name = "seen"
title = "as it is"
points = [{picture = "values", x = "seen"}]
[[conditions]]
name = "day_and_night"
title = "days of 10"
points = [{picture = "values", x = "days"}]
order = {kind = "day_and_night", block = 10}
[[conditions]]
name = "symmetric"
title = "transposed"
feedback = "symmetric"
[[conditions]]
name = "two_gates"
title = "a gate for each half"
gate = "separate"
[[conditions]]
name = "blocked_top"
title = "from the top, no retro term"
points = [{picture = "values", x = "top"}]
feedback = "blocked"
context = "top"
control = {delay = 1, dendrite = "constant", level = 0.1}
spiking.axon = {loss = 0.1, jitter = "2 ms"}
spiking.modulator.failure = 0.25
spiking.modulator.noise = 0.1
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "values.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def worlds(study):
    found, data = load_study(str(study))[0], digits.load()
    check(found, study)
    return {condition.name: Worlds(condition.settings, data) for condition in found.conditions}


def test_a_condition_reorders_the_pairs_of_the_same_stream(worlds):
    seen, arranged = (worlds[name].stream(3) for name in ("seen", "day_and_night"))
    assert (len(seen), len(arranged)) == (61, 120)
    assert worlds["day_and_night"].settings.presentations == 120
    np.testing.assert_array_equal(arranged.sign[1:20:2], np.ones(10))
    np.testing.assert_array_equal(arranged.sign[21:40:2], -np.ones(10))
    np.testing.assert_array_equal(arranged.inputs[20:22], seen.inputs[1:3])  # the first saccade of the night


def test_variants_start_from_the_same_matrices_as_far_as_they_have_them(worlds):
    split = worlds["seen"].initial(3)
    for name, missing in (("symmetric", 2), ("blocked_top", 2)):
        found = worlds[name].initial(3)
        assert len(split) - len(found) == missing
        for key, array in found.items():
            np.testing.assert_array_equal(array, split[key])
    assert worlds["symmetric"].network.prediction.feedback == "symmetric"


def test_what_is_done_to_the_rule_and_to_spikes_reaches_the_simulation(worlds):
    one = Learner.begin(worlds["blocked_top"], 3).simulation(0, 7)
    assert one.control == Control(dendrite="constant", level=0.1, delay=1)
    assert one.drawn.lots[0] is None
    assert one.drawn.lots[1].shape == one.drawn.late[2].shape == (7, 20, 64)
    assert one.drawn.works[0].shape == (7, 2 * 8 * 16)
    assert worlds["blocked_top"].populations.plasticity.context == "top"


def test_values_left_out_do_not_change_what_is_known_of_a_world(study):
    """A run's folders are named after all that a world depends on: new values leave old names alone."""
    table = load_study(str(study))[0]
    seen = table.condition("seen").settings.all
    assert not {"order", "feedback", "gate", "chip"} & set(seen)
    assert {"gate"} <= set(table.condition("two_gates").settings.rates)
    assert {"order"} <= set(table.condition("day_and_night").settings.rates)
    assert {"feedback"} <= set(table.condition("symmetric").settings.rates)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("block = 10", "block = 0", "conditions.day_and_night.order.block"),
        (
            "presentations = 61",
            "presentations = 1",
            "conditions.day_and_night: data.presentations = 1: must be at least 2",
        ),
        ('"day_and_night", block', '"night", block', "'shuffled' or 'day_and_night'"),
        ('feedback = "symmetric"', 'feedback = "none"', "conditions.symmetric.feedback"),
        ('gate = "separate"', 'gate = "both"', "conditions.two_gates.gate"),
        (
            'gate = "separate"',
            'gate = "separate"\nfeedback = "blocked"',
            "gate = 'separate' needs feedback = 'split', not 'blocked'",
        ),
        (
            'gate = "separate"',
            'gate = "separate"\nmodel = "{symmetric}"',
            "gate = 'separate': only a split has halves: feedback = 'symmetric'",
        ),
    ],
)
def test_a_wrong_value_is_one_clear_error(study, capsys, tmp_path, old, new, message):
    model = tmp_path / "symmetric.toml"
    whole = find("models", "digits").read_text()
    model.write_text(whole.replace('feedback = "split"', 'feedback = "symmetric"'))
    study.write_text(STUDY.replace(old, new.replace("{symmetric}", str(model))))
    folder = tmp_path / "run"
    assert_refused(["run", str(study), "--out", str(folder)], message, folder, capsys)


@pytest.mark.slow
def test_all_values_run_to_the_end(study, tmp_path):
    folder = tmp_path / "run"
    assert main(["run", str(study), "--out", str(folder)]) == 0
    found = results_of(folder)["conditions"]
    assert found["day_and_night"]["presentations"] == 120
    assert set(found) == {"seen", "day_and_night", "symmetric", "two_gates", "blocked_top"}
    assert [each["gate"] for each in found.values()].count("separate") == 1
    assert set(found["two_gates"]["agreement"]["gate_agreement_by_gate"]) == {"gamma", "gamma_retro"}
    assert (folder / "figures" / "values.png").is_file()

"""A study with a condition in a chip's integers: scales, learning, resumption, its figures."""

import json
import shutil

import numpy as np
import pytest
from run.checks import results_of
from run.test_study import MODEL, STUDY

from neuroclapp.cli import main
from neuroclapp.errors import RunError
from neuroclapp.onchip.chip import load_chip
from neuroclapp.onchip.fixed.fit import Ranges, fitted
from neuroclapp.onchip.fixed.scaling import fixed_program
from neuroclapp.onchip.fixed.schemes import Scheme
from neuroclapp.run.study import StudyRun
from neuroclapp.run.study_chip import ChipSimulator
from neuroclapp.run.study_scales import scales_of
from neuroclapp.run.study_simulate import learn
from neuroclapp.run.study_worlds import Worlds
from neuroclapp.study import load_study
from neuroclapp.weights import load_weights

CHIP = """
[[conditions]]
name = "integers"
title = "in integers"
points = [{picture = "depth"}]
seeds = [3, 4]
chip.fit_seeds = [100]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "model.toml").write_text(MODEL)  # layer b has a bias
    text = STUDY.format(model=folder / "model.toml")
    (folder / "small.toml").write_text(text[: text.index("[[conditions]]")] + CHIP)
    assert main(["run", str(folder / "small.toml"), "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_weights_are_whole_steps_within_their_range_and_say_where_the_bits_go(finished):
    found = results_of(finished)["conditions"]["integers"]
    run = StudyRun(finished)
    condition = run.study.condition("integers")
    network = run.worlds(condition).network
    for seed in (3, 4):
        weights = load_weights(run.of(condition, f"seed{seed}.safetensors"), network)
        assert "b.bias" in weights
        for name, scale in found["chip"]["scales"].items():
            if name == "b.bias":
                continue
            steps = weights[name] * 2.0 ** scale["exponent"]
            assert np.array_equal(steps, np.round(steps)), name
            assert np.abs(steps).max() <= 256
    for name, scale in found["chip"]["scales"].items():
        if name == "b.bias":  # it sees what w_ff sees: its carry follows from its range
            continue
        tried = found["chip"]["tried"][name]
        assert tried[str(scale["carry"])] == max(tried.values())
    for layer in found["weights"].values():
        assert sum(layer["chip"]) == pytest.approx(1)
        assert sum(layer["rate"]) == pytest.approx(1)
    assert (finished / "figures" / "bits_integers.png").is_file()
    assert all(cosine > 0.9 for cosine in found["agreement"]["accumulated_cosine"]["w_ff"]["mean"])


def test_a_condition_in_integers_goes_on_from_what_it_kept_to_the_same_bits(finished, tmp_path, monkeypatch):
    run = StudyRun(shutil.copytree(finished, tmp_path / "run"))
    condition = run.study.condition("integers")
    worlds, length = run.worlds(condition), condition.settings.data.presentations
    stretches = []
    whole = ChipSimulator.run_many

    def stopped(self, simulations, watch=None):
        stretches.append(len(simulations[0].stream))
        if len(stretches) == 2:
            raise KeyboardInterrupt
        return whole(self, simulations, watch)

    for path in run.of(condition, "").glob("seed*"):
        path.unlink()
    monkeypatch.setattr(ChipSimulator, "run_many", stopped)
    with pytest.raises(KeyboardInterrupt):
        learn(run.folder, "integers", (3, 4), lambda done: None)
    assert 0 < stretches[0] < length
    assert list(run.of(condition, "").glob("going-*"))
    run.of(condition, "going-3-4-5.npz").write_bytes(b"of a run that was killed between two seeds' ends")
    learn(run.folder, "integers", (3, 4), lambda done: None)
    assert not list(run.of(condition, "").glob("going-*"))
    assert sum(stretches) - stretches[1] == length  # the first stretch was not done again
    for seed in (3, 4):
        name = f"seed{seed}.safetensors"
        first, second = (
            load_weights(StudyRun(folder).of(condition, name), worlds.network)
            for folder in (finished, run.folder)
        )
        assert all(np.array_equal(first[key], second[key]) for key in first)
        files = (
            StudyRun(folder).of(condition, f"seed{seed}-agreement.json") for folder in (finished, run.folder)
        )
        one, other = (json.loads(path.read_text()) for path in files)
        assert one == other


def test_kept_scales_are_those_that_were_chosen(finished, tmp_path):
    run = StudyRun(finished)
    condition = run.study.condition("integers")
    path = run.of(condition, "scales.json")
    assert scales_of(run.worlds(condition), path) == scales_of(run.worlds(condition), tmp_path / "again.json")


def test_values_that_came_later_do_not_move_what_was_kept_without_them():
    study, _ = load_study("on_chip")
    first = {*("accumulate", "mantissa", "every", "pairs", "keeps", "remainder")}
    for name in ("carry_levels32", "plain", "batch"):
        assert set(study.condition(name).settings.all["chip"]["scheme"]) == first
    carry = study.condition("carry").settings
    for name, key, value in (
        ("carry", "levels", 16),
        ("carry_k2", "synapses", 2),
        ("carry_low", "low", True),
    ):
        settings = study.condition(name).settings
        assert settings.all["chip"]["scheme"][key] == value
        assert settings.rates == carry.rates


def test_fewer_levels_replay_counts_in_wider_steps():
    study, _ = load_study("on_chip")
    worlds = Worlds(study.condition("carry").settings, None)
    names = [f"layer{n}.{part}" for n in (1, 2) for part in ("w_ff", "w_pred", "w_retro")]
    alike = dict.fromkeys(names, 0.01)
    activity = {"input": 0.6, "layer1": 1.5, "layer2": 1.9}
    wide = Ranges(dict.fromkeys(names, 0.5), alike, alike, activity)
    found = {levels: fitted(worlds.populations, wide, Scheme(levels=levels)).replay for levels in (16, 32)}
    # 0.6 of 1/512 are 307 spikes, 1.5 and 1.9 of 1/256 are 384 and 486: in 32 levels steps of 16
    assert found[32] == {"input": 4, "layer1": 4, "layer2": 4}
    assert found[16] == {"input": 5, "layer1": 5, "layer2": 5}


#: Changes of no more steps of a weight than a carry moves in a window.
GENTLE = "learning = {eta = [0.01, 0.01], eta_pred = [0.01, 0.01]}\n"


def test_symmetric_feedback_learns_in_integers(tmp_path, capsys):
    """On a chip it has a transposed matrix of its own, for which there is no rule in rates."""
    (tmp_path / "model.toml").write_text(MODEL)
    text = STUDY.format(model=tmp_path / "model.toml")
    chip = CHIP.replace("seeds = [3, 4]", "seeds = [3]").replace(
        "chip.fit", f'feedback = "symmetric"\n{GENTLE}chip.fit'
    )
    (tmp_path / "small.toml").write_text(text[: text.index("[[conditions]]")] + chip)
    assert main(["run", str(tmp_path / "small.toml"), "--out", str(tmp_path / "run")]) == 0
    cosines = results_of(tmp_path / "run")["conditions"]["integers"]["agreement"]["accumulated_cosine"]
    assert set(cosines) == {"w_ff", "w_pred"}
    assert all(value > 0.8 for each in cosines.values() for value in each["mean"])
    run = StudyRun(tmp_path / "run")
    condition = run.study.condition("integers")
    program = fixed_program(
        run.worlds(condition).populations,
        run.worlds(condition).initial(3),
        load_chip("loihi2"),
        scales_of(run.worlds(condition), run.of(condition, "scales.json")),
    )
    held = {one.target for one in program.layers[0].connections}
    assert "w_retro" in held


def test_what_was_kept_and_is_broken_is_named(finished, tmp_path):
    run = StudyRun(shutil.copytree(finished, tmp_path / "run"))
    condition = run.study.condition("integers")
    for path in run.of(condition, "").glob("seed*"):
        path.unlink()
    names = []

    def note(done):
        names.extend(run.of(condition, "").glob("going-*"))
        if names:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(run.folder, "integers", (3, 4), note)
    names[0].write_bytes(names[0].read_bytes()[:1000])
    with pytest.raises(RunError, match=rf"{names[0].name}: not a whole \.npz file"):
        learn(run.folder, "integers", (3, 4), lambda done: None)

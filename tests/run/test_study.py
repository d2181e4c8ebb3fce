"""A study, small: its conditions, its files, its resumption, its errors."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from run.checks import assert_refused, results_of

from neuroclapp import catalog
from neuroclapp.cli import main
from neuroclapp.run.study import StudyRun
from neuroclapp.run.study_simulate import learn
from neuroclapp.run.study_worlds import check
from neuroclapp.study import load_study, merged
from neuroclapp.weights import load_weights

MODEL = """
title = "small"
input = [128]
[[layers]]
name = "a"
units = 12
bias = false
[[layers]]
name = "b"
units = 12
[prediction]
feedback = "split"
"""
STUDY = """
kind = "study"
title = "small study"
model = "{model}"
seeds = [3, 4]
[data]
name = "digits"
presentations = 560
few_labels = 50
[data.glimpse]
noise = 0.3
[learning]
eta = [0.1, 0.1]
eta_pred = [0.1, 0.1]
[initial]
w_pred = 4.0
[spiking]
neurons = 16
input_gain = 4.0
gain = [2.0, 2.0]
[spiking.timing]
duration = "20 ms"
flush = "10 ms"
dt = "2 ms"
[spiking.modulator]
units = 8
fan_in = 6

[[pictures]]
name = "neurons"
title = "Neurons per unit"
x = "K"
logarithmic = true
[[pictures]]
name = "made_of"
title = "What a unit is made of"
measures = ["accumulated_cosine.w_ff", "accuracy.spiking"]
[[pictures]]
name = "depth"
title = "By layer"
by = "layer"

[[conditions]]
name = "base"
title = "16 neurons"
points = [
    {{picture = "neurons", x = 16}}, {{picture = "made_of", x = "plateau"}}, {{picture = "depth"}}
]
[[conditions]]
name = "few"
title = "2 neurons"
points = [{{picture = "neurons", x = 2}}]
spiking.neurons = 2
[[conditions]]
name = "noisy"
title = "escape noise"
seeds = [3]
points = [{{picture = "made_of", x = "noise"}}]
spiking.neurons = 4
spiking.unit = "neurons"
spiking.neuron = {{kind = "escape_noise", width = 0.1, rate = "500 Hz"}}
[[conditions]]
name = "permuted"
title = "dendrites permuted"
control.dendrite = "permuted"
data.presentations = 500
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "model.toml").write_text(MODEL)
    path = folder / "small.toml"
    path.write_text(STUDY.format(model=folder / "model.toml"))
    return path


@pytest.fixture(scope="module")
def finished(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    assert main(["run", str(study), "--out", str(folder)]) == 0
    return folder


def test_a_condition_replaces_single_values(study):
    found, _ = load_study(str(study), {"data.presentations": "600"})
    base, few, noisy, permuted = (each.settings for each in found.conditions)
    assert (base.spiking.neurons, few.spiking.neurons, few.spiking.gain) == (16, 2, base.spiking.gain)
    assert noisy.spiking.neuron.rate == 500.0
    assert noisy.spiking.timing == base.spiking.timing
    assert (noisy.seeds, base.seeds) == ((3,), (3, 4))
    assert (base.data.presentations, permuted.data.presentations) == (600, 500)
    assert permuted.data.glimpse == base.data.glimpse
    assert permuted.control.dendrite == "permuted"


def test_a_table_of_another_kind_is_taken_whole():
    base = {"neuron": {"kind": "leaky", "tau": 1}, "timing": {"a": 1, "b": 2}}
    assert merged(base, {"neuron": {"kind": "escape_noise"}})["neuron"] == {"kind": "escape_noise"}
    assert merged(base, {"neuron": {"tau": 2}})["neuron"] == {"kind": "leaky", "tau": 2}
    assert merged(base, {"timing": {"b": 3}})["timing"] == {"a": 1, "b": 3}
    assert base["timing"]["b"] == 2


def test_a_run_leaves_every_figure(finished):
    results = results_of(finished)
    assert list(results["conditions"]) == ["base", "few", "noisy", "permuted"]
    for name, one in results["conditions"].items():
        count = 1 if name == "noisy" else 2
        worlds = "raw random rate rate_disturbed random_spiking spiking"
        for key in ("accuracy", "accuracy_few_labels"):
            assert set(one[key]) == set(worlds.split())
            assert all(len(figure["per_seed"]) == count for figure in one[key].values())
        pair = one["paired_difference"]["spiking_minus_rate"]["per_seed"]
        spiking, rate = (np.array(one["accuracy"][world]["per_seed"]) for world in ("spiking", "rate"))
        np.testing.assert_allclose(pair, spiking - rate)
        assert set(one["agreement"]) >= {"trajectory_share", "gate_kappa", "excess_spikes", "spikes"}
    assert {path.name for path in (finished / "figures").iterdir()} == {
        "neurons.png",
        "made_of.png",
        "depth.png",
    }
    assert "16 neurons" in (finished / "report.html").read_text()
    assert not list(finished.rglob("going-*"))


def test_more_neurons_follow_the_rule_more_closely_and_permuted_dendrites_do_not(finished):
    found = results_of(finished)["conditions"]
    cosine = {name: one["agreement"]["accumulated_cosine"]["w_ff"]["mean"] for name, one in found.items()}
    assert min(cosine["base"]) > max(cosine["few"])
    assert max(cosine["permuted"]) < 0.5
    counts = {name: one["agreement"]["spikes"]["mean"] for name, one in found.items()}
    assert 5 < counts["base"][0] / counts["few"][0] < 9  # eight times the neurons, and what rounding takes


def test_conditions_share_their_rate_worlds(finished):
    """Those of 560 presentations one, that of 500 its own; and spikes start where rates start."""
    folders = sorted((finished / "rates").iterdir())
    assert [len(list(folder.glob("seed*"))) for folder in folders] == [2, 2]
    found = results_of(finished)["conditions"]
    assert found["base"]["accuracy"]["rate"] == found["few"]["accuracy"]["rate"]
    assert found["base"]["accuracy"]["rate"] != found["permuted"]["accuracy"]["rate"]


def arrays_of(folder):
    return {
        path.relative_to(folder): {name: array.tobytes() for name, array in load_weights(path).items()}
        for path in folder.rglob("*.safetensors")
    }


def test_a_stopped_condition_goes_on_to_the_same_bits(study, finished, tmp_path):
    """Noise, two stretches: stopped after the first, then taken up."""
    folder = tmp_path / "run"
    StudyRun.create(folder, (finished / "experiment.toml").read_text(), resume=False)
    (folder / "rates").symlink_to(finished / "rates")

    def stop(done):
        if done:
            raise KeyboardInterrupt

    asked = []
    for name in ("base", "noisy"):
        with pytest.raises(KeyboardInterrupt):
            learn(folder, name, (3,), stop)
        assert len(list(folder.rglob("going-3.npz"))) == 1
        learn(folder, name, (3,), asked.append)
    assert 500 not in asked
    whole = arrays_of(finished / "conditions")
    for path, arrays in arrays_of(folder / "conditions").items():
        assert arrays == whole[path], path
    for path in (folder / "conditions").rglob("seed3-agreement.json"):
        assert path.read_text() == (finished / path.relative_to(folder)).read_text()


def test_resuming_runs_only_what_is_new(study, finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")}
    assert main(["run", str(study), "--out", str(finished), "--resume"]) == 0
    assert "simulate: done already" in capsys.readouterr().err
    more = study.with_name("more.toml")
    more.write_text(study.read_text().replace("spiking.neurons = 2\n", "spiking.neurons = 3\n"))
    assert main(["run", str(more), "--out", str(finished), "--resume"]) == 0
    after = {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")}
    new = {path.parent.name.split("-")[0] for path in set(after) - set(before)}
    assert new == {"few"}
    assert all(after[path] == stamp for path, stamp in before.items())


WRONG = {
    "conditions.few.spiking.neurons = 0": ("spiking.neurons = 2", "spiking.neurons = 0"),
    "conditions.few.spiking.neuron = {'kind': 'leak'}: tag 'leak' found": (
        "spiking.neurons = 2",
        "spiking.neuron.kind = 'leak'",
    ),
    "conditions.few.spikes = {'neurons': 2}: unknown key": ("spiking.neurons = 2", "spikes.neurons = 2"),
    "conditions.few.points = 'nothing': no such picture; known: neurons, made_of, depth": (
        'points = [{picture = "neurons", x = 2}]',
        'points = [{picture = "nothing"}]',
    ),
    "must be one or more, with different names": ('name = "few"', 'name = "base"'),
    "conditions.name = 'f/ew': may hold letters": ('name = "few"', 'name = "f/ew"'),
    "conditions.few: spiking.gain = [2.0]: needs one value per layer, 2": (
        "spiking.neurons = 2",
        "spiking.gain = [2.0]",
    ),
    "conditions.few: model = 'audio'": ("spiking.neurons = 2", 'model = "audio"'),
    "conditions.few.seeds.0 = -1: should be greater": ("spiking.neurons = 2", "seeds = [-1]"),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_wrong_value_gets_one_line_that_names_the_condition(said, study, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    old, new = WRONG[said]
    text = study.read_text()
    assert old in text
    Path("experiment.toml").write_text(text.replace(old, new, 1))
    assert_refused(["run", "experiment.toml"], said, tmp_path, capsys)


def shipped():
    """The studies of the catalogue."""
    names = catalog.names("experiments")
    return [n for n in names if catalog.read_toml(catalog.find("experiments", n)).get("kind") == "study"]


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_study_fits_together(name):
    study, _ = load_study(name)
    check(study, name)
    pictured = {point.picture for condition in study.conditions for point in condition.points}
    assert {picture.name for picture in study.pictures} <= pictured
    for condition in study.conditions:
        assert len(condition.settings.seeds) > 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_run_resumes_to_the_same_bits(study, tmp_path):
    """Kill the whole process group at random moments, resume until it is done, compare every array."""
    whole, folder, draw = tmp_path / "whole", tmp_path / "killed", np.random.default_rng(int(time.time()))
    assert main(["run", str(study), "--out", str(whole)]) == 0
    command = [sys.executable, "-m", "neuroclapp", "run", str(study), "--out", str(folder), "--resume"]
    for attempt in range(6):
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=None if attempt == 5 else draw.uniform(3, 9))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0
    assert arrays_of(folder) == arrays_of(whole)
    ours, theirs = (json.loads((f / "results.json").read_text())["conditions"] for f in (folder, whole))
    assert ours == theirs

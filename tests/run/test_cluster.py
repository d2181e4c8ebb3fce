"""Whole runs on a cluster: the bits of a run on this machine, failures by name, only the rest on resuming."""

import numpy as np
import pytest
from run import small_speech
from run.checks import results_of
from run.test_hearing import EXPERIMENT as SPEECH
from run.test_run import EXPERIMENT
from run.test_run import MODEL as SMALL
from run.test_study import MODEL, STUDY
from safetensors.numpy import load_file

from neuroclapp.cli import main
from neuroclapp.run.directory import RunDirectory

pytest.importorskip("distributed")
WEIGHTS = "*.safetensors"


def weights(folder):
    """Return the bytes of all weights of a run by their place in it."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob(WEIGHTS)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "model.toml").write_text(MODEL)
    path = folder / "small.toml"
    path.write_text(STUDY.format(model=folder / "model.toml"))
    return path


@pytest.mark.slow
def test_a_study_on_a_cluster_fails_by_name_resumes_and_ends_in_the_same_bits(study, tmp_path, capsys):
    here, there = tmp_path / "here", tmp_path / "there"
    run = ["run", str(study), "--out", str(there), "--workers", "2", "--resume"]
    assert main(["run", str(study), "--out", str(here)]) == 0
    # One condition alone has its own folder `few`: a file stands where its folder should be.
    name = next(path.name for path in (here / "conditions").iterdir() if path.name.startswith("few"))
    (there / "conditions").mkdir(parents=True)
    (there / "conditions" / name).write_text("in the way")
    (there / "experiment.toml").write_bytes((here / "experiment.toml").read_bytes())
    capsys.readouterr()
    assert main(run) == 2
    said = capsys.readouterr().err
    assert "spiking networks: 1 of 4 failed" in said
    assert "few: " in said.splitlines()[-1]
    done = weights(there)
    assert set(weights(here)) - set(done) == {key for key in weights(here) if key.parts[1] == name}
    (there / "conditions" / name).unlink()
    before = {path: path.stat().st_mtime_ns for path in there.rglob(WEIGHTS)}
    assert main(run) == 0
    assert weights(there) == weights(here)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_run_of_worlds_on_a_cluster_leaves_the_same_bits(tmp_path):
    pytest.importorskip("brian2")
    (tmp_path / "model.toml").write_text(SMALL)
    path = tmp_path / "small.toml"
    path.write_text(EXPERIMENT.format(model=tmp_path / "model.toml"))
    folders = tmp_path / "here", tmp_path / "there"
    for folder, place in zip(folders, ([], ["--workers", "2"]), strict=True):
        RunDirectory.create(folder, _resolved(path), resume=False)
        for step in ("train", "simulate", "compare"):
            assert main([step, str(folder), *place]) == 0
    ours, theirs = map(weights, folders)
    assert len(ours) == 12
    assert ours == theirs


def test_systems_on_a_cluster_are_those_of_this_machine(tmp_path):
    small_speech.write(tmp_path)
    path = tmp_path / "small.toml"
    path.write_text(SPEECH.format(folder=tmp_path))
    found = []
    for name, place in (("here", []), ("there", ["--workers", "2"])):
        folder = tmp_path / name / "run"
        assert main(["run", str(path), "--out", str(folder), *place]) == 0
        trained = {path.name: load_file(path) for path in (tmp_path / name / "trained").glob(WEIGHTS)}
        found.append((trained, results_of(folder)["systems"]))
    (ours, scores), (theirs, other_scores) = found
    assert len(ours) == 11
    assert set(ours) == set(theirs)
    for name, arrays in ours.items():
        for key, array in arrays.items():
            if key != "history/cost":
                assert np.array_equal(array, theirs[name][key]), (name, key)
    for name, one in scores.items():
        assert one["test"] == other_scores[name]["test"]


def _resolved(path):
    import tomli_w

    from neuroclapp.experiment import load_experiment

    return tomli_w.dumps(load_experiment(str(path), {})[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0"], "--workers: N = 0: must be at least 1"),
        (["--scheduler", "nonsense://x"], "--scheduler nonsense://x: no scheduler with a worker answers"),
    ],
)
def test_a_wrong_place_is_one_line_and_leaves_nothing(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "quickstart", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not list(tmp_path.iterdir())


def test_two_places_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["run", "quickstart", "--workers", "2", "--scheduler", "tcp://x:1"])
    assert "not allowed with" in capsys.readouterr().err

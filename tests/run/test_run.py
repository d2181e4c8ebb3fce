"""A whole run, small: every step through the command line, its files, its errors, its resumption."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from neuroclapp.cli import main
from neuroclapp.errors import RunError
from neuroclapp.files import write_npz
from neuroclapp.onchip.fixed import file
from neuroclapp.onchip.fixed.machine import Machine
from neuroclapp.plasticity import Control
from neuroclapp.run.directory import RunDirectory
from neuroclapp.run.simulate import _learn, stretch_of
from neuroclapp.spiking.drawn import NOTHING
from neuroclapp.spiking.state import rest

pytest.importorskip("brian2")
from neuroclapp.spiking.simulation import run_steps

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
EXPERIMENT = """
title = "small run"
model = "{model}"
chip = "ideal"
seeds = [3, 4]
[data]
name = "digits"
presentations = 300
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
[lava]
samples = 3
presentations = 6
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "model.toml").write_text(MODEL)
    path = folder / "small.toml"
    path.write_text(EXPERIMENT.format(model=folder / "model.toml"))
    return path


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    assert main(["run", str(experiment), "--out", str(folder)]) == 0
    return folder


@pytest.mark.lava
def test_a_run_leaves_every_file(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"experiment.toml", "results.json", "report.html", "network.nir", "plasticity.json"} <= names
    assert {"seed3", "seed4", "steps", "figures", "lava.json"} <= names
    assert not [path for path in finished.rglob(".*") if path.is_file()]  # nothing half-written is left


@pytest.mark.lava
def test_results_hold_every_figure(finished):
    results = json.loads((finished / "results.json").read_text())
    worlds = (
        "raw random random_spiking rate converted converted_unchanged_readout spiking permuted_dendrite "
        "gamma_always_on rate_disturbed"
    )
    for key in ("accuracy", "accuracy_few_labels"):
        assert set(results[key]) == set(worlds.split())
        for figure in results[key].values():
            assert set(figure) == {"mean", "interval", "per_seed"}
            assert len(figure["per_seed"]) == 2
    assert results["seeds"] == [3, 4]
    agreement = results["agreement"]
    for key in ("update_cosine", "accumulated_cosine"):
        assert set(agreement[key]) >= {"w_ff", "w_pred", "w_retro"}
        assert all(len(figure["mean"]) == 2 for figure in agreement[key].values())
    measures = (
        "trajectory_cosine trajectory_ceiling norm_ratio shuffled_gamma_cosine gate_agreement gate_kappa"
    )
    assert set(agreement) >= {*measures.split(), "gate_open_fraction", "score_rmse"}
    assert len(results["paired_difference"]["spiking_minus_rate"]["mean"]) == 2
    assert {"samples", "spike_mismatches", "presentations", "update_cosine"} <= set(results["lava"])
    assert {"train", "simulate", "export", "lava"} <= set(results["cost"])


@pytest.mark.lava
def test_recorded_changes_are_those_that_happened(finished):
    """Weights rebuilt from counts and gates by the rule equal the weights that the simulation held."""
    agreement = json.loads((finished / "results.json").read_text())["agreement"]
    assert max(agreement["largest_weight_mismatch"]["per_seed"]) < 1e-12


@pytest.mark.lava
def test_lava_agrees_with_brian2_and_with_the_rule(finished):
    figures = json.loads((finished / "lava.json").read_text())
    assert figures["spike_mismatches"] == [0, 0]
    assert min(figures["spikes"]) > 0
    assert figures["learned"] == ["a", "b"]
    cosines = [one for values in figures["update_cosine"].values() for one in values if one is not None]
    assert len(cosines) == 7  # three matrices of each layer, and the bias of one
    assert min(cosines) > 0.9999
    assert min(figures["gates_open"]) > 0


@pytest.mark.lava
def test_layers_that_learn_in_lava_count_as_the_engine_does(finished):
    figures = json.loads((finished / "lava.json").read_text())
    assert figures["count_mismatches"] == figures["gate_mismatches"] == [0, 0]
    assert figures["largest_weight_difference"] < 1e-12


@pytest.mark.lava
def test_resuming_a_finished_run_does_nothing(finished, experiment, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    assert main(["run", str(experiment), "--out", str(finished), "--resume"]) == 0
    assert "simulate: done already" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}


@pytest.mark.lava
def test_the_table_is_printed_again(finished, capsys):
    assert main(["compare", str(finished), "--resume"]) == 0
    assert main(["compare", str(finished)]) == 0
    shown = capsys.readouterr().out
    assert "accuracy [%], all labels" in shown
    assert "spiking_minus_rate" in shown


def test_another_experiment_is_not_resumed(experiment, tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "experiment.toml").write_text("title = 'another'")
    assert main(["run", str(experiment), "--out", str(folder), "--resume"]) == 2
    assert "holds another experiment" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "quickstrat"], "did you mean 'quickstart'"),
        (["run", "nowhere.toml"], "nowhere.toml: no such file"),
        (["run", "quickstart", "--set", "seeds"], "--set: KEY=VALUE = 'seeds'"),
        (["run", "quickstart", "--set", "seeds=[-1]"], "seeds.0 = -1"),
        (
            ["run", "quickstart", "--set", "learning.eta=[0.1]"],
            "learning.eta = [0.1]: needs one value per layer, 2",
        ),
        (["run", "quickstart", "--set", 'spiking.timing.flush="10 ms"'], "2 layers need 5 steps of dt"),
        (["run", "quickstart", "--set", "data.few_labels=911"], "data.few_labels = 911: must be at most 910"),
        (["run", "quickstart", "--set", "chip=loihi3"], "did you mean 'loihi2'"),
        (["run", "quickstart", "--set", "model=vgg6"], "only dense layers map to spikes"),
        (["train", "."], "not a run's directory"),
        (["compare", "no/such/folder"], "not a run's directory"),
    ],
)
def test_wrong_input_gets_one_line_and_exit_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.count("\n") == 0
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_left_alone(experiment, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["run", str(experiment), "--out", str(tmp_path)]) == 2
    assert "choose another directory" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_that_has_begun_is_moved_aside_and_never_replaced(tmp_path, capsys):
    folder = tmp_path / "run"
    for number in range(3):
        RunDirectory.create(folder, f"title = '{number}'", resume=False)
        (folder / "results.json").write_text(str(number))
    assert {path.name for path in tmp_path.iterdir()} == {"run", "run.1", "run.2"}
    for name, number in (("run.1", "0"), ("run.2", "1"), ("run", "2")):
        assert (tmp_path / name / "results.json").read_text() == number
        assert number in (tmp_path / name / "experiment.toml").read_text()
    assert f"the run that was in {folder} is in {folder}.2 now" in capsys.readouterr().err


def test_a_run_that_has_not_begun_is_replaced(tmp_path, capsys):
    for number in range(2):
        RunDirectory.create(tmp_path / "run", f"title = '{number}'", resume=False)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert "1" in (tmp_path / "run" / "experiment.toml").read_text()
    assert capsys.readouterr().err == ""


def test_a_step_says_which_one_must_come_before(experiment, tmp_path, capsys):
    RunDirectory.create(tmp_path / "run", experiment.read_text(), resume=False)
    assert main(["compare", str(tmp_path / "run")]) == 2
    assert "step 'train' is not done; run: neuroclapp train" in capsys.readouterr().err


class Uncompiled:
    """Stands in for the compiled network: the same stretches, in Brian2's numpy runtime."""

    def __init__(self, populations, stretch):
        self.populations, self.stretch = populations, stretch

    def run(self, stream, weights, state, learn=True, control=None, drawn=NOTHING):
        return run_steps(self.populations, stream, weights, state, learn, control, False, drawn=drawn)[0]


def test_learning_goes_on_to_the_same_bits_after_it_was_stopped(experiment, tmp_path):
    run = RunDirectory.create(tmp_path / "run", experiment.read_text(), resume=False)
    stream = run.stream(3)[:11]
    initial = run.experiment.initial.draw(run.network, np.random.default_rng(0))
    network = Uncompiled(run.populations, 3)

    def stop_after_two(done):
        if done >= 6:
            raise KeyboardInterrupt

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    _learn(network, stream, initial, Control(), whole, "spiking", lambda done: None)
    with pytest.raises(KeyboardInterrupt):
        _learn(network, stream, initial, Control(), broken, "spiking", stop_after_two)
    kept = sorted(path.name for path in (broken / "stretches-spiking").iterdir())
    assert kept == ["checkpoint.safetensors", "recording"]
    asked = []
    _learn(network, stream, initial, Control(), broken, "spiking", asked.append)
    assert asked == [9, 11]
    assert (whole / "spiking.safetensors").read_bytes() == (broken / "spiking.safetensors").read_bytes()
    assert rest(run.populations).layers[0].v[0] == 0.5


@pytest.mark.parametrize(
    ("duration", "flush", "expected"),
    [(100, 25, 500), (200, 25, 285), (100, 40, 464), (200, 50, 500)],
)
def test_a_call_of_the_compiled_program_is_as_long_as_its_clocks_keep_in_step(
    duration, flush, expected, experiment, tmp_path
):
    """They part in the last bit of a time [s] of 64 s or more, where that is not exact in binary."""
    text = experiment.read_text().replace('dt = "2 ms"', 'dt = "5 ms"')
    text = text.replace('"20 ms"', f'"{duration} ms"').replace('"10 ms"', f'"{flush} ms"')
    run = RunDirectory.create(tmp_path / "run", text, resume=False)
    found = stretch_of(run.populations)
    assert found == expected
    assert found == 500 or 64 < (found + 1) * (duration + flush) / 1000 < 66


@pytest.mark.slow
def test_presentations_of_a_quarter_of_a_second_run_to_the_end(experiment, tmp_path, capsys):
    """One seed: figures have no interval, in results, table and report."""
    folder, few = tmp_path / "run", ("seeds=[3]", "lava.samples=0", "lava.presentations=0")
    settings = [f"--set={one}" for one in (*few, 'spiking.timing.duration="200 ms"')]
    step = [f'--set=spiking.timing.{name}="{value}"' for name, value in (("flush", "25 ms"), ("dt", "5 ms"))]
    assert main(["run", str(experiment), "--out", str(folder), *settings, *step]) == 0
    text = (folder / "results.json").read_text()
    assert max(json.loads(text)["agreement"]["largest_weight_mismatch"]["per_seed"]) < 1e-12
    assert text.count('"interval": null') == text.count('"interval"') > 20
    assert "+-" not in capsys.readouterr().out
    assert "±" not in (folder / "report.html").read_text()


@pytest.mark.parametrize("left", [0, 1, 40, 0.5, 0.9, -1])
def test_a_file_that_was_cut_is_named(left, tmp_path, experiment):
    run = RunDirectory.create(tmp_path / "run", experiment.read_text(), resume=False)
    path = tmp_path / "run" / "features.npz"
    write_npz(path, {"counts": np.random.default_rng(0).integers(0, 99, 10_000), "labels": np.arange(9)})
    assert run.arrays(path)["labels"].tolist() == list(range(9))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole)) if 0 < left < 1 else left])
    with pytest.raises(
        RunError, match=r"features\.npz: not a whole \.npz file .*; remove it and run its step"
    ):
        run.arrays(path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_run_resumes_to_the_same_bits(experiment, finished, tmp_path):
    """Kill the whole process group at random moments, resume until it is done, compare every array."""
    folder, draw = tmp_path / "killed", np.random.default_rng(int(time.time()))
    command = [sys.executable, "-m", "neuroclapp", "run", str(experiment), "--out", str(folder), "--resume"]
    for attempt in range(4):
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=None if attempt == 3 else draw.uniform(2, 45))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0
    for seed in (3, 4):
        for name in ("rate", "spiking", "permuted_dendrite", "gamma_always_on"):
            file = f"seed{seed}/{name}.safetensors"
            assert (folder / file).read_bytes() == (finished / file).read_bytes(), file
    ours, theirs = (json.loads((f / "results.json").read_text()) for f in (folder, finished))
    assert ours["accuracy"] == theirs["accuracy"]
    assert ours["agreement"] == theirs["agreement"]


@pytest.mark.slow
@pytest.mark.lava
def test_a_run_with_two_gates_goes_through_every_step(tmp_path, capsys):
    """Spikes, export, Lava, comparison, pictures, and a program in integers."""
    (tmp_path / "model.toml").write_text(MODEL + 'gate = "separate"\n')
    text = EXPERIMENT.format(model=tmp_path / "model.toml").replace('"ideal"', '"loihi2"')
    (tmp_path / "small.toml").write_text(text)
    folder = tmp_path / "run"
    assert main(["run", str(tmp_path / "small.toml"), "--out", str(folder)]) == 0
    assert "gate agreement, gamma_retro" in capsys.readouterr().out
    agreement = json.loads((folder / "results.json").read_text())["agreement"]
    assert max(agreement["largest_weight_mismatch"]["per_seed"]) < 1e-12
    assert set(agreement["gate_agreement_by_gate"]) == {"gamma", "gamma_retro"}
    lava = json.loads((folder / "lava.json").read_text())
    assert lava["count_mismatches"] == lava["gate_mismatches"] == [0, 0]
    assert lava["largest_weight_difference"] < 1e-12
    assert json.loads((folder / "plasticity.json").read_text())["version"] == 2
    assert "c · W_retro z" in (folder / "report.html").read_text()
    assert main(["export", str(folder), "--fit"]) == 0
    assert json.loads((folder / "fixed.json").read_text())["version"] == 2
    assert (folder / "results.json").is_file()  # to fit leaves what the run has made


def test_export_with_fit_leaves_a_program_in_integers_that_learns(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("neuroclapp.run.study_scales.TRIED", 150)
    (tmp_path / "model.toml").write_text(
        MODEL.replace("units = 12\n[pred", "units = 12\nbias = false\n[pred")
    )
    (tmp_path / "run").mkdir()
    text = EXPERIMENT.format(model=tmp_path / "model.toml")
    (tmp_path / "run" / "experiment.toml").write_text(text)
    assert main(["train", str(tmp_path / "run")]) == 0
    assert main(["export", str(tmp_path / "run"), "--fit"]) == 2
    assert "hardware 'ideal': widths.weight = None: integers need a width" in capsys.readouterr().err
    (tmp_path / "run" / "experiment.toml").write_text(text.replace('"ideal"', '"loihi2"'))
    assert main(["train", str(tmp_path / "run")]) == 0
    assert main(["export", str(tmp_path / "run"), "--fit"]) == 0
    exported = (tmp_path / "run" / "plasticity.json").stat()
    assert main(["export", str(tmp_path / "run"), "--fit"]) == 0  # what is exported stays
    assert (tmp_path / "run" / "plasticity.json").stat() == exported
    said = capsys.readouterr().out
    assert "a.w_ff" in said
    assert "weight step" in said
    program = file.read(tmp_path / "run")
    report = json.loads((tmp_path / "run" / "fit.json").read_text())
    assert [layer.soma.name for layer in program.layers] == ["a", "b"]
    for layer in program.layers:
        for one in layer.connections:
            name = f"{layer.soma.name}.{one.target}"
            assert 2.0**-one.exponent * 256 >= report["ranges"]["weight"][name]
            assert 2.0 ** -(one.exponent + 1) * 256 < report["ranges"]["weight"][name]
            assert report["tried"][name].get(str(one.carry)) == max(report["tried"][name].values())
    worst = {title: min(one["cosine"].values()) for title, one in report["schemes"].items()}
    assert worst[report["chosen"]] == max(worst.values()) > min(worst.values())
    assert len(worst) == 5
    assert f"{report['chosen']} (chosen)" in said
    run = RunDirectory(tmp_path / "run")
    machine, stream = Machine([program]), run.stream(3)[:50]
    start = {name: array.copy() for name, array in machine.weights.items()}
    for n in range(50):
        machine.present(stream.inputs[n : n + 1], stream.sign[n : n + 1])
    assert any((machine.weights[name] != array).any() for name, array in start.items())

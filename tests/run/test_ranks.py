"""Systems trained by processes that torchrun starts: the bits, or nearly those, that one process finds."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from run.test_systems import EXPERIMENT, MODEL, stripes
from safetensors.numpy import load_file
from safetensors.torch import save_file

from neuroclapp.network import Layer, Network
from neuroclapp.objective import Contrast, System
from neuroclapp.rate.modular import initial
from neuroclapp.rate.patchnet import PatchNetwork
from neuroclapp.rate.staged import StagedLearner, join, shares
from neuroclapp.rate.training import Learner, train
from neuroclapp.recipe import Recipe
from neuroclapp.resolve import load_systems
from neuroclapp.run.systems import SystemsRun

LIMIT_S = 240
SHARED = ("clapp", "split", "views")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("ranks"), np.random.default_rng(0)
    (folder / "model.toml").write_text(MODEL)
    training, test = stripes(60, draw), stripes(30, draw)
    np.savez(
        folder / "images.npz",
        **{"training_images": training[0], "training_labels": training[1]},
        **{"test_images": test[0], "test_labels": test[1]},
    )
    (folder / "small.toml").write_text(
        EXPERIMENT.format(folder=folder).replace("seeds = [3, 4]", "seeds = [4]")
    )
    return folder


def train_with(folder, name, *options, processes=0):
    """Train all systems into ``folder/name``; return what is said, and the arrays by system."""
    module = ["-m", "neuroclapp.run.ranks", folder / "small.toml", "--out", folder / name / "run", *options]
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(start if processes else []), *module]
    done = subprocess.run(
        [str(part) for part in command], timeout=LIMIT_S, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    files = sorted((folder / name / "trained").glob("*"))
    assert {file.suffix for file in files} == {".safetensors"}
    return done.stderr, {file.name.split("-")[0]: load_file(file) for file in files}


@pytest.fixture(scope="module")
def alone(folder):
    return train_with(folder, "alone")[1]


def largest_difference(found, expected):
    assert set(found) == set(expected)
    return max(float(np.abs(found[name] - array).max()) for name, array in expected.items() if array.size)


def without_cost(arrays):
    return {name: array for name, array in arrays.items() if name != "history/cost"}


def test_processes_that_share_modules_find_the_bits_of_one(folder, alone):
    said, found = train_with(folder, "layers", "--layers", processes=2)
    assert set(found) == set(alone) == {*SHARED, "supervised", "cpc"}
    for name, expected in alone.items():
        assert largest_difference(without_cost(found[name]), without_cost(expected)) == 0, name
    for title in ("Supervised", "CPC"):  # of one module: said, and trained by one process
        assert f"{title}, seed 4: 12 updates" in said or "supervised, seed 4: 12 updates" in said
    assert said.count("there are 1 modules to share; trained by one process") == 2


def test_a_run_goes_on_with_other_processes_from_the_checkpoint_of_one(folder, alone):
    experiment, _ = load_systems(str(folder / "small.toml"), {})
    run = SystemsRun(folder / "resumed" / "run")
    run.__dict__["experiment"] = experiment
    (row,) = (row for row in experiment.systems if row.name == "split")

    class Killed(Exception):
        pass

    def kill(done):
        if done == 11:
            raise Killed

    with pytest.raises(Killed):
        train(run.learner(row, 4), run.batches(row, 4), 4, run.kept(row, 4), kill)
    assert (load_file(run.kept(row, 4))["a.w_ff"] != alone["split"]["a.w_ff"]).any()
    Path(f"{run.kept(row, 4)}.part7").write_bytes(b"of a killed run of more processes")
    found = train_with(folder, "resumed", "--layers", processes=2)[1]
    assert largest_difference(without_cost(found["split"]), without_cost(alone["split"])) == 0


@pytest.mark.slow
def test_processes_that_share_batches_find_nearly_the_weights_of_one(folder, alone):
    """Sums of changes are taken in another order."""
    _, found = train_with(folder, "batches", processes=2)
    for name, expected in alone.items():
        ours = {key: array for key, array in without_cost(found[name]).items() if "history" not in key}
        theirs = {key: array for key, array in without_cost(expected).items() if "history" not in key}
        assert largest_difference(ours, theirs) < 1e-4, name


def test_what_training_cost_counts_once_whoever_goes_on(tmp_path):
    """CPU times of processes add up, their clocks do not; what a checkpoint cost is the first one's."""
    parts = [tmp_path / "0", tmp_path / "1"]
    for part, cost in zip(parts, ([3.0, 10.0, 0.5], [4.0, 9.0, 8.0]), strict=True):
        arrays = {"history/cost": torch.tensor(cost), "history/loss": torch.zeros(2, 1)}
        save_file(arrays, part, metadata={"updates": "2"})
    join(parts, tmp_path / "whole")
    assert load_file(tmp_path / "whole")["history/cost"].tolist() == [7.0, 10.0, 0.5]
    network = Network("two", (1, 6, 6), tuple(Layer(name, 4, "conv") for name in "ab"))
    system = System("", contrast=Contrast(steps=1))
    whole = Learner(PatchNetwork(network, system, initial(network, system, 10, 0)), Recipe(updates=2))
    whole.history.cpu, whole.history.wall, whole.history.waited = 7.0, 10.0, 0.5
    whole.save(tmp_path / "kept")
    costs = []
    for rank in range(2):
        one = StagedLearner(whole, rank, 2, (2, 3, 3), 2)
        one.load(tmp_path / "kept")
        costs.append((one.history.cpu, one.history.wall, one.history.waited))
    assert costs == [(7.0, 10.0, 0.5), (0.0, 0.0, 0.0)]


def test_modules_are_shared_in_equal_numbers():
    assert shares(6, 2) == [range(3), range(3, 6)]
    assert shares(5, 2) == [range(3), range(3, 5)]
    assert shares(6, 4) == [range(2), range(2, 3), range(3, 5), range(5, 6)]
    assert shares(4, 4) == [range(n, n + 1) for n in range(4)]

"""A small run of learning at places, from beginning to end, on images that are drawn here."""

import json

import numpy as np
import pytest
from run.checks import assert_refused, results_of

from neuroclapp.cli import main

MODEL = """
title = "two layers at places"
input = [2, 8, 8]
[[layers]]
name = "one"
kind = "conv"
units = 6
kernel = 4
stride = 2
padding = 0
bias = false
[[layers]]
name = "two"
kind = "conv"
units = 5
kernel = 2
padding = 0
bias = false
[prediction]
feedback = "split"
"""
EXPERIMENT = """
title = "small places"
kind = "places"
model = "{folder}/model.toml"
seeds = [3, 4]
presentations = 120
labels = 30
validation = 12
test = 20
[data]
name = "npz"
path = "{folder}"
crop = 24
validation_per_class = 6
[gaze]
shrink = 2
surround = 3
crop = 8
shift = 1
[learning.shared]
eta = [0.1, 0.1]
eta_pred = [0.1, 0.1]
[learning.local]
eta = [0.1, 0.1]
eta_pred = [0.1, 0.1]
[spiking]
neurons = 32
input_gain = 4.0
gain = [2.0, 2.0]
[spiking.timing]
duration = "100 ms"
flush = "30 ms"
dt = "5 ms"
[spiking.modulator]
fan_in = 6
tonic = 200
burst = 511
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    y, x = np.mgrid[:24, :24] / 3.0
    waves = np.stack([np.sin(x), np.sin(y), np.sin(x + y)])
    stored = {}
    for part, count in (("training", 60), ("test", 30)):
        labels = np.arange(count) % 3
        pixels = 128 + 70 * waves[labels] + 20 * draw.normal(size=(count, 24, 24))
        stored |= {f"{part}_images": np.clip(pixels, 0, 255).astype(np.uint8), f"{part}_labels": labels}
    np.savez(folder / "images.npz", **stored)
    (folder / "model.toml").write_text(MODEL)
    (folder / "small.toml").write_text(EXPERIMENT.format(folder=folder))
    return folder / "small.toml"


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "places"
    assert main(["run", str(experiment), "--out", str(folder)]) == 0
    return folder


def test_results_hold_both_worlds_by_layer_and_how_they_agree(finished):
    results = results_of(finished)
    assert results["images"] == {"training": 30, "validation": 12, "test": 20}
    for one in results["worlds"].values():
        for how in ("mean", "all"):
            assert np.array(one[how]["per_seed"]).shape == (2, 2)
    for sharing in ("shared", "local"):
        one = results["agreement"][sharing]
        for figures in one["accumulated_cosine"].values():
            assert min(figures["per_seed"]) > 0.98
        for layer in one["layers"]:
            assert min(layer["gate_agreement"]["per_seed"]) > 0.97
    assert (finished / "figures" / "layers.png").stat().st_size > 10000
    assert "own kernels" in (finished / "report.html").read_text()


def test_shared_kernels_stay_one_and_own_kernels_part(finished):
    for kind in ("rate", "spiking"):
        with np.load(finished / "learned" / f"shared-{kind}-seed3.npz") as shared:
            assert shared["one.w_ff"].shape == (1, 6, 32)
        with np.load(finished / "learned" / f"local-{kind}-seed3.npz") as own:
            assert own["one.w_ff"].shape == (9, 6, 32)
            assert np.ptp(own["one.w_ff"], axis=0).max() > 0.01


def test_the_same_run_gives_the_same_weights(finished, experiment, tmp_path):
    setting = ["--set", "seeds=[4]"]
    assert main(["run", str(experiment), "--out", str(tmp_path / "again"), *setting]) == 0
    for path in sorted((tmp_path / "again" / "learned").glob("*.npz")):
        with np.load(path) as again, np.load(finished / "learned" / path.name) as first:
            for name in again:
                np.testing.assert_array_equal(again[name], first[name])
    scores = [
        json.loads((folder / "scores" / "seed4.json").read_text())
        for folder in (finished, tmp_path / "again")
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("gaze.crop=9", "gaze.crop = 9: the model's input is [2, 8, 8]"),
        ("gaze.shift=3", "gaze.shift = 3: with crop = 8 and 12 coarse pixels at most 2"),
        ("data.colour=true", "data.colour = True: the eye is blind to colours"),
        ("learning.local.eta=[0.1]", "learning.eta = [0.1]: needs one value per layer"),
        ("seeds=[1, 1]", "seeds = [1, 1] must be one or more different numbers"),
    ],
)
def test_a_wrong_value_gets_one_line_and_exit_code_2(setting, said, experiment, tmp_path, capsys):
    out = tmp_path / "runs"
    assert_refused(["run", str(experiment), "--out", str(out), "--set", setting], said, tmp_path, capsys)
    assert not out.exists()

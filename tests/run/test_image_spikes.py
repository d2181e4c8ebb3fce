"""A small run of image encoders in spikes, from beginning to end, on images that are drawn here."""

import json

import numpy as np
import pytest
from run.checks import assert_refused, results_of

from neuroclapp.cli import main
from neuroclapp.data.images import ImageData, load

MODEL = """
title = "two convolutions"
input = [1, 8, 8]
[[layers]]
name = "a"
kind = "conv"
units = 5
pool = 2
[[layers]]
name = "b"
kind = "conv"
units = 8
"""
EXPERIMENT = """
title = "small images in spikes"
kind = "{kind}"
scale = "all"
model = "{folder}/model.toml"
seeds = [3, 4]
[data]
name = "npz"
path = "{folder}"
crop = 24
patch = 8
stride = 4
validation_per_class = 6
[recipe]
updates = 6
batch = 4
learning_rate = 1e-3
gain = 1.4
[contrast]
steps = 2
[[systems]]
name = "random"
title = "Random"
learns = "nothing"
[[systems]]
name = "clapp"
title = "CLAPP"
"""
SPIKES = """
[spikes]
neurons = [1, 64]
others = ["most", "mean"]
others_neurons = 64
training = 24
validation = 12
test = 20
presentations = {presentations}
[spikes.resolution]
percentile = 100.0
[spikes.resolution.timing]
duration = "100 ms"
flush = "20 ms"
dt = "5 ms"
"""
CLASSES = 3


def gratings(count, draw):
    """Gratings of three orientations, one for each class, in noise."""
    labels = np.arange(count) % CLASSES
    y, x = np.mgrid[:26, :26] / 3.0
    waves = np.stack([np.sin(x), np.sin(y), np.sin(x + y)])[labels]
    pixels = 128 + 70 * waves + 20 * draw.normal(size=waves.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    training, test = gratings(60, draw), gratings(30, draw)
    np.savez(
        folder / "images.npz",
        training_images=training[0],
        training_labels=training[1],
        test_images=test[0],
        test_labels=test[1],
    )
    (folder / "model.toml").write_text(MODEL)
    for name, presentations in (("small", 0), ("beside", 5)):
        text = EXPERIMENT.format(folder=folder, kind="images_in_spikes")
        (folder / f"{name}.toml").write_text(text + SPIKES.format(presentations=presentations))
    (folder / "rates.toml").write_text(EXPERIMENT.format(folder=folder, kind="systems"))
    return folder / "small.toml"


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "spikes"
    assert main(["run", str(experiment), "--out", str(folder)]) == 0
    return folder


def test_results_compare_spikes_with_rates_by_layer(finished):
    results = results_of(finished)
    assert results["images"] == {"training": 24, "validation": 12, "test": 20}
    assert results["patches"] == 9  # 5 x 5 of a 24-pixel crop, every second
    for name, one in results["systems"].items():
        assert one["layers"] == ["a", "b"]
        network = one["network"]
        assert network["units"] == [5 * 64, 8 * 16]
        assert (network["inputs"], network["relays"]) == (2 * 64, 5 * 16)
        # By hand: of 8 x 8 places 36 hear 9 pixels, 24 hear 6 and 4 hear 4; of 4 x 4, 4, 8 and 4 places.
        assert network["synapses"] == 2 * 5 * (36 * 9 + 24 * 6 + 16) + 8 * 5 * (4 * 9 + 8 * 6 + 16)
        assert set(one["variants"]) == {"1", "64"} | ({"most", "mean"} if name == "clapp" else set())
        coarse, fine = (np.array(one["variants"][each]["correlation"]["mean"]) for each in ("1", "64"))
        assert (fine > coarse).all()
        assert fine.min() > 0.999
        assert len(one["variants"]["64"]["refitted"]["per_seed"]) == 2
        # With 64 neurons per unit the readout of the rates gives the same images the same classes.
        assert np.abs(one["variants"]["64"]["unchanged_minus_rate"]["mean"]).max() <= 5
    clapp = results["systems"]["clapp"]
    assert len(clapp["variants"]["mean"]["refitted"]["per_seed"]) == 1
    assert clapp["variants"]["mean"]["correlation"]["mean"][1] > 0.999  # with rates that take means too
    for name in ("layers", "follow"):
        assert (finished / "figures" / f"{name}.png").stat().st_size > 10000
    assert "Random" in (finished / "report.html").read_text()


@pytest.mark.slow
def test_features_in_rates_are_those_of_the_systems_readout(finished, experiment):
    """With all patches of all images the accuracies are those of a run of rates on the same systems."""
    before = sorted(path.name for path in (finished.parent / "trained").glob("*.safetensors"))
    assert (
        main(["run", str(experiment.with_name("rates.toml")), "--out", str(finished.parent / "rates")]) == 0
    )
    after = sorted(path.name for path in (finished.parent / "trained").glob("*.safetensors"))
    assert len(before) == 4
    assert after == before
    all_of_them = ["spikes.spacing=1", "spikes.training=100", "spikes.validation=100", "spikes.test=100"]
    settings = [
        word for each in (*all_of_them, "spikes.neurons=[1]", "spikes.others=[]") for word in ("--set", each)
    ]
    folder = finished.parent / "whole"
    assert main(["run", str(experiment), "--out", str(folder), *settings]) == 0
    rates = json.loads((finished.parent / "rates" / "results.json").read_text())
    for name, one in results_of(folder)["systems"].items():
        assert one["rates"]["rate"]["per_seed"] == rates["systems"][name]["test"]["per_seed"]


def test_scales_are_set_on_training_images_alone(finished, experiment):
    """With 100 % the scale is the largest normalised pixel of the training images that run in spikes."""
    found = json.loads((finished / "spikes" / "random-seed3.json").read_text())["largest"]["lead"][0]
    images = load(
        ImageData("npz", str(experiment.parent), crop=24, patch=8, stride=4, validation_per_class=6)
    )
    chosen = images.training.pixels[np.linspace(0, len(images.training) - 1, 24).round().astype(int)]
    # The centre of 24 x 24 is tiled by every second patch, 8 wide and 4 apart.
    values = chosen[:, :, 1:25, 1:25] / 255
    expected = np.abs((values - images.statistics.mean[0]) / images.statistics.std[0]).max()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_brian2_counts_patches_of_a_run_alike(experiment, tmp_path):
    pytest.importorskip("brian2")
    folder = tmp_path / "run"
    assert main(["run", str(experiment.with_name("beside.toml")), "--out", str(folder)]) == 0
    brian2 = results_of(folder)["brian2"]
    assert (brian2["presentations"], brian2["different"]) == (5, [0, 0])
    assert min(brian2["spikes"]) > 100


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("spikes.neurons=[5, 1]", "neurons = [5, 1] must be one or more rising"),
        ('spikes.others=["lead"]', "must differ, and hold no 'lead'"),
        ("spikes.pooling=max", "spikes.pooling"),
        ('spikes.resolution.timing.flush="10 ms"', "2 layers with their relays need 3 steps"),
        ("spikes.image=3", "unknown key"),
        ("probe.kind=adam", "must be 'logistic' here"),
    ],
)
def test_a_wrong_value_gets_one_line_and_exit_code_2(setting, said, experiment, tmp_path, capsys):
    out = tmp_path / "runs"
    assert_refused(["run", str(experiment), "--out", str(out), "--set", setting], said, tmp_path, capsys)
    assert not out.exists()

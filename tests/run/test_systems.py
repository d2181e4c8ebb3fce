"""A whole run of image systems, small: its files, accuracies, settings, errors, and how it is resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch
from run.checks import assert_refused, results_of
from safetensors.torch import load_file
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from neuroclapp import catalog
from neuroclapp.cli import main
from neuroclapp.data.images import ImageData, load
from neuroclapp.resolve import inherit, load_systems
from neuroclapp.run.kinds import KINDS, kind_of
from neuroclapp.run.systems import SystemsRun, check

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
title = "six small systems"
kind = "systems"
scale = "short"
model = "{folder}/model.toml"
seeds = [3, 4]
figures = ["accuracy", "layers", "modules", "training", "loss"]
[data]
name = "npz"
path = "{folder}"
crop = 24
patch = 8
stride = 4
validation_per_class = 6
[recipe]
batch = 4
columns = 2
checkpoint = 5
learning_rate = 2e-3
[contrast]
steps = 2
[scales.short.recipe]
updates = 12
[scales.long.recipe]
updates = 40
[scales.long.rows.clapp.recipe]
updates = 60
[[systems]]
name = "random"
title = "Random"
learns = "nothing"
published = 21.8
[[systems]]
name = "clapp"
title = "CLAPP"
[[systems]]
name = "supervised"
title = "Supervised"
learns = "labels"
modules = [2]
seeds = [4]
[[systems]]
name = "cpc"
title = "CPC"
modules = [2]
[systems.contrast]
loss = "info_nce"
negatives = 3
[[systems]]
name = "split"
title = "Weight transport free"
[systems.contrast.prediction]
feedback = "split"
gate = "separate"
[[systems]]
name = "views"
title = "Two views"
[systems.contrast]
task = "views"
blocks = [2, 1]
"""
SYSTEMS = ["random", "clapp", "supervised", "cpc", "split", "views"]
#: Of results.json, what depends on the clock.
COST = {"cost", "cpu_minutes", "waited_share"}


def stripes(count, draw):
    """Images of 28 x 26 in noise; the class is the period of their stripes."""
    labels = np.arange(count) % 3
    wave = np.sin(np.arange(28) * np.array([0.8, 1.1, 1.5])[labels][:, None] + draw.uniform(0, 6, (count, 1)))
    images = 128 + 30 * wave[:, :, None] + 40 * draw.standard_normal((count, 28, 26))
    return images.clip(0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("catalogue"), np.random.default_rng(0)
    (folder / "model.toml").write_text(MODEL)
    training, test = stripes(60, draw), stripes(30, draw)
    parts = {"training_images": training[0], "training_labels": training[1]}
    np.savez(folder / "images.npz", **parts, test_images=test[0], test_labels=test[1])
    path = folder / "small.toml"
    path.write_text(EXPERIMENT.format(folder=folder))
    return path


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    assert main(["run", str(experiment), "--out", str(folder)]) == 0
    return folder


def without_cost(value):
    if isinstance(value, dict):
        return {key: without_cost(inner) for key, inner in value.items() if key not in COST}
    return value


def trained_in(folder):
    """Weights, moments and history of all trained systems of a folder of runs, but for what they cost."""
    return {
        path.name: {key: array for key, array in load_file(path).items() if key != "history/cost"}
        for path in sorted((folder / "trained").glob("*.safetensors"))
    }


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_run_leaves_every_file(finished):
    names = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert {"experiment.toml", "results.json", "report.html"} <= names
    assert {f"steps/{step}.json" for step in ("train", "compare", "plot")} <= names
    assert {f"scores/{name}-seed4.json" for name in SYSTEMS} <= names
    assert "scores/supervised-seed3.json" not in names
    for name in ("accuracy", "layers", "modules", "training", "loss"):
        assert (finished / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(trained_in(finished.parent)) == 11
    assert not [path for path in finished.parent.rglob(".*") if path.is_file()]  # nothing half-written


def test_the_report_is_one_page_with_every_figure(finished):
    page = (finished / "report.html").read_text()
    for text in ("six small systems", "CLAPP", "CPC", "Weight transport free", "Two views"):
        assert text in page
    assert "Two views is not compared with Random: they see 24x24 and 8x8 pixels at once." in page
    assert page.count("<img ") == 5
    assert "src='http" not in page


def test_results_hold_every_system(finished):
    results = results_of(finished)
    assert results["experiment"] == "six small systems"
    assert (results["scale"], results["data"], results["against"]) == ("short", "npz", ["random"])
    assert list(results["systems"]) == SYSTEMS
    assert set(results["cost"]) == {"train", "compare"}
    for name, one in results["systems"].items():
        seeds = [4] if name == "supervised" else [3, 4]
        assert one["seeds"] == seeds
        assert one["layers"] == ["a", "b"]
        assert one["updates"] == (0 if name == "random" else 12)
        assert one["modules"] == ([2] if name in ("supervised", "cpc") else [1, 1])
        assert one["published"] == (21.8 if name == "random" else None)
        for part in ("test", "validation"):
            assert set(one[part]) == {"mean", "interval", "per_seed"}
            assert np.shape(one[part]["per_seed"]) == (len(seeds), 2)
            assert np.allclose(one[part]["mean"], np.mean(one[part]["per_seed"], 0))
        # One note, at the end.
        shape = (0,) if name == "random" else (1, len(one["modules"]))
        assert np.shape(one["loss"]) == np.shape(one["share"]) == shape
        assert list(one["minus"]) == ([] if name in ("random", "views") else ["random"])
        apart = {"random": "they see 24x24 and 8x8 pixels at once"} if name == "views" else {}
        assert one["not_compared"] == apart


def test_difference_to_the_reference_is_paired_by_seed(finished):
    systems = results_of(finished)["systems"]
    for name in SYSTEMS[1:-1]:
        ours = {
            seed: np.array(json.loads((finished / f"scores/{name}-seed{seed}.json").read_text())["test"])
            for seed in systems[name]["seeds"]
        }
        theirs = dict(zip((3, 4), map(np.array, systems["random"]["test"]["per_seed"]), strict=True))
        differences = np.array([ours[seed] - theirs[seed] for seed in ours])
        found = systems[name]["minus"]["random"]
        assert np.allclose(found["per_seed"], differences)
        assert np.allclose(found["mean"], differences.mean(0))
        if len(differences) > 1:
            half = stats.sem(differences, axis=0) * stats.t.ppf(0.975, len(differences) - 1)
            assert np.allclose(found["interval"], half)


def own_features(arrays, images, statistics, patch):
    """Mean features of both layers, image by image and patch by patch, by torch's own functions."""
    found = []
    for image in images.pixels[:, 0]:
        top, left = (image.shape[0] - 24) // 2, (image.shape[1] - 24) // 2
        crop = torch.tensor(image[top : top + 24, left : left + 24] / 255.0, dtype=torch.float32)
        crop = (crop - statistics.mean[0]) / statistics.std[0]
        starts = range(0, 24 - patch + 1, 4)
        x = torch.stack([crop[None, y : y + patch, x : x + patch] for y in starts for x in starts])
        a = torch.max_pool2d(torch.conv2d(x, arrays["a.w_ff"], arrays["a.bias"], padding=1).relu(), 2)
        b = torch.conv2d(a, arrays["b.w_ff"], arrays["b.bias"], padding=1).relu()
        found.append([layer.mean((0, 2, 3)).numpy() for layer in (a, b)])
    return [np.array(each) for each in zip(*found, strict=True)]


@pytest.mark.parametrize(("name", "patch"), [("random", 8), ("clapp", 8), ("views", 24)])
def test_accuracies_equal_those_of_an_independent_readout(name, patch, finished, experiment):
    """The encoder is torch's own, on patches or, for views, on the whole crop; scikit-learn reads it out."""
    data = ImageData("npz", str(experiment.parent), crop=24, patch=8, stride=4, validation_per_class=6)
    images = load(data)
    (path,) = (finished.parent / "trained").glob(f"{name}-seed3-*.safetensors")
    arrays, parts = load_file(path), ("training", "validation", "test")
    features = {part: own_features(arrays, getattr(images, part), images.statistics, patch) for part in parts}
    labels = {part: getattr(images, part).labels for part in parts}
    for layer in range(2):
        seen = {part: features[part][layer].astype(np.float64) for part in parts}
        fits = [
            make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=100)).fit(
                seen["training"], labels["training"]
            )
            for strength in (0.003, 0.03, 0.3)
        ]
        best = max(fits, key=lambda fit: fit.score(seen["validation"], labels["validation"]))
        found = results_of(finished)["systems"][name]
        for part in ("validation", "test"):
            expected = 100 * best.score(seen[part], labels[part])
            assert found[part]["per_seed"][0][layer] == pytest.approx(expected)


def test_trained_weights_have_moved_and_random_ones_have_not(finished, experiment):
    run = SystemsRun(finished)
    for row, seed in run.jobs:
        start = dict(run.learner(row, seed).network.named_arrays())
        found = load_file(run.kept(row, seed))
        for array_name, array in start.items():
            assert torch.equal(found[array_name], array) == (row.name == "random"), (row.name, array_name)


def test_systems_of_a_seed_start_from_one_encoder(finished):
    run = SystemsRun(finished)
    first = dict(run.learner(run.experiment.systems[0], 3).network.named_arrays())
    for row in run.experiment.systems[1:]:
        other = dict(run.learner(row, 3).network.named_arrays())
        assert all(torch.equal(other[name], array) for name, array in first.items() if name.endswith("w_ff"))


def test_resuming_a_finished_run_does_nothing(finished, experiment, capsys):
    before = files_of(finished.parent)
    assert main(["run", str(experiment), "--out", str(finished), "--resume"]) == 0
    assert "train: done already" in capsys.readouterr().err
    assert files_of(finished.parent) == before


def test_a_run_beside_another_shares_its_trained_systems(finished, experiment, capsys):
    folder, trained = finished.parent / "beside", finished.parent / "trained"
    before = files_of(trained)
    assert main(["run", str(experiment), "--out", str(folder)]) == 0
    assert "Random" in capsys.readouterr().out
    assert files_of(trained) == before
    ours, theirs = results_of(folder), results_of(finished)
    assert without_cost(ours) == without_cost(theirs)
    for name in SYSTEMS:  # what training has cost is told also where it was done elsewhere
        assert ours["systems"][name]["cpu_minutes"] == theirs["systems"][name]["cpu_minutes"]


def test_systems_learn_anew_from_a_file_that_was_changed_in_place(tmp_path):
    """The third time nothing was written, and the name of the trained weights stays."""
    draw = np.random.default_rng(1)
    path = tmp_path / "images.npz"

    def write():
        training, test = stripes(60, draw), stripes(30, draw)
        parts = {"training_images": training[0], "training_labels": training[1]}
        np.savez(path, **parts, test_images=test[0], test_labels=test[1])

    (tmp_path / "model.toml").write_text(MODEL)
    (tmp_path / "small.toml").write_text(EXPERIMENT.format(folder=tmp_path))
    experiment, _ = load_systems(str(tmp_path / "small.toml"), {})
    names = []
    for change in (write, write, lambda: None):
        change()
        run = SystemsRun(tmp_path / "run")
        run.__dict__["experiment"] = experiment
        names.append(run.kept(experiment.systems[1], 3))
    assert names[0] != names[1]
    assert names[1] == names[2]


def test_a_system_is_compared_with_what_it_names_and_the_others_with_the_experiments(experiment, tmp_path):
    settings = [
        "seeds=[3]",
        "recipe.updates=1",
        'figures=["accuracy", "layers"]',
        "systems.supervised.seeds=[4]",
        'against=["random", "clapp"]',
        "systems.split.against=cpc",
        "systems.views.against=[]",
    ]
    arguments = [part for setting in settings for part in ("--set", setting)]
    folder = tmp_path / "run"
    assert main(["run", str(experiment), "--out", str(folder), *arguments]) == 0
    systems = results_of(folder)["systems"]
    assert {name: list(one["minus"]) for name, one in systems.items()} == {
        "random": ["clapp"],
        "clapp": ["random"],
        "supervised": [],
        "cpc": ["random", "clapp"],
        "split": ["cpc"],
        "views": [],
    }
    unpaired = dict.fromkeys(("random", "clapp"), "they have no seed in common")
    assert systems["supervised"]["not_compared"] == unpaired
    assert systems["views"]["not_compared"] == {}
    tested = {name: np.array(one["test"]["per_seed"][0]) for name, one in systems.items()}
    for name, reference in (("cpc", "clapp"), ("cpc", "random"), ("split", "cpc"), ("random", "clapp")):
        found = systems[name]["minus"][reference]["mean"]
        np.testing.assert_allclose(found, tested[name] - tested[reference], atol=1e-9)


def test_what_an_inherited_experiment_is_compared_with_is_taken_where_it_is_listed(tmp_path):
    def of(base, *names, own=""):
        path = tmp_path / "mine.toml"
        rows = "".join(f'[[systems]]\nname = "{name}"\n' for name in names)
        path.write_text(f'title = "mine"\nlike = "{base}"\n{own}\n{rows}')
        found, _ = load_systems(str(path), {"scale": "small"})
        return {row.name: found.references_of(row) for row in found.systems}

    assert of("table1", "clapp", "cpc") == {"clapp": {}, "cpc": {}}
    assert of("table1", "random", "cpc") == {"random": {}, "cpc": {"random": ""}}
    assert of("weight_transport", "clapp", "clapp_split") == {"clapp": {}, "clapp_split": {"clapp": ""}}
    assert of("table1", "clapp", "cpc", own='against = "cpc"') == {"clapp": {"cpc": ""}, "cpc": {}}
    alone = of("table4", "random", "gim", "gim_resnet50")
    assert alone == {"random": {}, "gim": {"random": ""}, "gim_resnet50": {"random": "their layers differ"}}


@pytest.mark.parametrize("scale", ["small", "paper"])
@pytest.mark.parametrize(
    "name", ["table1", "table4", "table5", "weight_transport", "clapp_plus_plus", "figure3", "photographs"]
)
def test_every_trained_system_is_compared_with_its_own_random_encoder(name, scale):
    """The random encoder has the same layers and width, and sees images in the same way."""
    experiment, _ = load_systems(name, {"scale": scale})
    rows = {row.name: row for row in experiment.systems}
    for row in experiment.systems:
        found = experiment.references_of(row)
        assert not any(found.values()), row.name
        own = [other for other in found if rows[other].learns == "nothing"]
        assert len(own) == (row.learns != "nothing"), row.name
        for other in own:
            mine, its = experiment.network(row), experiment.network(rows[other])
            assert (mine.scaled_layers, mine.input) == (its.scaled_layers, its.input)


def test_a_random_encoder_of_another_width_is_not_subtracted():
    experiment, _ = load_systems("table1", {"scale": "small", "systems.clapp.width": "0.25"})
    (clapp,) = (row for row in experiment.systems if row.name == "clapp")
    assert experiment.references_of(clapp) == {"random": "that random encoder has another width"}


def test_a_fold_divides_scores_and_what_learns_from_labels_alone(tmp_path):
    kept, scores = {}, {}
    for fold in (None, 0, 3):
        experiment, _ = load_systems("table1", {} if fold is None else {"data.fold": str(fold)})
        run = SystemsRun(tmp_path / "run")
        run.__dict__["experiment"] = experiment
        for row in experiment.systems:
            kept.setdefault(row.name, []).append(run.kept(row, 0))
            scores.setdefault(row.name, []).append(run.shared_score(row, 0))
            data = experiment.trained_on(row)["data"]
            assert ("fold" in data) == (fold is not None and row.learns == "labels")
    for name, paths in kept.items():
        assert len(set(paths)) == (3 if "supervised" in name else 1), name
    assert all(len(set(paths)) == 3 for paths in scores.values())


def test_a_published_figure_of_a_layer_that_is_not_there_is_refused(experiment, tmp_path, capsys):
    path = tmp_path / "wrong.toml"
    path.write_text(experiment.read_text() + "[systems.published_layers]\nc = 50.0\n")
    assert_refused(
        ["run", str(path), "--out", str(tmp_path / "run")], "must be one of a, b", tmp_path / "run", capsys
    )


def test_settings_hold_at_every_level(experiment, tmp_path):
    settings = [
        "scale=long",
        "seeds=[7]",
        'figures=["loss"]',
        "recipe.learning_rate=1e-3",
        "systems.clapp.recipe.updates=3",
        "systems.cpc.recipe.updates=2",
        "systems.split.recipe.updates=2",
        "systems.supervised.recipe.updates=2",
        "systems.supervised.seeds=[7]",
        "systems.views.recipe.updates=1",
    ]
    arguments = [part for setting in settings for part in ("--set", setting)]
    folder = tmp_path / "run"
    assert main(["run", str(experiment), "--out", str(folder), *arguments]) == 0
    results = results_of(folder)
    assert results["scale"] == "long"
    updates = {"random": 0, "clapp": 3, "supervised": 2, "cpc": 2, "split": 2, "views": 1}
    assert {name: one["updates"] for name, one in results["systems"].items()} == updates
    assert all(one["seeds"] == [7] for one in results["systems"].values())
    for row in SystemsRun(folder).experiment.systems:
        assert row.recipe.learning_rate == 1e-3
    assert [path.name for path in (folder / "figures").iterdir()] == ["loss.png"]


@pytest.mark.parametrize(
    ("settings", "updates"),
    [
        ({}, {"clapp": 12, "cpc": 12}),
        ({"scale": "long"}, {"clapp": 60, "cpc": 40}),
        ({"recipe.updates": "7"}, {"clapp": 7, "cpc": 7}),
        ({"scale": "long", "recipe.updates": "7"}, {"clapp": 7, "cpc": 7}),
        ({"recipe.updates": "7", "systems.clapp.recipe.updates": "8"}, {"clapp": 8, "cpc": 7}),
        ({"scale": "long", "systems.cpc.recipe.updates": "8"}, {"clapp": 60, "cpc": 8}),
    ],
)
def test_settings_of_one_system_go_before_those_of_all_and_these_before_the_scale(
    settings, updates, experiment
):
    found, _ = load_systems(str(experiment), settings)
    assert {row.name: row.recipe.updates for row in found.systems if row.name in updates} == updates


SETTINGS = [
    ("systems.clapp.modules=[1]", "small.toml: system 'clapp': modules = [1] count 1 layers of 2"),
    ("systems.clapp.colour=1", "small.toml: systems.1.colour = 1: unknown key"),
    ("systems.clap.recipe.updates=3", "--set: systems.clap.recipe.updates = '3': must be systems.NAME.KEY"),
    ("systems.clapp=3", "--set: systems.clapp = '3': must be systems.NAME.KEY"),
    ("systems=3", "small.toml: systems = 3: must be tables, each under [[systems]]"),
    ("recipe=3", "small.toml: systems.0.recipe = 3"),
    ("recipe.updates=0", "small.toml: systems.0.recipe.updates = 0: should be greater than 0"),
    ("recipe.precision=half", "small.toml: systems.0.recipe.precision = 'half'"),
    ("recipe.columns=9", "recipe.columns = 9: the grid of patches has 5"),
    ("recipe.batch=1000", "npz: batch = 1000: must be 1 to 42"),
    ("contrast.skip=9", "systems.clapp = 'CLAPP': a grid of 5 x 2 places has none 10 rows below another"),
    ("systems.cpc.contrast.pairs=either", "loss = 'info_nce' compares a positive with its negatives"),
    ("systems.views.contrast.blocks=[5, 1]", "contrast.blocks = 5 does not divide the map of 'a', 12 x 12"),
    ("systems.views.contrast.blocks=[1]", "must have one entry for each of the 2 modules"),
    ("scale=huge", "small.toml: scale = 'huge': must be one of short, long"),
    ("seeds=[]", "seeds = [] must be one or more different numbers"),
    ("seeds=[1, 1]", "seeds = [1, 1] must be one or more different numbers"),
    ("systems.clapp.seeds=[2, 2]", "seeds = [2, 2] must be one or more different numbers"),
    ("kind=worlds", "small.toml: kind = 'worlds'"),
    ("model=vgg7", "models: name = 'vgg7': no such entry"),
    ("systems.cpc.model=nowhere.toml", "nowhere.toml: no such file"),
    ("against=nobody", "small.toml: against = 'nobody': must be one of random, clapp, supervised, cpc,"),
    ("against=['clapp', 'nobody']", "small.toml: against = 'nobody': must be one of random, clapp"),
    ("systems.cpc.against=nobody", "small.toml: system 'cpc': against = 'nobody': must be one of random"),
    ("systems.cpc.against=cpc", "small.toml: system 'cpc': against = 'cpc': this is the system itself"),
    ("systems.views.against=clapp", "system 'views': against = 'clapp': they see 24x24 and 8x8 pixels"),
    ("systems.clapp.against=views", "system 'clapp': against = 'views': they see 8x8 and 24x24 pixels"),
    ("recipe.learning_rate=inf", "small.toml: systems.0.recipe.learning_rate = inf: should be a finite"),
    ("recipe.prediction_rate=inf", "systems.0.recipe.prediction_rate = inf: should be a finite number"),
    ("recipe.learning_rate=nan", "systems.0.recipe.learning_rate = nan: should be a finite number"),
    ("recipe.epochs=inf", "systems.0.recipe.epochs = inf: should be a finite number"),
    ("recipe.warmup=inf", "systems.0.recipe.warmup = inf: should be a finite number"),
    ("recipe.gain=inf", "systems.0.recipe.gain = inf: should be a finite number"),
    ("width=inf", "small.toml: width = inf: should be a finite number"),
    ("probe.learning_rate=inf", "small.toml: probe.learning_rate = inf: should be a finite number"),
    ("in_time.recurrent_rate=inf", "systems.0.in_time.recurrent_rate = inf: should be a finite number"),
    ("systems.random.published=inf", "systems.0.published = inf: should be a finite number"),
    ("data.fold=0", "'npz' has no folds, only 'stl10' has; leave it out"),
    ("data.path=nowhere", "nowhere/images.npz: no such file"),
    ("data.crop=64", "images.npz: crop = 64: the images have 28x26 pixels"),
    ("data.patch=32", "data = "),
    ("data.validation_per_class=20", "images.npz: validation_per_class = 20: class '0' has 20"),
    ("data.name=stl11", "small.toml: data.name = 'stl11'"),
    ("figures=['accuracies']", "small.toml: figures.0 = 'accuracies'"),
    ("probe.kind=knn", "small.toml: probe.kind = 'knn'"),
]


@pytest.mark.parametrize(("setting", "message"), SETTINGS, ids=[setting for setting, _ in SETTINGS])
def test_a_wrong_value_gets_one_line_and_exit_code_2(
    setting, message, experiment, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert_refused(["run", str(experiment), "--set", setting], message, tmp_path, capsys)


TABLES = {
    "scales = 3": "wrong.toml: scales = 3: must be a table",
    "scale = 's'\nscales.s = 3": "wrong.toml: s = 3: must be a table",
    "scale = 's'\n[scales.s.rows.x]": "wrong.toml: rows.x = 'x': no such system; known:",
    "recipe = 3": "wrong.toml: recipe = 3: must be a table",
    "systems = 3": "wrong.toml: systems = 3: must be tables",
    "systems = [3]": "wrong.toml: systems = [3]: must be tables",
    "systems = [{name = 'x', recipe = 3}]": "wrong.toml: recipe = 3: must be a table",
    "like = 3": "wrong.toml: like = 3: must be the name of an experiment",
    "like = 'wrong.toml'": "wrong.toml: like = 'wrong.toml': leads back to where it started",
    "like = 'tabel1'": "did you mean 'table1'?",
    "title = 'x'": "wrong.toml: scale = ",
    "title = ": "wrong.toml: not a TOML file",
}


@pytest.mark.parametrize("text", TABLES)
def test_a_wrong_file_gets_one_line_and_exit_code_2(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("wrong.toml").write_text(f'kind = "systems"\n{text}\n')
    assert main(["run", "wrong.toml"]) == 2
    error = capsys.readouterr().err.strip()
    assert TABLES[text] in error
    assert error.count("\n") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.toml"]


def test_systems_have_no_spikes_to_simulate(finished, capsys):
    before = files_of(finished)
    for step in ("simulate", "export", "lava"):
        assert main([step, str(finished)]) == 2
        error = capsys.readouterr().err.strip()
        assert f"experiment.toml: a run of this kind has no step {step!r}" in error
        assert "train, compare, plot" in error
        assert error.count("\n") == 0
    assert files_of(finished) == before


def test_a_step_says_which_one_must_come_before(experiment, tmp_path, capsys):
    folder = tmp_path / "run"
    _, table = KINDS["systems"].folder.resolve(str(experiment), {}, experiment)
    SystemsRun.create(folder, tomli_w.dumps(table), resume=False)
    assert main(["compare", str(folder)]) == 2
    assert "step 'train' is not done; run: neuroclapp train" in capsys.readouterr().err
    assert main(["plot", str(folder)]) == 2
    assert "results.json: no such file; run: neuroclapp compare" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["experiment.toml"]


def one_system(experiment, folder, *settings):
    """A run of CLAPP alone with one seed."""
    path = folder / "one.toml"
    rows = '[[systems]]\nname = "clapp"\n'
    path.write_text(f'title = "one"\nlike = "{experiment}"\nseeds = [3]\nfigures = ["loss"]\n{rows}')
    return [str(path), "--out", str(folder / "runs" / "one"), *settings]


def test_a_broken_checkpoint_ends_the_run_in_one_line(experiment, tmp_path, capsys):
    arguments = one_system(experiment, tmp_path)
    assert main(["run", *arguments]) == 0
    (path,) = (tmp_path / "runs" / "trained").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-7])
    capsys.readouterr()
    assert main(["run", *arguments]) == 2
    *_, error = capsys.readouterr().err.strip().splitlines()
    assert f"{path}: not a checkpoint" in error


def test_losses_that_grow_without_bound_end_the_run_in_one_line(experiment, tmp_path, capsys):
    assert main(["run", *one_system(experiment, tmp_path, "--set", "recipe.learning_rate=1e30")]) == 2
    *_, error = capsys.readouterr().err.strip().splitlines()
    assert "learning_rate = 1e+30 may be too large" in error
    assert not list((tmp_path / "runs").glob("trained/*"))
    assert not (tmp_path / "runs" / "one" / "results.json").exists()


def test_experiments_are_listed(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in catalog.names("experiments"):
        assert any(line.split()[:1] == [name] and len(line.split()) > 1 for line in lines), name


def shipped():
    """Every experiment of image systems in the catalogue, at each of its scales."""
    for name in catalog.names("experiments"):
        path = catalog.find("experiments", name)
        if kind_of(path) is KINDS["systems"]:
            for scale in inherit(catalog.read_toml(path), path).get("scales", {}) or [None]:
                yield pytest.param(name, scale, id=f"{name}-{scale}")


@pytest.mark.parametrize(("name", "scale"), list(shipped()))
def test_every_shipped_experiment_fits_together_at_every_scale(name, scale):
    settings = {} if scale is None else {"scale": scale}
    experiment, table = load_systems(name, settings)
    check(experiment, name)
    assert scale in (None, experiment.scale)
    assert "scales" not in table
    for row in experiment.systems:
        assert row.title
        assert experiment.seeds_of(row)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_run_resumes_to_the_same_bits(experiment, finished, tmp_path):
    """Kill the whole process group at random moments, resume until it is done, compare every array."""
    folder, draw = tmp_path / "runs" / "killed", np.random.default_rng(int(time.time()))
    command = [sys.executable, "-m", "neuroclapp", "run", str(experiment), "--out", str(folder), "--resume"]
    for attempt in range(6):
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=None if attempt == 5 else draw.uniform(3, 9))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0
    ours, theirs = trained_in(folder.parent), trained_in(finished.parent)
    assert set(ours) == set(theirs)
    for name, arrays in theirs.items():
        assert set(ours[name]) == set(arrays)
        assert all(torch.equal(ours[name][key], array) for key, array in arrays.items()), name
    assert without_cost(results_of(folder)) == without_cost(results_of(finished))

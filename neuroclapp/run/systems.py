"""A run of image systems: every system trained with every seed, read out, and compared.

experiment.toml        the experiment, resolved
scores/SYSTEM-seedN.json   accuracy by layer, losses and cost of one trained system
results.json figures/ report.html
../trained/            trained systems by what they depend on: runs side by side share them
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from .. import __version__, catalog
from ..analysis.measures import summarise
from ..analysis.probe import probe
from ..data.images import ImageData, ImageSet, load
from ..data.patches import Batches, survey
from ..data.views import Views
from ..errors import InputError, RunError
from ..files import read_json, write_json
from ..network import Layer
from ..objective import head, parameters
from ..rate.modular import initial
from ..rate.pairs import groups
from ..rate.patchnet import PatchNetwork
from ..rate.training import Batched, Learner, features, train
from ..systems import Row, SystemsExperiment, digest, read_systems, reason
from .folder import RunFolder
from .parallel import Report, side_by_side
from .versions import versions

#: Images whose features are computed at once.
SURVEY = 32

#: Types of weights and of activities by the recipe's precision.
_DTYPES = {
    "float32": (torch.float32, torch.float32),
    "bfloat16": (torch.float32, torch.bfloat16),
    "float64": (torch.float64, torch.float64),
}


class SystemsRun(RunFolder):
    """The run of a table of systems; the data are read when first asked for."""

    products = {  # noqa: RUF012
        "train": (),
        "compare": ("scores", "results.json"),
        "plot": ("figures", "report.html"),
    }

    @cached_property
    def experiment(self) -> SystemsExperiment:
        path = self.folder / "experiment.toml"
        if not path.is_file():
            raise RunError(
                f"{self.folder}: not a run's directory (no experiment.toml); make one with neuroclapp run"
            )
        return read_systems(path)

    @cached_property
    def images(self) -> ImageSet:
        return images_of(self.experiment.data)

    @property
    def jobs(self) -> list[tuple[Row, int]]:
        """Every system with each of its seeds."""
        return [(row, seed) for row in self.experiment.systems for seed in self.experiment.seeds_of(row)]

    def kept(self, row: Row, seed: int) -> Path:
        """Return the file of a trained system; what it depends on is in its name."""
        name = digest({**self.experiment.trained_on(row), "version": __version__}, seed)
        return self.folder.parent / "trained" / f"{row.name}-seed{seed}-{name}.safetensors"

    def score(self, row: Row, seed: int) -> Path:
        return self.folder / "scores" / f"{row.name}-seed{seed}.json"

    def shared_score(self, row: Row, seed: int) -> Path:
        """Return where the same score is kept for other runs; the probe is in its name."""
        kept = self.kept(row, seed)
        return kept.with_name(f"{kept.stem}-{digest(asdict(self.experiment.probe), seed)}.json")

    def check(self) -> None:
        """Raise where the experiment's parts do not exist or do not fit together."""
        check(self.experiment)

    def learner(self, row: Row, seed: int) -> Learner:
        """Return a system as it is before training."""
        network, classes = self.experiment.network(row), len(self.images.classes)
        arrays = initial(network, row.system, classes, seed, row.recipe.gain)
        types = _DTYPES[row.recipe.precision]
        return Learner(PatchNetwork(network, row.system, arrays, classes, *types), row.recipe)

    def batches(self, row: Row, seed: int) -> Batched:
        """Return what a system learns from: labelled images where it needs labels, else the unlabelled."""
        images, data, recipe = self.images, seen(self.experiment, row), row.recipe
        part = images.training if row.learns == "labels" else images.unlabelled
        views = row.contrast.task == "views"
        if row.learns == "contrast" and views:
            augmentation = self.experiment.augmentation
            return Views(part, data, images.statistics, recipe.batch, seed, augmentation)
        columns = None if views else recipe.columns or None
        return Batches(part, data, images.statistics, recipe.batch, seed, columns)


def seen(experiment: SystemsExperiment, row: Row) -> ImageData:
    """Return the data as a system's encoder takes them: whole crops where it is one for views."""
    data = experiment.data
    return replace(data, patch=data.crop) if row.contrast.task == "views" else data


@lru_cache(maxsize=1)
def images_of(data: ImageData) -> ImageSet:
    """Read a data set once for all that ask for it."""
    return load(data)


def check(experiment: SystemsExperiment) -> None:
    """Raise InputError where the parts of an experiment do not exist or do not fit together."""
    catalog.find("models", experiment.model)
    for row in experiment.systems:
        try:
            parameters(experiment.network(row), row.system, classes=2)
            _check_blocks(experiment, row)
            _check_places(experiment, row)
        except ValueError as error:
            raise InputError(experiment.title, f"systems.{row.name}", row.title, reason(error)) from None


def _check_blocks(experiment: SystemsExperiment, row: Row) -> None:
    network = row.system.cut(experiment.network(row))
    maps = {
        layer.name: shape[1:] for layer, shape in zip(network.scaled_layers, network.shapes[1:], strict=True)
    }
    for index, module in enumerate(network.split()):
        name, blocks = head(module).name, row.system.blocks(index)
        if any(side % blocks for side in maps[name]):
            size = " x ".join(map(str, maps[name]))
            raise ValueError(f"contrast.blocks = {blocks} does not divide the map of {name!r}, {size}")


def _check_places(experiment: SystemsExperiment, row: Row) -> None:
    contrast, recipe, (rows, columns) = row.contrast, row.recipe, experiment.data.grid
    views = contrast.task == "views"
    if row.learns != "nothing" and not views and recipe.columns > columns:
        raise ValueError(f"recipe.columns = {recipe.columns}: the grid of patches has {columns}")
    if row.learns == "contrast":
        if contrast.task == "around" and recipe.columns:
            raise ValueError("task = 'around' needs all columns of patches: recipe.columns = 0")
        if contrast.source != "anywhere" and recipe.batch < 2:
            raise ValueError(f"recipe.batch = {recipe.batch}: source = {contrast.source!r} needs two images")
        groups(contrast, *((2, 1) if views else (rows, recipe.columns or columns)))


def layers(experiment: SystemsExperiment, row: Row) -> tuple[Layer, ...]:
    """Return the encoder's layers, lowest first."""
    return row.system.cut(experiment.network(row)).scaled_layers


def train_systems(run: SystemsRun) -> None:
    """Train every system with every seed that is not trained yet, side by side on all cores."""
    with run.step("train"):
        jobs, total = [], 0
        for row, seed in run.jobs:
            updates = 1 if row.learns == "nothing" else row.recipe.length(run.batches(row, seed).per_epoch)
            jobs.append(partial(_train, run, row, seed, updates))
            total += updates
        if jobs:
            side_by_side(jobs, "training", total)


def _train(run: SystemsRun, row: Row, seed: int, updates: int, report: Report) -> None:
    path, learner = run.kept(row, seed), run.learner(row, seed)
    if row.learns == "nothing":
        if not path.is_file():
            learner.save(path)
    elif trained(path) < updates:
        train(learner, run.batches(row, seed), seed, path, report)
    report(updates)


def trained(path: Path) -> int:
    """Return the number of updates that a checkpoint has behind it; 0 if there is none."""
    if not path.is_file():
        return 0
    try:
        with safe_open(path, framework="np") as file:
            return int((file.metadata() or {})["updates"])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise RunError(f"{path}: not a checkpoint ({error})") from None


def compare_systems(run: SystemsRun) -> dict[str, Any]:
    """Read out every system, write ``results.json``, and return it."""
    if not run.done("train"):
        raise RunError(f"{run.folder}: step 'train' is not done; run: neuroclapp train {run.folder}")
    with run.step("compare"):
        jobs = [partial(_compare, run, row, seed) for row, seed in run.jobs]
        if jobs:
            parts = ("training", "validation", "test")
            images = sum(len(getattr(run.images, part)) for part in parts)
            side_by_side(jobs, "readout", images * len(jobs))
        scores = {
            row.name: [read_json(run.score(row, seed)) for seed in run.experiment.seeds_of(row)]
            for row in run.experiment.systems
        }
    results = {
        "experiment": run.experiment.title,
        "scale": run.experiment.scale,
        "data": run.experiment.data.name,
        "against": run.experiment.against,
        "versions": versions(),
        "cost": run.cost(),
        "systems": {row.name: _summary(run, row, scores) for row in run.experiment.systems},
    }
    write_json(run.folder / "results.json", results)
    return results


def _compare(run: SystemsRun, row: Row, seed: int, report: Report) -> None:
    path, shared = run.score(row, seed), run.shared_score(row, seed)
    if shared.is_file():
        write_json(path, read_json(shared))
    if path.is_file():
        return
    learner = run.learner(row, seed)
    learner.load(run.kept(row, seed))
    found, labels, done = {}, {}, 0
    for part in ("training", "validation", "test"):
        images = getattr(run.images, part)
        shown = survey(images, seen(run.experiment, row), run.images.statistics, SURVEY)
        found[part] = features(learner.network, shown, _from(done, report))
        labels[part] = images.labels
        done += len(images)
    names = [layer.name for layer in learner.network.network.scaled_layers]
    by_layer = {part: dict(zip(names, each, strict=True)) for part, each in found.items()}
    accuracy = {}
    for name in names:
        seen_here = {part: by_layer[part][name] for part in by_layer}
        accuracy[name] = probe(seen_here, labels, run.experiment.probe, seed)
    history = learner.history
    score = {
        "validation": [accuracy[name]["validation"] for name in names],
        "test": [accuracy[name]["test"] for name in names],
        "updates": learner.done,
        "cpu_s": round(history.cpu, 2),
        "wall_s": round(history.wall, 2),
        "waited_s": round(history.waited, 3),
        "loss": history.loss,
        "share": history.share,
    }
    write_json(shared, score)
    write_json(path, score)


def _from(start: int, report: Report) -> Report:
    return lambda count: report(start + count)


def _summary(run: SystemsRun, row: Row, scores: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    mine = scores[row.name]
    seeds = run.experiment.seeds_of(row)
    result: dict[str, Any] = {
        "title": row.title,
        "published": row.published,
        "learns": row.learns,
        "modules": list(row.modules) or [1] * len(layers(run.experiment, row)),
        "model": row.model or run.experiment.model,
        "seeds": list(seeds),
        "layers": [layer.name for layer in layers(run.experiment, row)],
        "test": summarise([score["test"] for score in mine]),
        "validation": summarise([score["validation"] for score in mine]),
        "updates": mine[0]["updates"],
        "cpu_minutes": summarise([score["cpu_s"] / 60 for score in mine]),
        "waited_share": float(np.mean([s["waited_s"] / max(s["wall_s"], 1e-9) for s in mine])),
        "loss": _mean([score["loss"] for score in mine]),
        "share": _mean([score["share"] for score in mine]),
    }
    reference = run.experiment.against
    others = {other.name: other for other in run.experiment.systems}
    if reference in others and reference != row.name:
        its = dict(zip(run.experiment.seeds_of(others[reference]), scores[reference], strict=True))
        pairs = [
            (score, its[seed])
            for seed, score in zip(seeds, mine, strict=True)
            if seed in its and len(its[seed]["test"]) == len(score["test"])
        ]
        if pairs:
            result["minus_reference"] = summarise(
                [(np.array(a["test"]) - np.array(b["test"])).tolist() for a, b in pairs]
            )
    return result


def _mean(histories: list[Any]) -> Any:
    shortest = min(len(history) for history in histories)
    return np.mean([history[:shortest] for history in histories], axis=0).tolist() if shortest else []

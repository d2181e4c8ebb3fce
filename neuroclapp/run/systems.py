"""A run of systems that see or hear: every system trained with every seed, read out, and compared.

experiment.toml        the experiment, resolved
scores/SYSTEM-seedN.json   accuracy by layer, losses and cost of one trained system
results.json figures/ report.html
../trained/            trained systems by what they depend on: runs side by side share them
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open

from .. import __version__, catalog
from ..analysis.measures import summarise
from ..data import OWN
from ..data.published import state_of
from ..errors import InputError, RunError
from ..files import read_json, write_json
from ..rate.devices import place
from ..rate.training import Batched, Learner, before_forks, train
from ..resolve import load_systems, read_systems
from ..systems import Row, SpeechExperiment, SystemsExperiment, digest, reason
from .folder import RunFolder
from .parallel import Job, Report, side_by_side
from .versions import versions


class Material(Protocol):
    """The systems of an experiment, in what they see or hear."""

    @property
    def work(self) -> int: ...

    def load(self) -> None: ...

    def notes(self) -> dict[str, Any]: ...

    def check(self, row: Row) -> None: ...

    def layers(self, row: Row) -> list[str]: ...

    def learner(self, row: Row, seed: int) -> Learner: ...

    def batches(self, row: Row, seed: int) -> Batched: ...

    def read_out(self, row: Row, seed: int, learner: Learner, report: Report) -> dict[str, Any]: ...


class SystemsRun(RunFolder):
    """The run of a table of systems."""

    products = {  # noqa: RUF012
        "train": (),
        "compare": ("scores", "results.json"),
        "plot": ("figures", "report.html"),
    }

    @classmethod
    def resolve(cls, reference: str, settings: Mapping[str, str], source: Path) -> tuple[str, dict[str, Any]]:
        experiment, table = load_systems(reference, settings)
        check(experiment, source)
        found = material(experiment)
        if experiment.systems:
            found.load()
        for row in experiment.systems:
            if row.learns != "nothing":
                found.batches(row, experiment.seeds_of(row)[0])
        return experiment.title, table

    @cached_property
    def experiment(self) -> SystemsExperiment | SpeechExperiment:
        return read_systems(self.file)

    @cached_property
    def material(self) -> Material:
        return material(self.experiment)

    @cached_property
    def own_data(self) -> dict[str, str]:
        """The state of the user's own files: what was learned before they changed is not reused."""
        data = self.experiment.data
        return {"state": state_of(data.folder, OWN[data.name])} if data.name in OWN else {}

    @property
    def jobs(self) -> list[tuple[Row, int]]:
        """Every system with each of its seeds."""
        return [(row, seed) for row in self.experiment.systems for seed in self.experiment.seeds_of(row)]

    def kept(self, row: Row, seed: int) -> Path:
        """Return the file of a trained system; what it depends on is in its name."""
        name = digest({**self.experiment.trained_on(row), **self.own_data, "version": __version__}, seed)
        return self.folder.parent / "trained" / f"{row.name}-seed{seed}-{name}.safetensors"

    def score(self, row: Row, seed: int) -> Path:
        return self.folder / "scores" / f"{row.name}-seed{seed}.json"

    def shared_score(self, row: Row, seed: int) -> Path:
        """Return where the same score is kept for other runs; how it is read out is in its name."""
        kept = self.kept(row, seed)
        return kept.with_name(f"{kept.stem}-{digest(self.experiment.read_out_by(), seed)}.json")

    def check(self) -> None:
        """Raise where the experiment's parts do not exist or do not fit together."""
        check(self.experiment, self.folder / "experiment.toml")

    def learner(self, row: Row, seed: int) -> Learner:
        """Return a system as it is before training."""
        return self.material.learner(row, seed)

    def batches(self, row: Row, seed: int) -> Batched:
        """Return what a system learns from."""
        return self.material.batches(row, seed)


def material(experiment: SystemsExperiment | SpeechExperiment) -> Material:
    """Return the systems of an experiment, in what they see or hear."""
    if isinstance(experiment, SpeechExperiment):
        from .hearing import Hearing

        return Hearing(experiment)
    from .vision import Vision

    return Vision(experiment)


def check(experiment: SystemsExperiment | SpeechExperiment, source: Path) -> None:
    """Raise InputError, which names ``source``, where parts do not exist or do not fit together."""
    catalog.find("models", experiment.model)
    found = material(experiment)
    for row in experiment.systems:
        try:
            found.check(row)
        except ValueError as error:
            raise InputError(source, f"systems.{row.name}", row.title, reason(error)) from None


def train_systems(run: SystemsRun) -> None:
    """Train every system with every seed that is not trained yet, side by side on all cores."""
    with run.step("train"):
        jobs: dict[str, Job] = {}
        total = 0
        for row, seed in run.jobs:
            updates = 1 if row.learns == "nothing" else row.recipe.length(run.batches(row, seed).per_epoch)
            jobs[f"{row.name}, seed {seed}"] = partial(_train, run, row, seed, updates)
            total += updates
        if jobs:
            before_forks()
            side_by_side(jobs, "training", total, run.workers)


def _train(run: SystemsRun, row: Row, seed: int, updates: int, report: Report) -> None:
    path, learner = run.kept(row, seed), run.learner(row, seed)
    place(learner.network)
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
        jobs = {f"{row.name}, seed {seed}": partial(_compare, run, row, seed) for row, seed in run.jobs}
        if jobs:
            before_forks()
            side_by_side(jobs, "readout", run.material.work * len(jobs), run.workers)
        scores = {
            row.name: [read_json(run.score(row, seed)) for seed in run.experiment.seeds_of(row)]
            for row in run.experiment.systems
        }
    results = {
        "experiment": run.experiment.title,
        "scale": run.experiment.scale,
        "data": run.experiment.data.name,
        "against": list(run.experiment.references),
        "versions": versions(),
        "cost": run.cost(),
        "notes": _notes(run, scores),
        "systems": {row.name: _summary(run, row, scores) for row in run.experiment.systems},
    }
    write_json(run.folder / "results.json", results)
    return results


def _notes(run: SystemsRun, scores: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return what a reader must know about the data, with what was found to be broken as it was read out."""
    notes = run.material.notes()
    broken = {tuple(one) for some in scores.values() for score in some for one in score.get("skipped", ())}
    if broken:
        known = [tuple(one) for one in notes.get("skipped", ())]
        notes["skipped"] = [list(one) for one in (*known, *sorted(broken.difference(known)))]
    return notes


def _compare(run: SystemsRun, row: Row, seed: int, report: Report) -> None:
    path, shared = run.score(row, seed), run.shared_score(row, seed)
    if shared.is_file():
        write_json(path, read_json(shared))
    if path.is_file():
        return
    learner = run.learner(row, seed)
    place(learner.network)
    learner.load(run.kept(row, seed))
    found = run.material.read_out(row, seed, learner, report)
    history = learner.history
    score = {
        **found,
        "updates": learner.done,
        "cpu_s": round(history.cpu, 2),
        "wall_s": round(history.wall, 2),
        "waited_s": round(history.waited, 3),
        "loss": history.loss,
        "share": history.share,
    }
    write_json(shared, score)
    write_json(path, score)


def _summary(run: SystemsRun, row: Row, scores: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    mine = scores[row.name]
    seeds = run.experiment.seeds_of(row)
    result: dict[str, Any] = {
        "title": row.title,
        "published": row.published,
        "published_layers": dict(row.published_layers),
        "learns": row.learns,
        "modules": list(row.modules) or [1] * len(run.material.layers(row)),
        "model": (row.model or run.experiment.model) if row.features == "encoder" else None,
        "seeds": list(seeds),
        "layers": run.material.layers(row),
        "test": summarise([score["test"] for score in mine]),
        "validation": summarise([score["validation"] for score in mine]),
        "updates": mine[0]["updates"],
        "cpu_minutes": summarise([score["cpu_s"] / 60 for score in mine]),
        "waited_share": float(np.mean([s["waited_s"] / max(s["wall_s"], 1e-9) for s in mine])),
        "loss": _mean([score["loss"] for score in mine]),
        "share": _mean([score["share"] for score in mine]),
        "besides": {
            key: summarise([score["besides"][key] for score in mine]) for key in mine[0].get("besides", {})
        },
    }
    references = run.experiment.references_of(row)
    result["minus"] = {
        name: _difference(run, row, name, scores) for name, apart in references.items() if not apart
    }
    result["not_compared"] = {name: apart for name, apart in references.items() if apart}
    return result


def _difference(
    run: SystemsRun, row: Row, reference: str, scores: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    """Return a system's accuracies minus those of another, by layer, over the seeds that both have."""
    tested = {
        other.name: {
            seed: np.array(score["test"])
            for seed, score in zip(run.experiment.seeds_of(other), scores[other.name], strict=True)
        }
        for other in run.experiment.systems
        if other.name in (row.name, reference)
    }
    mine, its = tested[row.name], tested[reference]
    return summarise([(mine[seed] - its[seed]).tolist() for seed in mine if seed in its])


def _mean(histories: list[Any]) -> Any:
    shortest = min(len(history) for history in histories)
    return np.mean([history[:shortest] for history in histories], axis=0).tolist() if shortest else []

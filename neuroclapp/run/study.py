"""The run of a study: every condition with every seed, in rates and in spikes.

experiment.toml                       the study
rates/KEY/seedN/*.safetensors         rate worlds; conditions that differ in spikes only share them
rates/KEY/seedN/accuracy.json         raw input, random encoder and rate worlds, read out
conditions/NAME-KEY/seedN.*           weights learned in spikes, spike counts of all images
conditions/NAME-KEY/seedN-*.json      agreement with the rate rule, accuracy
conditions/NAME-KEY/going-*.npz       a condition on its way: where a killed run goes on
results.json figures/ report.html

KEY stands for everything that a world depends on: after a change of the file, ``--resume`` runs what is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from ..data import digits
from ..files import write_text
from ..presentations import Presentations, generator
from ..rate.side_by_side import train_side_by_side
from ..study import Condition, Study, load_study, read_study
from ..weights import Weights, load_weights
from .folder import RunFolder
from .parallel import Job, Report, side_by_side
from .study_worlds import Worlds, check
from .train import DISTURBANCE

Run = TypeVar("Run", bound="StudyRun")


class StudyRun(RunFolder):
    """The directory of a study's run."""

    products = {  # noqa: RUF012
        "train": ("rates",),
        "simulate": ("conditions",),
        "compare": ("rates/*/seed*/accuracy.json", "conditions/*/seed*-accuracy.json", "results.json"),
        "plot": ("figures", "report.html"),
    }

    @classmethod
    def create(cls: type[Run], folder: Path, text: str, resume: bool) -> Run:
        """Start a run, or take up the one that is there, also with conditions changed or added."""
        path = folder / "experiment.toml"
        if resume and path.is_file() and path.read_text(encoding="utf-8") != text:
            write_text(path, text)
        return super().create(folder, text, resume)

    @classmethod
    def resolve(cls, reference: str, settings: Mapping[str, str], source: Path) -> tuple[str, dict[str, Any]]:
        study, table = load_study(reference, settings)
        check(study, source)
        return study.title, table

    @cached_property
    def study(self) -> Study:
        return read_study(self.file)

    @cached_property
    def data(self) -> digits.Split:
        return digits.load()

    def check(self) -> None:
        """Raise where this is not a run's directory, or where a condition does not fit."""
        check(self.study, self.folder / "experiment.toml")

    def worlds(self, condition: Condition) -> Worlds:
        return Worlds(condition.settings, self.data)

    def rates(self, condition: Condition, seed: int) -> Path:
        """Return the folder of a condition's rate worlds."""
        return self.folder / "rates" / condition.rates / f"seed{seed}"

    def of(self, condition: Condition, name: str) -> Path:
        """Return a file of a condition."""
        return self.folder / "conditions" / condition.folder / name

    def rate_weights(self, condition: Condition, seed: int, name: str) -> Weights:
        path = self.rates(condition, seed) / f"{name}.safetensors"
        return load_weights(path, self.worlds(condition).network, condition.settings.context)

    def sharing(self) -> list[tuple[Condition, int]]:
        """Return one condition and seed for each pair of rate worlds."""
        found: dict[tuple[str, int], tuple[Condition, int]] = {}
        for condition in self.study.conditions:
            for seed in condition.settings.seeds:
                found.setdefault((condition.rates, seed), (condition, seed))
        return list(found.values())

    def waiting(self, pattern: str) -> list[tuple[Condition, tuple[int, ...]]]:
        """Return each condition that has seeds without a file ``pattern``, and these seeds."""
        found = []
        for condition in self.study.conditions:
            seeds = [
                seed
                for seed in condition.settings.seeds
                if not self.of(condition, pattern.format(seed)).is_file()
            ]
            if seeds:
                found.append((condition, tuple(seeds)))
        return found


def train_study(run: StudyRun) -> None:
    """Train all rate worlds that are not trained yet, and each once more with 0.1 % input noise."""
    with run.step("train"):
        waiting: dict[str, tuple[Condition, list[int]]] = {}
        for condition, seed in run.sharing():
            if not (run.rates(condition, seed) / "rate_disturbed.safetensors").is_file():
                waiting.setdefault(condition.rates, (condition, []))[1].append(seed)
        jobs: dict[str, Job] = {
            condition.name: partial(train_rates, run.folder.absolute(), condition.name, tuple(seeds))
            for condition, seeds in waiting.values()
        }
        if jobs:
            total = sum(condition.settings.presentations for condition, _ in waiting.values())
            side_by_side(jobs, "rate networks", total, run.workers)


def train_rates(folder: Path, name: str, seeds: Sequence[int], report: Report) -> None:
    """Train the rate worlds of a condition, those of these seeds side by side: a job of its own."""
    run = StudyRun(folder)
    condition = run.study.condition(name)
    worlds, learning = run.worlds(condition), condition.settings.learning
    initial = [worlds.initial(seed) for seed in seeds]
    streams = [worlds.stream(seed) for seed in seeds]
    disturbed = []
    for seed, stream in zip(seeds, streams, strict=True):
        factor = 1 + DISTURBANCE * generator(seed, "disturbance").standard_normal(stream.inputs.shape)
        disturbed.append(Presentations(stream.inputs * factor, stream.sign, stream.image))
    trained = train_side_by_side(
        worlds.network,
        [*initial, *initial],
        [*streams, *disturbed],
        learning.eta,
        learning.eta_pred,
        condition.settings.context,
        report,
    )
    for number, seed in enumerate(seeds):
        folder = run.rates(condition, seed)
        initial[number].save(folder / "initial.safetensors")
        trained[number].save(folder / "rate.safetensors")
        trained[number + len(seeds)].save(folder / "rate_disturbed.safetensors")

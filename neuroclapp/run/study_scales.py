"""Scales of a network in integers, chosen on float runs with seeds of their own and on validation images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.watching import Watch
from ..files import read_json, write_json
from ..onchip.fixed.fit import Ranges, fitted, ranges
from ..onchip.fixed.scales import Scales, with_carries
from ..onchip.fixed.schemes import Scheme
from ..presentations import Presentations, generator
from ..rate.online import train_online
from ..spiking.engine import Simulation
from ..weights import Weights
from .parallel import Report
from .study_chip import ChipSimulator
from .study_worlds import Worlds

#: Presentations at the end of a float run that show how wide updates are, and of a trial that goes on.
TRIED = 2000
#: What is tried of a tag's steps: as fine as its range allows, and half as fine. Finer ones do well in a
#: trial: what their range cuts off is one-sided, and shows only when much more has been learned.
FACTORS = (1.0, 0.5)


@dataclass(frozen=True)
class FloatRuns:
    """What float runs of the seeds for fitting leave: ``ends``, their last weights and presentations."""

    seeds: tuple[int, ...]
    ends: tuple[tuple[Weights, Presentations], ...]
    ranges: Ranges


@dataclass(frozen=True)
class Choice:
    """Scales, and by matrix and tag steps the cosine with the rate rule of what was ``tried``."""

    scales: Scales
    tried: dict[str, dict[int, float]]

    def cosine(self, matrix: str) -> float:
        """Return how well a matrix follows the rate rule with the scales that were chosen."""
        tried = self.tried[matrix]
        return tried.get(self.scales.matrices[matrix].carry, max(tried.values()))

    def document(self, runs: FloatRuns) -> dict[str, Any]:
        """Return all of it as it is kept."""
        return {
            "seeds": list(runs.seeds),
            "ranges": vars(runs.ranges),
            "tried": self.tried,
            "carry": {name: one.carry for name, one in self.scales.matrices.items()},
            "scales": {name: vars(one) for name, one in self.scales.matrices.items()},
        }


def scales_of(worlds: Worlds, path: Path, report: Report = lambda done: None) -> Scales:
    """Return the scales of a condition, chosen on float runs with seeds of their own and kept at ``path``.

    ``report`` is told of how many presentations of `trials` are done.
    """
    wanted = worlds.settings.on_chip
    if path.is_file():
        report(trials(worlds))
        kept = read_json(path)
        scales = fitted(worlds.populations, Ranges(**kept["ranges"]), wanted.scheme, wanted.words)
        return with_carries(scales, kept["carry"], worlds.populations)
    runs = float_runs(worlds)
    choice = choose(worlds, wanted.scheme, runs, report)
    report(trials(worlds))
    write_json(path, choice.document(runs))
    return choice.scales


def trials(worlds: Worlds) -> int:
    """Return how many presentations of the integer simulator it takes to choose a condition's scales."""
    wanted = worlds.settings.on_chip
    return len(_factors(wanted.scheme)) * len(wanted.fit_seeds) * _length(worlds)


def _factors(scheme: Scheme) -> tuple[float, ...]:
    return FACTORS if scheme.accumulate == "carry" else FACTORS[:1]


def _length(worlds: Worlds) -> int:
    return min(TRIED, worlds.settings.presentations)


def float_runs(worlds: Worlds) -> FloatRuns:
    """Let the rate network learn from the streams of the seeds for fitting."""
    seeds, learning, ends = worlds.settings.on_chip.fit_seeds, worlds.settings.learning, []
    for seed in seeds:
        stream, initial = worlds.stream(seed), worlds.initial(seed)
        trained = train_online(
            worlds.network, initial, stream, learning.eta, learning.eta_pred, every=len(stream)
        )
        ends.append((trained.weights, stream[-_length(worlds) :]))
    return FloatRuns(seeds, tuple(ends), ranges(worlds.populations, ends))


def choose(worlds: Worlds, scheme: Scheme, runs: FloatRuns, report: Report = lambda done: None) -> Choice:
    """Choose a scheme's scales.

    The runs' ranges say where the bits go. With ``carry``, tags of several steps are tried: each matrix takes
    the one whose changes follow the rate rule best where float runs go on with validation images.
    """
    wanted = worlds.settings.on_chip
    scales = fitted(worlds.populations, runs.ranges, scheme, wanted.words)
    tried: dict[str, dict[int, float]] = {}
    for number, factor in enumerate(_factors(scheme)):
        carries = {name: int(one.carry * factor) for name, one in scales.matrices.items()}
        if scheme.accumulate == "carry" and not all(
            2 <= carry <= 2 ** (wanted.words.tag - 1) for carry in carries.values()
        ):
            continue
        found = with_carries(scales, carries, worlds.populations)
        before = number * len(runs.seeds) * _length(worlds)
        for name, cosine in _tried(worlds, found, runs, _after(before, report)).items():
            tried.setdefault(name, {}).setdefault(found.matrices[name].carry, cosine)
    chosen = {name: max(cosines, key=lambda carry: cosines[carry]) for name, cosines in tried.items()}
    return Choice(with_carries(scales, {**chosen, **wanted.carry}, worlds.populations), tried)


def _after(before: int, report: Report) -> Report:
    return lambda done: report(before + done)


def _tried(worlds: Worlds, scales: Scales, runs: FloatRuns, report: Report) -> dict[str, float]:
    """Return by matrix how well a chip follows the rate rule from where float runs ended, in the mean."""
    starts, length = [weights for weights, _ in runs.ends], _length(worlds)
    streams = [worlds.trial(seed, length) for seed in runs.seeds]
    chip = ChipSimulator.begin(worlds, runs.seeds, starts, scales)
    watch = Watch(worlds.populations, chip.weights)
    for first in range(0, length, worlds.stretch):
        parts = [stream[first : first + worlds.stretch] for stream in streams]
        watch.begin(parts)
        stretches = chip.run_many([Simulation(*each) for each in zip(parts, starts, strict=True)], watch)
        watch.end([each.record for each in stretches], [generator(0, "shuffle") for _ in stretches])
        report(len(streams) * min(first + worlds.stretch, length))
    found = [watch.summary(number)["accumulated_cosine"] for number in range(len(streams))]
    return {
        f"{layer.name}.{target}": float(np.mean([one[target][n] for one in found]))
        for target in found[0]
        for n, layer in enumerate(worlds.network.layers)
    }

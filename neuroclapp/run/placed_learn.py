"""The steps ``train`` and ``simulate`` of learning at places: the same stream in rates and in spikes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..analysis.measures import cosine, gate_figures
from ..errors import RunError
from ..files import write_json, write_npz
from ..places import Array, Arrays, Presented, Sharing, learn
from .parallel import Job, Report, side_by_side
from .placed import SHARINGS, PlacedRun


def train_placed(run: PlacedRun) -> None:
    """Learn in rates, with both kinds of sharing and every seed."""
    with run.step("train"):
        _learn_all(run, "rate")


def simulate_placed(run: PlacedRun) -> None:
    """Learn in spikes, with both kinds of sharing and every seed; the rule in rates stands beside it."""
    if not run.done("train"):
        raise RunError(f"{run.folder}: step 'train' is not done; run: neuroclapp train {run.folder}")
    with run.step("simulate"):
        _learn_all(run, "spiking")


def _learn_all(run: PlacedRun, kind: str) -> None:
    jobs: dict[str, Job] = {}
    for sharing in SHARINGS:
        for seed in run.experiment.seeds:
            if not run.learned(kind, sharing, seed).is_file():
                jobs[f"{sharing}, seed {seed}"] = partial(_learn, run, kind, sharing, seed)
    side_by_side(jobs, f"learning, {kind}", len(jobs) * run.experiment.presentations, run.workers)


def _learn(run: PlacedRun, kind: str, sharing: Sharing, seed: int, report: Report) -> None:
    stream, rates, weights = run.stream(seed), run.rates(sharing), run.start(sharing, seed)
    beside = run.world("rate", sharing, seed) if kind == "spiking" else None
    world, agreement = run.world(kind, sharing, seed), _Agreement(weights)
    pairs = learn(world, weights, stream, rates.eta, rates.eta_pred, beside)
    for n, (found, other) in enumerate(pairs):
        if other is not None:
            agreement.add(found, other)
        if n % 100 == 99:
            report(n + 1)
    if kind == "spiking":
        figures = agreement.figures(stream.sign.astype(np.float64))
        write_json(run.learned(kind, sharing, seed, "json"), figures)
    write_npz(run.learned(kind, sharing, seed), weights)
    report(len(stream))


class _Agreement:
    """Sums of the changes in spikes and of those that the rule in rates makes of the same weights."""

    def __init__(self, weights: Arrays) -> None:
        self.sums = [{name: np.zeros_like(array) for name, array in weights.items()} for _ in range(2)]
        self.gamma: list[list[list[Array]]] = [[], []]
        self.score: list[list[list[Array]]] = [[], []]

    def add(self, spiking: Presented, rate: Presented) -> None:
        for number, found in enumerate((spiking, rate)):
            for name, change in found.changes.items():
                self.sums[number][name] += change
            self.gamma[number].append(found.gamma)
            self.score[number].append(found.score)

    def figures(self, sign: Array) -> dict[str, Any]:
        """Return accumulated cosines and norm ratios by array, and how gates and scores agree by layer."""
        layers = []
        for index in range(len(self.gamma[0][0])):
            gamma, score = (
                [np.array([each[index] for each in world]) for world in kept]
                for kept in (self.gamma, self.score)
            )
            signs = np.repeat(sign[:, None], gamma[0].shape[1], axis=1)
            flat = [each.ravel() for each in (*gamma, *score)]
            layers.append(gate_figures(signs.ravel(), flat[0], flat[1], flat[2], flat[3]))
        spiking, rate = self.sums
        return {
            "accumulated_cosine": {name: cosine(spiking[name], rate[name]) for name in spiking},
            "norm_ratio": {
                name: float(np.linalg.norm(spiking[name]) / max(np.linalg.norm(rate[name]), 1e-300))
                for name in spiking
            },
            "layers": layers,
        }

"""The step ``train``: the rate world learns from the stream, and once more with 0.1 % input noise."""

from __future__ import annotations

from functools import partial

from ..files import write_npz
from ..presentations import Presentations, generator
from ..rate.online import train_online
from .directory import RunDirectory
from .parallel import Report, side_by_side

#: Weights are kept every so many presentations.
EVERY = 500
DISTURBANCE = 0.001


def train(run: RunDirectory) -> None:
    """Train every seed; write initial, rate and disturbed weights and the rate trajectory."""
    with run.step("train"):
        experiment = run.experiment
        run.check()
        jobs = {f"seed {seed}": partial(_train, run, seed) for seed in experiment.seeds}
        side_by_side(jobs, "rate network", 2 * len(jobs) * experiment.data.presentations, run.workers)


def _train(run: RunDirectory, seed: int, report: Report) -> None:
    experiment, learning = run.experiment, run.experiment.learning
    folder, stream = run.seed(seed), run.stream(seed)
    if (folder / "rate_disturbed.safetensors").is_file():  # the last that is written
        report(2 * len(stream))
        return
    initial = experiment.initial.draw(run.network, generator(seed, "weights"))
    initial.save(folder / "initial.safetensors")
    rate = train_online(
        run.network, initial, stream, learning.eta, learning.eta_pred, every=EVERY, progress=report
    )
    rate.weights.save(folder / "rate.safetensors")
    second = {"score_retro": rate.score_retro, "gamma_retro": rate.gamma_retro}
    second = second if rate.gamma_retro.size else {}
    write_npz(
        folder / "rate.npz",
        {"at": rate.at, "score": rate.score, "gamma": rate.gamma, **second, **rate.snapshots},
    )
    factor = 1 + DISTURBANCE * generator(seed, "disturbance").standard_normal(stream.inputs.shape)
    disturbed = train_online(
        run.network,
        initial,
        Presentations(stream.inputs * factor, stream.sign, stream.image),
        learning.eta,
        learning.eta_pred,
        every=EVERY,
        progress=lambda done: report(len(stream) + done),
    )
    disturbed.weights.save(folder / "rate_disturbed.safetensors")

"""What one presentation costs in each world: CPU time, side by side, as ratios to the rate world.

    python benchmarks/cost_per_presentation.py [--repeats 5]

The network and stream are the quickstart's. Each repeat runs the worlds one after the other, so that a busy
machine slows all of them; the table gives medians over repeats.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from pathlib import Path

import torch

from neuroclapp.experiment import load_experiment
from neuroclapp.presentations import Presentations, generator
from neuroclapp.rate.online import train_online
from neuroclapp.run.directory import RunDirectory
from neuroclapp.spiking.simulation import CompiledNetwork
from neuroclapp.spiking.standalone import scratch
from neuroclapp.spiking.state import rest

PRESENTATIONS = 500


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return user and system time of this process and its children."""
    before = os.times()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)

    run = RunDirectory(Path())
    run.__dict__["experiment"] = experiment = load_experiment("quickstart")[0]
    stream: Presentations = run.stream(0)[:PRESENTATIONS]
    weights = experiment.initial.draw(run.network, generator(0, "weights"))
    learning, start = experiment.learning, rest(run.populations)
    with scratch() as folder:
        compiled = CompiledNetwork(run.populations, PRESENTATIONS, folder)
        worlds: dict[str, Callable[[], object]] = {
            "rate, learning": lambda: train_online(
                run.network, weights, stream, learning.eta, learning.eta_pred
            ),
            "Brian2 C++, learning": lambda: compiled.run(stream, weights, start),
            "Brian2 C++, inference": lambda: compiled.run(stream, weights, start, learn=False),
        }
        times: dict[str, list[float]] = {name: [] for name in worlds}
        for _ in range(repeats):
            for name, work in worlds.items():
                times[name].append(cpu_seconds(work) / PRESENTATIONS)
    reference = times["rate, learning"]
    print(f"{'':24s}{'CPU ms':>10s}{'ratio':>10s}   (medians of {repeats}; ratio to the rate world)")
    for name, each in times.items():
        ratio = statistics.median(a / b for a, b in zip(each, reference, strict=True))
        print(f"{name:24s}{1000 * statistics.median(each):10.3f}{ratio:10.2f}")
    print(f"compiling took {compiled.build_seconds:.1f} s")


if __name__ == "__main__":
    main()

"""What checkpoints and recording cost, and the memory that a recording takes beside the one that was stated.

    python benchmarks/long_run.py

Time: the quickstart's network learns in the engine, with and without, in turns. Memory: layers of 1024 units,
all weights recorded, and a simulator that does nothing, so that what grows is the recording's; the largest
resident memory of a process, less that of one that does not record.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuroclapp.experiment import load_experiment
from neuroclapp.network import load_network
from neuroclapp.presentations import Presentations, fixations, generator
from neuroclapp.run.directory import populations_of
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.long_run import simulate
from neuroclapp.spiking.populations import Populations
from neuroclapp.spiking.recording import ALL, Recording, synapses
from neuroclapp.spiking.state import LayerRecord, Record, Stretch
from neuroclapp.weights import Weights

UNITS = 1024


def quickstart(presentations: int) -> tuple[Populations, Presentations, Weights]:
    """Return the quickstart's populations, stream and initial weights, of seed 0."""
    experiment, _ = load_experiment("quickstart")
    network = load_network(experiment.model)
    made = populations_of(experiment, network, Path("quickstart"))
    draw = generator(0, "images")
    images = draw.random((500, made.input.units // 2))
    stream = fixations(images, images.mean(0), presentations, experiment.data.glimpse, generator(0, "stream"))
    return made, stream, experiment.initial.draw(network, generator(0, "weights"))


def times(presentations: int, repeats: int) -> None:
    """Print the time of each way to run, as the median of ``repeats`` in turns, and its spread."""
    made, stream, weights = quickstart(presentations)
    engine = Engine(made)
    some = {name: synapses(array, 100, generator(0, name)) for name, array in weights.items()}
    every = dict.fromkeys(weights)

    def kept(every: int, recording: Recording | None = None) -> None:
        with tempfile.TemporaryDirectory() as folder:
            simulate(engine, stream, weights, Path(folder), every, recording)

    ways = {
        "one call": lambda: engine.run(stream, weights),
        "checkpoint every 500": lambda: kept(500),
        "checkpoint every 50": lambda: kept(50),
        "every 500, 100 synapses of each matrix every 10": lambda: kept(500, Recording(some, 10)),
        "every 500, all weights every 10": lambda: kept(500, Recording(every, 10)),
        "every 500, all weights every 500, all activity": lambda: kept(500, Recording(every, 500, ALL)),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            found[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    base = np.median([cpu for cpu, _ in found["one call"]])
    print(f"{presentations} presentations, median of {repeats}; ms of CPU per presentation (least, most)")
    for name, each in found.items():
        took = [one for one, _ in each]
        ms = 1000 * np.array([np.median(took), min(took), max(took)]) / presentations
        print(
            f"{name:50s} {ms[0]:.3f} ({ms[1]:.3f}, {ms[2]:.3f})  {100 * (np.median(took) / base - 1):+.1f} %"
        )


class Still:
    """A simulator that does nothing: its populations are the quickstart's with wider layers."""

    def __init__(self, made):
        layers = [replace(layer, soma=replace(layer.soma, units=UNITS)) for layer in made.layers]
        self.populations = replace(made, layers=tuple(layers), input=replace(made.input, units=UNITS))
        rng = np.random.default_rng(0)
        self.weights = Weights({f"{layer.name}.w_ff": rng.random((UNITS, UNITS)) for layer in layers})

    def run(self, stream, weights, state, learn, control, drawn):
        count = len(stream)
        zeros = np.zeros((count, UNITS))
        layer = LayerRecord(zeros, zeros, np.zeros(count), np.zeros((count, 2)))
        return Stretch(Record(zeros, [layer] * len(self.populations.layers)), self.weights, state)


def child(presentations: int, memory: float) -> None:
    """Record with a stated ``memory`` [MB] (0: do not) and print the largest resident memory [MB]."""
    still = Still(quickstart(2)[0])
    nothing = np.broadcast_to(0.0, (presentations, UNITS))
    stream = Presentations(nothing, np.zeros(presentations, np.int8), np.arange(presentations))
    recording = Recording(dict.fromkeys(still.weights), 20, ALL, memory * 1e6) if memory else None
    with tempfile.TemporaryDirectory() as folder:
        simulate(still, stream, still.weights, Path(folder), 100, recording)
        files = sum(path.stat().st_size for path in Path(folder).glob("recording/*"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"peak": peak, "files": files / 1e6}))


def memories(lengths: list[int]) -> None:
    """Print what recordings of both lengths take, for some stated memories."""

    def measured(*arguments: object) -> dict[str, float]:
        command = [sys.executable, __file__, "--child", *map(str, arguments)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    row = 2 * UNITS**2 * 8 / 1e6
    print(f"2 matrices of {UNITS} x {UNITS} every 20 presentations ({row:.1f} MB a snapshot), all activity")
    for presentations in lengths:
        without = measured(presentations, 0)["peak"]
        for memory in (24, 64, 256):
            found = measured(presentations, memory)
            print(
                f"{presentations:6d} presentations, {memory:4d} MB stated: {found['peak'] - without:6.1f} MB "
                f"more than without ({without:.0f} MB); files of {found['files']:.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presentations", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--child", type=float, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(int(options.child[0]), options.child[1])
    else:
        if options.repeats:
            times(options.presentations, options.repeats)
        memories(options.lengths)

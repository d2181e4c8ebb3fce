"""What a presentation costs in the engine and in Brian2's C++ program: CPU and wall time, side by side.

    python benchmarks/spiking_engine.py [--units 64 256 1024] [--presentations 200] [--threads 2] [--queues]

Inference shows ``--presentations`` per call, at most 611, for as many Brian2's clocks keep in step; learning
shows a quarter of them, at least 2.

One layer with as many inputs as units, T = 100 ms and dt = 1 ms, one neuron per unit that fires 8 times for
an activity of 1, inputs uniform in [0, 1], on a grid: before anything is timed, the engine must have counted
every spike as Brian2 did. Rows of the table:

- Brian2: the compiled program, inference and learning, on one thread, its synapses row by row or
  (``--queues``) by Brian2's own queues; compiling is not counted
- engine: inference, presentations side by side, numpy on one thread and on ``--threads``, torch; learning,
  one simulation, and ``--seeds`` of them side by side (time per presentation of each)

Ways take turns in each repeat, so that a busy machine slows all of them; medians of times, and of Brian2's
over each (CPU and wall). The first turn is left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.presentations import Presentations
from neuroclapp.spiking.engine import Engine, Simulation
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Modulator, Populations, Timing
from neuroclapp.spiking.simulation import CompiledNetwork
from neuroclapp.spiking.standalone import longest, scratch
from neuroclapp.spiking.state import Stretch, rest
from neuroclapp.weights import Initial, Weights

Work = Callable[[], object]

TIMING = Timing(duration=0.1, flush=0.005, dt=0.001)


def case(units: int, presentations: int) -> tuple[Populations, Weights, Presentations]:
    """Return a layer of ``units``, its initial weights, and a stream of uniform inputs."""
    network = Network(
        "benchmark", (units,), (Layer("layer1", units, bias=False),), prediction=Prediction("split")
    )
    spiking = Spiking(
        timing=TIMING,
        neurons=1,
        input_gain=8.0,
        gain=(8.0,),
        modulator=Modulator(units=32, fan_in=max(16, units // 16)),
        grid=24,
    )
    draw = np.random.default_rng(0)
    made = populations(network, spiking, (0.01,), (0.01,), draw)
    sign = np.where(np.arange(presentations) % 2 == 1, 1, -1).astype(np.int8)
    shown = Presentations(draw.random((presentations, units)), sign, np.arange(presentations))
    return made, Initial().draw(network, draw), shown


def agree(found: Stretch, expected: Stretch) -> None:
    """Raise unless every count, gate and weight is the same."""
    for ours, theirs in zip(found.record.layers, expected.record.layers, strict=True):
        for name, value in vars(ours).items():
            if not np.array_equal(value, vars(theirs)[name]):
                raise SystemExit(f"the engine and Brian2 differ in {name}")
    for name, array in found.weights.items():
        if not np.array_equal(array, expected.weights[name]):
            raise SystemExit(f"the engine and Brian2 differ in {name}")


def seconds(work: Work) -> tuple[float, float]:
    """Return CPU time of this process and its children, and wall time."""
    cpu, wall = os.times(), time.perf_counter()
    work()
    after = os.times()
    return sum(after[:4]) - sum(cpu[:4]), time.perf_counter() - wall


def measure(units: int, options: argparse.Namespace) -> None:
    """Print the table of one size."""
    made, weights, shown = case(units, options.presentations)
    few = shown[: max(2, options.presentations // 4)]
    start = rest(made)
    many = [Simulation(few, weights) for _ in range(options.seeds)]
    several = Engine(made, threads=options.threads)
    engines = {"numpy": Engine(made), f"numpy, {options.threads} threads": several}
    engines["torch"] = Engine(made, "torch", "cpu")
    with scratch() as folder:
        compiled = CompiledNetwork(made, len(shown), folder, queues=options.queues)
        inference: dict[str, Work] = {"Brian2": lambda: compiled.run(shown, weights, start, False)}
        for name, engine in engines.items():
            inference[f"engine, {name}"] = partial(engine.run, shown, weights, learn=False)
        learning: dict[str, Work] = {
            "Brian2": lambda: compiled.run(few, weights, start),
            "engine, numpy": lambda: Engine(made).run(few, weights),
            f"engine, {options.seeds} side by side": lambda: Engine(made).run_many(many),
        }
        agree(several.run(shown, weights, learn=False), compiled.run(shown, weights, start, False))
        agree(several.run(few, weights), compiled.run(few, weights, start))
        for title, ways, count in (("inference", inference, len(shown)), ("learning", learning, len(few))):
            times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            for _ in range(options.repeats + 1):
                for name, work in ways.items():
                    times[name].append(seconds(work))
            for name, each in times.items():
                shared = count * (options.seeds if "side by side" in name else 1)
                show(units, title, name, each[1:], times["Brian2"][1:], shared, count)


def show(
    units: int,
    title: str,
    name: str,
    each: list[tuple[float, float]],
    reference: list[tuple[float, float]],
    shared: int,
    count: int,
) -> None:
    """Print a row: milliseconds per presentation, and how many times faster than Brian2."""
    row = f"{units:6d} {title:10s}{name:24s}"
    for kind in (0, 1):
        mine = [1000 * pair[kind] / shared for pair in each]
        theirs = [1000 * pair[kind] / count for pair in reference]
        ratio = statistics.median(b / a for a, b in zip(mine, theirs, strict=True))
        row += f"{statistics.median(mine):10.3f}{ratio:8.1f}x"
    print(row, flush=True)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--units", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--presentations", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=8, help="simulations that learn side by side")
    parser.add_argument("--queues", action="store_true", help="Brian2's own queues instead of rows")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    most = longest(TIMING.period, TIMING.steps, TIMING.dt, max(1, options.presentations))
    if not 1 <= options.presentations <= most:
        limit = f"1 or more, and at most {most}: Brian2's clocks part after that"
        parser.error(f"argument --presentations: {options.presentations} must be {limit}")
    torch.set_num_threads(1)
    print(
        f"ms per presentation, medians of {options.repeats}; Brian2's time over it; load "
        f"{os.getloadavg()[0]:.1f}\n{'units':>6s} {'':34s}{'CPU':>10s}{'':9s}{'wall':>10s}"
    )
    with threadpool_limits(1):
        for units in options.units:
            measure(units, options)


if __name__ == "__main__":
    main()

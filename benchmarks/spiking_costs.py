"""What a presentation costs while a layer learns, as curves over units, T and presentations, with the floor.

    python benchmarks/spiking_costs.py [--units 64 128 256 512 1024] [--out costs.png] [--brian2]

One layer with as many inputs as units, one neuron per unit, split W_pred, dt = 1 ms, off any grid; CPU time
of one thread. The floor is memory, what a learning presentation must at least read and write: each of the
three matrices once for the update where the gate is open (read and written, 16 bytes a weight in double
precision), and once to be heard (8 bytes), at the speed at which this machine adds a constant to an array as
large.

The last table is the weight update alone, the change of W by both products of its rule, over that floor; both
take turns, so that a busy machine slows them alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
from spiking_engine import case
from threadpoolctl import threadpool_limits

from neuroclapp.plasticity import Factor, Time
from neuroclapp.report.style import figure, label
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.engine.arrays import arrays
from neuroclapp.spiking.engine.learning import learn
from neuroclapp.spiking.populations import Populations, Timing
from neuroclapp.spiking.simulation import CompiledNetwork
from neuroclapp.spiking.standalone import scratch
from neuroclapp.spiking.state import rest


def milliseconds(work: Callable[[], object], count: int, repeats: int) -> float:
    """Return the median CPU time of one of ``count`` presentations, without the first turn."""
    return in_turn([work], count, repeats)[0]


def in_turn(works: list[Callable[[], object]], count: int, repeats: int) -> list[float]:
    """Return what `milliseconds` does for works that take turns."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(repeats + 1):
        for each, work in zip(taken, works, strict=True):
            start = time.process_time()
            work()
            each.append(1000 * (time.process_time() - start) / count)
    return [statistics.median(each[1:]) for each in taken]


def pass_over(units: int) -> tuple[Callable[[], object], int]:
    """Return what reads and writes one matrix in place, and how many times it does."""
    matrix = np.zeros((units, units))
    turns = max(1, 2**22 // units**2)

    def add() -> None:
        for _ in range(turns):
            np.add(matrix, 1.0, out=matrix)

    return add, turns


def with_duration(made: Populations, duration: float) -> Populations:
    return replace(made, timing=Timing(duration=duration, flush=0.005, dt=0.001), grid=None)


def presentation(units: int, duration: float, count: int, options: argparse.Namespace) -> dict[str, float]:
    """Return milliseconds of a presentation by simulator, and the floor."""
    made, weights, shown = case(units, count)
    made = with_duration(made, duration)
    engine = Engine(made)
    open_share = float(np.mean(engine.run(shown, weights).record.layers[0].gamma != 0))
    found = {"engine": milliseconds(lambda: engine.run(shown, weights), count, options.repeats)}
    if options.brian2:
        with scratch() as folder:
            network = CompiledNetwork(made, count, folder)
            taken = []
            for _ in range(options.repeats + 1):
                before = _children()
                network.run(shown, weights, rest(made))
                taken.append(1000 * (_children() - before) / count)
            found["Brian2, C++"] = statistics.median(taken[1:])
    once = milliseconds(*pass_over(units), options.repeats)
    found["floor"] = 3 * once * (open_share + 0.5)
    return found


def _children() -> float:
    import os

    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def update(units: int, repeats: int) -> tuple[float, float]:
    """Return milliseconds of the change of W by both products of its rule, and of its floor."""
    made, weights, _ = case(units, 2)
    made = replace(made, grid=None)
    xp = arrays("numpy", None)
    draw = np.random.default_rng(0)
    w = {"layer1.w_ff": np.array(weights["layer1.w_ff"])[None]}
    factors = [Factor("d", "sample"), Factor("r", "sample")]
    for when in get_args(Time):
        factors += [Factor("x", when), Factor("z", when), Factor("rho", when)]
    present = {factor: draw.random((1, units)) for factor in factors}
    add, turns = pass_over(units)

    def change() -> None:
        for _ in range(turns):
            learn(xp, made, 0, w, present, {"gamma": np.ones(1)}, np.array([np.inf]))

    ours, floor = in_turn([change, add], turns, repeats)
    return ours, floor


def draw_curves(curves: dict[str, dict[str, list[tuple[float, float]]]], path: Path) -> None:
    """Draw milliseconds against each value, and save the picture."""
    made, axes = figure(1, len(curves), (3.6 * len(curves), 3.0))
    for each, (x, ways) in zip(axes, curves.items(), strict=True):
        for name, points in ways.items():
            each.plot(*zip(*points, strict=True), "--" if name == "floor" else "o-", label=name, markersize=3)
        each.set_xscale("log")
        each.set_yscale("log")
        places = sorted({place for points in ways.values() for place, _ in points})
        each.set_xticks(places, [f"{place:g}" for place in places])
        each.minorticks_off()
        label(each, x, "CPU per presentation [ms]")
    axes[0].legend(fontsize=8, frameon=False)
    made.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--durations", type=float, nargs="+", default=[0.025, 0.05, 0.1, 0.2, 0.4])
    parser.add_argument("--presentations", type=int, nargs="+", default=[10, 30, 100, 300])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--brian2", action="store_true", help="its C++ program beside the engine")
    parser.add_argument("--out", type=Path, default=Path("spiking_costs.png"))
    options = parser.parse_args()
    threadpool_limits(1)  # until the end
    points = {
        "units": [(units, (units, 0.1, 20)) for units in options.units],
        "T [ms]": [(1000 * duration, (256, duration, 20)) for duration in options.durations],
        "presentations": [(count, (256, 0.1, count)) for count in options.presentations],
    }
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for x, each in points.items():
        for value, (units, duration, count) in each:
            found = presentation(units, duration, count, options)
            print(
                f"{x:14s}{value:8g}  " + "  ".join(f"{name} {ms:9.3f}" for name, ms in found.items()),
                flush=True,
            )
            for name, ms in found.items():
                curves.setdefault(x, {}).setdefault(name, []).append((value, ms))
    for units in options.units:
        ours, floor = update(units, options.repeats)
        print(
            f"update of W, {units:5d} units: {ours:8.3f} ms, floor {floor:8.3f} ms, {floor / ours:.2f} of it",
            flush=True,
        )
    draw_curves(curves, options.out)


if __name__ == "__main__":
    main()

"""What a time step costs in Lava's fixed point and in the integer interpreter: CPU time, side by side.

    python benchmarks/interpreter.py [--units 64 256] [--steps 512] [--repeats 5] [--rows loop] [--stepwise]

One plastic matrix of as many inputs as units. Rows, each with the steps of a learning epoch:

- given    a rule of three factors, 2^-3*x0*x1*y1, whose y1 is written from outside in every step; graded
           spikes overwrite x1, a tenth of the inputs spikes in a step, all is known beforehand (`run`)
- loop     pairs of spikes, 2^-2*x1*y0 - 2^-2*x0*y1, on LIF neurons whose spikes come back: only what is
           sent into the network is known beforehand (`loop`, or step by step with --stepwise)
- loop x8  eight of them side by side
- window   the rule of three factors in presentations of 64 steps, as CLAPP has it: only in the last 16 does
           anything learn, from one replay of counts. Lava takes all steps; the interpreter learns by one
           `apply` per presentation: the same weights, but nothing is brought to neurons in between

Before anything is timed, both must have brought the same to every neuron in every step, to the bit. Lava is
timed by the difference of two runs, so that neither its start nor its end counts; its CPU time is that of all
its processes. The interpreter's time is that of `run` or `loop`, all in them included: the mean of ``TAKES``
calls, each from the first step on. Lava and the interpreter take turns; medians of times, and of the ratios
of the turns. Compiling, once on each machine, is measured apart, in fresh processes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from neuroclapp.onchip.interpreter import (
    LIF,
    NO_DECAY,
    LavaNumbers,
    Learning,
    PlasticDense,
    Rule,
    Trace,
    apply,
    loop,
    run,
)
from neuroclapp.onchip.lava.fixed_jobs import run_networks

SHORT, WINDOW, TAKES = 64, 16, 5
ROWS = (
    *(("given", 1), ("given", 16), ("given", 64), ("loop", 1), ("loop", 16), ("loop x8", 16)),
    ("window", WINDOW),
)
THREE_FACTORS = "2^-3*x0*x1*y1"
PAIRS = "2^-2*x1*y0 - 2^-2*x0*y1"
VTH = 40
Arrays = dict[str, np.ndarray]


def network(kind: str, epoch: int) -> dict[str, Any]:
    """Return a network as `neuroclapp.onchip.lava.fixed_point` wants it."""
    still, pair = [0.0, NO_DECAY], [16.0, 20.0]
    written = "loop" not in kind
    lif = {"kind": "lif", "du": 4095, "dv": 400, "bias_mant": 0, "bias_exp": 0, "vth": VTH}
    return {
        **{"dw": THREE_FACTORS if written else PAIRS, "dd": None, "dt": None},
        **dict.fromkeys(("x1", "x2", "y1", "y2", "y3"), still if written else pair),
        **{"written": written, "epoch": epoch, "seed": 1, "payload": 8 if written else 0},
        **{"graded": 1 if written else 0, "exponent": 0, "weight_bits": 8, "sign": "mixed"},
        **{"neurons": None if written else lif, "recorded": False},
    }


def arrays(kind: str, units: int, steps: int) -> Arrays:
    """Return weights and what is sent."""
    draw = np.random.default_rng(0)
    zeros = np.zeros((units, units))
    spikes = (draw.random((steps, units)) < 0.1) * 2 * draw.integers(1, 100, (steps, units))
    written = draw.integers(-20, 21, (steps, 3, units))
    if kind == "window":
        phase = np.arange(steps) % SHORT
        spikes[phase > SHORT - WINDOW] = 0
        written[phase < SHORT - WINDOW] = 0
    made = {
        **{"weights": draw.integers(-50, 51, (units, units)) * 2, "tags": zeros, "delays": zeros},
        **{"spikes": spikes, "back": np.zeros((steps, units)), "written": written},
    }
    return {name: np.asarray(value, np.int32) for name, value in made.items()}


def synapses(given: dict[str, Any]) -> PlasticDense:
    """Return the interpreter's synapses."""
    x1, x2, y1, y2, y3 = (Trace(*given[name]) for name in ("x1", "x2", "y1", "y2", "y3"))
    clock = {"written": given["written"], "epoch": given["epoch"], "seed": given["seed"]}
    learning = Learning(Rule.parse(given["dw"]), x1=x1, x2=x2, y1=y1, y2=y2, y3=y3, **clock)
    return PlasticDense(
        learning, payload=given["payload"] > 0, graded="overwrite" if given["written"] else "regular"
    )


def prepared(
    given: dict[str, Any], sent: Arrays, copies: int = 0, stepwise: bool = False
) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Return what takes the steps of ``copies`` networks side by side, if any, before the first of them.

    It gives what arrived in each step, and the weights in the end.
    """
    dense = synapses(given)
    side = (copies,) if copies else ()
    state = dense.start(np.broadcast_to(sent["weights"], (*side, *sent["weights"].shape)))
    cells = LIF(VTH, du=4095, dv=400)
    membrane = cells.start(*side, len(sent["weights"]))
    spikes = sent["spikes"].reshape(-1, *(1,) * len(side), sent["spikes"].shape[-1])
    spikes = np.ascontiguousarray(np.broadcast_to(spikes, (len(spikes), *side, spikes.shape[-1])))

    def work() -> tuple[np.ndarray, np.ndarray]:
        if given["neurons"] is None:
            return run(dense, state, spikes, None, sent["written"]), state.w
        if not stepwise:
            return loop(dense, state, cells, membrane, spikes)[0], state.w
        arrived = [dense.step(state, now, cells.step(membrane, state.pending)) for now in spikes]
        return np.stack(arrived), state.w

    return work


def learn(sent: Arrays) -> np.ndarray:
    """Return the weights in the end from one epoch for each presentation."""
    rule, w, numbers = Rule.parse(THREE_FACTORS), sent["weights"], LavaNumbers(1)
    for end in range(SHORT, len(sent["spikes"]) + 1, SHORT):
        x1 = sent["spikes"][end - WINDOW] // 2
        values = {"x0": x1, "x1": x1, "y1": sent["written"][end - 1, 0], "w": w}
        w = apply(rule, values, numbers.synapses(end // WINDOW))["w"]
    return w


def seconds(prepare: Callable[[], Callable[[], object]]) -> tuple[float, float]:
    """Return CPU and wall time of what ``prepare`` returns, the mean of ``TAKES``."""
    takes = [prepare() for _ in range(TAKES)]
    cpu, wall = time.process_time(), time.perf_counter()
    for take in takes:
        take()
    return (time.process_time() - cpu) / TAKES, (time.perf_counter() - wall) / TAKES


FIRST = """
import sys, time
sys.path.insert(0, sys.argv[1])
import interpreter
take = interpreter.prepared(interpreter.network("loop", 1), interpreter.arrays("loop", 8, 16))
began = time.process_time()
take()
print(time.process_time() - began)
"""


def first_call() -> tuple[float, float]:
    """Return the CPU time of a process's first short run, before anything is compiled and after that."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", FIRST, str(Path(__file__).parent)]
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        first, later = (
            float(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)
            for _ in range(2)
        )
    return first, later


def lava(given: dict[str, Any], sent: Arrays) -> tuple[np.ndarray, float, float]:
    """Return what arrived in each step, CPU and wall time."""
    (left,), times = run_networks([(given, sent)])
    return left["arriving"], times["cpu"], times["wall"]


def turn(kind: str, epoch: int, units: int, steps: int, stepwise: bool) -> tuple[float, ...]:
    """Return CPU and wall time [us] of a step in Lava, then in the interpreter."""
    given, copies = network(kind, epoch), 8 if kind == "loop x8" else 0
    brief, whole = arrays(kind, units, SHORT), arrays(kind, units, SHORT + steps)
    _, cpu_brief, wall_brief = lava(given, brief)
    expected, cpu, wall = lava(given, whole)
    arrived, weights = prepared(given, whole, copies, stepwise)()
    if not (arrived == (expected[:, None] if copies else expected)).all():
        raise SystemExit("the interpreter and Lava differ")
    if kind == "window" and not np.array_equal(learn(whole), weights):
        raise SystemExit("an epoch by itself and its steps differ")
    if "loop" in kind and not np.array_equal(weights, prepared(given, whole, copies, not stepwise)()[1]):
        raise SystemExit("steps at once and step by step differ")
    if kind == "window":
        own = seconds(lambda: lambda: learn(whole))
    else:
        own = seconds(lambda: prepared(given, whole, copies, stepwise))
    ours, theirs = 1e6 / len(whole["spikes"]) / max(copies, 1), 1e6 / steps
    return (cpu - cpu_brief) * theirs, (wall - wall_brief) * theirs, own[0] * ours, own[1] * ours


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("--units", type=int, nargs="+", default=[64, 256])
    given.add_argument("--steps", type=int, default=512)
    given.add_argument("--repeats", type=int, default=5)
    given.add_argument("--rows", nargs="+", default=["given", "loop", "loop x8", "window"])
    given.add_argument("--stepwise", action="store_true", help="take loops step by step")
    options = given.parse_args()
    rows = [(kind, epoch) for kind, epoch in ROWS if kind in options.rows]
    print("first call in a process: {:.1f} s of CPU, once compiled {:.1f} s".format(*first_call()))
    print("us per step           Lava CPU   wall   interpreter CPU   wall   ratio CPU (least .. most)   wall")
    for units in options.units:
        for kind, epoch in rows:
            what = (kind, epoch, units, options.steps, options.stepwise)
            turns = np.array([turn(*what) for _ in range(options.repeats)])
            a, b, c, d = np.median(turns, axis=0)
            cpu, wall = turns[:, 0] / turns[:, 2], turns[:, 1] / turns[:, 3]
            spread = f"{np.median(cpu):.0f} ({cpu.min():.0f} .. {cpu.max():.0f})"
            print(
                f"{units:3} units {kind:7} {epoch:3} {a:8.0f} {b:6.0f} {c:17.2f} {d:6.2f}   "
                f"{spread:>25} {np.median(wall):6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    with threadpool_limits(1):
        main()

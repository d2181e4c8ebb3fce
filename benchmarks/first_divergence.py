"""When the engine and Brian2's C++ program first differ, learning freely from the same start.

    python benchmarks/first_divergence.py [--presentations 3000] [--only leaky ...] [--grid]

The quickstart's network and stream, its units made of each kind of neuron, 8 of them where they are simulated
one by one. Off a grid sums differ in their last bits, since the two add in different orders; that goes into
weights, and at some presentation a membrane lies so near its threshold that one of them fires and the other
does not. From then on the two learn from different spikes. The table has the first presentation (counting
from 1) in which a spike count or a gate differs in each layer, the largest difference of a weight at the last
hundred before it, and the cosine of the total changes of W at the end. With ``--grid``, weights lie on the
grid of 2^-24.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from neuroclapp.analysis.measures import cosine
from neuroclapp.experiment import load_experiment
from neuroclapp.presentations import generator
from neuroclapp.run.directory import RunDirectory
from neuroclapp.spiking.drawn import draw
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.simulation import CompiledNetwork
from neuroclapp.spiking.standalone import scratch
from neuroclapp.spiking.state import rest

STRETCH = 100
ONE_BY_ONE = {"spiking.unit": "neurons", "spiking.neurons": "8"}
LEAKY = '{kind = "leaky", tau = "100 ms", reset = "%s"}'
#: Settings of the quickstart.
KINDS = {
    "packet": {},
    "neurons": ONE_BY_ONE,
    "leaky": {**ONE_BY_ONE, "spiking.neuron": LEAKY % "subtract"},
    "hard_reset": {**ONE_BY_ONE, "spiking.neuron": LEAKY % "zero"},
    "escape_noise": {
        **ONE_BY_ONE,
        "spiking.neuron": '{kind = "escape_noise", width = 0.05, rate = "200 Hz"}',
    },
}


def compare(name: str, presentations: int, grid: bool) -> None:
    """Let both learn, and print when they part."""
    run = RunDirectory(Path())
    settings = {**KINDS[name], **({"spiking.grid": "24"} if grid else {})}
    run.__dict__["experiment"] = experiment = load_experiment("quickstart", settings)[0]
    made, shown = run.populations, run.stream(0)[:presentations]
    initial = experiment.initial.draw(run.network, generator(0, "weights"))
    chance = generator(0, "spikes")
    first, spikes, apart, before = {}, 0, 0.0, 0.0
    with scratch() as folder:
        compiled, engine = CompiledNetwork(made, STRETCH, folder), Engine(made)
        ours = theirs = initial
        state, other = rest(made), rest(made)
        for start in range(0, presentations, STRETCH):
            part = slice(start, start + STRETCH)
            drawn = draw(made, shown[part], chance)
            mine = engine.run(shown[part], ours, state, drawn=drawn)
            its = compiled.run(shown[part], theirs, other, drawn=drawn)
            for layer, (a, b) in enumerate(zip(mine.record.layers, its.record.layers, strict=True)):
                differs = (a.count != b.count).any(1) | (a.gamma != b.gamma)
                if differs.any() and layer not in first:
                    first[layer] = start + int(np.argmax(differs)) + 1
                    before = before or apart
                spikes += int(b.count.sum())
            ours, theirs, state, other = mine.weights, its.weights, mine.state, its.state
            apart = max(float(np.abs(ours[key] - theirs[key]).max()) for key in ours)
    cosines = [
        cosine(ours[key] - initial[key], theirs[key] - initial[key]) for key in ours if key.endswith("w_ff")
    ]
    when = " / ".join(str(first.get(layer, "never")) for layer in range(len(made.layers)))
    far = before if first else apart
    print(
        f"{name:14s}{'2^-24' if grid else 'none':7s}{presentations:7d}{spikes:12d}{when:>16s}{far:11.1e}   "
        + " / ".join(f"{each:.4f}" for each in cosines),
        flush=True,
    )


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--presentations", type=int, default=3000)
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--grid", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    print(f"{'':14s}{'grid':7s}{'shown':>7s}{'spikes':>12s}{'first':>16s}{'weights':>11s}   cosine")
    for name in options.only:
        compare(name, options.presentations, options.grid)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

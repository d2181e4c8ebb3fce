"""Peak memory of a training step as layers are added: CLAPP, module by module, and CPC, end to end.

    python benchmarks/memory_by_depth.py [--depths 1 2 3 4 6 8 10 12] [--batch 4] [--figure PATH]

Equal layers, 64 units each, 3x3 kernels on 16x16 maps, see 7 rows of 7 patches of random images. Both systems
are in closed form (`neuroclapp.rate.training`), on one thread. Each point is the largest of two steps in a
process of its own, above what that holds once arrays, Adam's moments and the batch are there (see
`training_step.py`). Freed blocks above 1 MB go back to the system at once, so that a peak is what is needed
and does not depend on where blocks happen to lie.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from matplotlib.ticker import MaxNLocator
from training_step import CPC, ROWS, Plan, Way, closed_form, measure

from neuroclapp.network import Layer, Network
from neuroclapp.objective import System
from neuroclapp.report.style import COLOURS, figure, label

NAMES = {"clapp": "CLAPP", "cpc": "CPC, end to end"}
LOOK = {"clapp": COLOURS["rate"], "cpc": COLOURS["spiking"]}


def stacked(depth: int) -> Network:
    """Return a network of ``depth`` equal layers."""
    layers = tuple(Layer(f"conv{n + 1}", 64, "conv") for n in range(depth))
    return Network(f"{depth} equal layers", (1, 16, 16), layers)


def peak(system: System, depth: int, batch: int) -> int:
    """Return the peak memory of a step [bytes]."""
    way = Way("", partial(closed_form, system), 2**20)
    return measure([way], Plan(stacked(depth), batch, ROWS), 1)[way.name][1]


def draw(depths: list[int], found: dict[str, list[int]], path: Path) -> None:
    """Draw the two curves."""
    made, (axes,) = figure(1, 1, (4.2, 3.0))
    for name, peaks in found.items():
        axes.plot(depths, [each / 1e6 for each in peaks], "o-", ms=4, color=LOOK[name], label=NAMES[name])
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
    label(axes, "layers", "peak memory of a step [MB]")
    made.savefig(path, dpi=200)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 2, 3, 4, 6, 8, 10, 12])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    found: dict[str, list[int]] = {"clapp": [], "cpc": []}
    print(f"peak memory of a step [MB], {options.batch} images of {ROWS} x {ROWS} patches")
    print(f"{'layers':>8s}" + "".join(f"{NAMES[name]:>18s}" for name in found))
    for depth in options.depths:
        systems = {"clapp": System("CLAPP"), "cpc": System("CPC", "contrast", (depth,), CPC.contrast)}
        for name, system in systems.items():
            found[name].append(peak(system, depth, options.batch))
        print(f"{depth:8d}" + "".join(f"{peaks[-1] / 1e6:18.1f}" for peaks in found.values()), flush=True)
    if options.figure:
        draw(options.depths, found, options.figure)


if __name__ == "__main__":
    main()

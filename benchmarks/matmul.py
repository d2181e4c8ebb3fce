"""Which library multiplies matrices faster: `neuroclapp.rate.matmul.matmul`, and torch's ``@``, CPU times.

    python benchmarks/matmul.py [--width 1] [--batch 4] [--repeats 5]

The products are those of VGG-6's contrast (one prediction matrix and its change, the most pairs of a batch)
and of its maps of 4x4 and 2x2, where a convolution is a sum of products, one for each tap (here the middle
one, and the change of its weights). One thread, float32. Each repeat runs both ways one after the other; the
table gives medians.
"""

from __future__ import annotations

import argparse
import operator
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from neuroclapp.network import load_network
from neuroclapp.objective import Contrast
from neuroclapp.rate.matmul import LARGE, matmul
from neuroclapp.rate.pairs import groups

ROWS = 7  # patches of 16x16 in an image of 64x64, each 8 pixels below or beside the last


def products(width: float, batch: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield name and factors ``a`` (m, k) and ``b`` (n, k) of each product ``a @ b.T``."""
    network = replace(load_network("vgg6"), width=width)
    pairs = batch * max(len(group.context) for group in groups(Contrast(), ROWS, ROWS))
    for units in sorted({layer.units for layer in network.scaled_layers}):
        c, z, w = torch.randn(pairs, units), torch.randn(pairs, units), torch.randn(units, units)
        yield f"prediction, {units}", c, w
        yield "  retrodiction", z, w.T
        yield "  change of W_pred", z.T, c.T
    patches = batch * ROWS * ROWS
    for layer, (channels, side, _) in zip(network.scaled_layers, network.shapes, strict=False):
        if side <= layer.kernel + 1:
            x, w = torch.randn(patches * side**2, channels), torch.randn(layer.units, channels)
            delta = torch.randn(patches * side**2, layer.units)
            yield f"{layer.name}, maps of {side}x{side}", x, w
            yield "  change of W", delta.T, x.T


def cpu_seconds(work: Callable[[], object], least: float = 5e-3) -> float:
    """Return CPU time of one call, of as many as take ``least`` [s]."""
    before, calls = time.process_time(), 0
    while (passed := time.process_time() - before) < least:
        work()
        calls += 1
    return passed / calls


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"VGG-6, width {options.width:g}, batch {options.batch}, load average {os.getloadavg()[0]:.1f}")
    print(f"CPU us, medians of {options.repeats}; * are large enough for oneDNN")
    print(f"{'':24s}{'m, n, k':>18s}{'matmul':>10s}{'@':>10s}{'@ / matmul':>12s}")
    for name, a, b in products(options.width, options.batch):
        ways: list[Callable[[], object]] = [partial(matmul, a, b), partial(operator.matmul, a, b.T)]
        times: list[list[float]] = [[], []]
        for repeat in range(options.repeats + 1):
            for each, work in zip(times, ways, strict=True):
                seconds = cpu_seconds(work)
                if repeat:
                    each.append(seconds)
        ours, plain = (1e6 * statistics.median(each) for each in times)
        ratio = statistics.median(q / p for p, q in zip(*times, strict=True))
        shape, large = f"{len(a)}, {len(b)}, {a.shape[1]}", "*" if a.numel() * len(b) >= LARGE else " "
        print(f"{name:24s}{shape:>18s}{ours:10.1f}{plain:10.1f}{ratio:12.2f} {large}")


if __name__ == "__main__":
    main()

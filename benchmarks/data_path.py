"""What data costs beside training: the time of a batch alone, and the share of training that waits for one.

    python benchmarks/data_path.py [--updates 60] [--batch 8]

VGG-6 at 1/8 width learns with CLAPP's loss, one thread, from 1000 random grey images of 96x96 pixels, which
`Batches` crops, mirrors, cuts and normalises on the thread of `Ahead`: two of the seven columns of patches of
each image, and all of them. Batches alone are timed as CPU time, medians. "Waited" is `History.waited` by
`History.wall`; where other work runs on the same cores it is larger than on a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import replace

import numpy as np
import torch

from neuroclapp.data.images import ImageData, Images, Statistics
from neuroclapp.data.patches import Batches
from neuroclapp.network import load_network
from neuroclapp.objective import System
from neuroclapp.rate.modular import initial
from neuroclapp.rate.patchnet import PatchNetwork
from neuroclapp.rate.training import Learner, train
from neuroclapp.recipe import Recipe

NETWORK, SYSTEM = replace(load_network("vgg6"), width=0.125), System("CLAPP")


def batches_alone(batches: Batches, count: int) -> float:
    """Return the CPU time of a batch [s]."""
    times = []
    for step in range(count + 1):
        before = time.process_time()
        _ = batches[step]
        times.append(time.process_time() - before)
    return statistics.median(times[1:])


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pixels = np.random.default_rng(0).integers(0, 256, (1000, 1, 96, 96), dtype=np.uint8)
    images = Images(pixels)
    data, known = ImageData("npz"), Statistics.of(images)
    print(f"{options.updates} updates, {options.batch} images each, load average {os.getloadavg()[0]:.1f}")
    print(f"{'':12s}{'batch alone':>14s}{'update, with its batch':>24s}{'waited':>10s}")
    print(f"{'columns':12s}{'CPU ms':>14s}{'CPU ms':>12s}{'wall ms':>12s}{'% of wall':>10s}")
    for columns in (2, None):
        batches = Batches(images, data, known, options.batch, 0, columns)
        alone = batches_alone(batches, options.updates)
        arrays = initial(NETWORK, SYSTEM, 10, seed=0)
        recipe = Recipe(updates=options.updates, batch=options.batch)
        history = train(Learner(PatchNetwork(NETWORK, SYSTEM, arrays), recipe), batches, 0)
        cpu, wall = (1000 * each / options.updates for each in (history.cpu, history.wall))
        waited = 100 * history.waited / history.wall
        shown = "all 7" if columns is None else f"{columns} of 7"
        print(f"{shown:12s}{1000 * alone:14.2f}{cpu:12.2f}{wall:12.2f}{waited:10.1f}")


if __name__ == "__main__":
    main()

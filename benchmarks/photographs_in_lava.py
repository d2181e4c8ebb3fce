"""A trained encoder of photographs in Lava: convolutions and max-pools unrolled, in float and in integers.

    python benchmarks/photographs_in_lava.py DIR [--system clapp] [--seed 0] [--neurons 10] [--patches 12]

DIR is a run of experiments/photographs_in_spikes.toml whose systems are trained. Patches are of test images.
For each layer: units, spikes, counts in floating-point Lava that differ from those of the plain simulator
(`neuroclapp.spiking.maps_counting`), and the correlation over units and patches of counts in fixed-point Lava
with those in floating point, and of both with rates. Below: synapses, and seconds on the clock and of CPU.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from neuroclapp.onchip.lava.jobs import infer_unrolled
from neuroclapp.onchip.unrolled2d import SparseNetwork, integers, unroll2d, write
from neuroclapp.run.image_spikes import ImageSpikesRun
from neuroclapp.spiking.maps import Maps
from neuroclapp.spiking.maps_counting import count_maps


def unrolled(maps: Maps) -> SparseNetwork:
    """Return the same network, charge for charge, as sparse matrices."""
    timing, quantum = maps.timing, maps.input.quantum
    arrays = {}
    for each in maps.layers:
        arrays[f"{each.layer.name}.w_ff"] = each.w
        arrays[f"{each.layer.name}.bias"] = each.bias * quantum * timing.steps_on
    layers = [each.layer for each in maps.layers]
    scales = [quantum] * (len(layers) + 1)  # charges are scaled already
    return unroll2d(
        "photographs", layers, maps.patch, arrays, scales, maps.input.neurons, timing.steps, timing.steps_on
    )


def counts(network: SparseNetwork, patches: np.ndarray) -> tuple[dict[str, np.ndarray], float, float]:
    """Return each layer's counts (patches, units) in Lava, and seconds on the clock and of CPU."""
    with tempfile.TemporaryDirectory() as folder:
        write(network, Path(folder))
        began, cpu = time.perf_counter(), sum(os.times()[2:4])
        packets = infer_unrolled(Path(folder), patches, limit_s=1500)
        took = time.perf_counter() - began, sum(os.times()[2:4]) - cpu
    names = [layer.name for layer in network.layers]
    return {name: one.sum(1) for name, one in zip(names, packets, strict=True)}, *took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--system", default="clapp")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--neurons", type=int, default=10)
    parser.add_argument("--patches", type=int, default=12)
    options = parser.parse_args()
    run = ImageSpikesRun(options.run)
    row = next(row for row in run.experiment.systems if row.name == options.system)
    encoder = run.encoder(row, options.seed)
    maps = run.maps(encoder, "lead", options.neurons, run.largest(encoder, "lead"))
    shown = next(iter(run.patches(run.images("test")[np.arange(options.patches)])))
    patches = shown[:, shown.shape[1] // 2].astype(np.float64)  # the one in the middle of each image
    rates = [before.reshape(len(patches), -1) for before, _ in encoder.rates(patches.astype(np.float32))]
    _, plain = count_maps(maps, patches)
    network = unrolled(maps)
    floating, clock, cpu = counts(network, patches)
    fixed, fixed_clock, fixed_cpu = counts(integers(network), patches)

    def correlation(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])

    print("layer  units  spikes  differ  fixed/float  float/rates  fixed/rates")
    for each, rate, counted in zip(maps.layers, rates, plain, strict=True):
        name = each.layer.name
        wanted = counted.soma.count.reshape(len(patches), -1)
        differ = int((floating[name] != wanted).sum())
        if each.layer.pool > 1:
            sent = counted.sent.reshape(len(patches), -1)
            differ += int((floating[f"{name}.pool"] != sent).sum())
        print(
            f"{name:6s} {wanted.shape[1]:5d} {int(wanted.sum()):7d} {differ:7d} "
            f"{correlation(fixed[name], floating[name]):12.4f} {correlation(floating[name], rate):12.4f} "
            f"{correlation(fixed[name], rate):12.4f}"
        )
    print(f"{network.synapses} synapses, {len(patches)} patches of {network.steps} steps")
    print(f"floating point: {clock:.1f} s on the clock, {cpu:.1f} s of CPU")
    print(f"fixed point: {fixed_clock:.1f} s on the clock, {fixed_cpu:.1f} s of CPU")


if __name__ == "__main__":
    main()

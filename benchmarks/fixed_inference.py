"""A converted network with weights of few bits against floating point, readouts carried over; and real Lava.

    python benchmarks/fixed_inference.py RUN [--bits 8 6 4] [--samples 100]

RUN is the directory of a finished run of worlds (`neuroclapp run quickstart`). For each of its seeds the
rate-trained network runs in integers on all test glimpses. Readouts are those of the floating-point network's
spike counts, as they are. Then Lava's fixed point runs ``--samples`` of the first seed's glimpses, and every
packet is held against the integer simulator's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from neuroclapp.analysis.measures import summarise
from neuroclapp.analysis.readout import fit
from neuroclapp.onchip import integer, nir
from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.export import export, network
from neuroclapp.onchip.lava import jobs
from neuroclapp.report.text import cell
from neuroclapp.run.compare import PARTS
from neuroclapp.run.directory import RunDirectory
from neuroclapp.run.simulate import on_grid


def differences(run: RunDirectory, seed: int, bits: list[int]) -> dict[int, list[float]]:
    """Return accuracy in integers minus that in floating point [points], by bits and layer."""
    surveys = run.surveys(seed)
    labels = {part: getattr(run.data, part).labels[surveys[part].image] for part in PARTS}
    counted = run.arrays(run.seed(seed) / "features.npz")
    plain = network(run.populations, on_grid(run.weights(seed, "rate")))
    charge = plain.charge(surveys["test"].inputs)
    readouts, floating = [], []
    for layer in run.populations.layers:
        training, validation, test = (counted[f"converted/{part}/{layer.name}"] * 1.0 for part in PARTS)
        readouts.append(fit(training, labels["training"], validation, labels["validation"]))
        floating.append(readouts[-1].accuracy(test, labels["test"]))
    found = {}
    for each in bits:
        small = integer.quantised(plain, each)
        packets = integer.simulate(small, small.charge(charge))
        scored = [
            readout.accuracy(one.sum(1) * 1.0, labels["test"])
            for readout, one in zip(readouts, packets, strict=True)
        ]
        found[each] = list(np.subtract(scored, floating))
    return found


def mismatches(run: RunDirectory, bits: int, samples: int, folder: Path) -> tuple[list[int], list[int]]:
    """Return packets that differ between Lava and the integer simulator, and spikes, by layer."""
    seed = run.experiment.seeds[0]
    chip = Chip(name="ideal", title="no limits")
    export(run.populations, on_grid(run.weights(seed, "rate")), chip, folder)
    inputs, plain = run.surveys(seed)["test"].inputs[:samples], nir.read(folder)
    small = integer.quantised(plain, bits)
    wanted = integer.simulate(small, small.charge(plain.charge(inputs)))
    found = jobs.infer(folder, inputs, 900, weight_bits=bits)
    wrong = [int(np.sum(ours != theirs)) for ours, theirs in zip(found, wanted, strict=True)]
    return wrong, [int(one.sum()) for one in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 6, 4])
    parser.add_argument("--samples", type=int, default=100)
    arguments = parser.parse_args()
    run = RunDirectory(arguments.run)
    layers = [layer.name for layer in run.network.layers]
    by_seed = [differences(run, seed, arguments.bits) for seed in run.experiment.seeds]
    for bits in arguments.bits:
        figure = summarise([one[bits] for one in by_seed])
        for n, layer in enumerate(layers):
            each = ", ".join(f"{one[bits][n]:+.2f}" for one in by_seed)
            found = cell(figure, "+.2f", n, between=" +- ")
            print(f"{bits} bits, {layer}: {found} points ({each})", flush=True)
    if arguments.samples:
        with tempfile.TemporaryDirectory() as folder:
            wrong, spikes = mismatches(run, arguments.bits[0], arguments.samples, Path(folder))
        print(
            f"Lava, {arguments.bits[0]} bits, {arguments.samples} glimpses: {spikes} spikes, {wrong} differ"
        )


if __name__ == "__main__":
    main()

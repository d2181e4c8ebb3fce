"""The step ``simulate`` of trained encoders of speech in spikes.

All frames are counted by the plain simulator. Brian2 runs some presentations of the last system, with each
number of neurons, beside it; every spike that it counts otherwise is told.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..analysis.conversion import LayerConversion
from ..analysis.frames import Frames
from ..data.utterances import FRAME, Utterance
from ..errors import RunError
from ..files import write_json, write_npz
from ..progress import Progress
from ..rate.frames import framed, strides
from ..rate.training import before_forks
from ..spiking.counting import count
from ..spiking.standalone import scratch
from ..spiking.unrolled import Unrolled
from ..spiking.unrolled_simulation import CompiledEncoder
from ..spiking.windows import seen, windows
from ..systems import Row
from .parallel import Report, side_by_side
from .spoken_spikes import PARTS, Convolutions, SpokenSpikesRun


def simulate_spoken(run: SpokenSpikesRun) -> None:
    """Run every trained system in spikes, with every seed, side by side on all cores."""
    if not run.done("train"):
        raise RunError(f"{run.folder}: step 'train' is not done; run: neuroclapp train {run.folder}")
    with run.step("simulate") as notes:
        if run.spikes.presentations:
            row = run.experiment.systems[-1]
            seed = run.experiment.seeds_of(row)[0]
            found = beside(run, row, seed)
            notes["build_s"] = found.pop("build_s")
            write_json(run.folder / "brian2.json", found)
        chosen = [each for part in PARTS for each in run.utterances(part)]
        frames = sum(each.samples // FRAME for each in chosen)
        jobs = {
            f"{row.name}, seed {seed}": partial(_simulate, run, row, seed)
            for row, seed in run.jobs
            if not run.of(row, seed, "json").is_file()  # the last that is written
        }
        before_forks()
        side_by_side(jobs, "frames in spikes", len(jobs) * frames, run.workers)


def beside(run: SpokenSpikesRun, row: Row, seed: int) -> dict[str, Any]:
    """Run presentations of a test utterance in Brian2; return how its counts differ from the simulator's.

    They are spread over the utterance, its first and its last step among them.
    """
    encoder = run.encoder(row, seed)
    largest = encoder.largest(run.utterances("training"), run.spikes.resolution.percentile)
    samples = encoder.hear(run.utterances("test")[0])
    steps = len(encoder.rates(samples)[-1])
    chosen = np.unique(np.linspace(0, steps - 1, min(steps, run.spikes.presentations)).round().astype(int))
    found: dict[str, Any] = {"system": row.name, "seed": seed, "presentations": len(chosen)}
    found |= {"counts": [], "spikes": [], "different": []}
    with scratch() as folder:
        network: CompiledEncoder | None = None
        for neurons in run.spikes.neurons:
            unrolled = run.unrolled(encoder, neurons, largest)
            if network is None:
                with Progress("compiling the spiking network", 1):
                    network = CompiledEncoder(unrolled, len(chosen), folder)
                found["build_s"] = round(network.build_seconds, 2)
            shown = windows(unrolled, samples, chosen.tolist())
            theirs = network.run(unrolled, shown)
            ours = seen(count(unrolled, samples), shown)
            found["counts"].append(sum(each.size for each in theirs))
            found["spikes"].append(int(sum(each.sum() for each in theirs)))
            found["different"].append(int(sum(np.sum(a != b) for a, b in zip(ours, theirs, strict=True))))
    return found


def _simulate(run: SpokenSpikesRun, row: Row, seed: int, report: Report) -> None:
    encoder = run.encoder(row, seed)
    largest = encoder.largest(run.utterances("training"), run.spikes.resolution.percentile)
    networks = [run.unrolled(encoder, neurons, largest) for neurons in run.spikes.neurons]
    followed = [[LayerConversion() for _ in encoder.layers] for _ in networks]
    arrays: dict[str, Any] = {}
    done = 0
    for part in PARTS:
        heard = []
        for utterance in run.utterances(part):
            heard.append((utterance, _top(run, row, encoder, networks, utterance, followed, part == "test")))
            done += utterance.samples // FRAME
            report(done)
        frames = Frames.of(heard)
        arrays |= {f"{part}/{name}": each for name, each in frames.features.items()}
        arrays[f"{part}/labels"] = frames.labels
    write_npz(run.of(row, seed, "npz"), arrays)
    write_json(
        run.of(row, seed, "json"),
        {
            "largest": largest,
            "layers": [[layer.figures() for layer in layers] for layers in followed],
            "network": _size(networks[0]),
        },
    )


def _top(
    run: SpokenSpikesRun,
    row: Row,
    encoder: Convolutions,
    networks: list[Unrolled],
    utterance: Utterance,
    followed: list[list[LayerConversion]],
    test: bool,
) -> dict[str, NDArray[np.float32]]:
    """Return the top layer by frame, in rates and in spikes; follow every layer where it is a ``test``."""
    samples = encoder.hear(utterance)
    rates = encoder.rates(samples)
    stride, frames = strides(run.experiment.network(row))[len(encoder.layers) - 1], len(samples) // FRAME

    def by_frame(activity: NDArray[np.floating]) -> NDArray[np.float32]:
        return framed(torch.from_numpy(activity)[None], stride, frames)[0].float().numpy()

    found = {"rate": by_frame(rates[-1])}
    for unrolled, layers in zip(networks, followed, strict=True):
        _, *counted = count(unrolled, samples)
        found[str(unrolled.input.neurons)] = by_frame(counted[-1].count * unrolled.layers[-1].soma.quantum)
        if test:
            for layer, spikes, each, rate in zip(layers, counted, unrolled.layers, rates, strict=True):
                layer.add(spikes, each.soma.quantum, rate)
    return found


def _size(unrolled: Unrolled) -> dict[str, Any]:
    """Return what a chip would hold of an unrolled encoder: units, synapses, and the weights they share."""
    return {
        "samples": unrolled.samples,
        "positions": [each.positions for each in unrolled.layers],
        "units": [each.soma.units for each in unrolled.layers],
        "inputs": unrolled.input.units,
        "synapses": unrolled.synapses,
        "weights": sum(each.w.size for each in unrolled.layers),
    }

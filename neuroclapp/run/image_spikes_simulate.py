"""The step ``simulate`` of trained image encoders in spikes.

All patches are counted by the plain simulator. Brian2 runs some of the last system, with each number of
neurons, beside it; every spike that it counts otherwise is told.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.conversion import LayerConversion
from ..errors import RunError
from ..files import write_json, write_npz
from ..progress import Progress
from ..rate.training import before_forks
from ..spiking.maps import Maps
from ..spiking.maps_counting import count_maps
from ..spiking.maps_simulation import CompiledMaps
from ..spiking.standalone import scratch
from ..systems import Row
from .image_spikes import Encoder, ImageSpikesRun
from .parallel import Job, Report, side_by_side
from .vision import PARTS

#: Images whose patches are simulated at once.
BATCH = 8


def simulate_images(run: ImageSpikesRun) -> None:
    """Run every trained system in spikes, with every seed, side by side on all cores."""
    if not run.done("train"):
        raise RunError(f"{run.folder}: step 'train' is not done; run: neuroclapp train {run.folder}")
    with run.step("simulate") as notes:
        if run.spikes.presentations:
            row = run.experiment.systems[-1]
            found = beside(run, row, run.experiment.seeds_of(row)[0])
            notes["build_s"] = found.pop("build_s")
            write_json(run.folder / "brian2.json", found)
        images = sum(len(run.images(part)) for part in PARTS)
        jobs: dict[str, Job] = {}
        work = 0
        for row, seed in run.jobs:
            if not run.of(row, seed, "json").is_file():  # the last that is written
                jobs[f"{row.name}, seed {seed}"] = partial(_simulate, run, row, seed)
                work += images * len(run.variants(row, seed))
        before_forks()
        side_by_side(jobs, "images in spikes", work, run.workers)


def beside(run: ImageSpikesRun, row: Row, seed: int) -> dict[str, Any]:
    """Run patches of test images in Brian2; return how its counts differ from the simulator's.

    They are spread over the images and over the places in them.
    """
    encoder, neurons = run.encoder(row, seed), run.spikes.neurons
    pooling = run.spikes.pooling if run.spikes.pooling in ("lead", "mean") else "lead"
    largest = run.largest(encoder, pooling)
    images = run.images("test")
    step = max(1, len(images) // run.spikes.presentations)
    seen = next(run.patches(images[np.arange(0, len(images), step)], len(images)))
    place = np.arange(len(seen)) % seen.shape[1]
    patches = seen[np.arange(len(seen)), place][: run.spikes.presentations]
    found: dict[str, Any] = {"system": row.name, "seed": seed, "pooling": pooling}
    found |= {"presentations": len(patches), "neurons": list(neurons)}
    found |= {"counts": [], "spikes": [], "different": []}
    with scratch() as folder:
        network: CompiledMaps | None = None
        for each in neurons:
            maps = run.maps(encoder, pooling, each, largest)
            if network is None:
                with Progress("compiling the spiking network", 1):
                    network = CompiledMaps(maps, len(patches), folder)
                found["build_s"] = round(network.build_seconds, 2)
            theirs, ours = network.run(maps, patches), _counts(maps, patches)
            found["counts"].append(sum(count.size for count in theirs))
            found["spikes"].append(int(sum(count.sum() for count in theirs)))
            found["different"].append(int(sum(np.sum(a != b) for a, b in zip(ours, theirs, strict=True))))
    return found


def _counts(maps: Maps, patches: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    source, counted = count_maps(maps, patches)
    found = [source]
    for each, counts in zip(maps.layers, counted, strict=True):
        relayed = each.layer.pool > 1 and maps.pooling != "mean"
        found += [counts.soma.count, counts.sent] if relayed else [counts.soma.count]
    return found


def _simulate(run: ImageSpikesRun, row: Row, seed: int, report: Report) -> None:
    encoder, variants = run.encoder(row, seed), run.variants(row, seed)
    largest = {pooling: run.largest(encoder, pooling) for pooling in {pooling for _, pooling, _ in variants}}
    networks = {name: run.maps(encoder, pooling, n, largest[pooling]) for name, pooling, n in variants}
    followed = {name: [LayerConversion() for _ in encoder.layers] for name in networks}
    arrays: dict[str, Any] = {}
    done = 0
    for part in PARTS:
        images = run.images(part)
        found: dict[str, list[Any]] = {name: [] for name in ("rate", "rate_mean", *networks)}
        for patches in run.patches(images, BATCH):
            flat = patches.reshape(-1, *patches.shape[2:])
            rates = _rates(encoder, flat, networks)
            for name, each in rates.items():
                found[name].append([_mean(after, len(patches)) for _, after in each])
            for name, maps in networks.items():
                base = rates["rate_mean" if maps.pooling == "mean" else "rate"]
                following = followed[name] if part == "test" else None
                found[name].append(_in_spikes(maps, flat, len(patches), base, following))
                done += len(patches)
                report(done)
        for name, batches in found.items():
            for n, layer in enumerate(encoder.layers if batches else ()):
                by_layer = [each[n] for each in batches]
                arrays[f"{part}/{name}/{layer.name}"] = np.concatenate(by_layer).astype(np.float32)
        arrays[f"{part}/labels"] = images.labels
    write_npz(run.of(row, seed, "npz"), arrays)
    write_json(
        run.of(row, seed, "json"),
        {
            "largest": largest,
            "layers": {name: [layer.figures() for layer in layers] for name, layers in followed.items()},
            "network": _size(next(iter(networks.values()))),
        },
    )


def _rates(
    encoder: Encoder, patches: NDArray[np.float32], networks: dict[str, Maps]
) -> dict[str, list[tuple[NDArray[np.float32], NDArray[np.float32]]]]:
    found = {"rate": encoder.rates(patches)}
    if any(maps.pooling == "mean" for maps in networks.values()):
        found["rate_mean"] = encoder.rates(patches, "mean")
    return found


def _in_spikes(
    maps: Maps,
    patches: NDArray[np.float32],
    images: int,
    rates: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
    followed: list[LayerConversion] | None,
) -> list[NDArray[np.floating]]:
    """Return every layer's mean features (images, units); follow every layer if asked."""
    _, counted = count_maps(maps, patches)
    found = []
    for n, (each, counts, (_, after)) in enumerate(zip(maps.layers, counted, rates, strict=True)):
        found.append(_mean(counts.sent * each.soma.quantum, images))
        if followed is not None:
            followed[n].add(counts.soma, each.soma.quantum, after, counts.sent)
    return found


def _mean(maps: NDArray[np.floating], images: int) -> NDArray[np.floating]:
    """Return the mean over the patches and pixels of each image, (images, units)."""
    by_patch: NDArray[np.floating] = maps.mean((2, 3), dtype=np.float64)
    return by_patch.reshape(images, -1, by_patch.shape[1]).mean(1)


def _size(maps: Maps) -> dict[str, Any]:
    """Return what a chip would hold of an encoder: units, synapses, and the weights that they share."""
    return {
        "units": [each.soma.units for each in maps.layers],
        "inputs": maps.input.units,
        "relays": maps.relays,
        "synapses": maps.synapses,
        "weights": sum(each.w.size for each in maps.layers),
    }

"""The step ``compare`` of trained image encoders in spikes: readouts, ``results.json`` and its table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.measures import summarise
from ..analysis.readout import Readout, fit
from ..errors import RunError
from ..files import read_json, write_json
from ..report.image_spikes import columns
from ..report.text import ruled
from ..systems import Row
from .converted import READOUTS
from .image_spikes import ImageSpikesRun, convolutions
from .parallel import Job, Report, side_by_side
from .versions import versions
from .vision import PARTS


def compare_images(run: ImageSpikesRun) -> dict[str, Any]:
    """Read out every layer in rates and in spikes, write ``results.json``, and return it."""
    if not run.done("simulate"):
        raise RunError(f"{run.folder}: step 'simulate' is not done; run: neuroclapp simulate {run.folder}")
    with run.step("compare"):
        jobs: dict[str, Job] = {}
        work = 0
        for row, seed in run.jobs:
            if not run.of(row, seed, "json", "scores").is_file():
                jobs[f"{row.name}, seed {seed}"] = partial(_compare, run, row, seed)
                work += len(convolutions(run.experiment, row))
        side_by_side(jobs, "readout", work, run.workers)
    images, brian2 = run.vision.images, run.folder / "brian2.json"
    results = {
        "experiment": run.experiment.title,
        "scale": run.experiment.scale,
        "data": images.name,
        "versions": versions(),
        "cost": run.cost(),
        "neurons": list(run.spikes.neurons),
        "pooling": run.spikes.pooling,
        "others_neurons": run.spikes.others_neurons,
        "steps": run.spikes.resolution.timing.steps,
        "spikes": run.spikes.resolution.spikes,
        "images": {part: len(run.images(part)) for part in PARTS},
        "patches": next(run.patches(run.images("test"), 1)).shape[1],
        "classes": len(images.classes),
        "brian2": read_json(brian2) if brian2.is_file() else None,
        "systems": {row.name: _summary(run, row) for row in run.experiment.systems},
    }
    write_json(run.folder / "results.json", results)
    return results


def show_images(run: ImageSpikesRun) -> None:
    """Compare, and print the table."""
    header, rows = columns(compare_images(run))
    print("\n".join(ruled([header], rows, left=2)))


def base_of(pooling: str) -> str:
    """Return the rates that a pooling in spikes is compared with: those of the largest, or of the mean."""
    return "rate_mean" if pooling == "mean" else "rate"


def _compare(run: ImageSpikesRun, row: Row, seed: int, report: Report) -> None:
    arrays = run.arrays(run.of(row, seed, "npz"))
    names = [layer.name for layer in convolutions(run.experiment, row)]
    variants = run.variants(row, seed)
    rates = sorted({base_of(pooling) for _, pooling, _ in variants})
    scores: dict[str, Any] = {
        "rates": {name: [] for name in rates},
        **{readout: {name: [] for name, _, _ in variants} for readout in READOUTS},
    }
    labels = arrays["test/labels"]
    for done, layer in enumerate(names):
        readouts = {name: _fitted(arrays, name, layer) for name in rates}
        for name, readout in readouts.items():
            scores["rates"][name].append(readout.accuracy(_features(arrays, "test", name, layer), labels))
        for name, pooling, _ in variants:
            test = _features(arrays, "test", name, layer)
            scores["unchanged"][name].append(readouts[base_of(pooling)].accuracy(test, labels))
            scores["refitted"][name].append(_fitted(arrays, name, layer).accuracy(test, labels))
        report(done + 1)
    write_json(run.of(row, seed, "json", "scores"), scores)


def _features(arrays: Mapping[str, Any], part: str, name: str, layer: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = arrays[f"{part}/{name}/{layer}"].astype(np.float64)
    return found


def _fitted(arrays: Mapping[str, Any], name: str, layer: str) -> Readout:
    training, validation = (_features(arrays, part, name, layer) for part in ("training", "validation"))
    return fit(training, arrays["training/labels"], validation, arrays["validation/labels"])


def _summary(run: ImageSpikesRun, row: Row) -> dict[str, Any]:
    seeds = run.experiment.seeds_of(row)
    variants = run.variants(row, seeds[0])
    scores = [read_json(run.of(row, seed, "json", "scores")) for seed in seeds]
    spikes = [read_json(run.of(row, seed, "json")) for seed in seeds]
    rates = {
        name: summarise([score["rates"][name] for score in scores if name in score["rates"]])
        for name in sorted({base_of(pooling) for _, pooling, _ in variants})
    }
    result: dict[str, Any] = {
        "title": row.title,
        "learns": row.learns,
        "seeds": list(seeds),
        "layers": [layer.name for layer in convolutions(run.experiment, row)],
        "network": spikes[0]["network"],
        "rates": rates,
        "variants": {},
    }
    for name, pooling, neurons in variants:
        one: dict[str, Any] = {"pooling": pooling, "neurons": neurons, "rate": base_of(pooling)}
        has = [score for score in scores if name in score["refitted"]]
        for readout in READOUTS:
            one[readout] = summarise([score[readout][name] for score in has])
            one[f"{readout}_minus_rate"] = summarise(
                [
                    (np.array(score[readout][name]) - score["rates"][base_of(pooling)]).tolist()
                    for score in has
                ]
            )
        layers = [each["layers"][name] for each in spikes if name in each["layers"]]
        for figure in ("spikes", "excess", "unsent", "correlation"):
            one[figure] = summarise([[layer[figure] for layer in each] for each in layers])
        result["variants"][name] = one
    return result

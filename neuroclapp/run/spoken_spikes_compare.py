"""The step ``compare`` of trained encoders of speech in spikes: readouts, ``results.json`` and its table."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.frames import FrameReadout, fit_frames
from ..analysis.measures import summarise
from ..errors import RunError
from ..files import read_json, write_json
from ..report.spoken_spikes import columns
from ..report.text import ruled
from ..systems import Row
from .converted import READOUTS
from .parallel import Report, side_by_side
from .spoken_spikes import PARTS, SpokenSpikesRun, convolutions
from .versions import versions


def compare_spoken(run: SpokenSpikesRun) -> dict[str, Any]:
    """Read out every system in rates and in spikes, write ``results.json``, and return it."""
    if not run.done("simulate"):
        raise RunError(f"{run.folder}: step 'simulate' is not done; run: neuroclapp simulate {run.folder}")
    with run.step("compare"):
        jobs = {
            f"{row.name}, seed {seed}": partial(_compare, run, row, seed)
            for row, seed in run.jobs
            if not run.of(row, seed, "json", "scores").is_file()
        }
        side_by_side(jobs, "readout", 2 * (1 + len(run.spikes.neurons)) * len(jobs), run.workers)
    speech, brian2 = run.hearing.speech, run.folder / "brian2.json"
    results = {
        "experiment": run.experiment.title,
        "scale": run.experiment.scale,
        "data": speech.name,
        "versions": versions(),
        "cost": run.cost(),
        "neurons": list(run.spikes.neurons),
        "steps": run.spikes.resolution.timing.steps,
        "spikes": run.spikes.resolution.spikes,
        "utterances": {part: len(run.utterances(part)) for part in PARTS},
        "skipped": [list(each) for each in (*speech.skipped, *run.broken.items())],
        "brian2": read_json(brian2) if brian2.is_file() else None,
        "systems": {row.name: _summary(run, row) for row in run.experiment.systems},
    }
    write_json(run.folder / "results.json", results)
    return results


def show_spoken(run: SpokenSpikesRun) -> None:
    """Compare, and print the table."""
    header, rows = columns(compare_spoken(run))
    print("\n".join(ruled([header], rows)))


def _compare(run: SpokenSpikesRun, row: Row, seed: int, report: Report) -> None:
    arrays = run.arrays(run.of(row, seed, "npz"))
    silence, names = run.hearing.speech.silence, [str(each) for each in run.spikes.neurons]
    scores: dict[str, Any] = {
        "frames": {},
        "majority": {},
        "rate": {},
        **{readout: {} for readout in READOUTS},
    }
    done = 0
    for which, without in (("all", ()), ("spoken", silence)):
        counts = {part: ~np.isin(arrays[f"{part}/labels"], without) for part in PARTS}
        labels = {part: arrays[f"{part}/labels"][counts[part]] for part in PARTS}

        def features(part: str, name: str, counts: Any = counts) -> NDArray[np.float32]:
            return arrays[f"{part}/{name}"][counts[part]]

        def fitted(name: str, labels: Any = labels, features: Any = features) -> FrameReadout:
            nonlocal done
            found = fit_frames(features("training", name), labels["training"])
            done += 1
            report(done)
            return found

        test = labels["test"]
        rate = fitted("rate")
        scores["frames"][which] = len(test)
        scores["majority"][which] = 100 * float(np.mean(test == np.bincount(labels["training"]).argmax()))
        scores["rate"][which] = rate.accuracy(features("test", "rate"), test)
        scores["unchanged"][which] = [rate.accuracy(features("test", name), test) for name in names]
        scores["refitted"][which] = [fitted(name).accuracy(features("test", name), test) for name in names]
    write_json(run.of(row, seed, "json", "scores"), scores)


def _summary(run: SpokenSpikesRun, row: Row) -> dict[str, Any]:
    seeds = run.experiment.seeds_of(row)
    scores = [read_json(run.of(row, seed, "json", "scores")) for seed in seeds]
    spikes = [read_json(run.of(row, seed, "json")) for seed in seeds]
    result: dict[str, Any] = {
        "title": row.title,
        "learns": row.learns,
        "seeds": list(seeds),
        "layers": [layer.name for layer in convolutions(run.experiment, row)],
        "frames": scores[0]["frames"],
        "majority": scores[0]["majority"],
        "network": spikes[0]["network"],
        "rate": {which: summarise([score["rate"][which] for score in scores]) for which in ("all", "spoken")},
    }
    for readout in READOUTS:
        result[readout] = {
            which: summarise([score[readout][which] for score in scores]) for which in ("all", "spoken")
        }
        result[f"{readout}_minus_rate"] = {
            which: summarise(
                [(np.array(score[readout][which]) - score["rate"][which]).tolist() for score in scores]
            )
            for which in ("all", "spoken")
        }
    units = np.array(spikes[0]["network"]["units"])
    counts = [[[layer["spikes"] for layer in layers] for layers in each["layers"]] for each in spikes]
    result["spikes_per_frame"] = summarise([(np.array(each) @ units).tolist() for each in counts])
    for name in ("spikes", "excess", "unsent", "correlation"):
        result[name] = summarise(
            [[[layer[name] for layer in layers] for layers in each["layers"]] for each in spikes]
        )
    return result

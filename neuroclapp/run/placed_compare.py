"""The steps ``compare`` and ``plot`` of learning at places: readouts by layer, and the figure."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.measures import cosine, summarise
from ..analysis.readout import fit
from ..errors import RunError
from ..files import read_json, write_json
from ..places import Array, Arrays, Sharing
from ..report.document import Shown
from ..report.placed import accuracy, page, rows
from ..report.text import ruled
from .draw import plot_report, results_of
from .parallel import Job, Report, side_by_side
from .placed import SHARINGS, PlacedRun
from .versions import versions

PARTS = ("training", "validation", "test")
#: Worlds by what is read out: the weights, and whether units are rates or spikes.
WORLDS = ("random", "random_spiking", *(f"{s}_{kind}" for s in SHARINGS for kind in ("rate", "spiking")))


def compare_placed(run: PlacedRun) -> dict[str, Any]:
    """Read out every world, write ``results.json``, and return it."""
    if not run.done("simulate"):
        raise RunError(f"{run.folder}: step 'simulate' is not done; run: neuroclapp simulate {run.folder}")
    seeds = run.experiment.seeds
    with run.step("compare"):
        jobs: dict[str, Job] = {f"seed {seed}": partial(_compare, run, seed) for seed in seeds}
        side_by_side(jobs, "readout", len(jobs) * (len(WORLDS) + 1), run.workers)
    scores = [read_json(run.folder / "scores" / f"seed{seed}.json") for seed in seeds]
    agreement = {
        sharing: [read_json(run.learned("spiking", sharing, seed, "json")) for seed in seeds]
        for sharing in SHARINGS
    }
    results: dict[str, Any] = {
        "experiment": run.experiment.title,
        "data": run.images.name,
        "versions": versions(),
        "cost": run.cost(),
        "seeds": list(seeds),
        "presentations": run.experiment.presentations,
        "images": {part: len(run.seen(part)) for part in PARTS},
        "layers": [layer.name for layer in run.network.layers],
        "classes": len(run.images.classes),
        "raw": summarise([score["raw"] for score in scores]),
        "worlds": {
            world: {how: summarise([score[world][how] for score in scores]) for how in ("mean", "all")}
            for world in WORLDS
        },
        "differences": {},
        "agreement": {},
    }
    pairs = [(f"{s}_spiking", f"{s}_rate") for s in SHARINGS] + [
        (f"{s}_{kind}", f"random{ending}")
        for s in SHARINGS
        for kind, ending in (("rate", ""), ("spiking", "_spiking"))
    ]
    for a, b in pairs:
        results["differences"][f"{a} - {b}"] = {
            how: summarise([(np.array(score[a][how]) - score[b][how]).tolist() for score in scores])
            for how in ("mean", "all")
        }
    for sharing, found in agreement.items():
        names = list(found[0]["accumulated_cosine"])
        results["agreement"][sharing] = {
            "accumulated_cosine": {n: summarise([f["accumulated_cosine"][n] for f in found]) for n in names},
            "norm_ratio": {n: summarise([f["norm_ratio"][n] for f in found]) for n in names},
            "trajectory_cosine": {
                n: summarise([score["trajectory"][sharing][n] for score in scores]) for n in names
            },
            "layers": [
                {key: summarise([f["layers"][n][key] for f in found]) for key in found[0]["layers"][n]}
                for n in range(len(results["layers"]))
            ],
        }
    write_json(run.folder / "results.json", results)
    return results


def show_placed(run: PlacedRun) -> None:
    """Compare, and print the table."""
    header, cells = rows(compare_placed(run))
    print("\n".join(ruled([header], cells, left=2)))


def plot_placed(run: PlacedRun) -> None:
    """Draw the figure, and write the report."""
    results = results_of(run)
    sentence = "Readouts of the mean over places (left) and of all places side by side (right)."
    shown = Shown("layers", "Accuracy by layer, learned in spikes and in rates", accuracy(results), sentence)
    plot_report(run, results, [shown], 1, page)


def _compare(run: PlacedRun, seed: int, report: Report) -> None:
    images = {part: run.seen(part) for part in PARTS}
    seen = {part: run.eye.survey(each) for part, each in images.items()}
    labels = {part: np.asarray(each.labels) for part, each in images.items()}

    def accuracy_of(features: dict[str, Array]) -> float:
        readout = fit(features["training"], labels["training"], features["validation"], labels["validation"])
        return readout.accuracy(features["test"], labels["test"])

    scores: dict[str, Any] = {"raw": accuracy_of(seen), "trajectory": {}}
    report(1)
    for done, world in enumerate(WORLDS):
        sharing: Sharing = "local" if world.startswith("local") else "shared"
        kind = "spiking" if world.endswith("spiking") else "rate"
        weights = (
            run.start(sharing, seed)
            if world.startswith("random")
            else _arrays(run.arrays(run.learned(kind, sharing, seed)))
        )
        found = run.world(kind, sharing, seed)
        by_part = {part: found.activities(weights, each) for part, each in seen.items()}
        scores[world] = {"mean": [], "all": []}
        for n in range(len(run.network.layers)):
            layer = {part: each[n] for part, each in by_part.items()}
            scores[world]["mean"].append(accuracy_of({part: z.mean(1) for part, z in layer.items()}))
            scores[world]["all"].append(
                accuracy_of({part: z.reshape(len(z), -1) for part, z in layer.items()})
            )
        report(done + 2)
    for each in SHARINGS:
        start = run.start(each, seed)
        ends = [_arrays(run.arrays(run.learned(kind, each, seed))) for kind in ("rate", "spiking")]
        scores["trajectory"][each] = {
            name: cosine(ends[0][name] - array, ends[1][name] - array) for name, array in start.items()
        }
    write_json(run.folder / "scores" / f"seed{seed}.json", scores)


def _arrays(found: dict[str, NDArray[np.float64]]) -> Arrays:
    return dict(found)

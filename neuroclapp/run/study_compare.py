"""The step ``compare`` of a study: every world read out, ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.measures import summarise
from ..analysis.readout import few, fit
from ..errors import RunError
from ..files import read_json, write_json
from ..presentations import generator
from ..study import Condition
from ..weights import load_weights
from .compare import PARTS, Features, rate_features
from .parallel import Job, Report, side_by_side
from .study import StudyRun
from .study_scales import scales_of
from .study_worlds import Worlds
from .versions import versions

#: Worlds in the order of tables; the last two are of the condition, the others of its rates.
RATES = ("raw", "random", "rate", "rate_disturbed")
SPIKES = ("random_spiking", "spiking")
PAIRS = {
    "spiking_minus_rate": ("spiking", "rate"),
    "rate_disturbed_minus_rate": ("rate_disturbed", "rate"),
    "rate_minus_random": ("rate", "random"),
    "spiking_minus_random_spiking": ("spiking", "random_spiking"),
}
KEYS = ("accuracy", "accuracy_few_labels")


def compare_study(run: StudyRun) -> dict[str, Any]:
    """Read out all worlds of all conditions, write ``results.json``, and return it."""
    for step in ("train", "simulate"):
        if not run.done(step):
            raise RunError(f"{run.folder}: step {step!r} is not done; run: neuroclapp {step} {run.folder}")
    with run.step("compare"):
        folder = run.folder.absolute()
        jobs: dict[str, Job] = {
            f"{condition.name} in rates, seed {seed}": partial(read_rates, folder, condition.name, (seed,))
            for condition, seed in run.sharing()
            if not (run.rates(condition, seed) / "accuracy.json").is_file()
        }
        total = len(jobs)
        for condition, seeds in run.waiting("seed{}-accuracy.json"):
            jobs[condition.name] = partial(read_spikes, folder, condition.name, seeds)
            total += len(seeds)
        if jobs:
            side_by_side(jobs, "readouts", total, run.workers)
        found = {condition.name: _figures(run, condition) for condition in run.study.conditions}
    results = {
        "experiment": run.study.title,
        "kind": "study",
        "versions": versions(),
        "cost": run.cost(),
        "conditions": found,
        "pictures": [asdict(picture) for picture in run.study.pictures],
    }
    write_json(run.folder / "results.json", results)
    return results


def read_rates(folder: Path, name: str, seeds: Sequence[int], report: Report) -> None:
    """Read out raw input, random encoder and rate worlds of a condition: a job of its own."""
    run = StudyRun(folder)
    condition = run.study.condition(name)
    worlds = run.worlds(condition)
    for done, seed in enumerate(seeds):
        inputs = {part: stream.inputs for part, stream in worlds.surveys(seed).items()}
        features = {"raw": [inputs]}
        for world, kept in zip(RATES[1:], ("initial", "rate", "rate_disturbed"), strict=True):
            weights = run.rate_weights(condition, seed, kept)
            features[world] = rate_features(worlds.network, weights, inputs)
        write_json(run.rates(condition, seed) / "accuracy.json", accuracies(worlds, seed, features))
        report(done + 1)


def read_spikes(folder: Path, name: str, seeds: Sequence[int], report: Report) -> None:
    """Read out the spiking worlds of a condition: a job of its own."""
    run = StudyRun(folder)
    condition = run.study.condition(name)
    worlds = run.worlds(condition)
    for done, seed in enumerate(seeds):
        counts = run.arrays(run.of(condition, f"seed{seed}.npz"))
        features = {
            world: [
                {part: counts[f"{world}/{part}/{layer.name}"] * layer.soma.quantum for part in PARTS}
                for layer in worlds.populations.layers
            ]
            for world in SPIKES
        }
        write_json(run.of(condition, f"seed{seed}-accuracy.json"), accuracies(worlds, seed, features))
        report(done + 1)


def accuracies(
    worlds: Worlds, seed: int, features: Mapping[str, Sequence[Features]]
) -> dict[str, dict[str, list[float]]]:
    """Return accuracy [%] on test glimpses by world and layer, with all training labels and with few.

    The penalty of each readout is chosen on validation images; test images are scored once. Accuracy on the
    validation images stands beside it, for choices to be made there.
    """
    surveys = worlds.surveys(seed)
    training, validation, test = (getattr(worlds.data, part).labels[surveys[part].image] for part in PARTS)
    picked = {
        "accuracy": np.arange(len(training)),
        "accuracy_few_labels": few(training, worlds.settings.data.few_labels, generator(seed, "few")),
    }
    found: dict[str, dict[str, list[float]]] = {key: {} for key in (*KEYS, "validation")}
    for key, chosen in picked.items():
        for world, layers in features.items():
            readouts = [
                fit(layer["training"][chosen], training[chosen], layer["validation"], validation)
                for layer in layers
            ]
            pairs = list(zip(readouts, layers, strict=True))
            found[key][world] = [readout.accuracy(layer["test"], test) for readout, layer in pairs]
            if key == "accuracy":
                found["validation"][world] = [
                    readout.accuracy(layer["validation"], validation) for readout, layer in pairs
                ]
    return found


def _figures(run: StudyRun, condition: Condition) -> dict[str, Any]:
    """Return the figures of a condition: each by layer, mean and interval over its seeds."""
    seeds, settings = condition.settings.seeds, condition.settings
    agreement = [read_json(run.of(condition, f"seed{seed}-agreement.json")) for seed in seeds]
    accuracy = []
    for seed in seeds:
        rates = read_json(run.rates(condition, seed) / "accuracy.json")
        spikes = read_json(run.of(condition, f"seed{seed}-accuracy.json"))
        accuracy.append({key: {**rates[key], **spikes[key]} for key in (*KEYS, "validation")})
    found: dict[str, Any] = {
        "title": condition.title,
        "points": [asdict(point) for point in condition.points],
        "seeds": list(seeds),
        "layers": [layer.name for layer in run.worlds(condition).network.layers],
        "presentations": settings.presentations,
        "order": asdict(settings.order),
        "feedback": settings.feedback,
        "gate": run.worlds(condition).network.prediction.gate,
        "spiking": asdict(settings.spiking),
        "context": settings.context,
        "control": asdict(settings.control),
    }
    for key in (*KEYS, "validation"):
        found[key] = {world: summarise([one[key][world] for one in accuracy]) for world in (*RATES, *SPIKES)}
    for key, name in zip(KEYS, ("paired_difference", "paired_difference_few_labels"), strict=True):
        found[name] = {
            pair: summarise([(np.array(one[key][a]) - np.array(one[key][b])).tolist() for one in accuracy])
            for pair, (a, b) in PAIRS.items()
        }
    found["agreement"] = {
        name: {target: summarise([one[name][target] for one in agreement]) for target in value}
        if isinstance(value, dict)
        else summarise([one[name] for one in agreement])
        for name, value in agreement[0].items()
    }
    if settings.chip is not None:
        found |= _on_chip(run, condition)
    return found


def _on_chip(run: StudyRun, condition: Condition) -> dict[str, Any]:
    """Return where the bits of a condition's words go, and histograms of W in rates and in integers."""
    chip, seeds = condition.settings.on_chip, condition.settings.seeds
    scales = scales_of(run.worlds(condition), run.of(condition, "scales.json"))
    kept = read_json(run.of(condition, "scales.json"))
    words = {name: getattr(chip.words, name) for name in ("weight", "tag", "trace")}
    weights = {}
    network = run.worlds(condition).network
    for layer in (one.name for one in network.layers):
        learned = [
            load_weights(run.of(condition, f"seed{seed}.safetensors"), network)[f"{layer}.w_ff"]
            for seed in seeds
        ]
        rates = [run.rate_weights(condition, seed, "rate")[f"{layer}.w_ff"] for seed in seeds]
        widest = max(float(np.abs(array).max()) for array in (*learned, *rates))
        edges = np.linspace(-widest, widest, 61)
        shares = {
            world: (np.histogram(np.concatenate(arrays), edges)[0] / np.size(arrays)).tolist()
            for world, arrays in (("rate", rates), ("chip", learned))
        }
        weights[layer] = {"edges": edges.tolist(), **shares}
    matrices = {name: vars(scale) for name, scale in scales.matrices.items()}
    return {
        "chip": {**kept, "scales": matrices, "replay": dict(scales.replay), "words": words},
        "weights": weights,
    }

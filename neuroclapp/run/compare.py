"""The step ``compare``: accuracy of every world, agreement between them, ``results.json``."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.agreement import Comparison
from ..analysis.measures import summarise, total_change_cosine
from ..analysis.readout import Readout, few, fit
from ..errors import RunError
from ..files import read_json, write_json, write_npz
from ..network import Network
from ..presentations import generator
from ..weights import Weights
from . import trajectory
from .directory import RunDirectory
from .parallel import Report, side_by_side
from .simulate import READ
from .versions import versions

#: Worlds in the order of the table.
WORLDS = (
    "raw",
    "random",
    "random_spiking",
    "rate",
    "converted",
    "converted_unchanged_readout",
    "spiking",
    "permuted_dendrite",
    "gamma_always_on",
    "rate_disturbed",
)
PAIRS = {
    "spiking_minus_rate": ("spiking", "rate"),
    "rate_disturbed_minus_rate": ("rate_disturbed", "rate"),
    "converted_minus_rate": ("converted", "rate"),
    "converted_unchanged_readout_minus_rate": ("converted_unchanged_readout", "rate"),
    "rate_minus_random": ("rate", "random"),
    "rate_minus_raw": ("rate", "raw"),
    "spiking_minus_random_spiking": ("spiking", "random_spiking"),
    "permuted_dendrite_minus_random_spiking": ("permuted_dendrite", "random_spiking"),
    "gamma_always_on_minus_random_spiking": ("gamma_always_on", "random_spiking"),
}
PARTS = ("training", "validation", "test")

Features = dict[str, NDArray[np.float64]]


def compare(run: RunDirectory) -> dict[str, Any]:
    """Compare all worlds of a run, write ``results.json``, and return it."""
    experiment = run.experiment
    for step in ("train", "simulate"):
        if not run.done(step):
            raise RunError(f"{run.folder}: step {step!r} is not done; run: neuroclapp {step} {run.folder}")
    with run.step("compare"):
        jobs = {f"seed {seed}": partial(_compare, run, seed) for seed in experiment.seeds}
        side_by_side(jobs, "comparison", len(jobs) * experiment.data.presentations, run.workers)
        seeds = [read_json(run.seed(seed) / "comparison.json") for seed in experiment.seeds]
    results = {
        "experiment": experiment.title,
        "seeds": list(experiment.seeds),
        "layers": [layer.name for layer in run.network.layers],
        "about": _about(run),
        "versions": versions(),
        "cost": run.cost(),
        "accuracy": _accuracy(seeds, "accuracy"),
        "accuracy_few_labels": _accuracy(seeds, "accuracy_few_labels"),
        "paired_difference": _differences(seeds, "accuracy"),
        "paired_difference_few_labels": _differences(seeds, "accuracy_few_labels"),
        "agreement": _agreement([seed["agreement"] for seed in seeds]),
    }
    if run.done("lava"):
        results["lava"] = read_json(run.folder / "lava.json")
    write_json(run.folder / "results.json", results)
    return results


def _about(run: RunDirectory) -> dict[str, Any]:
    """Return what was shown and what was built; times are in seconds."""
    data, populations = run.experiment.data, run.populations
    timing = populations.timing
    return {
        "presentations": data.presentations,
        "labels": len(run.data.training.labels),
        "few_labels": data.few_labels,
        "test_images": len(run.data.test.labels),
        "test_glimpses": data.test_glimpses,
        "inputs": int(np.prod(run.network.input)),
        "units": [layer.units for layer in run.network.layers],
        "neurons": populations.layers[0].soma.neurons,
        "duration": timing.duration,
        "flush": timing.flush,
        "dt": timing.dt,
    }


def _compare(run: RunDirectory, seed: int, report: Report) -> None:
    path = run.seed(seed) / "comparison.json"
    if path.is_file():
        report(run.experiment.data.presentations)
        return
    accuracy, few_labels = accuracies(run, seed)
    write_json(
        path,
        {"accuracy": accuracy, "accuracy_few_labels": few_labels, "agreement": agreement(run, seed, report)},
    )


def accuracies(run: RunDirectory, seed: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return test accuracy [%] by world and layer, read out with all training labels and with few.

    The penalty of each readout is chosen on validation images; test images are scored once.
    """
    surveys = run.surveys(seed)
    training, validation, test = (getattr(run.data, part).labels[surveys[part].image] for part in PARTS)
    chosen = {
        "all": np.arange(len(training)),
        "few": few(training, run.experiment.data.few_labels, generator(seed, "few")),
    }
    scored: dict[str, dict[str, list[float]]] = {"all": {}, "few": {}}
    for labels, picked in chosen.items():
        rate_readouts: list[Readout] = []
        for world, layers in _worlds(run, seed).items():
            readouts = [
                fit(layer["training"][picked], training[picked], layer["validation"], validation)
                for layer in layers
            ]
            if world == "rate":
                rate_readouts = readouts
            pairs = zip(readouts, layers, strict=True)
            scored[labels][world] = [readout.accuracy(layer["test"], test) for readout, layer in pairs]
            if world == "converted":
                pairs = zip(rate_readouts, layers, strict=True)
                unchanged = [readout.accuracy(layer["test"], test) for readout, layer in pairs]
                scored[labels]["converted_unchanged_readout"] = unchanged
    return scored["all"], scored["few"]


def _worlds(run: RunDirectory, seed: int) -> dict[str, list[Features]]:
    """Return the features of every world by layer and part; spike counts in units of activity."""
    surveys = {part: stream.inputs for part, stream in run.surveys(seed).items()}
    counts = run.arrays(run.seed(seed) / "features.npz")
    worlds = {
        "raw": [surveys],
        "random": rate_features(run.network, run.weights(seed, "initial"), surveys),
        "rate": rate_features(run.network, run.weights(seed, "rate"), surveys),
        "rate_disturbed": rate_features(run.network, run.weights(seed, "rate_disturbed"), surveys),
    }
    for world in READ:
        worlds[world] = [
            {part: counts[f"{world}/{part}/{layer.name}"] * layer.soma.quantum for part in PARTS}
            for layer in run.populations.layers
        ]
    return worlds


def rate_features(network: Network, weights: Weights, inputs: Features) -> list[Features]:
    features = []
    for layer in network.layers:
        bias = weights.get(f"{layer.name}.bias", np.zeros(1))
        inputs = {
            part: np.maximum(x @ weights[f"{layer.name}.w_ff"].T + bias, 0.0) for part, x in inputs.items()
        }
        features.append(inputs)
    return features


def agreement(run: RunDirectory, seed: int, report: Report) -> dict[str, Any]:
    """Return the agreement of one seed's learned spiking world with the rate world."""
    initial, stream = run.weights(seed, "initial"), run.stream(seed)
    comparison = Comparison(run.network, run.populations, initial, generator(seed, "shuffle"))
    for first, record, after in trajectory.walk(run.seed(seed) / "spiking.h5"):
        comparison.walk(stream[first : first + len(record.input_count)], record, after)
        report(first)
    write_npz(run.seed(seed) / "scores.npz", comparison.scores())
    names = [f"{layer.name}.w_ff" for layer in run.network.layers]
    spiking, rate, disturbed = (run.weights(seed, name) for name in ("spiking", "rate", "rate_disturbed"))
    return {
        **comparison.summary(),
        "trajectory_cosine": total_change_cosine(spiking, rate, initial, names),
        "trajectory_ceiling": total_change_cosine(disturbed, rate, initial, names),
    }


def _accuracy(seeds: list[dict[str, Any]], key: str) -> dict[str, Any]:
    return {world: summarise([seed[key][world] for seed in seeds]) for world in WORLDS}


def _differences(seeds: list[dict[str, Any]], key: str) -> dict[str, Any]:
    return {
        name: summarise([(np.array(seed[key][a]) - np.array(seed[key][b])).tolist() for seed in seeds])
        for name, (a, b) in PAIRS.items()
    }


def _agreement(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name, value in seeds[0].items():
        if isinstance(value, dict):
            merged[name] = {target: summarise([seed[name][target] for seed in seeds]) for target in value}
        else:
            merged[name] = summarise([seed[name] for seed in seeds])
    return merged

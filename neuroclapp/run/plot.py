"""The step ``plot``: figures and ``report.html`` from what the other steps left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..files import read_json
from ..report.accuracy import accuracy
from ..report.agreement import agreement
from ..report.document import Shown
from ..report.gates import Gates, gates, score_scatter
from ..report.page import page
from ..report.raster import Spikes, Steps, raster
from ..report.text import cell
from ..report.weights import Moving, matrices, norms, receptive_fields, single_weights, trajectories
from .directory import RunDirectory
from .draw import plot_report, results_of
from .trajectory import open_trajectory


def plot(run: RunDirectory) -> None:
    """Draw every figure and write the report."""
    results = results_of(run)
    plot_report(run, results, _figures(run, results), 9, page)


def _figures(run: RunDirectory, results: dict[str, Any]) -> Iterator[Shown]:
    seed, layers = run.experiment.seeds[0], results["layers"]
    top = layers[-1]
    gain = {pair: cell(each, "+.1f", -1) for pair, each in results["paired_difference"].items()}
    yield Shown(
        "accuracy",
        "What a linear readout finds in each world",
        accuracy(results),
        f"In {top}, learning in spikes minus learning in rates is {gain['spiking_minus_rate']} points (a rate "
        f"network with 0.1 % input noise differs from itself by {gain['rate_disturbed_minus_rate']}), learning "
        f"in rates minus the random encoder {gain['rate_minus_random']}; dots are seeds.",
    )
    yield Shown(
        "agreement",
        "How closely spikes follow the rule",
        agreement(results),
        "Left: at every presentation both worlds hold the same weights, and the cosine compares what each would change; "
        "right: both run freely, and a rate run against itself with 0.1 % input noise is the ceiling.",
    )
    rate, spiking = _rate(run, seed), _spiking(run, seed)
    yield Shown(
        "norms",
        f"How far the weights move (seed {seed})",
        norms([rate, spiking], layers),
        "Solid is the rate world, dashed the spiking one; both start from the same weights and see the same stream.",
    )
    yield Shown(
        "single_weights",
        f"Single weights on their way (seed {seed})",
        single_weights([rate, spiking], layers),
        "The same synapses in both worlds: dashed lines that leave their solid ones show where the worlds part.",
    )
    ceiling = dict(
        zip(
            layers,
            read_json(run.seed(seed) / "comparison.json")["agreement"]["trajectory_ceiling"],
            strict=True,
        )
    )
    yield Shown(
        "trajectories",
        f"How far free-running worlds drift apart (seed {seed})",
        trajectories(rate, spiking, ceiling, layers),
        "The dotted line is what a rate run with 0.1 % input noise keeps of its own twin's direction at the end.",
    )
    for layer in layers:
        yield Shown(
            f"matrices_{layer}",
            f"Weight matrices before and after, {layer} (seed {seed})",
            matrices([rate, spiking], layer),
            "Each row has one colour scale: structure that both worlds learn stands in the same places.",
        )
    first = f"{layers[0]}.w_ff"
    yield Shown(
        "receptive_fields",
        f"What units of {layers[0]} see (seed {seed})",
        receptive_fields(
            rate.weights[first][0],
            {one.world: one.weights[first][-1] for one in (rate, spiking)},
            run.data.side,
        ),
        "Each column is one unit: noise at the start, and strokes of digits where learning has shaped it.",
    )
    sign = run.stream(seed).sign
    yield Shown(
        "gates",
        f"Gates and scores (seed {seed})",
        gates([_gates(run, seed, "rate"), _gates(run, seed, "spiking")], sign, _named(run)),
        "Top: how often gamma opens in both worlds. Bottom: fixations right of +1 and saccades left of -1 leave the "
        "gate closed; all others make the layer learn.",
    )
    scores = run.arrays(run.seed(seed) / "scores.npz")
    last = slice(-4000, None)
    rmse = results["agreement"]["score_rmse"]["mean"]
    yield Shown(
        "scores",
        f"The modulators' estimate of the score (seed {seed})",
        score_scatter(
            [one for suffix in _suffixes(run) for one in scores[f"spiking{suffix}"][:, last]],
            [one for suffix in _suffixes(run) for one in scores[f"rate{suffix}"][:, last]],
            scores["sign"][last],
            _named(run),
        ),
        f"Both on the same weights, last 4000 presentations; root mean square error {', '.join(f'{e:.3f}' for e in rmse)} "
        "by layer over all presentations and seeds. Dashed: the hinge's corners.",
    )
    yield Shown(
        "raster",
        f"Eight presentations in spikes (seed {seed})",
        _raster(run, seed),
        "Green spans are fixations, pink ones saccades. The dendrite holds its prediction through the sample, the score "
        "builds up with the spikes, and gamma is released at the end where the score is on the wrong side of its margin.",
    )


def _rate(run: RunDirectory, seed: int) -> Moving:
    arrays = run.arrays(run.seed(seed) / "rate.npz")
    return Moving("rate", arrays["at"], {name: array for name, array in arrays.items() if "." in name})


def _spiking(run: RunDirectory, seed: int) -> Moving:
    with open_trajectory(run.seed(seed) / "spiking.h5") as file:
        return Moving("spiking", file["at"][:], {name: file["weights"][name][:] for name in file["weights"]})


def _suffixes(run: RunDirectory) -> list[str]:
    """Return what the names of each gate's score and gamma end in: "", or "" and "_retro"."""
    return [gate.removeprefix("gamma") for gate in run.populations.plasticity.gates]


def _named(run: RunDirectory) -> list[str]:
    """Return the titles of all gates: those of the layers, then those of their second ones."""
    return [
        f"{layer.name}{suffix.replace('_', ', ')}"
        for suffix in _suffixes(run)
        for layer in run.network.layers
    ]


def _gates(run: RunDirectory, seed: int, world: str) -> Gates:
    keys, suffixes = ("score", "gamma"), _suffixes(run)
    if world == "rate":
        arrays = run.arrays(run.seed(seed) / "rate.npz")
        return Gates(world, *(np.hstack([arrays[key + suffix] for suffix in suffixes]) for key in keys))
    with open_trajectory(run.seed(seed) / "spiking.h5") as file:
        layers = range(len(run.network.layers))
        score, gamma = (
            np.stack([file[f"{n}/{key}{suffix}"][:] for suffix in suffixes for n in layers], axis=1)
            for key in keys
        )
        return Gates(world, score, gamma)


def _raster(run: RunDirectory, seed: int) -> Any:
    arrays, layers = run.arrays(run.seed(seed) / "steps.npz"), run.network.layers

    def spikes(name: str) -> Spikes:
        return Spikes(*(arrays[f"{name}_spikes/{key}"] for key in ("step", "i", "packet")))

    top = len(layers) - 1
    layer = run.populations.layers[top]
    steps = Steps(
        arrays[f"soma{top}_steps/apical"],
        [arrays[f"modulator{top}_steps/evidence"][:, layer.rows(gate)] for gate in layer.gates],
        [arrays[f"soma{top}_steps/{gate}"][:, 0] for gate in layer.gates],
    )
    shown = {"input": spikes("input")}
    shown |= {layer.name: spikes(f"soma{n}") for n, layer in enumerate(layers)}
    shown[f"modulator, {layers[top].name}"] = spikes(f"modulator{top}")
    return raster(shown, steps, arrays["sign"].tolist(), run.populations, layers[top].name)

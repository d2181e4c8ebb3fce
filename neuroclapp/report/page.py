"""The report of a run that compares worlds: accuracy, agreement, every figure, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from .document import Shown, again, cost_and_versions, document, pictures, table
from .lava import lava
from .style import GATES, NAMES, TARGETS
from .text import cells

_IDEAS = (
    "<b>CLAPP</b> trains each layer by itself: it predicts its own next activity, and a weight changes by the "
    "product of presynaptic activity, a dendritic prediction and a third factor gamma that the whole layer shares.",
    "<b>The stream</b> shows each image twice, with fresh noise, and then another one. Seeing the same image again "
    "is a fixation: the prediction should have been right. Going to another is a saccade: it should have been wrong.",
    "<b>In spikes</b> a unit is a population of integrate-and-fire neurons with an apical dendrite that holds the "
    "prediction; a population of neuromodulator units estimates the score and releases gamma.",
    "<b>Converted</b> means rate-trained weights run in spikes; <b>learned in spikes</b> means learned in Brian2 from "
    "the same random weights, wholly in spikes. Two controls must fail: dendrites permuted afresh at each "
    "presentation, and gamma always on, whatever the score.",
)


def page(results: dict[str, Any], shown: Sequence[tuple[Shown, bytes]], experiment: str) -> str:
    """Return the whole report as HTML.

    ``shown`` pairs each figure with its PNG; ``experiment`` is the run's as TOML text.
    """
    title = escape(results["experiment"])
    seeds = ", ".join(map(str, results["seeds"]))
    several = len(results["seeds"]) > 1
    said = f"Seeds {seeds}; figures are means over seeds with the 95 % interval of the mean."
    parts = [
        f"<h1>{title}</h1><p>{said if several else f'Seed {seeds} alone: figures have no interval.'}</p>",
        "<ul>" + "".join(f"<li>{idea}</li>" for idea in _IDEAS) + "</ul>",
        "<h2>Test accuracy</h2>" + _accuracy(results),
        "<h2>Agreement of spikes with the rule</h2>" + _agreement(results),
        *pictures(shown),
    ]
    if "lava" in results:
        parts += lava(results["lava"], results["layers"])
    parts += [
        *cost_and_versions(results),
        again(
            experiment,
            "It also holds <code>results.json</code>, the exchange files <code>network.nir</code> and "
            "<code>plasticity.json</code>, <code>figures/</code>, and weights and trajectories by seed.",
        ),
    ]
    return document(results["experiment"], parts)


def _accuracy(results: dict[str, Any]) -> str:
    kinds = (("accuracy", "all labels"), ("accuracy_few_labels", "few labels"))
    layers = results["layers"]
    header = ["[%]", *(f"{layer}, {title}" for _, title in kinds for layer in layers)]
    rows = []
    for world in results["accuracy"]:
        row = []
        for key, _ in kinds:
            figure = results[key][world]
            each = cells(figure, ".1f")
            row += [*each, *[""] * (len(layers) - len(each))]
        rows.append([escape(NAMES[world]), *row])
    return table(header, rows, escaped=True)


_NAMES = {**TARGETS, **GATES, "spiking": "in spikes", "rate": "in rates"}
_FIGURES = {
    "accumulated_cosine": "accumulated cosine on shared weights",
    "norm_ratio": "norm ratio",
    "shuffled_gamma_cosine": "floor: gamma shuffled",
    "gate_agreement": "gate agreement",
    "gate_kappa": "gate, Cohen's kappa",
    "gate_kappa_near_margin": "kappa, score within 0.2 of the margin",
    "gate_open_fraction": "gate open",
    "gate_agreement_by_gate": "gate agreement",
    "gate_open_fraction_by_gate": "gate open",
    "gates_apart": "pairs in which the two gates differ",
    "score_rmse": "score, RMSE",
    "score_rmse_by_gate": "score, RMSE",
    "score_correlation_fixations": "score, correlation within fixations",
    "score_correlation_saccades": "score, correlation within saccades",
    "trajectory_cosine": "free-running: cosine of the total change of W",
    "trajectory_ceiling": "its ceiling",
    "excess_spikes": "spikes per unit beyond the final charge",
}


def _agreement(results: dict[str, Any]) -> str:
    rows = []
    for key, name in _FIGURES.items():
        found = results["agreement"].get(key, {})
        by_target = (
            {name: found}
            if "mean" in found
            else {f"{name}, {_NAMES.get(part, part)}": each for part, each in found.items()}
        )
        for title, figure in by_target.items():
            rows.append([title, *cells(figure, ".4f")])
    return table(["", *results["layers"]], rows)

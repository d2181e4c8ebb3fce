"""The report of a run that compares worlds: accuracy, agreement, every figure, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from .accuracy import labels
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


_PAIRED = (
    "Both sides have the same initial weights, stream and test glimpses. Learned in spikes minus learned in rates "
    "is what spikes cost; beside it, what 0.1 % input noise does to the rate network alone."
)
_MEANING = (
    "On shared weights, both worlds hold the same weights at every presentation, and the cosine is that of the "
    "changes that each makes of them, summed over all presentations; the floor is what is left where gates are "
    "shuffled. Gate agreement is the share of pairs with the same gamma in both worlds, kappa the same with chance "
    "taken off; gate open is the share of pairs from which a layer learns. The ceiling of the free-running cosine "
    "is a rate network against itself with 0.1 % input noise."
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
        f"<h1>{title}</h1><p>{_about(results)}{said if several else f'Seed {seeds} alone: figures have no interval.'}</p>",
        "<ul>" + "".join(f"<li>{idea}</li>" for idea in _IDEAS) + "</ul>",
        "<h2>Test accuracy</h2>" + _accuracy(results),
        *_differences(results),
        f"<h2>Agreement of spikes with the rule</h2>{_agreement(results)}<p>{_MEANING}{_idle(results)}</p>",
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
    names = {world: NAMES[world] for world in results["accuracy"]}
    return _by_labels(results, "accuracy", "[%]", names, ".1f")


def _differences(results: dict[str, Any]) -> list[str]:
    """Return the part on differences within a seed, where they were measured."""
    if "paired_difference" not in results:
        return []
    names = {
        pair: " - ".join(NAMES[world] for world in pair.split("_minus_"))
        for pair in results["paired_difference"]
    }
    shown = _by_labels(results, "paired_difference", "[points]", names, "+.2f")
    return [f"<h2>Differences within a seed</h2>{shown}<p>{_PAIRED}</p>"]


def _by_labels(results: dict[str, Any], key: str, unit: str, names: dict[str, str], form: str) -> str:
    """Return a table of figures by layer, for the readout with all labels and for that with few."""
    layers, titles = results["layers"], labels(results)
    header = [unit, *(f"{layer}, {title}" for title in titles for layer in layers)]
    rows = []
    for name, title in names.items():
        row = [title]
        for each in (key, f"{key}_few_labels"):
            found = cells(results[each][name], form)
            row += [*found, *[""] * (len(layers) - len(found))]
        rows.append(row)
    return table(header, rows)


def _about(results: dict[str, Any]) -> str:
    """Say what was shown and what was built; results of older versions do not hold it."""
    if "about" not in results:
        return ""
    about = results["about"]
    ms = {key: f"{1000 * about[key]:g} ms" for key in ("duration", "flush", "dt")}
    return (
        f"{about['presentations']} presentations of digits without labels, to {about['inputs']} inputs and layers "
        f"of {', '.join(map(str, about['units']))} units; in spikes, {about['neurons']} neurons per unit, and "
        f"{ms['duration']} of input and {ms['flush']} without in each presentation, in steps of {ms['dt']}. Then a "
        f"linear readout of each layer is fitted with {about['labels']} labels, or with {about['few_labels']}, and "
        f"tested on {about['test_images']} images, {about['test_glimpses']} glimpses of each. "
    )


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
    "excess_spikes": "spikes per unit beyond the final charge; negative where a reset loses charge",
}


def _idle(results: dict[str, Any]) -> str:
    """Warn of gates that stay open or shut: that they agree says little."""
    found = results["agreement"].get("gate_open_fraction")
    layers = [] if found is None else zip(results["layers"], found["mean"], strict=True)
    idle = [f"{layer} {100 * share:.0f} %" for layer, share in layers if not 0.05 <= share <= 0.95]
    if not idle:
        return ""
    return (
        f" <b>In this run gates hardly move: open in {escape(', '.join(idle))} of the pairs. That they agree, "
        "and cosines that follow, then say little; show more presentations, or learn faster.</b>"
    )


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

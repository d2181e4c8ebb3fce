"""Pictures, tables and page of a study: measures against what its conditions vary, and accuracy by layer."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .document import Shown, again, cost_and_versions, document, pictures, table
from .style import COLOURS, NAMES, figure, label, legend_above
from .text import cell

#: Measures by key of a condition's results: where to find one, and its name on an axis.
MEASURES = {
    "accumulated_cosine.w_ff": "accumulated cosine, W",
    "accumulated_cosine.w_pred": "accumulated cosine, W_pred",
    "accumulated_cosine.w_retro": "accumulated cosine, W_retro",
    "update_cosine.w_ff": "update cosine, W",
    "trajectory_cosine": "trajectory cosine, W",
    "trajectory_share": "trajectory cosine / its ceiling",
    "gate_agreement": "gate agreement",
    "gate_agreement_by_gate.gamma": "gate agreement, first gate",
    "gate_agreement_by_gate.gamma_retro": "gate agreement, second gate",
    "gate_kappa": "gate, Cohen's kappa",
    "score_rmse": "score, RMSE",
    "excess_spikes": "excess spikes per unit",
    "spikes": "spikes per unit",
    "norm_ratio.w_ff": "norm ratio, W",
    "gate_open_fraction": "share of open gates",
    "accuracy.spiking": "accuracy in spikes [%]",
    "accuracy.rate": "accuracy in rates [%]",
    "accuracy.random_spiking": "accuracy of the random encoder, spikes [%]",
    "accuracy_few_labels.spiking": "accuracy in spikes, few labels [%]",
    "paired_difference.spiking_minus_rate": "spikes - rates [points]",
}
USUAL = (
    "accumulated_cosine.w_ff",
    "accumulated_cosine.w_pred",
    "update_cosine.w_ff",
    "trajectory_share",
    "gate_agreement",
    "gate_kappa",
    "excess_spikes",
    "accuracy.spiking",
    "paired_difference.spiking_minus_rate",
)
#: Worlds and measures that are drawn by layer.
_WORLDS = {"rate": "s-", "spiking": "o-", "random": "s:", "random_spiking": "o:"}
_AGREEMENT = ("accumulated_cosine.w_ff", "accumulated_cosine.w_pred", "gate_agreement", "trajectory_share")
_CURVES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_LAYERS = ("-", "--", "-.", ":")
_MARKS = ("o", "s", "^", "v")
#: The most places on a linear axis that all have a tick.
_TICKS = 8
#: A share of one below which the figures call agreement broken.
BROKEN = 0.97


def measured(condition: dict[str, Any], measure: str) -> dict[str, Any]:
    """Return ``{mean, interval, per_seed}`` of a measure by layer; raise KeyError where there is none."""
    found: Any = condition if measure.split(".")[0] in condition else condition["agreement"]
    for key in measure.split("."):
        found = found[key]
    return dict(found)


def curves(picture: dict[str, Any], results: dict[str, Any]) -> Figure:
    """Draw measures against x: colours are curves, line styles layers, bars 95 % intervals over seeds."""
    measures = picture["measures"] or USUAL
    columns = min(3, len(measures))
    rows = -(-len(measures) // columns)
    made, axes = figure(rows, columns, (3.9 * columns, 2.9 * rows + 0.5))
    found = _points(picture["name"], results)
    places = {x: n for n, x in enumerate(dict.fromkeys(x for points in found.values() for x, _ in points))}
    text = any(isinstance(x, str) for x in places)
    for each, measure in zip(axes, measures, strict=False):
        for number, (curve, points) in enumerate(found.items()):
            _curve(each, measure, curve, points, number, places if text else None, len(found))
        label(each, picture["x"], MEASURES.get(measure, measure))
        if text:
            each.set_xticks(range(len(places)), list(map(str, places)), rotation=35, ha="right", fontsize=7)
        else:
            if picture["logarithmic"]:
                each.set_xscale("log")
            if picture["logarithmic"] or len(places) <= _TICKS:
                each.set_xticks(list(places), [f"{x:g}" for x in places])
                each.minorticks_off()
        if measure.startswith("paired_difference"):
            each.axhline(0.0, color="black", lw=0.7, ls=":")
        _within(each, measure)
    for each in axes[len(measures) :]:
        each.set_visible(False)
    legend_above(made, axes[0])
    return made


def layers(picture: dict[str, Any], results: dict[str, Any]) -> Figure:
    """Draw by layer, a column for each condition: accuracy in spikes and in rates, and agreement below it."""
    found = [condition for points in _points(picture["name"], results).values() for _, condition in points]
    made, axes = figure(2, len(found), (4.4 * len(found), 6.6))
    low = min(np.min(one["accuracy"][world]["per_seed"]) for one in found for world in _WORLDS)
    for top, below, one in zip(axes, axes[len(found) :], found, strict=False):
        at = np.arange(1, len(one["layers"]) + 1)
        for world, mark in _WORLDS.items():
            colour = "#777777" if world.startswith("random") else COLOURS[world]
            shift = 0.06 if "spiking" in world else -0.06
            _by_layer(top, at + shift, one["accuracy"][world], mark, colour, NAMES[world])
        raw = one["accuracy"]["raw"]["mean"][0]
        top.axhline(raw, color=COLOURS["raw"], ls="--", lw=1.2, label=NAMES["raw"])
        top.set_ylim(max(0.0, low - 5), min(103.0, top.get_ylim()[1]))
        label(top, "", "test accuracy [%]", one["title"])
        for number, measure in enumerate(_AGREEMENT):
            shift = 0.08 * (number - (len(_AGREEMENT) - 1) / 2)
            _by_layer(below, at + shift, measured(one, measure), "o-", _CURVES[number], MEASURES[measure])
        label(below, "layer", "agreement with the rate rule")
        for each in (top, below):
            each.set_xticks(at, one["layers"])
            each.set_xlim(0.5, len(at) + 0.5)
    seeds = np.concatenate([np.ravel(measured(one, m)["per_seed"]) for one in found for m in _AGREEMENT])
    for below in axes[len(found) :]:
        below.set_ylim(seeds.min() - 0.003, max(1.0, seeds.max()) + 0.003)
    legend_above(made, axes[0], axes[len(found)])
    return made


def _by_layer(
    axes: Axes, at: NDArray[np.floating], values: dict[str, Any], mark: str, colour: str, name: str
) -> None:
    """Draw means with 95 % intervals by layer, and a dot for each seed."""
    axes.errorbar(
        at, values["mean"], values["interval"], fmt=mark, color=colour, ms=5, lw=1.3, capsize=2, label=name
    )
    for seed in values["per_seed"]:
        axes.plot(at, seed, ".", color=colour, ms=3, alpha=0.4)


def breaks(picture: dict[str, Any], results: dict[str, Any]) -> str:
    """Say of each curve where the accumulated cosine of W is best, and where it counts as broken."""
    said = []
    for curve, points in _points(picture["name"], results).items():
        worst = [(min(measured(one, "accumulated_cosine.w_ff")["mean"]), x) for x, one in points]
        best, at = max(worst, key=lambda pair: pair[0])
        broken = [_place(x) for value, x in worst if value < BROKEN]
        where = f"below {BROKEN} at {', '.join(broken)}" if broken else f"never below {BROKEN}"
        said.append(f"{curve + ': ' if curve else ''}best {best:.3f} at {_place(at)}, {where}")
    along = f", by {picture['x']}" if picture["x"] else ""
    return f"Accumulated cosine of W in its worst layer{along}: {'; '.join(said)}."


def _place(x: float | str) -> str:
    """Return a number as it is and a name, which may hold commas, in quotes."""
    return f"{x:g}" if isinstance(x, float | int) else f'"{x}"'


#: Tables of all conditions: measures, their names where an axis has another, and formats.
TABLES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Agreement with the rate rule": (
        ("accumulated_cosine.w_ff", "", ".4f"),
        ("accumulated_cosine.w_pred", "", ".4f"),
        ("update_cosine.w_ff", "", ".4f"),
        ("gate_agreement", "", ".4f"),
        ("gate_kappa", "", ".4f"),
        ("trajectory_cosine", "", ".3f"),
        ("trajectory_share", "", ".3f"),
        ("spikes", "", ".2f"),
        ("excess_spikes", "", ".3f"),
    ),
    "Test accuracy": (
        ("accuracy.random", "random, rates [%]", ".1f"),
        ("accuracy.random_spiking", "random, spikes [%]", ".1f"),
        ("accuracy.rate", "learned in rates [%]", ".1f"),
        ("accuracy.spiking", "learned in spikes [%]", ".1f"),
        ("paired_difference.spiking_minus_rate", "spikes - rates, paired [points]", "+.2f"),
    ),
}
_MEANING = (
    "Cosines compare the direction of weight changes in spikes with that of the rate rule's: accumulated, of "
    "the sum of all changes, and update, of a single one, as a mean over presentations; both on shared "
    "weights. Gate agreement is the share of pairs with the same gamma in both worlds, and Cohen's kappa the "
    "same with chance taken off. The trajectory cosine is that of the total change of W in worlds that run "
    "freely; its ceiling is a rate run against itself with 0.1 % input noise. Spikes and excess spikes are "
    "means per unit and presentation; excess are those beyond the final charge, which cannot be taken back."
)


def columns(results: dict[str, Any], name: str) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a table, by its name in `TABLES`: a row for each condition and layer.

    Cells are means with 95 % intervals.
    """
    rows = []
    for one in results["conditions"].values():
        for n, layer in enumerate(one["layers"]):
            figures = [cell(measured(one, measure), form, n) for measure, _, form in TABLES[name]]
            rows.append([one["title"] if n == 0 else "", layer, *figures])
    return ["condition", "layer", *(text or MEASURES[measure] for measure, text, _ in TABLES[name])], rows


def raw(results: dict[str, Any]) -> str:
    """Say what a readout finds in the input itself."""
    found = []
    for one in results["conditions"].values():
        value, seeds = one["accuracy"]["raw"], one["seeds"]
        found.append(f"{cell(value, '.1f', 0)} % (seeds {', '.join(map(str, seeds))})")
    return f"A readout of the raw input finds {', or '.join(dict.fromkeys(found))}."


def page(results: dict[str, Any], shown: Sequence[tuple[Shown, bytes]], experiment: str) -> str:
    """Return the whole report as HTML.

    ``shown`` pairs each figure with its PNG; ``experiment`` is the run's as TOML text.
    """
    parts = [
        f"<h1>{escape(results['experiment'])}</h1>",
        "<p>Figures are means over seeds, of several with the 95 % interval of the mean. On shared weights "
        "the rate rule stands beside the spikes at every presentation; trajectories and accuracies are of "
        "worlds that run "
        f"freely from the same start. {escape(raw(results))}</p>",
        f"<p>{escape(_MEANING)}</p>",
        *pictures(shown),
        *(f"<h2>{name}, all conditions</h2>{table(*columns(results, name))}" for name in TABLES),
        *cost_and_versions(results),
        again(experiment),
    ]
    return document(results["experiment"], parts)


def _points(picture: str, results: dict[str, Any]) -> dict[str, list[tuple[Any, dict[str, Any]]]]:
    """Return the points of each curve of a picture, (x, condition), in the order of x where x is a number."""
    found: dict[str, list[tuple[Any, dict[str, Any]]]] = {}
    for one in results["conditions"].values():
        for point in one["points"]:
            if point["picture"] == picture:
                found.setdefault(point["curve"], []).append((point["x"], one))
    for points in found.values():
        if all(isinstance(x, float | int) for x, _ in points):
            points.sort(key=lambda pair: pair[0])
    return found


def _within(axes: Axes, measure: str) -> None:
    """Keep an axis to what a measure can be: intervals of few seeds may reach further."""
    low, high = axes.get_ylim()
    if measure.startswith("accuracy"):
        axes.set_ylim(max(low, -3.0), min(high, 103.0))
    elif "cosine" in measure or measure.startswith("gate_"):
        axes.set_ylim(max(low, -1.05), min(high, 1.05))


def _curve(
    axes: Axes,
    measure: str,
    curve: str,
    points: Sequence[tuple[Any, dict[str, Any]]],
    number: int,
    places: dict[Any, int] | None,
    count: int,
) -> None:
    colour = _CURVES[number % len(_CURVES)]
    for layer in range(max(len(one["layers"]) for _, one in points)):
        at, values, spread = [], [], []
        for x, one in points:
            found = measured(one, measure)
            if layer < len(found["mean"]):
                at.append(x if places is None else places[x] + 0.08 * (layer - 0.5) + 0.2 * number / count)
                values.append(found["mean"][layer])
                spread.append(np.nan if found["interval"] is None else found["interval"][layer])
        line = "" if places is not None else _LAYERS[layer % len(_LAYERS)]
        axes.errorbar(
            at,
            values,
            spread,
            fmt=_MARKS[layer % len(_MARKS)] + line,
            color=colour,
            ms=4,
            lw=1.2,
            capsize=2,
            label=f"{curve}, layer {layer + 1}" if curve else f"layer {layer + 1}",
        )

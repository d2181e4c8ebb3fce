"""The report of trained encoders of speech in spikes: its table, its figures, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from .datasets import data_name
from .document import Shown, again, cost_and_versions, document, pictures, table
from .style import COLOURS, figure, label
from .systems import LEARNS
from .text import cell

_READOUTS = {"refitted": ("o-", "readout fitted to spikes"), "unchanged": ("s--", "readout of the rates")}
_LAYERS = ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#000000")


def columns(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows, one for each system and number of neurons: means with 95 % intervals."""
    header = [
        "system",
        "neurons",
        "rates, all frames [%]",
        "spikes, refitted",
        "spikes, same readout",
        "rates, spoken [%]",
        "spikes, refitted",
        "spikes, same readout",
        "correlation, top",
        "spikes per unit, top",
        "spikes per frame",
    ]
    rows = []
    for one in results["systems"].values():
        for at, neurons in enumerate(results["neurons"]):
            cells = [one["title"], str(neurons)]
            for which in ("all", "spoken"):
                cells.append(cell(one["rate"][which], ".1f"))
                cells += [cell(one[name][which], ".1f", at) for name in _READOUTS]
            cells.append(f"{one['correlation']['mean'][at][-1]:.3f}")
            cells.append(f"{one['spikes']['mean'][at][-1]:.2f}")
            cells.append(f"{one['spikes_per_frame']['mean'][at]:.0f}")
            rows.append(cells)
    return header, rows


def by_layer(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows, one for each system, number of neurons and layer."""
    names = ("correlation", "spikes", "excess", "unsent")
    header = ["system", "neurons", "layer", "positions", "correlation", "spikes per unit", "excess", "unsent"]
    rows = []
    for one in results["systems"].values():
        for at, neurons in enumerate(results["neurons"]):
            for n, layer in enumerate(one["layers"]):
                place = [one["title"], str(neurons), layer, str(one["network"]["positions"][n])]
                rows.append([*place, *(f"{one[name]['mean'][at][n]:.3f}" for name in names)])
    return header, rows


def accuracy(results: dict[str, Any]) -> Figure:
    """Draw accuracy [%] of all and of spoken frames against neurons per unit, rates as dotted lines.

    Lines are medians over seeds and dots are seeds. A seed that lies far below the lines stands as a triangle
    with its value at the lower border, so that it does not press everything else into one line.
    """
    made, axes = figure(1, 2, (10, 4.2))
    for each, which, title in zip(axes, ("all", "spoken"), ("all frames", "spoken frames"), strict=True):
        drawn, dots = [], []
        for one in results["systems"].values():
            colour = LEARNS[one["learns"]][1] if one["learns"] != "nothing" else COLOURS["raw"]
            each.axhline(one["rate"][which]["mean"], color=colour, lw=1, ls=":")
            drawn.append(one["rate"][which]["mean"])
            for name, (mark, said) in _READOUTS.items():
                seeds = np.array(one[name][which]["per_seed"])
                middle = np.median(seeds, 0)
                text = f"{one['title']}, {said}"
                each.plot(results["neurons"], middle, mark, color=colour, ms=4, lw=1, label=text)
                drawn += middle.tolist()
                dots += [
                    (neurons, value, colour)
                    for row in seeds
                    for neurons, value in zip(results["neurons"], row, strict=True)
                ]
        low, high = min(drawn), max(drawn)
        _seeds(each, dots, low - 0.25 * (high - low), high + 0.1 * (high - low))
        _neurons(each, results)
        label(each, "neurons per unit", "phones right [%]", title)
    axes[0].legend(fontsize=7, frameon=False)
    return made


def _seeds(axes: Axes, dots: Sequence[tuple[int, float, str]], low: float, high: float) -> None:
    high = max([high, *(value for _, value, _ in dots)])
    axes.set_ylim(low, high)
    for neurons, value, colour in dots:
        if value >= low:
            axes.plot(neurons, value, ".", color=colour, ms=4, alpha=0.5)
        else:
            edge = low + 0.02 * (high - low)
            axes.plot(neurons, edge, "v", color=colour, ms=5)
            axes.annotate(f"{value:.1f}", (neurons, edge), (6, 0), textcoords="offset points", fontsize=7)


def follow(results: dict[str, Any]) -> Figure:
    """Draw correlation, spikes and excess spikes of each layer against neurons per unit."""
    systems = results["systems"]
    made, axes = figure(len(systems), 3, (11, 3.4 * len(systems)))
    for row, one in enumerate(systems.values()):
        for each, (name, said) in zip(
            axes[3 * row : 3 * row + 3],
            (
                ("correlation", "correlation with rates"),
                ("spikes", "spikes per unit and presentation"),
                ("excess", "excess spikes per unit"),
            ),
            strict=True,
        ):
            for n, layer in enumerate(one["layers"]):
                values = [layers[n] for layers in one[name]["mean"]]
                each.plot(
                    results["neurons"], values, "o-", color=_LAYERS[n % len(_LAYERS)], ms=3, lw=1, label=layer
                )
            if name == "spikes":
                each.set_yscale("log")
                each.yaxis.set_minor_formatter(NullFormatter())
            _neurons(each, results)
            label(each, "neurons per unit", said, one["title"])
    axes[0].legend(fontsize=7, frameon=False)
    return made


def page(results: dict[str, Any], shown: Sequence[tuple[Shown, bytes]], experiment: str) -> str:
    """Return the whole report as HTML.

    ``shown`` pairs each figure with its PNG; ``experiment`` is the run's as TOML text.
    """
    parts = [f"<h1>{escape(results['experiment'])}</h1>", f"<p>{escape(' '.join(facts(results)))}</p>"]
    parts.append("<h2>Phones from spikes</h2>" + table(*columns(results)))
    parts += pictures(shown)
    parts.append("<h2>By layer</h2>" + table(*by_layer(results)))
    parts.append(
        "<p>Spikes, excess and unsent spikes are per unit and presentation. A spike cannot be taken back: "
        "excess are those beyond the net charge that a unit received, unsent those that it had no time "
        "for. Spikes per frame are those of all positions, in one presentation, without the input's.</p>"
    )
    parts += cost_and_versions(results)
    parts.append(again(experiment))
    return document(results["experiment"], parts)


def facts(results: dict[str, Any]) -> list[str]:
    """Return what a reader must know, in sentences."""
    one = next(iter(results["systems"].values()))
    network, seen, frames = one["network"], results["utterances"], one["frames"]
    said = [
        f"Data: {data_name(results)}, {seen['training']} training and {seen['test']} test utterances with "
        f"{frames['all']} test frames, {frames['spoken']} of them spoken; the most frequent phone would be "
        f"right in {one['majority']['all']:.1f} and {one['majority']['spoken']:.1f} % of them.",
        f"A presentation of {results['steps']} time steps stands for one step of the top convolution, which "
        f"hears {network['samples']} samples: {network['inputs']} input units, {sum(network['units'])} units "
        f"above them, and {network['synapses']} synapses that repeat {network['weights']} weights.",
        "Recurrent units stay in rates and are not read out here.",
    ]
    brian2 = results["brian2"]
    if brian2:
        said.append(
            f"All frames are counted by the plain simulator; in {brian2['presentations']} presentations with "
            f"each number of neurons Brian2 counted {sum(brian2['different'])} of {sum(brian2['counts'])} "
            f"counts otherwise ({sum(brian2['spikes'])} spikes)."
        )
    return said


def _neurons(axes: Axes, results: dict[str, Any]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(results["neurons"], [str(each) for each in results["neurons"]])
    axes.minorticks_off()

"""The report of trained image encoders in spikes: its table, its figures, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from .datasets import data_name
from .document import Shown, again, cost_and_versions, document, pictures, table
from .style import figure, label
from .text import cells

_COLOURS = ("#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#0072b2", "#f0e442")
_READOUTS = {"refitted": "readout fitted to spikes", "unchanged": "readout of the rates"}
_POOLINGS = {"lead": "the leader's", "most": "of the most active", "first": "of the first", "mean": "mean"}


def columns(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: test accuracy [%] by layer, means with 95 % intervals."""
    layers = next(iter(results["systems"].values()))["layers"]
    header, rows = ["system", "what", *layers], []
    for one in results["systems"].values():
        for name, rate in one["rates"].items():
            said = "rates, average pooling" if name == "rate_mean" else "rates"
            rows.append([one["title"], said, *cells(rate, ".1f")])
        for name, each in one["variants"].items():
            for readout, text in _READOUTS.items():
                rows.append([one["title"], f"{_named(name, each)}, {text}", *cells(each[readout], ".1f")])
                difference = each[f"{readout}_minus_rate"]
                rows.append([one["title"], "  minus rates, paired", *cells(difference, "+.1f")])
    return header, rows


def by_layer(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows, one for each system, way of running it and layer."""
    figures = ("correlation", "spikes", "excess", "unsent")
    header = ["system", "what", "layer", "correlation", "spikes per unit", "excess", "unsent"]
    rows = []
    for one in results["systems"].values():
        for name, each in one["variants"].items():
            for n, layer in enumerate(one["layers"]):
                place = [one["title"], _named(name, each), layer]
                rows.append([*place, *(f"{each[figure]['mean'][n]:.3f}" for figure in figures)])
    return header, rows


def accuracy(results: dict[str, Any]) -> Figure:
    """Draw test accuracy [%] by layer: rates, and spikes with each number of neurons; a row for each system.

    Left stand readouts fitted to spikes, right those of the rates. Bars are 95 % intervals, dots seeds.
    """
    systems = results["systems"]
    made, axes = figure(len(systems), 2, (11, 4.0 * len(systems)), sharex=True, sharey=True)
    top = 0.0
    for row, one in enumerate(systems.values()):
        at = np.arange(len(one["layers"]))
        for column, (readout, text) in enumerate(_READOUTS.items()):
            each = axes[2 * row + column]
            _line(each, at, one["rates"]["rate"], color="black", marker="o", label="rates", lw=2)
            shown = [(str(neurons), f"spikes, K = {neurons}") for neurons in results["neurons"]]
            for place, (name, said) in enumerate(shown):
                shift = 0.08 * (place - (len(shown) - 1) / 2)
                look: dict[str, Any] = {
                    "color": _COLOURS[place % len(_COLOURS)],
                    "marker": "s",
                    "label": said,
                    "lw": 1.2,
                }
                _line(each, at + shift, one["variants"][name][readout], **look)
            each.set_xticks(at, one["layers"])
            top = max(top, *one["rates"]["rate"]["mean"])
            each.grid(axis="y", color="#dddddd", lw=0.6)
            each.axhline(100 / results["classes"], color="#999999", lw=1, ls=":")
            label(each, "", f"test accuracy, {data_name(results)} [%]", f"{one['title']}, {text}")
    axes[0].set_ylim(0, 1.4 * top)  # intervals of few seeds may reach far beyond
    axes[0].legend(fontsize=8, frameon=False)
    return made


def _line(axes: Any, at: Any, values: dict[str, Any], **look: Any) -> None:
    axes.plot(at, values["mean"], ms=4, **look)
    if len(values["per_seed"]) > 1:
        axes.errorbar(at, values["mean"], values["interval"], ls="none", color=look["color"], lw=1, capsize=2)
    for seed in values["per_seed"]:
        axes.plot(at, seed, ".", color=look["color"], ms=3, alpha=0.5)


def follow(results: dict[str, Any]) -> Figure:
    """Draw correlation and spikes of each layer with each number of neurons, and what poolings differ in."""
    systems = results["systems"]
    made, axes = figure(len(systems), 3, (12, 3.6 * len(systems)))
    for row, one in enumerate(systems.values()):
        at = np.arange(len(one["layers"]))
        mine = axes[3 * row : 3 * row + 3]
        plain = {name: each for name, each in one["variants"].items() if name.isdigit()}
        for axis, name, said in zip(
            mine,
            ("correlation", "spikes"),
            ("correlation with rates", "spikes per unit and presentation"),
            strict=False,
        ):
            for place, (neurons, each) in enumerate(plain.items()):
                look: dict[str, Any] = {"color": _COLOURS[place % len(_COLOURS)], "ms": 3, "lw": 1}
                axis.plot(at, each[name]["mean"], "o-", label=f"K = {neurons}", **look)
            label(axis, "", said, one["title"])
        mine[1].set_yscale("log")
        mine[1].yaxis.set_minor_formatter(NullFormatter())
        beside = str(results["others_neurons"])
        compared = {n: v for n, v in one["variants"].items() if not n.isdigit() or n == beside}
        mine[2].set_visible(len(compared) > 1)  # of one system alone
        for place, (name, each) in enumerate(compared.items()):
            look = {"color": _COLOURS[place % len(_COLOURS)], "ms": 3, "lw": 1}
            seed = each["refitted_minus_rate"]["per_seed"][0]
            mine[2].plot(at, seed, "o-", label=_named(name, each), **look)
        mine[2].axhline(0, color="#999999", lw=1, ls=":")
        label(mine[2], "", "spikes, refitted, minus rates [points]", "ways of pooling, first seed")
        for axis in mine:
            axis.set_xticks(at, one["layers"])
            if axis.get_legend_handles_labels()[0]:
                axis.legend(fontsize=7, frameon=False)
    return made


def page(results: dict[str, Any], shown: Sequence[tuple[Shown, bytes]], experiment: str) -> str:
    """Return the whole report as HTML.

    ``shown`` pairs each figure with its PNG; ``experiment`` is the run's as TOML text.
    """
    parts = [f"<h1>{escape(results['experiment'])}</h1>", f"<p>{escape(' '.join(facts(results)))}</p>"]
    parts.append("<h2>Test accuracy by layer [%]</h2>" + table(*columns(results)))
    parts += pictures(shown)
    parts.append("<h2>By layer</h2>" + table(*by_layer(results)))
    parts.append(
        "<p>Spikes, excess and unsent spikes are those of somata, per unit and presentation. A spike cannot "
        "be taken back: excess are those beyond the net charge that a unit received, unsent those that it "
        "had no time for. Correlations are those of what a layer sends on, pooling included.</p>"
    )
    parts += cost_and_versions(results)
    parts.append(again(experiment))
    return document(results["experiment"], parts)


def facts(results: dict[str, Any]) -> list[str]:
    """Return what a reader must know, in sentences."""
    network, images = next(iter(results["systems"].values()))["network"], results["images"]
    said = [
        f"Data: {data_name(results)}, {images['training']} training, {images['validation']} validation and "
        f"{images['test']} test images, {results['patches']} patches of each.",
        f"A presentation of {results['steps']} time steps stands for one patch: {network['inputs']} input "
        f"units, {sum(network['units'])} units and {network['relays']} relays of pooled units above them, "
        f"and {network['synapses']} synapses that repeat {network['weights']} weights.",
    ]
    brian2 = results["brian2"]
    if brian2:
        said.append(
            f"All patches are counted by the plain simulator; of {brian2['presentations']} patches with each "
            f"number of neurons Brian2 counted {sum(brian2['different'])} of {sum(brian2['counts'])} counts "
            f"otherwise ({sum(brian2['spikes'])} spikes)."
        )
    return said


def _named(name: str, each: dict[str, Any]) -> str:
    pooling = f"pooling {_POOLINGS[each['pooling']]}"
    return f"K = {each['neurons']}" if name.isdigit() else f"K = {each['neurons']}, {pooling}"

"""The report of learning at places: its table, its figure, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .datasets import data_name
from .document import Shown, again, cost_and_versions, document, pictures, table
from .style import COLOURS, figure, label
from .text import cell, cells

_NAMES = {
    "random": "random, rates",
    "random_spiking": "random, spikes",
    "shared_rate": "shared kernels, learned in rates",
    "shared_spiking": "shared kernels, learned in spikes",
    "local_rate": "own kernels, learned in rates",
    "local_spiking": "own kernels, learned in spikes",
}
_LOOKS: dict[str, dict[str, Any]] = {
    "random": {"color": "#888888", "marker": "o", "ls": "--"},
    "random_spiking": {"color": "#888888", "marker": "s", "ls": ":"},
    "shared_rate": {"color": COLOURS["rate"], "marker": "o", "ls": "-"},
    "shared_spiking": {"color": COLOURS["spiking"], "marker": "s", "ls": "-"},
    "local_rate": {"color": COLOURS["rate"], "marker": "o", "ls": "-.", "mfc": "white"},
    "local_spiking": {"color": COLOURS["spiking"], "marker": "s", "ls": "-.", "mfc": "white"},
}
_READOUTS = {"mean": "mean over places", "all": "all places side by side"}


def rows(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: test accuracy [%] by layer and readout, means with 95 % intervals."""
    header = ["world", *(f"{layer}, {how}" for how in _READOUTS for layer in results["layers"])]
    found = [["raw input", *[cell(results["raw"], ".1f")] * (len(header) - 1)]]
    for name, world in results["worlds"].items():
        found.append([_NAMES[name], *(text for how in _READOUTS for text in cells(world[how], ".1f"))])
    for name, difference in results["differences"].items():
        a, b = name.split(" - ")
        each = [text for how in _READOUTS for text in cells(difference[how], "+.1f")]
        found.append([f"{_NAMES[a]}, minus {_NAMES[b]}, paired", *each])
    return header, found


def agreement(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: cosines by array, and gates by layer, of each kind of sharing."""
    header = ["kernels", "what", "accumulated cosine", "norm ratio", "trajectory cosine"]
    found = []
    for sharing, one in results["agreement"].items():
        for name in one["accumulated_cosine"]:
            figures = (one[key][name] for key in ("accumulated_cosine", "norm_ratio", "trajectory_cosine"))
            found.append([sharing, name, *(cell(each, ".3f") for each in figures)])
    return header, found


def gates(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: how gates and scores agree, of each kind of sharing and layer."""
    first = next(iter(results["agreement"].values()))["layers"][0]
    found = []
    for sharing, one in results["agreement"].items():
        for layer, figures in zip(results["layers"], one["layers"], strict=True):
            found.append([sharing, layer, *(cell(figures[key], ".3f") for key in first)])
    return ["kernels", "layer", *(key.replace("_", " ") for key in first)], found


def accuracy(results: dict[str, Any]) -> Figure:
    """Draw test accuracy [%] by layer of each world, a panel for each readout; bars are 95 % intervals."""
    made, axes = figure(1, 2, (11, 4.4), sharey=True)
    at = np.arange(len(results["layers"]))
    for axis, (how, said) in zip(axes, _READOUTS.items(), strict=True):
        for place, (name, world) in enumerate(results["worlds"].items()):
            values, shift = world[how], 0.04 * (place - 2.5)
            axis.plot(at + shift, values["mean"], ms=5, lw=1.2, label=_NAMES[name], **_LOOKS[name])
            if len(results["seeds"]) > 1:
                axis.errorbar(
                    at + shift, values["mean"], values["interval"], ls="none",
                    color=_LOOKS[name]["color"], lw=1, capsize=2,
                )  # fmt: skip
        axis.axhline(results["raw"]["mean"], color="#000000", lw=1, ls=":", label="raw input, side by side")
        axis.axhline(100 / results["classes"], color="#bbbbbb", lw=1, ls=":")
        axis.set_xticks(at, results["layers"])
        axis.set_xlim(-0.4, len(at) - 0.6)
        axis.grid(axis="y", color="#dddddd", lw=0.6)
        label(axis, "", f"test accuracy, {data_name(results)} [%]", said)
    axes[1].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return made


def page(results: dict[str, Any], shown: Sequence[tuple[Shown, bytes]], experiment: str) -> str:
    """Return the whole report as HTML.

    ``shown`` pairs each figure with its PNG; ``experiment`` is the run's as TOML text.
    """
    images = results["images"]
    facts = (
        f"Data: {data_name(results)}, {results['presentations']} presentations without labels; readouts of "
        f"{images['training']} training, {images['validation']} validation and {images['test']} test images."
    )
    parts = [f"<h1>{escape(results['experiment'])}</h1>", f"<p>{escape(facts)}</p>"]
    parts.append("<h2>Test accuracy by layer [%]</h2>" + table(*rows(results)))
    parts += pictures(shown)
    parts.append("<h2>Changes in spikes and in rates</h2>" + table(*agreement(results)))
    parts.append("<h2>Gates and scores, of all places</h2>" + table(*gates(results)))
    parts += cost_and_versions(results)
    parts.append(again(experiment))
    return document(results["experiment"], parts)

"""Accuracy of systems: as in Table 1, and by layer (Fig. 3), with the paper's values beside."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from math import nan
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from .datasets import DATA, data_name, paper_of
from .references import minus, references
from .style import figure, label

LEARNS = {
    "nothing": ("not trained", "#bbbbbb"),
    "labels": ("trained on labels", "#e69f00"),
    "contrast": ("trained on predictions, without labels", "#0072b2"),
}
#: Okabe and Ito's colours, and marks; 7 and 8 have no common divisor, so 56 systems can be told apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKS = "osD^vPX*"
#: Those of systems that others are compared with.
GREYS = ("#888888", "#333333", "#bbbbbb")
REFERENCE_MARKS = ".+1"
PUBLISHED: dict[str, Any] = {"color": "black", "ls": "none", "mfc": "none", "mew": 1.3}


def accuracy(results: dict[str, Any]) -> Figure:
    """Draw the top layer's test accuracy [%] of each system: mean, 95 % interval, seeds, paper."""
    systems = results["systems"]
    made, (axes,) = figure(1, 1, (8.5, 1.8 + 0.42 * max(1, len(systems))))
    for at, one in enumerate(systems.values()):
        seeds, colour = top(one), LEARNS[one["learns"]][1]
        axes.barh(at, one["test"]["mean"][-1], 0.62, color=colour, alpha=0.55)
        interval(axes, [at], one, slice(-1, None), "x")
        axes.plot(seeds, [at] * len(seeds), ".", color="black", ms=5, alpha=0.6)
        if one["published"] is not None:
            axes.plot([one["published"]], [at], marker="D", ms=7, zorder=5, **PUBLISHED)
    for name in LEARNS:
        if any(one["learns"] == name for one in systems.values()):
            axes.add_patch(Rectangle((0, 0), 0, 0, fc=LEARNS[name][1], alpha=0.55, label=LEARNS[name][0]))
    name_seeds(axes, results, list(systems), "x")
    name_published(axes, results, list(systems), "D")
    _draw_references(axes, results)
    axes.set_yticks(range(len(systems)), [fill(one["title"], 36) for one in systems.values()])
    axes.set_ylim(max(1, len(systems)) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    label(axes, "test accuracy of the top layer [%]", "system")
    made.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    return made


def _draw_references(axes: Axes, results: dict[str, Any]) -> None:
    """Draw the mean of each system that others are compared with, dashed, along itself and those others."""
    systems = results["systems"]
    for name, colour in zip(references(results), cycle(GREYS)):
        along = [
            at for at, (other, one) in enumerate(systems.items()) if name in (other, *minus(results, one))
        ]
        mean, title = systems[name]["test"]["mean"][-1], systems[name]["title"]
        y = [
            edge
            for at in along
            for edge in ((at - 0.5, at + 0.5) if at - 1 in along else (nan, at - 0.5, at + 0.5))
        ]
        axes.plot([mean] * len(y), y, color=colour, ls="--", lw=1.2, label=f"{title}, {data_name(results)}")


def layers(results: dict[str, Any]) -> Figure:
    """Draw test accuracy [%] by layer, a line for each system and a panel for each encoder (Fig. 3).

    Spectra of sound, which have no layers, are dotted lines across; recurrent units that have learned stand
    beside what they were before (x).
    """
    systems, looks = results["systems"], _looks(results)
    encoders: dict[tuple[str, ...], list[str]] = {}
    for name, one in systems.items():
        if one["model"] is not None:
            encoders.setdefault(tuple(one["layers"]), []).append(name)
    flat = [name for name, one in systems.items() if one["model"] is None]
    count = max(1, len(encoders))
    made, panels = figure(count, 1, (9.5, 4.6 * count))
    for axes, (names, members) in zip(panels, encoders.items(), strict=False):
        order = sorted(members, key=lambda name: -systems[name]["test"]["mean"][-1])
        step = min(0.05, 0.4 / len(members))
        for place, name in enumerate(order):
            one, look = systems[name], looks[name]
            at = np.arange(len(names)) + (place - (len(members) - 1) / 2) * step
            drawn = {**look, "label": fill(one["title"], 34)}
            axes.plot(at, one["test"]["mean"], ms=5, lw=1.4, **drawn)
            interval(axes, at, one, slice(None), "y", look["color"])
            paper = {names.index(layer): value for layer, value in one.get("published_layers", {}).items()}
            axes.plot([at[place] for place in paper], list(paper.values()), marker="D", ms=6, **PUBLISHED)
            before = one.get("besides", {}).get("untrained")
            if before is not None:
                axes.plot(at[-1], before["mean"][0], ls="none", marker="x", ms=6, color=look["color"])
        for name in flat:
            one, look = systems[name], looks[name]
            height = one["test"]["mean"][-1]
            axes.axhline(height, color=look["color"], ls=":", lw=1.4, label=fill(one["title"], 34))
        if any(systems[name].get("published_layers") for name in members):
            axes.plot([], [], marker="D", ms=6, label=_paper(results), **PUBLISHED)
        if any("untrained" in systems[name].get("besides", {}) for name in members):
            text = "its recurrent units before training"
            axes.plot([], [], ls="none", marker="x", ms=6, color="#444444", label=text)
        axes.set_xticks(range(len(names)), names, rotation=60 if len(names) > 10 else 0)
        axes.grid(axis="y", color="#dddddd", lw=0.6)
        several = any(len(systems[name]["seeds"]) > 1 for name in members)
        axes.legend(
            title="bars: 95 % interval of the mean" if several else None,
            title_fontsize=8,
            fontsize=8,
            frameon=False,
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            labelspacing=0.7,
            alignment="left",
        )
        model = systems[members[0]]["model"]
        label(axes, "layer", f"test accuracy, {data_name(results)} [%]", model if len(encoders) > 1 else "")
    return made


def top(one: dict[str, Any]) -> list[float]:
    """Return the top layer's test accuracy of each seed."""
    return [seed[-1] for seed in one["test"]["per_seed"]]


def interval(
    axes: Axes, at: ArrayLike, one: dict[str, Any], which: slice, along: str, colour: str = "black"
) -> None:
    """Draw 95 % intervals of a system's layers along an axis; one seed has none."""
    if len(one["seeds"]) > 1:
        mean = one["test"]["mean"][which]
        bars: dict[str, Any] = {f"{along}err": one["test"]["interval"][which]}
        x, y = (mean, at) if along == "x" else (at, mean)
        axes.errorbar(x, y, fmt="none", ecolor=colour, lw=1.1, capsize=2.5, **bars)


def name_seeds(axes: Axes, results: dict[str, Any], names: Sequence[str], along: str) -> None:
    """Put dots and bars into the legend."""
    axes.plot([], [], ".", color="black", ms=5, alpha=0.6, label=f"one seed, {data_name(results)}")
    if any(len(results["systems"][name]["seeds"]) > 1 for name in names):
        bars: dict[str, Any] = {f"{along}err": []}
        text = "95 % interval of the mean"
        axes.errorbar([], [], fmt="none", ecolor="black", lw=1.1, capsize=2.5, label=text, **bars)


def name_published(axes: Axes, results: dict[str, Any], names: Sequence[str], mark: str, **line: Any) -> None:
    """Put the paper's values into the legend where there are any; another data set is said to be one."""
    if any(results["systems"][name]["published"] is not None for name in names):
        axes.plot([], [], marker=mark, ms=6, label=_paper(results), **{**PUBLISHED, **line})


def _paper(results: dict[str, Any]) -> str:
    """Return what a legend says of the paper's values."""
    paper = paper_of(results)
    other = "" if results["data"] == paper else f" (another data set than {data_name(results)})"
    return f"paper, {DATA[paper]}{other}"


def _looks(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return colour, mark and line of each system; those that others are compared with are dashed grey."""
    compared, looks = references(results), {}
    for place, name in enumerate(name for name in results["systems"] if name not in compared):
        line = "-" if place < len(COLOURS) else "-."
        looks[name] = {
            "color": COLOURS[place % len(COLOURS)],
            "marker": MARKS[place % len(MARKS)],
            "ls": line,
        }
    for place, name in enumerate(compared):
        mark = REFERENCE_MARKS[place % len(REFERENCE_MARKS)]
        looks[name] = {"color": GREYS[place % len(GREYS)], "marker": mark, "ls": "--"}
    return looks

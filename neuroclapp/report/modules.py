"""Accuracy against the number of gradient-isolated modules: Fig. 3, inset, and Table 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .datasets import data_name
from .style import figure, label
from .systems import COLOURS, MARKS, PUBLISHED, interval, name_published, name_seeds, top


def modules(results: dict[str, Any], alike: Mapping[str, Sequence[str]]) -> Figure:
    """Draw the top layer's test accuracy [%] against the number of modules (Fig. 3, inset; Table 5).

    ``alike`` names groups of systems that differ in nothing else that a module learns from.
    """
    systems = results["systems"]
    made, (axes,) = figure(1, 1, (8.0, 4.6))
    members = [name for names in alike.values() for name in names]
    stands: dict[tuple[int, ...], list[float]] = {}
    for place, (group, names) in enumerate(alike.items()):
        colour, mark = COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
        shift = (place - (len(alike) - 1) / 2) * 0.07
        ours = {name: systems[name]["test"]["mean"][-1] for name in names}
        paper = {name: systems[name]["published"] for name in names}
        paper = {name: value for name, value in paper.items() if value is not None}
        for values, ls in ((ours, "-"), (paper, ":")):
            counts, means = _by_count(systems, values)
            axes.plot(np.array(counts) + shift, means, color=colour, lw=1.3, ls=ls)
        for name, at in _places(systems, names, shift).items():
            one, seeds = systems[name], top(systems[name])
            stands.setdefault(tuple(one["modules"]), []).append(at)
            axes.plot([at], [ours[name]], mark, color=colour, ms=6)
            interval(axes, [at], one, slice(-1, None), "y", colour)
            axes.plot([at] * len(seeds), seeds, ".", color="black", ms=5, alpha=0.6)
            if name in paper:
                axes.plot([at], [paper[name]], marker=mark, ms=6, **{**PUBLISHED, "color": colour})
        axes.plot([], [], mark, color=colour, ls="-", label=f"{group}, {data_name(results)}")
    name_seeds(axes, results, members, "y")
    name_published(axes, results, members, "o", ls=":")
    _name_cuts(axes, stands)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.08)
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    label(axes, "number of gradient-isolated modules", "test accuracy of the top layer [%]")
    made.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    return made


def _name_cuts(axes: Axes, stands: Mapping[tuple[int, ...], Sequence[float]]) -> None:
    """Write layers by module below the points, where modules of one number are cut in several ways."""
    counts = [len(cut) for cut in stands]
    named = [cut for cut in stands if counts.count(len(cut)) > 1]
    low, high = axes.get_ylim()
    axes.set_ylim(low - (0.2 if named else 0.0) * (high - low), high)
    for cut in named:
        axes.text(
            float(np.mean(stands[cut])),
            0.02,
            "+".join(map(str, cut)),
            transform=axes.get_xaxis_transform(),
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=8,
            color="#444444",
        )


def _by_count(systems: dict[str, Any], values: Mapping[str, float]) -> tuple[list[int], list[float]]:
    """Return numbers of modules in rising order, and the mean value of the systems that have so many."""
    found: dict[int, list[float]] = {}
    for name, value in values.items():
        found.setdefault(len(systems[name]["modules"]), []).append(value)
    counts = sorted(found)
    return counts, [float(np.mean(found[count])) for count in counts]


def _places(systems: dict[str, Any], names: Sequence[str], shift: float) -> dict[str, float]:
    """Return where each system stands: its number of modules, arrangements of as many side by side."""
    places = {}
    for name in names:
        mine = tuple(systems[name]["modules"])
        same = sorted(
            {tuple(systems[n]["modules"]) for n in names if len(systems[n]["modules"]) == len(mine)}
        )
        places[name] = len(mine) + shift + (same.index(mine) - (len(same) - 1) / 2) * 0.3
    return places

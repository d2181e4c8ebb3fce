"""Figures of a run of image systems: Table 1, Figs. 3, 5 and 6, Table 5, with the paper's values beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ..plasticity import third_factor
from ..rate.training import NOTE
from .style import figure, label

DATA = {
    "stl10": "STL-10",
    "cifar10": "CIFAR-10",
    "imagenette96": "Imagenette",
    "folder": "a folder of images",
    "npz": "an .npz file of images",
    "librispeech": "LibriSpeech",
    "speechocean762": "speechocean762",
    "textgrids": "a folder of speech",
}
SPEECH = ("librispeech", "speechocean762", "textgrids")
LEARNS = {
    "nothing": ("not trained", "#bbbbbb"),
    "labels": ("trained on labels", "#e69f00"),
    "contrast": ("trained on predictions, without labels", "#0072b2"),
}
#: Okabe and Ito's colours, and marks; 7 and 8 have no common divisor, so 56 systems can be told apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_MARKS = "osD^vPX*"
_PUBLISHED: dict[str, Any] = {"color": "black", "ls": "none", "mfc": "none", "mew": 1.3}
#: The most modules that a legend names one by one.
_NAMED = 8


def accuracy(results: dict[str, Any]) -> Figure:
    """Draw the top layer's test accuracy [%] of each system: mean, 95 % interval, seeds, paper."""
    systems = results["systems"]
    made, (axes,) = figure(1, 1, (8.5, 1.8 + 0.42 * max(1, len(systems))))
    for at, one in enumerate(systems.values()):
        seeds, colour = _top(one), LEARNS[one["learns"]][1]
        axes.barh(at, one["test"]["mean"][-1], 0.62, color=colour, alpha=0.55)
        _interval(axes, [at], one, slice(-1, None), "x")
        axes.plot(seeds, [at] * len(seeds), ".", color="black", ms=5, alpha=0.6)
        if one["published"] is not None:
            axes.plot([one["published"]], [at], marker="D", ms=7, zorder=5, **_PUBLISHED)
    for name in LEARNS:
        if any(one["learns"] == name for one in systems.values()):
            axes.add_patch(Rectangle((0, 0), 0, 0, fc=LEARNS[name][1], alpha=0.55, label=LEARNS[name][0]))
    _name_seeds(axes, results, list(systems), "x")
    _name_published(axes, results, list(systems), "D")
    reference = systems.get(results["against"])
    if reference is not None:
        text = f"{reference['title']}, {data_name(results)}"
        axes.axvline(reference["test"]["mean"][-1], color="#666666", ls="--", lw=1.2, label=text)
    axes.set_yticks(range(len(systems)), [fill(one["title"], 36) for one in systems.values()])
    axes.set_ylim(max(1, len(systems)) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    label(axes, "test accuracy of the top layer [%]", "system")
    made.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    return made


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
            _interval(axes, at, one, slice(None), "y", look["color"])
            paper = {names.index(layer): value for layer, value in one.get("published_layers", {}).items()}
            axes.plot([at[place] for place in paper], list(paper.values()), marker="D", ms=6, **_PUBLISHED)
            before = one.get("besides", {}).get("untrained")
            if before is not None:
                axes.plot(at[-1], before["mean"][0], ls="none", marker="x", ms=6, color=look["color"])
        for name in flat:
            one, look = systems[name], looks[name]
            height = one["test"]["mean"][-1]
            axes.axhline(height, color=look["color"], ls=":", lw=1.4, label=fill(one["title"], 34))
        if any(systems[name].get("published_layers") for name in members):
            axes.plot([], [], marker="D", ms=6, label=_paper(results), **_PUBLISHED)
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


def modules(results: dict[str, Any], alike: Mapping[str, Sequence[str]]) -> Figure:
    """Draw the top layer's test accuracy [%] against the number of modules (Fig. 3, inset; Table 5).

    ``alike`` names groups of systems that differ in nothing else that a module learns from.
    """
    systems = results["systems"]
    made, (axes,) = figure(1, 1, (8.0, 4.6))
    members = [name for names in alike.values() for name in names]
    stands: dict[tuple[int, ...], list[float]] = {}
    for place, (group, names) in enumerate(alike.items()):
        colour, mark = _COLOURS[place % len(_COLOURS)], _MARKS[place % len(_MARKS)]
        shift = (place - (len(alike) - 1) / 2) * 0.07
        ours = {name: systems[name]["test"]["mean"][-1] for name in names}
        paper = {name: systems[name]["published"] for name in names}
        paper = {name: value for name, value in paper.items() if value is not None}
        for values, ls in ((ours, "-"), (paper, ":")):
            counts, means = _by_count(systems, values)
            axes.plot(np.array(counts) + shift, means, color=colour, lw=1.3, ls=ls)
        for name, at in _places(systems, names, shift).items():
            one, seeds = systems[name], _top(systems[name])
            stands.setdefault(tuple(one["modules"]), []).append(at)
            axes.plot([at], [ours[name]], mark, color=colour, ms=6)
            _interval(axes, [at], one, slice(-1, None), "y", colour)
            axes.plot([at] * len(seeds), seeds, ".", color="black", ms=5, alpha=0.6)
            if name in paper:
                axes.plot([at], [paper[name]], marker=mark, ms=6, **{**_PUBLISHED, "color": colour})
        axes.plot([], [], mark, color=colour, ls="-", label=f"{group}, {data_name(results)}")
    _name_seeds(axes, results, members, "y")
    _name_published(axes, results, members, "o", ls=":")
    _name_cuts(axes, stands)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.08)
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    label(axes, "number of gradient-isolated modules", "test accuracy of the top layer [%]")
    made.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    return made


def training(results: dict[str, Any]) -> Figure:
    """Draw each module's loss against updates, a panel for each trained system (Fig. 6)."""
    trained = [one for one in results["systems"].values() if one["loss"]]
    across = min(3, max(1, len(trained)))
    down = max(1, -(-len(trained) // across))
    made, panels = figure(down, across, (3.7 * across, 2.9 * down))
    for axes in panels[max(1, len(trained)) :]:
        axes.set_visible(False)
    for axes, one in zip(panels, trained, strict=False):
        losses = np.array(one["loss"])
        names, tops = _modules(one)
        ends = np.minimum(np.arange(1, len(losses) + 1) * NOTE, max(one["updates"], 1))
        at = (np.arange(len(losses)) * NOTE + ends) / 2
        shown = {round(each) for each in np.linspace(0, len(names) - 1, min(len(names), _NAMED))}
        for module, name in enumerate(names):
            colour = matplotlib.colormaps["viridis"](0.82 * tops[module] / max(1, len(one["layers"]) - 1))
            text = name if module in shown else "_nolegend_"
            axes.plot(
                at, losses[:, module], color=colour, lw=1.0, marker="." if len(at) < 3 else "", label=text
            )
        columns = 2 if len(shown) > 3 else 1
        axes.legend(fontsize=7, frameon=False, ncols=columns, loc="upper right", handlelength=1.2)
        after = losses[len(losses) // 100 :]  # the first updates may be far above everything that follows
        margin = 0.05 * max(float(np.ptp(after)), 1e-3)
        low, high = float(after.min()) - margin, float(after.max()) + margin
        axes.set_ylim(low, high + 0.1 * -(-len(shown) // columns) * (high - low))  # room for the legend
        axes.set_xlim(left=0)
        label(axes, "update", "training loss", fill(one["title"], 36))
        axes.title.set_fontsize(9)
    return made


def loss() -> Figure:
    """Draw the CLAPP loss of Eq. 2 against the score u, and the gate gamma below (Fig. 5)."""
    score = np.linspace(-3, 3, 1201)
    made, (above, below) = figure(2, 1, (5.6, 4.8), sharex=True, height_ratios=[1.5, 1])
    for sign, name, colour, ls in ((1, "positive", "#009e73", "-"), (-1, "negative", "#cc79a7", "--")):
        drawn: dict[str, Any] = {"color": colour, "lw": 2.0, "ls": ls}
        above.plot(score, np.maximum(0, 1 - sign * score), label=f"{name} sample", **drawn)
        below.plot(score, third_factor(score, sign), label=f"{name} sample", **drawn)
    for axes in (above, below):
        for corner in (-1, 1):
            axes.axvline(corner, color="#999999", lw=0.8, ls=":")
    above.legend(fontsize=8, frameon=False, loc="upper center")
    above.set_yticks(range(5))
    below.set_xticks(range(-3, 4))
    below.set_yticks([-1, 0, 1])
    below.set_ylim(-1.25, 1.25)
    label(above, "", "loss, Eq. 2")
    label(below, "score u = z · W_pred c", "gate gamma = -dloss/du")
    return made


def data_name(results: dict[str, Any]) -> str:
    """Return the plain name of the data set."""
    return DATA.get(results["data"], results["data"])


def paper_of(results: dict[str, Any]) -> str:
    """Return the data set of the paper's values."""
    return "librispeech" if results["data"] in SPEECH else "stl10"


def _top(one: dict[str, Any]) -> list[float]:
    """Return the top layer's test accuracy of each seed."""
    return [seed[-1] for seed in one["test"]["per_seed"]]


def _interval(
    axes: Axes, at: ArrayLike, one: dict[str, Any], which: slice, along: str, colour: str = "black"
) -> None:
    """Draw 95 % intervals of a system's layers along an axis; one seed has none."""
    if len(one["seeds"]) > 1:
        mean = one["test"]["mean"][which]
        bars: dict[str, Any] = {f"{along}err": one["test"]["interval"][which]}
        x, y = (mean, at) if along == "x" else (at, mean)
        axes.errorbar(x, y, fmt="none", ecolor=colour, lw=1.1, capsize=2.5, **bars)


def _name_seeds(axes: Axes, results: dict[str, Any], names: Sequence[str], along: str) -> None:
    """Put dots and bars into the legend."""
    axes.plot([], [], ".", color="black", ms=5, alpha=0.6, label=f"one seed, {data_name(results)}")
    if any(len(results["systems"][name]["seeds"]) > 1 for name in names):
        bars: dict[str, Any] = {f"{along}err": []}
        text = "95 % interval of the mean"
        axes.errorbar([], [], fmt="none", ecolor="black", lw=1.1, capsize=2.5, label=text, **bars)


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


def _name_published(
    axes: Axes, results: dict[str, Any], names: Sequence[str], mark: str, **line: Any
) -> None:
    """Put the paper's values into the legend where there are any; another data set is said to be one."""
    if any(results["systems"][name]["published"] is not None for name in names):
        axes.plot([], [], marker=mark, ms=6, label=_paper(results), **{**_PUBLISHED, **line})


def _paper(results: dict[str, Any]) -> str:
    """Return what a legend says of the paper's values."""
    paper = paper_of(results)
    other = "" if results["data"] == paper else f" (another data set than {data_name(results)})"
    return f"paper, {DATA[paper]}{other}"


def _looks(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return colour, mark and line of each system; the one that others are compared with is dashed grey."""
    looks: dict[str, dict[str, Any]] = {}
    for name in results["systems"]:
        place = len(looks) - (results["against"] in looks)
        line = "-" if place < len(_COLOURS) else "-."
        looks[name] = {
            "color": _COLOURS[place % len(_COLOURS)],
            "marker": _MARKS[place % len(_MARKS)],
            "ls": line,
        }
        if name == results["against"]:
            looks[name] = {"color": "#888888", "marker": ".", "ls": "--"}
    return looks


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


def _modules(one: dict[str, Any]) -> tuple[list[str], list[int]]:
    """Return each module's layers by name, and the index of its top layer."""
    names, tops, first = [], [], 0
    for size in one["modules"]:
        bottom, top = one["layers"][first], one["layers"][first + size - 1]
        names.append(bottom if size == 1 else f"{bottom} to {top}")
        tops.append(first + size - 1)
        first += size
    return names, tops

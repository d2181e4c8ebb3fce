"""Where the bits of a chip's words go: ranges of weights and tags, and traces beside a float run's values."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from .style import COLOURS, figure, label, legend_above

_WEIGHT, _TAG, _NEED = "#0072b2", "#56b4e9", "#d55e00"


def bits(one: dict[str, Any]) -> Figure:
    """Draw a condition's words by matrix, on a scale of powers of two, and learned weights as histograms.

    ``one["chip"]`` holds ``ranges``, ``scales`` and ``words``, ``one["weights"]`` by layer the ``edges`` of a
    histogram of W and the shares ``rate`` and ``chip``.
    """
    layers = list(one["weights"])
    drawn, axes = figure(1, 1 + len(layers), (4.6 + 2.7 * len(layers), 3.2))
    _ranges(axes[0], one["chip"])
    for each, name in zip(axes[1:], layers, strict=True):
        found = one["weights"][name]
        for world, colour, title in (("rate", "rate", "in rates"), ("chip", "spiking", "in integers")):
            each.stairs(found[world], found["edges"], color=COLOURS[colour], label=f"learned {title}")
        each.set_yscale("log")
        each.yaxis.set_minor_formatter(NullFormatter())
        label(each, "W [rate units]", "share of synapses", name)
    legend_above(drawn, axes[-1])
    return drawn


def traces(held: dict[str, Any]) -> Figure:
    """Draw what traces of one unit hold in each presentation, steps, beside the float values, circles.

    ``held`` by layer, and in it "x1" and "y1": ``chip`` and ``rate`` (presentations,), their ``unit``,
    ``cosine`` of all units, and of the trace its ``limits`` and how often it is ``full``.
    """
    made, axes = figure(2, len(held), (5.2 * len(held), 5.2), sharex=True)
    for column, (layer, found) in enumerate(held.items()):
        for row, (trace, said) in enumerate((("x1", "presynaptic"), ("y1", "postsynaptic"))):
            one, each = found[trace], axes[row * len(held) + column]
            at = np.arange(len(one["chip"]))
            each.plot(at, one["rate"], "o", mfc="none", ms=4, color=COLOURS["rate"], label="in rates")
            edges = np.arange(len(at) + 1) - 0.5
            each.stairs(one["chip"], edges, baseline=None, color=COLOURS["spiking"], label="held on chip")
            low, high = one["limits"]
            title = f"{layer}, {said} unit {one['unit']}; all: cosine {one['cosine']:.3f}"
            title += f", {100 * one['full']:.1f} % at the limit"
            label(each, "presentation" if row else "", f"{trace} [steps, {low} .. {high}]", title)
    legend_above(made, axes[0])
    return made


def _ranges(axes: Any, chip: dict[str, Any]) -> None:
    names = list(chip["scales"])
    for place, name in enumerate(reversed(names)):
        scale, words = chip["scales"][name], chip["words"]
        step = -scale["exponent"]
        tag = step - float(np.log2(scale["carry"]))
        _bar(axes, step, words["weight"], place + 0.18, _WEIGHT)
        if scale["carry"] > 1:
            _bar(axes, tag, words["tag"], place - 0.18, _TAG)
        for key, height in (("weight", 0.18), ("change", -0.18)):
            needed = float(np.log2(chip["ranges"][key][name]))
            axes.plot(needed, place + height, "|", color=_NEED, markersize=11, markeredgewidth=2)
    axes.set_yticks(range(len(names)), list(reversed(names)), fontsize=8)
    tagged = any(scale["carry"] > 1 for scale in chip["scales"].values())
    shown = [(_WEIGHT, "a weight's bits"), *([(_TAG, "a tag's bits")] if tagged else [])]
    for colour, text in (*shown, (_NEED, "99.9 % of |w|, |dw|")):
        axes.plot([], [], color=colour, linewidth=3, label=text)
    axes.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    label(axes, "log2 of a value [rate units]", "")


def _bar(axes: Any, start: float, length: float, height: float, colour: str) -> None:
    axes.plot([start, start + length], [height] * 2, color=colour, linewidth=5, solid_capstyle="butt")

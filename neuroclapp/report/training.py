"""The loss as a function of the score (Fig. 5), and as systems learn (Fig. 6)."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ..plasticity import third_factor
from ..rate.training import NOTE
from .style import figure, label

#: The most modules that a legend names one by one.
_NAMED = 8


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


def _modules(one: dict[str, Any]) -> tuple[list[str], list[int]]:
    """Return each module's layers by name, and the index of its top layer."""
    names, tops, first = [], [], 0
    for size in one["modules"]:
        bottom, top = one["layers"][first], one["layers"][first + size - 1]
        names.append(bottom if size == 1 else f"{bottom} to {top}")
        tops.append(first + size - 1)
        first += size
    return names, tops

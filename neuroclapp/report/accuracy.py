"""Accuracy of all worlds."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .style import COLOURS, NAMES, figure, label


def labels(results: dict[str, Any]) -> tuple[str, str]:
    """Return how many labels either readout has, as text; results of older versions do not hold it."""
    if "about" not in results:
        return "all labels", "few labels"
    about = results["about"]
    return f"{about['labels']} labels", f"{about['few_labels']} labels"


def accuracy(results: dict[str, Any]) -> Figure:
    """Draw accuracy [%] by world and layer: mean, 95 % interval and seeds, for all and for few labels."""
    panels = list(zip(("accuracy", "accuracy_few_labels"), labels(results), strict=True))
    layers = results["layers"]
    made, axes = figure(len(panels), 1, (9.5, 7.0))
    for each, (key, title) in zip(axes, panels, strict=True):
        worlds = [world for world in results[key] if world not in ("raw", "rate_disturbed")]
        width = 0.86 / len(worlds)
        for index, world in enumerate(worlds):
            figures = results[key][world]
            at = np.arange(len(layers)) + (index - (len(worlds) - 1) / 2) * width
            each.bar(at, figures["mean"], width * 0.92, color=COLOURS[world], label=NAMES[world])
            each.errorbar(
                at, figures["mean"], figures["interval"], fmt="none", ecolor="black", lw=1, capsize=2
            )
            for seed in figures["per_seed"]:
                each.plot(at, seed, ".", color="black", ms=3, alpha=0.5)
        raw = results[key]["raw"]
        each.axhline(raw["mean"][0], color=COLOURS["raw"], ls="--", lw=1.2, label=NAMES["raw"])
        each.set_xticks(range(len(layers)), layers)
        each.set_ylim(0, 100)
        label(each, "layer", "test accuracy [%]", title)
    axes[0].legend(fontsize=8, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.08), frameon=False)
    return made

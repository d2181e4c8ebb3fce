"""Agreement between the spiking and the rate world."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .style import TARGETS, figure, label

_MARKS = {
    "accumulated_cosine": ("sum of all changes", "#d55e00", "o"),
    "update_cosine": ("single change", "#0072b2", "s"),
    "shuffled_gamma_cosine": ("floor: gamma shuffled", "#999999", "v"),
}


def agreement(results: dict[str, Any]) -> Figure:
    """Draw cosines of changes on shared weights by matrix and layer, and of trajectories; dots are seeds."""
    figures, layers = results["agreement"], results["layers"]
    targets = list(figures["accumulated_cosine"])
    made, axes = figure(1, 2, (10.0, 3.8), width_ratios=[2.2, 1])
    names = [f"{TARGETS.get(t, t)}\n{layer}" for t in targets for layer in layers]
    for offset, (key, (name, colour, mark)) in zip((-0.22, 0.0, 0.22), _MARKS.items(), strict=True):
        values = np.concatenate([np.array(figures[key][t]["per_seed"]) for t in targets], axis=1)
        at = np.broadcast_to(np.arange(len(names)) + offset, values.shape)
        axes[0].plot(at.T, values.T, mark, color=colour, ms=4, alpha=0.6)
        axes[0].plot([], [], mark, color=colour, label=name)
    axes[0].set_xticks(range(len(names)), names)
    axes[0].set_ylim(-0.5, 1.05)
    axes[0].legend(fontsize=8, frameon=False, loc="center right")
    label(axes[0], "matrix and layer", "cosine, spikes and rates", "weight changes on shared weights")
    for offset, (key, name, colour) in zip(
        (-0.12, 0.12),
        (("trajectory_cosine", "spikes and rates", "#d55e00"), ("trajectory_ceiling", "ceiling", "black")),
        strict=True,
    ):
        values = np.array(figures[key]["per_seed"])
        at = np.broadcast_to(np.arange(len(layers)) + offset, values.shape)
        axes[1].plot(at.T, values.T, "o", color=colour, ms=4, alpha=0.6)
        axes[1].plot([], [], "o", color=colour, label=name)
    axes[1].set_xticks(range(len(layers)), layers)
    axes[1].set_xlim(-0.5, len(layers) - 0.5)
    axes[1].set_ylim(min(0.8, axes[1].get_ylim()[0]), 1.005)
    axes[1].legend(fontsize=8, frameon=False, loc="lower right")
    label(axes[1], "layer", "cosine of total change of W", "free-running")
    return made

"""Weights: how they move, what they become, and what a unit sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..analysis.measures import cosine
from .style import COLOURS, NAMES, TARGETS, figure, label, legend_above

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moving:
    """Snapshots of one world's weights: ``at`` (snapshots,), and by name (snapshots, post, pre)."""

    world: str
    at: NDArray[np.int64]
    weights: Mapping[str, Array]


def norms(worlds: Sequence[Moving], layers: Sequence[str]) -> Figure:
    """Draw the norm of each matrix's change from the start over presentations, all worlds on one axis."""
    targets = [t for t in TARGETS if f"{layers[0]}.{t}" in worlds[0].weights]
    made, axes = figure(len(layers), len(targets), (3.4 * len(targets), 2.6 * len(layers)))
    for index, each in enumerate(axes):
        layer, target = layers[index // len(targets)], targets[index % len(targets)]
        for moving, style in zip(worlds, ("-", "--"), strict=False):
            snapshots = moving.weights[f"{layer}.{target}"]
            change = np.linalg.norm((snapshots - snapshots[0]).reshape(len(snapshots), -1), axis=1)
            each.plot(moving.at, change, style, color=COLOURS[moving.world], label=NAMES[moving.world])
        label(each, "presentation", "norm of change", f"{layer}, {TARGETS[target]}")
    legend_above(made, axes[0])
    return made


def single_weights(worlds: Sequence[Moving], layers: Sequence[str], count: int = 6) -> Figure:
    """Draw the ``count`` feed-forward weights of each layer that changed most in the first world."""
    made, axes = figure(1, len(layers), (4.8 * len(layers), 3.2))
    for each, layer in zip(axes, layers, strict=True):
        first = worlds[0].weights[f"{layer}.w_ff"].reshape(len(worlds[0].at), -1)
        most = np.argsort(-np.abs(first[-1] - first[0]))[:count]
        for moving, style in zip(worlds, ("-", "--"), strict=False):
            flat = moving.weights[f"{layer}.w_ff"].reshape(len(moving.at), -1)[:, most]
            lines = each.plot(moving.at, flat, style, color=COLOURS[moving.world], lw=1)
            lines[0].set_label(NAMES[moving.world])
        label(
            each,
            "presentation",
            "weight",
            f"{layer}, W: the {count} that moved most, {NAMES[worlds[0].world]}",
        )
    legend_above(made, axes[0])
    return made


def trajectories(
    rate: Moving, spiking: Moving, ceiling: Mapping[str, float], layers: Sequence[str]
) -> Figure:
    """Draw the cosine between both worlds' total change of W over presentations, and the final ceiling."""
    made, axes = figure(1, len(layers), (4.8 * len(layers), 3.0))
    common = np.intersect1d(rate.at, spiking.at)[1:]
    for each, layer in zip(axes, layers, strict=True):
        a, b = (m.weights[f"{layer}.w_ff"] for m in (rate, spiking))
        rows = [(int(np.searchsorted(rate.at, n)), int(np.searchsorted(spiking.at, n))) for n in common]
        cosines = [cosine(a[i] - a[0], b[j] - b[0]) for i, j in rows]
        each.plot(common, cosines, color=COLOURS["spiking"], label="spikes and rates")
        each.axhline(ceiling[layer], color="black", ls=":", lw=1.2, label="ceiling at the end")
        each.set_ylim(min(0.9, each.get_ylim()[0]), 1.005)
        label(each, "presentation", "cosine, spikes and rates", f"{layer}, total change of W")
    legend_above(made, axes[0])
    return made


def matrices(worlds: Sequence[Moving], layer: str) -> Figure:
    """Draw a layer's matrices at the start and at the end of each world, one colour scale per matrix."""
    targets = [t for t in TARGETS if f"{layer}.{t}" in worlds[0].weights]
    titles = ["start", *(f"end, {NAMES[moving.world]}" for moving in worlds)]
    made, axes = figure(len(targets), len(titles), (3.5 * len(titles), 2.7 * len(targets)))
    for row, target in enumerate(targets):
        first = worlds[0].weights[f"{layer}.{target}"][0]
        shown = [first, *(moving.weights[f"{layer}.{target}"][-1] for moving in worlds)]
        limit = float(np.percentile(np.abs(np.concatenate([array.ravel() for array in shown])), 99.5)) or 1.0
        row_axes = axes[row * len(titles) : (row + 1) * len(titles)]
        for each, array, title in zip(row_axes, shown, titles, strict=True):
            image = each.imshow(
                array, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
            )
            label(each, "presynaptic unit", "postsynaptic unit", f"{TARGETS[target]}, {title}")
        made.colorbar(image, ax=row_axes, label="weight", shrink=0.9)
    return made


def receptive_fields(start: Array, worlds: Mapping[str, Array], side: int, count: int = 16) -> Figure:
    """Draw ON minus OFF weights of the units with the largest final norm, as ``side`` x ``side`` images.

    ``start`` and each world's array are (units, 2 * side * side); the same unit stands in the same column.
    """
    rows = {"start": start, **{NAMES[world]: array for world, array in worlds.items()}}
    last = next(iter(worlds.values()))
    shown = np.argsort(-np.linalg.norm(last, axis=1))[:count]
    made, axes = figure(len(rows), len(shown), (0.72 * len(shown), 0.95 * len(rows)))
    for row, (name, array) in enumerate(rows.items()):
        fields = array[:, : side * side] - array[:, side * side :]
        for column, unit in enumerate(shown):
            each = axes[row * len(shown) + column]
            limit = float(np.abs(fields[unit]).max()) or 1.0
            each.imshow(fields[unit].reshape(side, side), cmap="RdBu_r", vmin=-limit, vmax=limit)
            each.set_xticks([])
            each.set_yticks([])
            each.spines[:].set_visible(False)
            if row == 0:
                each.set_title(f"{unit}", fontsize=7)
            if column == 0:
                each.set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
    made.supxlabel(
        "unit of layer 1 (number above); pixel by pixel, ON minus OFF weight, red positive", fontsize=8
    )
    return made

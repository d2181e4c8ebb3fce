"""Gates and scores of the spiking and the rate world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .style import COLOURS, FIXATION, NAMES, SACCADE, figure, label, legend_above

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gates:
    """One world's score u and gamma, each (presentations, layers)."""

    world: str
    score: Array
    gamma: Array


def gates(
    worlds: Sequence[Gates], sign: NDArray[np.int8], layers: Sequence[str], window: int = 500
) -> Figure:
    """Draw, by layer, how often the gate is open, and how scores are distributed at the end."""
    made, axes = figure(2, len(layers), (4.8 * len(layers), 6.0))
    pair = np.flatnonzero(sign)
    for n, layer in enumerate(layers):
        openness, scores = axes[n], axes[len(layers) + n]
        for one in worlds:
            is_open = (one.gamma[pair, n] != 0).astype(float)
            count = max(1, min(window, len(is_open)))
            share = np.convolve(is_open, np.ones(count) / count, mode="valid")
            openness.plot(
                pair[count - 1 :], 100 * share, color=COLOURS[one.world], label=NAMES[one.world], lw=1.2
            )
        openness.set_ylim(0, 103)
        label(openness, "presentation", "gate open [%]", f"{layer}, mean of the last {window} pairs")
        last = worlds[-1]
        recent = pair[-min(len(pair), 4000) :]
        values = last.score[recent, n]
        low, high = np.percentile(values, [0.5, 99.5]) if len(values) else (-2.0, 2.0)
        edges = np.linspace(float(low), float(high) + 1e-9, 50).tolist()
        for value, colour, name in ((1, FIXATION, "fixations"), (-1, SACCADE, "saccades")):
            scores.hist(values[sign[recent] == value], edges, color=colour, alpha=0.6, label=name)
            scores.axvline(value, color=colour, ls="--", lw=1.2)
        label(scores, "score u", "pairs", f"{layer}, {NAMES[last.world]}, last {len(recent)} pairs")
    for each in (axes[0], axes[len(layers)]):
        each.legend(fontsize=8, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1.1))
    return made


def score_scatter(
    spiking: Sequence[Array], rate: Sequence[Array], sign: NDArray[np.int64], layers: Sequence[str]
) -> Figure:
    """Draw the modulators' estimate against the rate score on the same weights, by layer."""
    made, axes = figure(1, len(layers), (4.2 * len(layers), 3.9))
    for each, layer, u_spiking, u_rate in zip(axes, layers, spiking, rate, strict=True):
        for value, colour, name in ((1, FIXATION, "fixations"), (-1, SACCADE, "saccades")):
            shown = sign == value
            each.plot(u_rate[shown], u_spiking[shown], ".", color=colour, ms=2.5, alpha=0.4)
            each.plot([], [], ".", color=colour, ms=8, label=name)
            each.axvline(value, color=colour, lw=1, ls="--")
            each.axhline(value, color=colour, lw=1, ls="--")
        label(each, "score u in rates", "score u, modulators' estimate", layer)
    legend_above(made, axes[0])
    return made

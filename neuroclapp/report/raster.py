"""A raster with the dendrite, the score and gamma below it, on one time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..spiking.populations import Populations
from .style import COLOURS, FIXATION, GATES, SACCADE, figure, label


@dataclass(frozen=True)
class Spikes:
    """Packets: time step, unit and number of spikes of each."""

    step: NDArray[np.int64]
    unit: NDArray[np.int64]
    packet: NDArray[np.float64]


_GATES = tuple(GATES.values())


@dataclass(frozen=True)
class Steps:
    """One layer in every step: ``apical`` (steps, units), and of each modulator ``evidence`` (steps, its
    units, fixation half first) and ``gamma`` (steps,).
    """

    apical: NDArray[np.float64]
    evidence: Sequence[NDArray[np.float64]]
    gamma: Sequence[NDArray[np.float64]]


def raster(
    spikes: Mapping[str, Spikes], steps: Steps, sign: Sequence[int], populations: Populations, layer: str
) -> Figure:
    """Draw all spikes, and one layer's apical dendrites, running score and gamma, over time [ms]."""
    timing = populations.timing
    ms = 1000 * timing.dt
    heights = [2.2, *[1.5] * (len(spikes) - 1), 1.1, 1.1, 0.7]
    made, axes = figure(len(heights), 1, (10.5, 1.25 * sum(heights)), sharex=True, height_ratios=heights)
    for each in axes:
        _presentations(each, sign, timing.steps * ms, timing.steps_on * ms)
    for each, (name, events) in zip(axes, spikes.items(), strict=False):
        inside = events.step < len(sign) * timing.steps
        size = 1.5 + 5 * events.packet[inside] / max(events.packet.max(initial=1), 1)
        at, unit = events.step[inside] * ms, events.unit[inside]
        each.scatter(at, unit, s=size, color="black", linewidths=0, alpha=0.6)
        label(each, "", "unit", name)
    dendrite, score, gamma = axes[len(spikes) :]
    time = np.arange(len(steps.apical)) * ms
    busiest = np.argsort(-np.abs(steps.apical).max(axis=0))[:6]
    dendrite.plot(time, steps.apical[:, busiest], lw=1, drawstyle="steps-mid")
    label(dendrite, "", "d = W_pred c", f"apical dendrite, {layer}: the 6 units with the largest plateau")
    by_presentation = np.repeat(np.array(sign), timing.steps)[: len(time)]
    for style, name, evidence, third in zip(("-", ":"), _GATES, steps.evidence, steps.gamma, strict=False):
        fixation, saccade = (half.mean(axis=1)[: len(by_presentation)] for half in np.hsplit(evidence, 2))
        running = np.where(by_presentation >= 0, fixation, saccade)
        score.plot(time[: len(running)], running, color=COLOURS["spiking"], lw=1.2, ls=style, label=name)
        gamma.step(time, third, where="mid", color="black", lw=1.2, ls=style)
    if len(steps.gamma) > 1:
        score.legend(fontsize=8, frameon=False)
    for margin, colour in ((1, FIXATION), (-1, SACCADE)):
        score.axhline(margin, color=colour, lw=1, ls="--")
    label(score, "", "score u", "the modulators' estimate as it builds up; dashed: the hinge's corners")
    gamma.set_ylim(-1.4, 1.4)
    gamma.set_yticks([-1, 0, 1])
    label(gamma, "time [ms]", "gamma", "third factor, released at the end")
    gamma.set_xlim(0, len(sign) * timing.steps * ms)
    return made


def _presentations(axes: Axes, sign: Sequence[int], period: float, on: float) -> None:
    """Shade presentations by the sign of their pair."""
    for n, each in enumerate(sign):
        colour: Any = {1: FIXATION, -1: SACCADE}.get(int(each), "#888888")
        axes.axvspan(n * period, n * period + on, color=colour, alpha=0.08, lw=0)
        axes.axvline(n * period, color="#cccccc", lw=0.6)

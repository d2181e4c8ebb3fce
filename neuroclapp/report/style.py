"""One look for all figures: a colour and a name per world, and how a figure is begun."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

#: Colours that readers with colour-blindness can tell apart (Okabe and Ito).
COLOURS = {
    "raw": "#999999",
    "random": "#bbbbbb",
    "random_spiking": "#d8d8d8",
    "rate": "#0072b2",
    "converted": "#56b4e9",
    "converted_unchanged_readout": "#a6d8f3",
    "spiking": "#d55e00",
    "permuted_dendrite": "#cc79a7",
    "gamma_always_on": "#e69f00",
    "rate_disturbed": "#004d80",
}
NAMES = {
    "raw": "raw input",
    "random": "random, rates",
    "random_spiking": "random, spikes",
    "rate": "learned in rates",
    "converted": "converted",
    "converted_unchanged_readout": "converted, same readout",
    "spiking": "learned in spikes",
    "permuted_dendrite": "dendrite permuted",
    "gamma_always_on": "gamma always on",
    "rate_disturbed": "rates, 0.1 % input noise",
}
FIXATION, SACCADE = "#009e73", "#cc79a7"
TARGETS = {"w_ff": "W", "w_pred": "W_pred", "w_retro": "W_retro"}
GATES = {"gamma": "gate of z · W_pred c", "gamma_retro": "gate of c · W_retro z"}


def figure(rows: int, columns: int, size: tuple[float, float], **keywords: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of ``size`` [inches] and its axes, row by row."""
    made = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(made)
    axes = made.subplots(rows, columns, squeeze=False, **keywords).ravel().tolist()
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(labelsize=8)
        each.title.set_fontsize(10)
        each.xaxis.set_major_locator(MaxNLocator(5))
    return made, axes


def legend_above(made: Figure, *axes: Axes) -> None:
    """Name all that these axes show in a legend above the figure, where it hides nothing."""
    handles: list[Any] = []
    names: list[str] = []
    for each in axes:
        found = each.get_legend_handles_labels()
        handles += found[0]
        names += found[1]
    made.legend(handles, names, fontsize=8, ncols=4, loc="outside upper center", frameon=False)


def label(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Name both axes, with units where they have any."""
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    if title:
        axes.set_title(title, fontsize=10)

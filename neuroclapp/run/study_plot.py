"""The step ``plot`` of a study: its pictures and ``report.html`` from its results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..report.bits import bits
from ..report.document import Shown
from ..report.study import breaks, curves, layers, page
from .draw import plot_report, results_of
from .study import StudyRun


def plot_study(run: StudyRun) -> None:
    """Draw every picture that has points, and write the report."""
    results = results_of(run)
    plot_report(run, results, _figures(results), len(results["pictures"]), page)


_BITS = (
    "Blue: from a weight's (or tag's) step to its range; orange: what 99.9 % of weights and of updates need, "
    "in float runs with seeds of their own. Right: weights at the end, all seeds."
)


def _figures(results: dict[str, Any]) -> Iterator[Shown]:
    used = {point["picture"] for one in results["conditions"].values() for point in one["points"]}
    for picture in results["pictures"]:
        if picture["name"] not in used:
            continue
        if picture["by"] == "layer":
            yield Shown(picture["name"], picture["title"], layers(picture, results), _depth(picture, results))
            for name, one in results["conditions"].items():
                if "chip" in one and any(point["picture"] == picture["name"] for point in one["points"]):
                    yield Shown(f"bits_{name}", f"{one['title']}: where the bits go", bits(one), _BITS)
        else:
            sentence = f"{breaks(picture, results)} Bars are 95 % intervals over seeds."
            yield Shown(picture["name"], picture["title"], curves(picture, results), sentence)


def _depth(picture: dict[str, Any], results: dict[str, Any]) -> str:
    """Say, condition by condition, what spikes have over rates in the top layer."""
    said = []
    for one in results["conditions"].values():
        if any(point["picture"] == picture["name"] for point in one["points"]):
            difference = one["paired_difference"]["spiking_minus_rate"]
            value = f"{difference['mean'][-1]:+.2f} ± {difference['interval'][-1]:.2f} points"
            said.append(f"{one['title']}, {one['layers'][-1]}: {value}")
    return f"Learning in spikes minus learning in rates, seed by seed: {'; '.join(said)}. Dots are seeds."

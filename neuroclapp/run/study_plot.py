"""The step ``plot`` of a study: its pictures and ``report.html`` from its results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..report.bits import bits
from ..report.document import Shown
from ..report.study import breaks, curves, layers, page
from ..report.text import cell
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
            several = any(len(one["seeds"]) > 1 for one in results["conditions"].values())
            bars = " Bars are 95 % intervals over seeds." if several else ""
            sentence = breaks(picture, results) + bars
            yield Shown(picture["name"], picture["title"], curves(picture, results), sentence)


def _depth(picture: dict[str, Any], results: dict[str, Any]) -> str:
    """Say, condition by condition, what spikes have over rates in the top layer."""
    said = []
    for one in results["conditions"].values():
        if any(point["picture"] == picture["name"] for point in one["points"]):
            difference = one["paired_difference"]["spiking_minus_rate"]
            said.append(f"{one['title']}, {one['layers'][-1]}: {cell(difference, '+.2f', -1)} points")
    return f"Learning in spikes minus learning in rates, seed by seed: {'; '.join(said)}. Dots are seeds."

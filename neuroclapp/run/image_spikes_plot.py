"""The step ``plot`` of trained image encoders in spikes: figures and ``report.html``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..report.document import Shown
from ..report.image_spikes import accuracy, follow, page
from .draw import plot_report, results_of
from .image_spikes import ImageSpikesRun


def plot_images(run: ImageSpikesRun) -> None:
    """Draw both figures, and write the report."""
    results = results_of(run)
    plot_report(run, results, _figures(results), 2, page)


def _figures(results: dict[str, Any]) -> Iterator[Shown]:
    *_, one = results["systems"].values()
    finest = one["variants"][str(results["neurons"][-1])]
    yield Shown(
        "layers",
        "Accuracy by layer, in spikes and in rates",
        accuracy(results),
        f"Left, readouts fitted to spikes; right, readouts of the rates. With {results['neurons'][-1]} "
        f"neurons per unit {one['title']} differs in {one['layers'][-1]} by "
        f"{finest['refitted_minus_rate']['mean'][-1]:+.1f} points from its rates on the same images.",
    )
    correlations = finest["correlation"]["mean"]
    yield Shown(
        "follow",
        "How closely spikes follow rates",
        follow(results),
        f"In {one['layers'][-1]} of {one['title']} the correlation is {correlations[-1]:.3f} with "
        f"{results['neurons'][-1]} neurons per unit.",
    )

"""The step ``plot`` of trained encoders of speech in spikes: figures and ``report.html``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..report.document import Shown
from ..report.spoken_spikes import accuracy, follow, page
from .draw import plot_report, results_of
from .spoken_spikes import SpokenSpikesRun


def plot_spoken(run: SpokenSpikesRun) -> None:
    """Draw both figures, and write the report."""
    results = results_of(run)
    plot_report(run, results, _figures(results), 2, page)


def _figures(results: dict[str, Any]) -> Iterator[Shown]:
    *_, one = results["systems"].values()
    finest, neurons = one["refitted_minus_rate"]["all"]["mean"][-1], results["neurons"][-1]
    yield Shown(
        "accuracy",
        "Phones from spikes, by neurons per unit",
        accuracy(results),
        "Dotted lines are the rates, the other lines medians over seeds, dots seeds; a triangle at the "
        f"border is a seed far below. With {neurons} neurons per unit, {one['title']} read out anew "
        f"differs by {finest:+.1f} points from its rates on the same frames.",
    )
    correlations = one["correlation"]["mean"]
    yield Shown(
        "layers",
        "How closely spikes follow rates",
        follow(results),
        f"In {one['layers'][-1]} of {one['title']} the correlation is {correlations[0][-1]:.3f} with "
        f"{results['neurons'][0]} and {correlations[-1][-1]:.3f} with {neurons} neurons per unit.",
    )

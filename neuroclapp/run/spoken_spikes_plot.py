"""The step ``plot`` of trained encoders of speech in spikes: figures and ``report.html``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import RunError
from ..files import read_json, write_text
from ..report.document import Shown
from ..report.spoken_spikes import accuracy, follow, page
from .draw import draw
from .spoken_spikes import SpokenSpikesRun


def plot_spoken(run: SpokenSpikesRun) -> None:
    """Draw both figures, and write the report."""
    path = run.folder / "results.json"
    if not path.is_file():
        raise RunError(f"{path}: no such file; run: neuroclapp compare {run.folder}")
    results = read_json(path)
    with run.step("plot"):
        shown = draw(run.folder, _figures(results), 2)
        command = f"neuroclapp run {run.folder.resolve().name}"
        write_text(run.folder / "report.html", page(results, shown, command))


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

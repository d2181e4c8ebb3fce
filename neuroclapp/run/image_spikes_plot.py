"""The step ``plot`` of trained image encoders in spikes: figures and ``report.html``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import RunError
from ..files import read_json, write_text
from ..report.document import Shown
from ..report.image_spikes import accuracy, follow, page
from .draw import draw
from .image_spikes import ImageSpikesRun


def plot_images(run: ImageSpikesRun) -> None:
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

"""The figures and the report of a run, written as they are drawn."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..files import read_json, write_text, written_aside
from ..progress import Progress
from ..report.document import Shown, png
from .folder import RunFolder

#: The page of results and of figures with their PNGs; the last argument is the run's experiment as TOML text.
Page = Callable[[dict[str, Any], list[tuple[Shown, bytes]], str], str]


def draw(folder: Path, figures: Iterable[Shown], count: int) -> list[tuple[Shown, bytes]]:
    """Write ``figures/NAME.png`` of each in a run's folder, old ones removed; return each with its PNG."""
    shutil.rmtree(folder / "figures", ignore_errors=True)
    shown: list[tuple[Shown, bytes]] = []
    with Progress("figures", count) as progress:
        for one in figures:
            picture = png(one.figure)
            with written_aside(folder / "figures" / f"{one.name}.png") as aside:
                aside.write_bytes(picture)
            shown.append((one, picture))
            progress(len(shown))
    return shown


def results_of(run: RunFolder) -> dict[str, Any]:
    """Return what was compared; raise RunError that says how where nothing was."""
    path = run.folder / "results.json"
    if not path.is_file():
        raise RunError(f"{path}: no such file; run: neuroclapp compare {run.folder}")
    found: dict[str, Any] = read_json(path)
    return found


def plot_report(
    run: RunFolder,
    results: dict[str, Any],
    figures: Iterable[Shown],
    count: int,
    page: Page,
) -> None:
    """Draw ``count`` figures and write ``report.html``: the step ``plot`` of a run."""
    with run.step("plot"):
        shown = draw(run.folder, figures, count)
        experiment = run.file.read_text(encoding="utf-8")
        write_text(run.folder / "report.html", page(results, shown, experiment))

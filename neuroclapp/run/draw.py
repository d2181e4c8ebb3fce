"""Figures of a run, written as they are drawn."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from ..files import written_aside
from ..progress import Progress
from ..report.document import Shown, png


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

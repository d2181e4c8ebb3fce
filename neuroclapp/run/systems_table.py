"""``results.json`` of image systems as a table for the terminal."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from ..report.datasets import data_name
from ..report.references import not_compared
from ..report.systems_page import columns, comparable
from ..report.text import ruled, stacked
from .systems import SystemsRun, compare_systems

#: The width of a header's cell, which is wrapped, and of a system's title.
_HEADER, _TITLE = 18, 44


def show_systems(run: SystemsRun) -> None:
    """Compare, and print the table, where there are systems."""
    results = compare_systems(run)
    if results["systems"]:
        print(table(results))


def table(results: dict[str, Any]) -> str:
    """Return the systems of a run as text: means with 95 % intervals over seeds."""
    header, rows = columns(results)
    cells = []
    for row in rows:
        first, *rest = wrap(row[0], _TITLE) or [""]
        cells += [[first, *row[1:]], *([f"  {line}", *[""] * (len(row) - 1)] for line in rest)]
    text = [f"{results['experiment']}: {data_name(results)}, scale {results['scale']}", ""]
    text += ruled(stacked(header, _HEADER), cells)
    if any(one["published"] is not None for one in results["systems"].values()):
        text += ["", comparable(results)]
    for sentence in not_compared(results):
        text += ["", sentence]
    cost = sum(step["wall_s"] for step in results["cost"].values())
    return "\n".join([*text, "", f"wall time of all steps: {cost:.0f} s"])

"""``results.json`` of a study as a table for the terminal."""

from __future__ import annotations

from typing import Any

from ..report.study import TABLES, columns, raw
from ..report.text import ruled, stacked
from .study import StudyRun
from .study_compare import compare_study

#: The width of a header's cell, which is wrapped.
_HEADER = 16


def show_study(run: StudyRun) -> None:
    """Compare, and print the table."""
    print(table(compare_study(run)))


def table(results: dict[str, Any]) -> str:
    """Return the conditions of a run as text, one line for each layer: means with 95 % intervals."""
    lines = [results["experiment"], raw(results)]
    for name in TABLES:
        header, rows = columns(results, name)
        lines += ["", name, *ruled(stacked(header, _HEADER), rows, left=2)]
    cost = sum(step["wall_s"] for step in results["cost"].values())
    return "\n".join([*lines, "", f"wall time of all steps: {cost:.0f} s"])

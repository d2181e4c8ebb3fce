"""``results.json`` of a study as a table for the terminal."""

from __future__ import annotations

from typing import Any

from ..report.study import columns, raw
from ..report.text import ruled
from .study import StudyRun
from .study_compare import compare_study


def show_study(run: StudyRun) -> None:
    """Compare, and print the table."""
    print(table(compare_study(run)))


def table(results: dict[str, Any]) -> str:
    """Return the conditions of a run as text, one line for each layer: means with 95 % intervals."""
    header, rows = columns(results)
    lines = [results["experiment"], raw(results), "", *ruled([header], rows, left=2)]
    cost = sum(step["wall_s"] for step in results["cost"].values())
    return "\n".join([*lines, "", f"wall time of all steps: {cost:.0f} s"])

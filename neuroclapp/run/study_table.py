"""``results.json`` of a study as a table for the terminal."""

from __future__ import annotations

from typing import Any

from ..report.study import columns, raw


def table(results: dict[str, Any]) -> str:
    """Return the conditions of a run as text, one line for each layer: means with 95 % intervals."""
    header, rows = columns(results)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [results["experiment"], raw(results), ""]
    for cells in (header, ["-" * width for width in widths], *rows):
        first = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
        others = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
        lines.append("  ".join([*first, *others]).rstrip())
    cost = sum(step["wall_s"] for step in results["cost"].values())
    return "\n".join([*lines, "", f"wall time of all steps: {cost:.0f} s"])

"""Figures as text, and tables as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any


def cell(values: dict[str, Any], form: str, *at: int, between: str = " ± ") -> str:
    """Return a mean, and after ``between`` its 95 % interval, which a figure of one seed does not have.

    ``form`` is the mean's format, as in "+.1f"; the interval has as many digits. ``at`` finds the figure
    where ``values`` holds lists of them.
    """
    mean, interval = values["mean"], values["interval"]
    several = len(values["per_seed"]) > 1
    for place in at:
        mean, interval = mean[place], interval[place] if several else None
    spread = f"{between}{interval:.{form.partition('.')[2]}}" if several else ""
    return f"{mean:{form}}{spread}"


def cells(values: dict[str, Any], form: str, between: str = " ± ") -> list[str]:
    """Return `cell` of each figure of a list of figures."""
    return [cell(values, form, place, between=between) for place in range(len(values["mean"]))]


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return each row as a line: the first ``left`` columns begin, and the others end, at one place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def stacked(header: Sequence[str], width: int) -> list[list[str]]:
    """Return the lines of a header whose cells are wrapped to a width; they end in the last line."""
    heads = [wrap(cell, width) for cell in header]
    tall = max(map(len, heads))
    padded = [[*[""] * (tall - len(head)), *head] for head in heads]
    return [list(line) for line in zip(*padded, strict=True)]


def ruled(header: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return the lines of a header, a rule, and rows as lines; see `aligned`."""
    lines = aligned([*header, *rows], left)
    return [*lines[: len(header)], "-" * max(map(len, lines)), *lines[len(header) :]]

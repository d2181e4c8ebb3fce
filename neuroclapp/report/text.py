"""Tables as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence


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


def ruled(header: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return the lines of a header, a rule, and rows as lines; see `aligned`."""
    lines = aligned([*header, *rows], left)
    return [*lines[: len(header)], "-" * max(map(len, lines)), *lines[len(header) :]]

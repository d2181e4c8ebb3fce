"""Which positions hear which, where a kernel slides over a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .demand import Indices, Window


def windows(grid: Sequence[int], kernel: int, stride: int, padding: int) -> tuple[Window, tuple[int, ...]]:
    """Return which positions of ``grid`` each output position hears, row by row, and the output's grid.

    What lies in the padding is left out.
    """
    sides = tuple((side + 2 * padding - kernel) // stride + 1 for side in grid)
    heard: Indices = np.zeros((1, 1), np.int64)
    inside = np.ones((1, 1), bool)
    for side, places in zip(grid, sides, strict=True):
        at = np.arange(places)[:, None] * stride - padding + np.arange(kernel)
        fits = (at >= 0) & (at < side)
        heard = (heard[:, None, :, None] * side + at[None, :, None, :]).reshape(len(heard) * places, -1)
        inside = (inside[:, None, :, None] & fits[None, :, None, :]).reshape(len(heard), -1)
    start = np.concatenate([[0], np.cumsum(inside.sum(1))]).astype(np.int64)
    return Window(start, heard[inside]), sides


def through(window: Window, merged: Window) -> Window:
    """Return the window that hears all positions that the positions of ``window`` are merged from."""
    sizes = np.diff(merged.start)
    pre = np.concatenate([merged.pre[merged.start[q] : merged.start[q + 1]] for q in window.pre])
    ends = np.concatenate([[0], np.cumsum(sizes[window.pre])])
    return Window(ends[window.start].astype(np.int64), pre)

"""The engine's rendering of what a control does to dendrites, for a batch of simulations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...plasticity import Control
from ..grid import rounded, share
from ..populations import Populations
from .arrays import Arrays


@dataclass(frozen=True)
class Dendrites:
    """Whose charge units find in their dendrites. Masks are (batch, 1), None where they are 0 throughout.

    ``picks`` of each layer (batch, units), None for each its own; ``mean``: the mean over units; ``fixed``:
    the ``level``, whatever arrived.
    """

    xp: Arrays
    grid: float | None
    picks: list[Any]
    mean: Any | None
    fixed: Any | None
    level: Any

    def arranged(self, layer: int, charge: Any) -> Any:
        """Return charges (batch, units) as they are exchanged among units."""
        charge = self.xp.picked(charge, self.picks[layer])
        if self.mean is None:
            return charge
        part = share(charge.shape[1], self.grid is not None)
        mean = self.xp.rounded(charge.sum(1)[:, None] * part, self.grid)
        return charge * (1 - self.mean) + mean * self.mean

    def fixate(self, charge: Any) -> Any:
        """Return charges (batch, units) with those that are fixed in their place."""
        return charge if self.fixed is None else charge * (1 - self.fixed) + self.level * self.fixed


def dendrites(
    xp: Arrays, populations: Populations, controls: Sequence[Control], lengths: Sequence[int], part: slice
) -> Dendrites:
    """Return what controls do in these presentations, ``lengths`` of them of each simulation."""

    def mask(values: Sequence[float]) -> Any | None:
        repeated = np.repeat(np.asarray(values, dtype=np.float64), lengths)[:, None]
        return xp.array(repeated) if repeated.any() else None

    levels = np.array([each.level * (each.dendrite == "constant") for each in controls])
    return Dendrites(
        xp,
        populations.grid,
        [
            _picks(xp, controls, lengths, part, n, layer.soma.units)
            for n, layer in enumerate(populations.layers)
        ],
        mask([each.dendrite == "mean" for each in controls]),
        mask([each.dendrite in ("constant", "absent") for each in controls]),
        xp.array(np.repeat(rounded(levels, populations.grid), lengths)[:, None]),
    )


def _picks(
    xp: Arrays, controls: Sequence[Control], lengths: Sequence[int], part: slice, layer: int, units: int
) -> Any | None:
    if all(control.permutations is None for control in controls):
        return None
    own: NDArray[np.int64] = np.arange(units)
    picks = [
        np.tile(own, (length, 1)) if control.permutations is None else control.permutations[part, layer]
        for control, length in zip(controls, lengths, strict=True)
    ]
    return xp.array(np.concatenate(picks), np.int64)

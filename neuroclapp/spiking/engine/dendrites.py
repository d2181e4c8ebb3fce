"""The engine's dendrites: charge collected in a presentation, and held through the next one."""

from __future__ import annotations

from typing import Any

from ..grid import decay
from ..populations import Populations
from ..variants import Decaying
from .arrays import Arrays


def collected(xp: Arrays, populations: Populations, w: Any, z: Any) -> Any:
    """Return ``W z`` as a dendrite has it at a presentation's end (batch, units).

    ``z`` (batch, steps, pre): packets times quantum. A plateau holds all of it; else it decays on the way.
    """
    remain = _remain(populations)
    if remain is None:
        return xp.product(w, z.sum(1))
    arriving = xp.product(w, z)
    charge = xp.full((len(z), arriving.shape[-1]), 0.0)
    for step in range(z.shape[1]):
        charge = xp.rounded(charge * remain, populations.grid) + arriving[:, step]
    return charge


def met(xp: Arrays, populations: Populations, held: Any, z: Any) -> tuple[Any, Any]:
    """Return coincidences, the sum over steps of ``held * z`` (batch, units), and what is held at the end.

    ``held`` (batch, units) at the presentation's start, ``z`` (batch, steps, units).
    """
    remain = _remain(populations)
    if remain is None:
        return held * z.sum(1), held
    coincidences = held * 0.0
    for step in range(z.shape[1]):
        held = xp.rounded(held * remain, populations.grid)
        coincidences = coincidences + held * z[:, step]
    return coincidences, held


def _remain(populations: Populations) -> float | None:
    dendrite = populations.dendrite
    if not isinstance(dendrite, Decaying):
        return None
    return decay(populations.timing.dt, dendrite.tau, populations.grid is not None)

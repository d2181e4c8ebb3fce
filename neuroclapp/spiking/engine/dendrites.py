"""The engine's dendrites: charge collected in a presentation, and held through the next one."""

from __future__ import annotations

from typing import Any

from ..grid import decay
from ..populations import Populations
from ..variants import Decaying
from .arrays import Arrays


def collected(xp: Arrays, populations: Populations, w: Any, packets: Any, count: Any, quantum: float) -> Any:
    """Return ``W z`` as a dendrite has it at a presentation's end (batch, units).

    ``packets`` (batch, steps, pre), ``count`` of their spikes (batch, pre), worth ``quantum`` each. A plateau
    holds all; else it decays on the way.
    """
    remain = _remain(populations)
    if remain is None:
        return xp.product(w, count * quantum)
    arriving = xp.heard(w, packets) * quantum
    charge = xp.full((len(packets), arriving.shape[-1]), 0.0)
    for step in range(packets.shape[1]):
        charge = xp.rounded(charge * remain, populations.grid) + arriving[:, step]
    return charge


def met(
    xp: Arrays, populations: Populations, held: Any, packets: Any, count: Any, quantum: float
) -> tuple[Any, Any]:
    """Return coincidences, the sum over steps of ``held * z`` (batch, units), and what is held at the end.

    ``held`` (batch, units) at the presentation's start, ``packets`` (batch, steps, units), ``count`` of them.
    """
    remain = _remain(populations)
    if remain is None:
        return held * (count * quantum), held
    coincidences = held * 0.0
    for step in range(packets.shape[1]):
        held = xp.rounded(held * remain, populations.grid)
        coincidences = coincidences + held * (packets[:, step] * quantum)
    return coincidences, held


def _remain(populations: Populations) -> float | None:
    dendrite = populations.dendrite
    if not isinstance(dendrite, Decaying):
        return None
    return decay(populations.timing.dt, dendrite.tau, populations.grid is not None)

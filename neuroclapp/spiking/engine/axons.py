"""The engine's axons: what of a population's packets arrives, and when."""

from __future__ import annotations

from typing import Any

from .. import axons
from ..populations import Populations
from .arrays import Arrays


class Axons:
    """The axons of input (0) and layers (1, 2, ...); see `neuroclapp.spiking.axons`."""

    def __init__(self, xp: Arrays, populations: Populations) -> None:
        self.xp, self.timing = xp, populations.timing
        kinds = [populations.input_axon, *(populations.axon for _ in populations.layers)]
        neurons = [populations.input.neurons, *(layer.soma.neurons for layer in populations.layers)]
        tables: dict[tuple[float, int], Any] = {}
        for axon, most in zip(kinds, neurons, strict=True):
            if axon.loss and (axon.loss, most) not in tables:
                tables[axon.loss, most] = xp.array(axons.sent(axon.loss, most))
        self.tables = [tables.get((axon.loss, most)) for axon, most in zip(kinds, neurons, strict=True)]

    def __call__(self, number: int, packets: Any, lots: Any | None, late: Any | None) -> Any:
        """Return the packets that arrive (batch, steps, units) of those that a population fired."""
        if lots is not None:
            packets = self.xp.looked_up(self.tables[number], lots, packets)
        if late is None:
            return packets
        arriving = self.xp.full(tuple(packets.shape), 0.0)
        for steps in range(int(late.max()) + 1):
            on_time = packets * (late == steps)
            arriving[:, steps:] += on_time[:, : on_time.shape[1] - steps]
        arriving[:, self.timing.release :] = 0
        return arriving

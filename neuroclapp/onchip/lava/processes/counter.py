"""Packet integrate-and-fire dynamics, shared by the models of this package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroclapp.onchip.clock import Clock

Array = NDArray[np.float64]


class Counter:
    """Units of ``neurons`` neurons each: ``n = clip(floor(v), 0, neurons); v -= n; count += n``.

    From ``clock.silent`` on they integrate and send nothing.
    All arrays are (units,). ``count`` and ``count_context`` are the spikes of this presentation and of the
    one before it; a replay sends them as graded spikes of twice their value, since Lava's trace x1 takes
    half of a payload.
    """

    def __init__(self, units: int, neurons: int, clock: Clock) -> None:
        self.clock, self.neurons = clock, neurons
        self.v = np.full(units, 0.5)
        self.count, self.count_context = np.zeros(units), np.zeros(units)

    def turn(self) -> None:
        """Begin a presentation."""
        self.count_context, self.count = self.count, np.zeros_like(self.count)
        self.v = np.full_like(self.v, 0.5)

    def step(self, charge: Array | float, phase: int) -> Array:
        """Integrate ``charge`` [thresholds] and return the packets that units send in step ``phase``."""
        self.v = self.v + charge
        if phase >= self.clock.silent:
            return np.zeros_like(self.count)
        packets = np.clip(np.floor(self.v), 0, self.neurons)
        self.v = self.v - packets
        self.count = self.count + packets
        return packets

    def replay(self, phase: int) -> Array:
        """Return the graded spikes of a step after the presentation's own: replays, or silence."""
        window = self.clock.open_window(phase)
        if window is None or phase != self.clock.window(window)[0]:
            return np.zeros_like(self.count)
        return 2 * (self.count if window == "sample" else self.count_context)

    @property
    def charge(self) -> Array:
        """The net charge of this presentation [thresholds]."""
        return self.count + self.v - 0.5

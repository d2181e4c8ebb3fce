"""What is planned: a network on a chip, its coding in spikes, for inference or for learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..network import Network
from ..spiking.populations import Modulator, Timing
from .chip import Chip
from .plan_learning import unroll_learning
from .plan_wiring import Pooling, Unrolled, unroll

Mode = Literal["inference", "learning"]


@dataclass(frozen=True)
class Coding:
    """How rates become spikes: ``neurons`` per unit, ``gain`` by layer (the last for all above).

    A unit's ``activity`` is assumed, unless ``measured`` holds spikes and messages of a unit in a
    presentation by population. ``said`` tells where the coding is from.
    """

    timing: Timing
    neurons: int
    input_gain: float
    gain: tuple[float, ...]
    modulator: Modulator
    said: str
    activity: float = 1.0
    measured: Mapping[str, tuple[float, float]] | None = None
    measured_in: str = ""


@dataclass(frozen=True)
class Case:
    """A network on a chip. ``pooling``: what becomes of a max-pool."""

    network: Network
    chip: Chip
    coding: Coding
    mode: Mode
    pooling: Pooling = "relay"

    def unrolled(self) -> Unrolled:
        """Return what the chip would hold; a unit is several neurons where spikes are not graded."""
        if self.mode == "learning":
            modulator = self.coding.modulator
            return unroll_learning(self.network, modulator.units, modulator.fan_in)
        per_unit = 1 if self.chip.graded_spikes else self.coding.neurons
        return unroll(self.network, per_unit, self.pooling)

"""Chips as data: word widths, limits and energies, each energy with the source that states it.

A value that no public source states is left out, which reads as "unknown" for an energy and as "no limit" for
a limit. Nothing here runs on a chip: public Lava runs models of the chip on a CPU.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from .. import catalog
from ..catalog import DESCRIPTION
from ..units import Bytes, Joules


@dataclass(frozen=True, config=DESCRIPTION)
class Widths:
    """Bits of each word in the learning engine, without sign. Left out: floating point.

    ``weight`` a synaptic weight, ``tag`` a synaptic tag, ``trace`` x1 .. y3, ``accumulator`` the sum of a
    rule's products, ``mantissa`` that of a product's coefficient (with sign), ``constant`` in (y1-64),
    ``payload`` of a graded spike.
    """

    weight: PositiveInt | None = None
    tag: PositiveInt | None = None
    trace: PositiveInt | None = None
    accumulator: PositiveInt | None = None
    mantissa: PositiveInt | None = None
    constant: PositiveInt | None = None
    payload: PositiveInt | None = None


@dataclass(frozen=True, config=DESCRIPTION)
class Limits:
    """What a chip holds. ``fan_in``, ``fan_out``: axons per core; ``epoch``: steps of a learning epoch."""

    cores: PositiveInt | None = None
    neurons: PositiveInt | None = None
    neurons_per_core: PositiveInt | None = None
    synapses: PositiveInt | None = None
    synaptic_memory_per_core: Bytes | None = None
    fan_in: PositiveInt | None = None
    fan_out: PositiveInt | None = None
    epoch: PositiveInt | None = None


@dataclass(frozen=True, config=DESCRIPTION)
class Energy:
    """The energy of one operation as ``source`` states it; ``note`` says what to doubt about it."""

    operation: Literal["synaptic operation", "synaptic update", "neuron update", "spike"]
    energy: Joules
    source: str
    note: str = ""

    def __post_init__(self) -> None:
        if not self.energy > 0:
            raise ValueError(f"energy = {self.energy} J must be positive")
        if not self.source.strip():
            raise ValueError("source is empty: an energy without a source is not used")


@dataclass(frozen=True, config=DESCRIPTION)
class Chip:
    """A chip. ``graded_spikes``: spikes carry numbers; ``three_factor``: neurons write their own traces."""

    name: str
    title: str
    sources: tuple[str, ...] = ()
    graded_spikes: bool = True
    three_factor: bool = True
    widths: Widths = field(default_factory=Widths)
    limits: Limits = field(default_factory=Limits)
    energies: tuple[Energy, ...] = ()

    def energy(self, operation: str) -> Energy | None:
        """Return the energy of an operation, None where no source states one."""
        return next((one for one in self.energies if one.operation == operation), None)


def load_chip(reference: str) -> Chip:
    """Read a chip from the catalogue by name, or from the TOML file at a path."""
    return catalog.load("hardware", reference, Chip)

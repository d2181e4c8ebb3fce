"""Chips as data: word widths, learning engine, limits, times and energies, each with its source.

A value that no public source states is left out: "unknown" for an energy or a time, "not stated" for a limit,
which is then not checked and named as such by `neuroclapp plan`. Nothing here runs on a chip: public Lava
runs models of the chip on a CPU.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from .. import catalog
from ..catalog import DESCRIPTION
from ..units import Bytes, Joules, Seconds

#: What an energy or a time is stated for. "neuron update": of a neuron that spikes or is driven.
Operation = Literal[
    "synaptic operation", "synaptic update", "neuron update", "idle neuron update", "spike", "barrier"
]


@dataclass(frozen=True, config=DESCRIPTION)
class Widths:
    """Bits of each word in the learning engine, without sign. Left out: floating point.

    ``weight`` a synaptic weight, ``tag`` a synaptic tag, ``trace`` x1 .. y3, ``accumulator`` the sum of a
    rule's products, ``mantissa`` that of a product's coefficient (with sign), ``constant`` in (y1-64),
    ``payload`` of a graded spike, ``delay`` a synaptic delay.
    """

    weight: PositiveInt | None = None
    tag: PositiveInt | None = None
    trace: PositiveInt | None = None
    accumulator: PositiveInt | None = None
    mantissa: PositiveInt | None = None
    constant: PositiveInt | None = None
    payload: PositiveInt | None = None
    delay: PositiveInt | None = None


@dataclass(frozen=True, config=DESCRIPTION)
class Engine:
    """The learning engine: what a rule, a sum of products, may hold.

    ``third_factor``: ``"neuron"`` where a neuron writes its own traces y, ``"reward"`` where one signed
    signal reaches all synapses of a core, ``"none"``. ``products``: the most of one rule, where stated.
    """

    pre_traces: tuple[str, ...]
    post_traces: tuple[str, ...]
    variables: tuple[str, ...]
    dependencies: tuple[str, ...]
    third_factor: Literal["none", "reward", "neuron"]
    source: str
    products: PositiveInt | None = None


@dataclass(frozen=True, config=DESCRIPTION)
class Neurons:
    """``programmable``: a neuron runs a program. ``compartments`` that one with subtractive reset takes."""

    programmable: bool = True
    compartments: PositiveInt = 1
    source: str = ""


@dataclass(frozen=True, config=DESCRIPTION)
class SynapseLists:
    """How synapses lie in a core's memory: one list for each presynaptic neuron, cut into blocks.

    A block has at most ``block`` synapses of ``weight`` bits (and an index, where the list skips neurons, of
    the first of ``index`` bits that suffices), ``header`` bits, and fills words of ``word`` bits.
    ``weights``: the weights' bits that the chip offers.
    """

    weight: PositiveInt
    index: tuple[NonNegativeInt, ...]
    header: NonNegativeInt
    block: PositiveInt
    word: PositiveInt
    source: str
    weights: tuple[PositiveInt, ...] = ()


@dataclass(frozen=True, config=DESCRIPTION)
class Limits:
    """What a chip holds.

    ``fan_in``: lists of synapses in a core, one for each presynaptic neuron; ``fan_out``: pairs of a neuron
    of the core and a core that it sends to; ``epoch``: steps of a learning epoch; ``chips`` of one system.
    """

    chips: PositiveInt | None = None
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

    operation: Operation
    energy: Joules
    source: str
    note: str = ""

    def __post_init__(self) -> None:
        if not self.energy > 0:
            raise ValueError(f"energy = {self.energy} J must be positive")
        if not self.source.strip():
            raise ValueError("source is empty: an energy without a source is not used")


@dataclass(frozen=True, config=DESCRIPTION)
class Time:
    """The time that one operation takes in a core, as ``source`` states it; a barrier is the chip's."""

    operation: Operation
    time: Seconds
    source: str
    note: str = ""

    def __post_init__(self) -> None:
        if not self.time > 0:
            raise ValueError(f"time = {self.time} s must be positive")
        if not self.source.strip():
            raise ValueError("source is empty: a time without a source is not used")


@dataclass(frozen=True, config=DESCRIPTION)
class Chip:
    """A chip. ``graded_spikes``: spikes carry numbers; ``three_factor``: neurons write their own traces.

    ``unlimited``: a chip that by definition has no limits, where others have some that no source states.
    """

    name: str
    title: str
    sources: tuple[str, ...] = ()
    graded_spikes: bool = True
    three_factor: bool = True
    widths: Widths = field(default_factory=Widths)
    neurons: Neurons = field(default_factory=Neurons)
    engine: Engine | None = None
    synapses: SynapseLists | None = None
    limits: Limits = field(default_factory=Limits)
    energies: tuple[Energy, ...] = ()
    times: tuple[Time, ...] = ()
    unlimited: bool = False

    def __post_init__(self) -> None:
        if self.unlimited and (self.limits != Limits() or self.synapses is not None):
            raise ValueError("unlimited = true: such a chip has neither limits nor synaptic memory")

    def energy(self, operation: str) -> Energy | None:
        """Return the energy of an operation, None where no source states one."""
        return next((one for one in self.energies if one.operation == operation), None)

    def time(self, operation: str) -> Time | None:
        """Return the time of an operation, None where no source states one."""
        return next((one for one in self.times if one.operation == operation), None)


def load_chip(reference: str) -> Chip:
    """Read a chip from the catalogue by name, or from the TOML file at a path."""
    return catalog.load("hardware", reference, Chip)

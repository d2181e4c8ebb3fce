"""Neurons, input codes, dendrites and axons as data: what a spiking unit can be made of.

In all equations v is a membrane in thresholds of one neuron, where a presentation starts at v = 1/2 (or at
(i + 1/2) / neurons for neuron i of a unit), and ``charge`` is what arrived in the last time step.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat
from pydantic.dataclasses import dataclass as description

from ..catalog import DESCRIPTION
from ..units import Hertz, Seconds


@description(frozen=True, config=DESCRIPTION)
class IntegrateAndFire:
    """v += charge; where v >= 1 a spike, and v -= 1."""

    kind: Literal["integrate_and_fire"] = "integrate_and_fire"


@description(frozen=True, config=DESCRIPTION)
class Leaky:
    """v = 1/2 + (v - 1/2) exp(-dt / tau) + charge; where v >= 1 a spike, and v -= 1 or v = 0.

    Net charge leaks with ``tau`` [s]: the membrane rests where a presentation starts. ``reset`` is
    "subtract" or "zero" (hard: what was above the threshold is lost).
    """

    tau: Seconds = 0.1
    reset: Literal["subtract", "zero"] = "subtract"
    kind: Literal["leaky"] = "leaky"

    def __post_init__(self) -> None:
        if not 0 < self.tau < math.inf:
            raise ValueError(f"tau = {self.tau} s must be positive")


@description(frozen=True, config=DESCRIPTION)
class EscapeNoise:
    """v += charge; a spike with probability 1 - exp(-h dt), h = rate exp((v - 1) / width); then v -= 1.

    ``rate`` [1/s] is the rate at threshold, ``width`` [thresholds] how soft the threshold is. It is the same
    as a threshold drawn afresh at each step, 1 + width (ln E - ln(rate dt)) with E exponential of mean 1:
    so the noise can be given as data.
    """

    width: PositiveFloat = 0.05
    rate: Hertz = 1000.0
    kind: Literal["escape_noise"] = "escape_noise"

    def __post_init__(self) -> None:
        if not 0 < self.rate < math.inf:
            raise ValueError(f"rate = {self.rate} Hz must be positive")


@description(frozen=True, config=DESCRIPTION)
class Regular:
    """An input unit integrates its activity and fires regularly, like a neuron without leak."""

    kind: Literal["regular"] = "regular"


@description(frozen=True, config=DESCRIPTION)
class Poisson:
    """An input unit is ``neurons`` Poisson neurons: a packet in each time step is a Poisson number of mean
    activity / (quantum * steps_on), at most ``neurons``.

    ``once``: each neuron fires at most once in a step, as in Brian2's ``PoissonGroup``: a binomial number of
    the same mean, whose variance is less by the probability with which a neuron fires.
    """

    kind: Literal["poisson"] = "poisson"
    once: bool = False


@description(frozen=True, config=DESCRIPTION)
class Plateau:
    """A dendrite holds its charge through the presentation, as a plateau potential does."""

    kind: Literal["plateau"] = "plateau"


@description(frozen=True, config=DESCRIPTION)
class Decaying:
    """All dendritic charge decays with ``tau`` [s], while it is collected and while it is held.

    At each time step d = d exp(-dt / tau), then what arrives is added.
    """

    tau: Seconds = 0.5
    kind: Literal["decaying"] = "decaying"

    def __post_init__(self) -> None:
        if not 0 < self.tau < math.inf:
            raise ValueError(f"tau = {self.tau} s must be positive")


@description(frozen=True, config=DESCRIPTION)
class Axon:
    """How spikes leave a unit: each is lost with probability ``loss``, a packet late by ``jitter`` at most.

    A spike that is lost has reset its membrane, and nothing else knows of it: no synapse and no trace. How
    many time steps a packet is late is drawn for each unit and step, uniform from 0 to ``jitter`` [s]; what
    would leave at the modulators' release or after it is lost.
    """

    loss: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    jitter: Seconds = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.jitter < math.inf:
            raise ValueError(f"jitter = {self.jitter} s must not be negative")

    def late(self, dt: float) -> int:
        """Return by how many time steps of ``dt`` [s] a packet is late at most."""
        return round(self.jitter / dt)


Neuron = Annotated[IntegrateAndFire | Leaky | EscapeNoise, Field(discriminator="kind")]
Code = Annotated[Regular | Poisson, Field(discriminator="kind")]
Dendrite = Annotated[Plateau | Decaying, Field(discriminator="kind")]
#: How the neurons of a unit are simulated: one packet counts for all of them, or one by one.
Unit = Literal["packet", "neurons"]

"""Spiking populations as data: what the mapping builds, what Brian2 and the on-chip export read.

A unit of the rate network is a population of ``neurons`` integrate-and-fire neurons with subtractive
reset. All of them see the same input and start at ``(i + 1/2) / neurons`` of a threshold, so that
together they count like one unit that may send up to ``neurons`` spikes per time step, a *packet*
(Hermite's identity); that packet unit is what is simulated.

One presentation, in time steps of ``dt`` (steps 0, 1, ..., ``steps - 1``):

    every population, step 0:   v = 1/2
    input, step s < steps_on:   v += activity / (quantum * steps_on)
    soma, every step s:         v += drive / quantum, the charge that arrived in step s - 1
                                (and bias / (quantum * steps_on) while s < steps_on)
    packet, step s < release:   n = clip(floor(v), 0, neurons);  v -= n;  count += n
    basal, apical, retro:       drive_j += W_ji n_i quantum_i,   next_j += W_pred_jk n_k quantum,
                                retro_j += W_retro_jk n_k quantum   at each presynaptic packet n
    modulator m, listening:     evidence_m += weight_mj apical_j n_j quantum
    retro modulator, step release - 1, after the packets:
                                evidence_m += weight_mj retro_j c_j
    step ``release``:           modulators fire;  + 1: gamma is released;  + 2: weights change
    next presentation:          apical = next; next = retro = evidence = 0

From the release on units are silent: what a saturated unit has not yet sent by then is lost.
A layer with separate gates has two modulators (Eqs. 10-14). The second one estimates the retrodiction's score
c . r: at the end each soma replays, as one packet, the count of the presentation before, c_j / quantum, and
the coincidence with its retro dendrite is heard as coincidences with the apical one are. It releases a gamma
of its own.

A unit's activity is ``count * quantum``; its net charge is ``(count + v - 1/2) * quantum``, and the slope
rho' is 1 where that is positive.

Other neurons, input codes, dendrites and axons are values (`neuroclapp.spiking.variants`). Neurons of a unit
that are simulated one by one each integrate ``charge / neurons``; the unit's v is then
``1/2 + sum_i (v_i - start_i)``. With ``grid`` all sums are exact (`neuroclapp.spiking.grid`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass as description

from ..catalog import DESCRIPTION
from ..plasticity import GATES, Gate, Plasticity
from ..units import Seconds
from .variants import Axon, Code, Dendrite, IntegrateAndFire, Neuron, Plateau, Regular, Unit

#: Steps of a part of a presentation, less than this: they are counted in 32 bits.
MOST_STEPS = 2**31


@description(frozen=True, config=DESCRIPTION)
class Timing:
    """The clock of a presentation: input for ``duration``, then ``flush`` without input [s]."""

    duration: Seconds = 0.1
    flush: Seconds = 0.005
    dt: Seconds = 0.001

    def __post_init__(self) -> None:
        for name in ("dt", "duration", "flush"):  # dt first, as the others are counted in it
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name} = {value} s must be positive")
            if not value / self.dt < MOST_STEPS:
                raise ValueError(
                    f"{name} = {value} s must be less than {MOST_STEPS} steps of dt = {self.dt} s"
                )
            if abs(value / self.dt - round(value / self.dt)) > 1e-6:
                raise ValueError(f"{name} = {value} s must be a multiple of dt = {self.dt} s")

    @property
    def steps_on(self) -> int:
        """Number of time steps with input."""
        return round(self.duration / self.dt)

    @property
    def steps(self) -> int:
        """Number of time steps of a whole presentation."""
        return round((self.duration + self.flush) / self.dt)

    @property
    def release(self) -> int:
        """The time step at which the modulators fire; weights change two steps later, the last one."""
        return self.steps - 3

    @property
    def period(self) -> float:
        """Duration of a whole presentation [s]."""
        return self.steps * self.dt


@description(frozen=True, config=DESCRIPTION)
class Modulator:
    """A neuromodulator population: ``units`` for fixations and as many for saccades; one for each gate.

    Each unit listens to ``fan_in`` units of its layer and estimates the score u from them. It fires
    ``tonic + resolution * (1 - u)`` spikes at the release (fixation) or ``tonic + resolution * (1 + u)``
    (saccade), at least 0 and at most ``burst``; gamma opens where the half fires more than its tonic
    level on average.

    Unreliable modulators: ``noise`` and ``common_noise`` are standard deviations of what is added to the
    estimate of each unit, and of all units of a layer alike, afresh in each presentation. ``failure`` is the
    probability that a synapse from a soma onto a modulator unit is silent for a presentation; the others
    weigh ``1 / (1 - failure)`` as much, so that the mean stays the score. A layer's two modulators are alike,
    and each has noise and failing synapses of its own.
    """

    units: PositiveInt = 32
    fan_in: PositiveInt = 16
    resolution: PositiveFloat = 4.0
    tonic: PositiveInt = 40
    burst: PositiveInt = 127
    noise: NonNegativeFloat = 0.0
    common_noise: NonNegativeFloat = 0.0
    failure: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0

    @property
    def is_noisy(self) -> bool:
        """Whether anything is added to the estimates."""
        return self.noise > 0 or self.common_noise > 0


@dataclass(frozen=True)
class Population:
    """Units of ``neurons`` neurons each; one spike of one neuron stands for ``quantum`` of activity."""

    name: str
    units: int
    neurons: int
    quantum: float


@dataclass(frozen=True)
class LayerPopulations:
    """A layer: its somata with apical and retro dendrites, its modulator, its learning rates.

    ``listens`` (2 * modulator.units, units): weight of each modulator unit, fixation half first, on each
    soma; 0 where there is no synapse. Each half's mean over its units is exactly the score, where no synapse
    fails. Where gates are separate, the rows of the second modulator follow those of the first.
    """

    name: str
    soma: Population
    modulator: Modulator
    listens: NDArray[np.float64]
    eta: float
    eta_pred: float
    bias: bool = False

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The gates that the layer's modulators release: one, or two that are separate."""
        return GATES[: len(self.listens) // (2 * self.modulator.units)]

    def rows(self, gate: Gate) -> slice:
        """Return which of the modulator units release a gate, both halves of them."""
        first = 2 * self.modulator.units * GATES.index(gate)
        return slice(first, first + 2 * self.modulator.units)


@dataclass(frozen=True)
class Populations:
    """A spiking network without its weights, which stay in rate units (`neuroclapp.weights`).

    ``grid``: the step of the grid that weights lie on, or None. ``input_axon`` is the input's, ``axon``
    that of every layer.
    """

    timing: Timing
    input: Population
    layers: tuple[LayerPopulations, ...]
    plasticity: Plasticity
    neuron: Neuron = field(default_factory=IntegrateAndFire)
    unit: Unit = "packet"
    code: Code = field(default_factory=Regular)
    dendrite: Dendrite = field(default_factory=Plateau)
    grid: float | None = None
    input_axon: Axon = field(default_factory=Axon)
    axon: Axon = field(default_factory=Axon)

    def context_of(self, index: int) -> int:
        """Return the layer whose activity predicts that of this one: itself, or the top one."""
        return index if self.plasticity.context == "own" else len(self.layers) - 1

    def rules_of(self, index: int) -> Plasticity:
        """Return the rules of a layer."""
        return self.plasticity.of_layer(index == len(self.layers) - 1)

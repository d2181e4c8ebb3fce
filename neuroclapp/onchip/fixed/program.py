"""A fixed-point program as data: everything that learns on a chip, in integers.

A population sends packets n of up to ``neurons`` spikes in a step. With v = threshold / 2 at first, in each
step

    v += charge;  n = clip(v div threshold, 0, neurons);  v -= n threshold;  count += n

A weight is ``w`` steps of ``2^-exponent`` (rate units), w of 8 bits and a sign; its tag t of 8 bits and a
sign holds what is not yet in w, in steps of ``2^-exponent / carry``. In a learn window a presynaptic unit
replays ``x1 = (count + 2^(replay - 1)) >> replay``, and the postsynaptic neuron shows ``y1`` = 64 + its fold:

    v = gamma q multiplier + rest;  y = clip((v + 2^(shift - 1)) >> shift, -most, most)
    rest = v - (y << shift);        y1 = 64 + stride y

q is the product of the neuron's own integers: d (what W_pred c brought to the apical dendrite, in weight
steps times spikes), r, a count, rho'. The rest of a rounding is kept for the next fold, so that rounding
loses nothing. gamma is the fold's gate: a layer with separate gates (Eqs. 10-14) has two modulators, one of
the score z . d and one of c . r.

A bias is the synapse of an axon that is always on. A chip's own bias, a constant current, is set and not
learned; a synapse has the tag and the traces of all others, and the neuron's y1 of ``w_ff`` does for both. So
the bias is one more input: its axon sends ``payload`` spikes in each step with input, which arrive one step
later as those of all units do, and replays a constant x1 in both windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...plasticity import Factor, Gate, Target
from ..clock import Clock, Window
from ..interpreter import LAVA_WORDS, Words
from ..series import Term

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FixedUnits:
    """A population; a spike is worth ``quantum`` of activity, ``replay`` shifts a replayed count."""

    name: str
    units: int
    neurons: int
    quantum: float
    threshold: int
    replay: int


@dataclass(frozen=True)
class FixedFold:
    """What the neuron shows in a window; see the module's equations. ``most`` is the largest |y|.

    ``keeps``: whether the rest of a rounding is kept; without it rest = 0. ``gate``: whose gamma it is.
    """

    window: Window
    post: tuple[Factor, ...]
    multiplier: int
    shift: int
    stride: int
    most: int
    keeps: bool = True
    gate: Gate = "gamma"


@dataclass(frozen=True)
class FixedConnection:
    """A plastic matrix (post, pre): rules ``dw`` and ``dt`` and a fold for each product of the rate rule.

    Several with one target, numbered by ``part``, are synapses side by side, whose charges are added: what
    one brings is shifted left where another's steps are finer. ``weights`` and ``tags`` are what it starts
    from. The tag's step is 1 / ``carry`` of the weight's; ``dt`` is empty and ``carry`` 1 where the rule
    writes into the weight itself.
    """

    target: Target
    exponent: int
    carry: int
    dw: tuple[Term, ...]
    dt: tuple[Term, ...]
    folds: tuple[FixedFold, ...]
    weights: Integers
    tags: Integers
    every: int = 0
    part: int = 0

    @property
    def key(self) -> str:
        """Its name in a layer."""
        return f"{self.target}+{self.part}" if self.part else self.target

    @property
    def step(self) -> float:
        """The weight's step in rate units."""
        return 2.0**-self.exponent


@dataclass(frozen=True)
class FixedAxon:
    """The axon that is always on: ``payload`` spikes in a step with input, ``replay`` = x1 in both windows.

    ``activity`` is what it sends in a presentation, in rate units: a bias is ``activity`` times its weight.
    """

    payload: int
    replay: int
    activity: float


@dataclass(frozen=True)
class FixedModulator:
    """The modulators in integers: unit m of a half fires, at the release,

        clip((rest_m + resolution -+ (evidence_m multiplier >> shift)) >> FRACTION, 0, burst)

    (- for fixation) with ``evidence = listens ((d >> coincidence) count)``; all but ``burst`` hold
    ``FRACTION`` fractional bits. gamma is released where a half fires more than ``baseline`` spikes. In the
    second modulator r stands for d, and the context's count for the sample's.
    """

    listens: Integers
    coincidence: int
    rest: Integers
    resolution: int
    multiplier: int
    shift: int
    burst: int
    baseline: int


#: Fractional bits of the modulators' drive.
FRACTION = 10


@dataclass(frozen=True)
class FixedLayer:
    """A layer: its somata, its plastic connections and its modulators.

    ``axon``: where a connection's target is "bias"; its weights and tags are (units, 1), its folds those of
    ``w_ff``, whose y1 it sees. ``modulator_retro``: where gates are separate, that of the second one.
    """

    soma: FixedUnits
    connections: tuple[FixedConnection, ...]
    modulator: FixedModulator
    axon: FixedAxon | None = None
    modulator_retro: FixedModulator | None = None

    @property
    def modulators(self) -> dict[Gate, FixedModulator]:
        """The modulator of each gate."""
        found: dict[Gate, FixedModulator] = {"gamma": self.modulator}
        if self.modulator_retro is not None:
            found["gamma_retro"] = self.modulator_retro
        return found

    def connection(self, target: Target) -> FixedConnection | None:
        """Return the plastic connection with this target, None where there is none."""
        return next((one for one in self.connections if one.target == target), None)

    def parts(self, target: Target) -> list[tuple[FixedConnection, int]]:
        """Return the synapses side by side of a target, and how far what each brings is shifted left."""
        found = [one for one in self.connections if one.target == target]
        finest = max((one.exponent for one in found), default=0)
        return [(one, finest - one.exponent) for one in found]

    def rates(self, one: FixedConnection, weights: NDArray[Any]) -> NDArray[np.float64]:
        """Return weights (..., units, pre) in rate units; those of a bias as (..., units)."""
        if one.target == "bias" and self.axon is not None:
            return np.multiply(weights[..., 0], one.step * self.axon.activity, dtype=np.float64)
        return np.multiply(weights, one.step, dtype=np.float64)


@dataclass(frozen=True)
class FixedProgram:
    """A network that learns in integers; Lava's own models have `LAVA_WORDS` and no others."""

    chip: str
    clock: Clock
    input: FixedUnits
    layers: tuple[FixedLayer, ...]
    words: Words = LAVA_WORDS

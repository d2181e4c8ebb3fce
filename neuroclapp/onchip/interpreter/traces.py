"""Traces x1 x2 (presynaptic) and y1 y2 y3 (postsynaptic) in integers.

Within a learning epoch a neuron keeps the step of its last spike, 1 .. epoch, or 0. At the epoch's end the
traces are followed through its steps:

    trace = floor(exp(-1/tau) trace) + (random < what that floor dropped)        tau = 0: trace = 0
    trace = clip(trace + impulse, 0, 127)                                        in the step of the last spike

and every earlier spike of the epoch has already added its impulse when it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .integers import Integers
from .random import IMPULSE_BITS, Numbers, Side

#: What a spike does to x1: "regular" adds the impulse; "overwrite" sets it to half the payload; "saturate"
#: adds half the payload, up to 127; "overflow" adds it and takes 127 off where that gives more: only there is
#: it a spike for x2 and x0.
Graded = Literal["regular", "overwrite", "saturate", "overflow"]
GRADED: tuple[Graded, ...] = ("regular", "overwrite", "saturate", "overflow")

#: Where neurons spike: indices by axis of (..., units), as `numpy.nonzero` gives them.
Spiked = tuple[NDArray[np.intp], ...]

#: A decay constant [steps] so long that exp(-1 / tau) is exactly 1.
NO_DECAY = 2.0**60


@dataclass(frozen=True)
class Trace:
    """A trace adds ``impulse`` at a spike and decays with ``tau`` [steps]; with 0 it lasts no step."""

    impulse: float = 0.0
    tau: float = 0.0

    def __post_init__(self) -> None:
        for key, value in (("impulse", self.impulse), ("tau", self.tau)):
            if not value >= 0:
                raise InputError("trace", key, value, "must be 0 or more")


@dataclass(frozen=True)
class Dynamics:
    """Decay and impulses of one side's traces, each array (traces, 1).

    ``still`` where nothing decays, ``silent`` where there are no impulses; ``most`` is the largest trace.
    """

    factor: NDArray[np.float64]
    whole: Integers
    part: Integers
    most: int
    still: bool
    silent: bool

    @classmethod
    def of(cls, traces: Sequence[Trace], bits: int) -> Dynamics:
        """Return the dynamics of traces of so many bits, impulses split into whole and fraction of 8 bits."""
        tau = np.array([float(one.tau) for one in traces])[:, None]
        factor = np.zeros_like(tau)
        factor[tau != 0] = np.exp(-1 / tau[tau != 0])
        impulse = np.array([float(one.impulse) for one in traces])[:, None]
        whole = np.floor(impulse)
        part = np.round((impulse - whole) * 2**IMPULSE_BITS)
        kind = np.int32
        still, silent = bool((factor == 1).all()), not impulse.any()
        return cls(factor, whole.astype(kind), part.astype(kind), 2**bits - 1, still, silent)

    def decayed(self, traces: Integers, random: Any) -> Integers:
        """Return traces (traces, ..., units) one step later, rounded stochastically."""
        factor = self.factor if traces.ndim == 2 else self.factor[..., None]
        exact = factor * traces
        floor = np.floor(exact)
        floor += random < exact - floor
        return floor.astype(np.int32)

    def struck(self, traces: Integers, spiked: Spiked, random: Any) -> Integers:
        """Return traces with an impulse where ``spiked``, which also clips them there."""
        at: Any = (slice(None), *spiked)
        if np.ndim(random):
            random = np.broadcast_to(random, traces.shape)[at]
        values = traces[at] + self.whole
        values += random < self.part
        np.maximum(values, 0, out=values)
        np.minimum(values, self.most, out=values)
        traces = traces.copy()
        traces[at] = values
        return traces

    def history(
        self, traces: Integers, spike: Integers, epoch: int, side: Side, step: int, numbers: Numbers
    ) -> list[Integers]:
        """Return the traces at the end of each step of an epoch, those before it in front.

        ``spike`` (..., units) is the step of the last spike in the epoch that ends with time step ``step``.
        """
        if self.still and not self._strikes(traces, spike):
            return [traces, traces]
        found = [traces]
        for t in range(1, epoch + 1):
            now = found[-1]
            if not self.still:
                now = self.decayed(now, numbers.decay(side, step, traces.shape))
            spiked = (spike == t).nonzero()
            if len(spiked[0]):
                now = self.struck(now, spiked, numbers.impulse(side, step, traces.shape, False))
            found.append(now)
        return found

    def _strikes(self, traces: Integers, spike: Integers) -> bool:
        """Say whether a spike can change a trace, by its impulse or by the clip that comes with it."""
        if not np.count_nonzero(spike):
            return False
        return not self.silent or bool(traces.min() < 0 or traces.max() > self.most)


def payload_trace(x1: Integers, sent: Integers, spiked: Spiked, graded: Graded, bits: int) -> Spiked:
    """Set x1 (..., pre) to what graded spikes make of it, in place; return which count for x0 and x2.

    Half a payload is rounded half to even and kept modulo 256 (2^(bits + 1)), as is the sum with x1.
    """
    payload, wrap, most = sent[spiked], 2 ** (bits + 1) - 1, 2**bits - 1
    low = payload >> 1
    half = (low + (payload & low & 1)) & wrap
    if graded == "overwrite":
        x1[spiked] = half
        return spiked
    x1[spiked] += half
    x1 &= wrap
    if graded == "saturate":
        np.minimum(x1, most, out=x1)
        return spiked
    over = x1 > most
    x1 -= most * over
    kept = over[spiked]
    return tuple(axis[kept] for axis in spiked)

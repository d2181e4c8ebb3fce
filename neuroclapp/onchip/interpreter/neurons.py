"""Leaky integrate-and-fire neurons in integers: Lava's LIF, LIFReset and TernaryLIF in fixed point.

u = sign(u) (|u| (4096 - du - 1) >> 12) + (arriving << 6)       wrapped once where it leaves 24 bits
v = clip(sign(v) (|v| (4096 - dv) >> 12) + u + bias)            to 24 bits
a spike where v > vth << 6, after which v = 0
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError
from .integers import Integers, confine

UNITY, ALIGN, _MOST = 2**12, 6, 2**23


@dataclass
class Membrane:
    """Current u and voltage v, (..., units), and the time steps taken."""

    u: Integers
    v: Integers
    step: int = 0

    def copy(self) -> Membrane:
        return Membrane(self.u.copy(), self.v.copy(), self.step)


@dataclass(frozen=True)
class LIF:
    """Neurons. ``du``, ``dv`` 0 .. 4095 decay current and voltage; bias = ``mantissa * 2^exponent`` per step.

    With ``vth_low`` a neuron also spikes, -1, below ``vth_low << 6`` (TernaryLIF). With ``interval`` u and v
    are set to 0 at the beginning of the steps s = ``offset`` modulo ``interval`` (LIFReset).
    """

    vth: int
    du: int = 0
    dv: int = 0
    mantissa: ArrayLike = 0
    exponent: ArrayLike = 0
    vth_low: int | None = None
    interval: int = 0
    offset: int = 0

    def __post_init__(self) -> None:
        for key, value in (("du", self.du), ("dv", self.dv)):
            if not 0 <= value < UNITY:
                raise InputError("neurons", key, value, f"must be 0 .. {UNITY - 1}")

    @cached_property
    def bias(self) -> Integers:
        """What is added to v in every step."""
        mantissa, exponent = np.asarray(self.mantissa, np.int32), np.asarray(self.exponent, np.int32)
        left = np.left_shift(mantissa, np.maximum(exponent, 0))
        return np.where(exponent >= 0, left, np.right_shift(mantissa, np.maximum(-exponent, 0)))

    def start(self, *shape: int) -> Membrane:
        """Return neurons at rest, (..., units)."""
        return Membrane(np.zeros(shape, np.int32), np.zeros(shape, np.int32))

    def step(self, state: Membrane, arriving: ArrayLike) -> Integers:
        """Take one time step, in place, and return the spikes, (..., units)."""
        state.step += 1
        if self.interval and state.step % self.interval == self.offset % self.interval:
            state.u, state.v = np.zeros_like(state.u), np.zeros_like(state.v)
        u = _decayed(state.u, self.du + 1) + (np.asarray(arriving, np.int32) << ALIGN)
        if u.max() > _MOST or u.min() <= -_MOST:
            u = np.where(u > _MOST, u - 2 * _MOST, np.where(u <= -_MOST, u + 2 * _MOST, u))
        v = _decayed(state.v, self.dv) + u + self.bias
        confine(v, 1 - _MOST, _MOST - 1)
        spikes = (v > self.vth << ALIGN).astype(np.int32)
        if self.vth_low is not None:
            spikes -= v < self.vth_low << ALIGN
        v[spikes != 0] = 0
        state.u, state.v = u, v
        return spikes


def _decayed(value: Integers, decay: int) -> Integers:
    """Return ``value (4096 - decay) / 4096``, towards 0; its 36 bits are exact in double precision."""
    return (value * ((UNITY - decay) / UNITY)).astype(np.int32)

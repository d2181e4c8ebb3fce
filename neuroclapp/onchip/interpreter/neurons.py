"""Leaky integrate-and-fire neurons in integers: Lava's LIF, LIFReset and TernaryLIF in fixed point.

u = sign(u) (|u| (4096 - du - 1) >> 12) + (arriving << 6)       wrapped once where it leaves 24 bits
v = clip(sign(v) (|v| (4096 - dv) >> 12) + u + bias)            to 24 bits
a spike where v > vth << 6, after which v = 0
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from .integers import Integers, confine

_UNITY, _ALIGN, _MOST = 2**12, 6, 2**23


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
            if not 0 <= value < _UNITY:
                raise InputError("neurons", key, value, f"must be 0 .. {_UNITY - 1}")

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
        u = _decayed(state.u, self.du + 1) + (np.asarray(arriving, np.int32) << _ALIGN)
        if u.max() > _MOST or u.min() <= -_MOST:
            u = np.where(u > _MOST, u - 2 * _MOST, np.where(u <= -_MOST, u + 2 * _MOST, u))
        v = _decayed(state.v, self.dv) + u + self.bias
        confine(v, 1 - _MOST, _MOST - 1)
        spikes = (v > self.vth << _ALIGN).astype(np.int32)
        if self.vth_low is not None:
            spikes -= v < self.vth_low << _ALIGN
        v[spikes != 0] = 0
        state.u, state.v = u, v
        return spikes


class Running:
    """Neurons of one network that take many steps, in float64 (exact) and in arrays that are used again."""

    def __init__(self, cells: LIF, u: Integers, v: Integers, step: int) -> None:
        self.u, self.v, self._cells, self._step = u.astype(float), v.astype(float), cells, step
        self._falls = [(_UNITY - one) / _UNITY for one in (cells.du + 1, cells.dv)]
        self._bias = np.broadcast_to(cells.bias, v.shape).astype(float) if cells.bias.any() else None

    def tame(self, most: int) -> bool:
        """Say whether u and v stay within 24 bits where at most ``most`` arrives at a neuron in a step."""
        fall_u, fall_v = self._falls
        u = max(float(np.abs(self.u).max()), (most << _ALIGN) / (1 - fall_u))
        bias = 0.0 if self._bias is None else float(np.abs(self._bias).max())
        v = max(float(np.abs(self.v).max()), (u + bias) / (1 - fall_v) if fall_v < 1 else np.inf)
        return max(u, v) < _MOST

    def run(self, arriving: Integers, fired: Integers, tame: bool) -> None:
        """Take the steps of what arrives (steps, units); write the spikes into ``fired``."""
        cells, v, (fall_u, fall_v) = self._cells, self.v, self._falls
        threshold = cells.vth << _ALIGN
        charge = (arriving << _ALIGN).astype(float)
        over = np.empty(fired.shape, bool)
        for now, above, spikes in zip(charge, over, fired, strict=True):
            self._step += 1
            if cells.interval and self._step % cells.interval == cells.offset % cells.interval:
                self.u.fill(0)
                v.fill(0)
            if fall_u:
                now += np.trunc(self.u * fall_u)
            self.u = now
            if not tame:
                _wrap(now)
                now -= 2.0 * _MOST * (now > _MOST)
                now += 2.0 * _MOST * (now <= -_MOST)
            np.multiply(v, fall_v, out=v)
            np.trunc(v, out=v)
            v += now
            if self._bias is not None:
                v += self._bias
            if not tame:
                _wrap(v)
                np.minimum(v, _MOST - 1, out=v)
                np.maximum(v, 1 - _MOST, out=v)
            np.greater(v, threshold, out=above)
            if cells.vth_low is not None:
                below = v < cells.vth_low << _ALIGN
                np.subtract(above, below, out=spikes, dtype=np.int32)
                v[below] = 0
            np.copyto(v, 0, where=above)
        if cells.vth_low is None:
            fired[...] = over


def _wrap(value: NDArray[np.float64]) -> None:
    """Take whole numbers modulo 2^32, in place, as sums of 32 bits are."""
    value[...] = value.astype(np.int64).astype(np.int32)


def _decayed(value: Integers, decay: int) -> Integers:
    """Return ``value (4096 - decay) / 4096``, towards 0; its 36 bits are exact in double precision."""
    return (value * ((_UNITY - decay) / _UNITY)).astype(np.int32)

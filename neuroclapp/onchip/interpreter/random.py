"""The random numbers of stochastic rounding: those that Lava draws, by time step, or a generator's own.

Lava draws **one** number for all synapses of a connection in each epoch, and one for all traces of a side in
each step. Its sequences depend on the seed alone, so that a checkpoint needs no more than the time step:

    synapses         number n of seed 2 for epoch n = 1, 2, ...: the same in every connection
    traces           advance twice per step; seeds s (decay of x), s + 1 (impulse of x), s + 2 and s + 3 (y)
    an epoch's end   step T: number 2 T for decay and impulse, in all steps of the epoch alike
    a second spike   step s: number 2 s - 1 for y; 0 for x, which always rounds up
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .rules import Random

Side = Literal["x", "y"]
SYNAPSES_SEED = 2
#: Bits of a trace impulse's fraction.
IMPULSE_BITS = 8
_BLOCK = 1024


class Numbers(Protocol):
    """What stochastic rounding needs; ``shape`` is that of the traces, (x1 x2 or y1 y2 y3, ..., units)."""

    def decay(self, side: Side, step: int, shape: tuple[int, ...]) -> Any:
        """Return numbers in [0, 1), to be compared with what a decayed trace's floor drops."""

    def impulse(self, side: Side, step: int, shape: tuple[int, ...], repeated: bool) -> Any:
        """Return integers to be compared with an impulse's fraction; ``repeated``: within an epoch."""

    def synapses(self, epoch: int) -> Random:
        """Return numbers for `neuroclapp.onchip.interpreter.rules.learn`."""


class Draws:
    """What a numpy generator of one seed draws number by number, by index.

    Floats in [0, 1), or integers below ``below``; an array of indices that rise gives an array.
    """

    def __init__(self, seed: int, below: int | None = None) -> None:
        self._generator, self._below = np.random.default_rng(seed), below
        self._drawn: NDArray[Any] = np.zeros(0)

    def __getitem__(self, index: Any) -> Any:
        last = index if isinstance(index, int) else index[-1] if len(index) else -1
        while last >= len(self._drawn):
            size = max(_BLOCK, len(self._drawn))
            more: NDArray[Any]
            if self._below is None:
                more = self._generator.random(size)
            else:
                more = self._generator.integers(0, self._below, size=size, dtype=int)
            self._drawn = np.concatenate([self._drawn, more]) if len(self._drawn) else more
        return self._drawn[index]


class LavaNumbers:
    """Lava's numbers of one connection, or of several side by side: one seed for all, or one for each."""

    def __init__(self, seed: int | Sequence[int], trace_bits: int = 7) -> None:
        self._seeds = (seed,) if isinstance(seed, int) else tuple(seed)
        self._one = isinstance(seed, int)
        self._synapses = Draws(SYNAPSES_SEED)
        below = 2**trace_bits
        self._decay = {
            side: [Draws(one + more) for one in self._seeds] for side, more in (("x", 0), ("y", 2))
        }
        self._impulse = {
            side: [Draws(one + more, below) for one in self._seeds] for side, more in (("x", 1), ("y", 3))
        }

    def decay(self, side: Side, step: int, shape: tuple[int, ...]) -> Any:
        return self._at(self._decay[side], 2 * step)

    def impulse(self, side: Side, step: int, shape: tuple[int, ...], repeated: bool) -> Any:
        if repeated:
            return 0 if side == "x" else self._at(self._impulse[side], 2 * step - 1)
        return self._at(self._impulse[side], 2 * step)

    def synapses(self, epoch: int) -> float:
        return float(self._synapses[epoch])

    def decays(self, side: Side, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return numbers of `decay`, (seeds, places): at place 2 T that of time step T."""
        return self._many(self._decay[side], places)

    def impulses(self, side: Side, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return numbers of `impulse`, (seeds, places): at 2 T for step T, repeated ones at 2 T - 1."""
        return self._many(self._impulse[side], places)

    def many_synapses(self, epochs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return `synapses` of many epochs."""
        found: NDArray[np.float64] = self._synapses[epochs]
        return found

    def _many(self, draws: list[Draws], places: NDArray[np.int64]) -> NDArray[Any]:
        return draws[0][places][None] if self._one else np.stack([one[places] for one in draws])

    def _at(self, draws: list[Draws], index: int) -> Any:
        return draws[0][index] if self._one else np.array([one[index] for one in draws])[:, None]


class OwnNumbers:
    """The corrected form: a number of its own for each synapse and each trace, from generators passed in.

    One generator of each kind, or one for each network side by side. An impulse's fraction of 8 bits meets
    a number of 8 bits; Lava's has 7, so that there fractions from 1/2 on always round up. A checkpoint keeps
    the generators' states.
    """

    def __init__(
        self,
        synapses: np.random.Generator | Sequence[np.random.Generator],
        traces: np.random.Generator | Sequence[np.random.Generator],
    ) -> None:
        self._synapses, self._traces = synapses, traces

    def decay(self, side: Side, step: int, shape: tuple[int, ...]) -> Any:
        return self._draw(shape, lambda one, size: one.random(size))

    def impulse(self, side: Side, step: int, shape: tuple[int, ...], repeated: bool) -> Any:
        return self._draw(shape, lambda one, size: one.integers(0, 1 << IMPULSE_BITS, size))

    def synapses(self, epoch: int) -> Random:
        return self._synapses

    def _draw(self, shape: tuple[int, ...], draw: Any) -> Any:
        if isinstance(self._traces, np.random.Generator):
            return draw(self._traces, shape)
        traces, _, units = shape
        return np.stack([draw(one, (traces, units)) for one in self._traces], axis=1)

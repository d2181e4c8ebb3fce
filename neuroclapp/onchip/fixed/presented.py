"""What populations, modulators and neurons do in a presentation, in integers: the equations of `.program`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...plasticity import Factor
from ..clock import Clock
from ..integer import INPUT_THRESHOLD, MEMBRANE_BITS
from ..interpreter import LAVA_WORDS, Words
from .program import FRACTION, FixedFold, FixedModulator, FixedUnits

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
#: The largest a membrane can be: it has 24 bits with its sign, and saturates.
_MOST = 2 ** (MEMBRANE_BITS - 1) - 1


def input_charge(source: FixedUnits, inputs: Array, clock: Clock) -> Integers:
    """Return the charge of input units in each step with input, for activities in rate units."""
    charge = np.floor(inputs / (source.quantum * clock.steps_on) * INPUT_THRESHOLD + 0.5)
    return charge.astype(np.int64)


def input_packets(source: FixedUnits, inputs: Array, clock: Clock) -> Integers:
    """Return packets (networks, steps, inputs) of input units that integrate activities in rate units."""
    charge = input_charge(source, inputs, clock)
    driven = np.repeat(charge[:, None], clock.steps_on, 1)
    still = np.zeros((len(charge), clock.steps - clock.steps_on, charge.shape[1]), dtype=np.int64)
    return respond(source, np.concatenate([driven, still], 1), clock.silent)[0]


def respond(units: FixedUnits, charge: Integers, silent: int) -> tuple[Integers, Integers]:
    """Return packets (networks, steps, units) and the membranes at the end, from the charge of each step."""
    v = np.full((len(charge), charge.shape[2]), units.threshold // 2, dtype=np.int64)
    packets = np.zeros_like(charge)
    for step in range(charge.shape[1]):
        v = np.minimum(np.maximum(v + charge[:, step], -_MOST), _MOST)
        if step < silent:
            packets[:, step] = n = np.minimum(np.maximum(v // units.threshold, 0), units.neurons)
            v -= n * units.threshold
    return packets, v


def released(
    m: FixedModulator, held: Integers, count: Integers, sign: NDArray[np.int8]
) -> tuple[Integers, Integers]:
    """Return gamma (networks,) and the spikes of both halves (networks, 2) of the score ``held . count``."""
    coincidences = shifted(held, m.coincidence) * count
    evidence = np.matmul(coincidences.astype(np.float64), m.listens.T.astype(np.float64)).astype(np.int64)
    half = evidence.shape[1] // 2
    direction = np.repeat([-1, 1], half)
    drive = m.rest + m.resolution + direction * shifted(evidence * m.multiplier, m.shift)
    total = np.clip(drive >> FRACTION, 0, m.burst).reshape(len(count), 2, half).sum(-1)
    opens = total > m.baseline
    wide = sign.astype(np.int64)
    return np.where(wide > 0, opens[:, 0] * 1, np.where(wide < 0, opens[:, 1] * -1, 0)), total


def replayed(units: FixedUnits, count: Integers, words: Words = LAVA_WORDS) -> Integers:
    """Return x1 after a replay: counts in steps of 2^replay, as many as a trace holds."""
    return np.minimum(shifted(count, units.replay), 2**words.trace - 1)


def folded(
    fold: FixedFold, gamma: Integers, here: dict[Factor, Integers], rest: Integers
) -> tuple[Integers, Integers]:
    """Return what the trace adds to its neutral value (networks, units), and the rest that is kept."""
    value = gamma[:, None] * fold.multiplier
    shown = np.ones_like(rest)
    for factor in fold.post:
        value = value * here[factor]
        if factor.symbol == "rho":
            shown = shown * here[factor]
    value = value + rest if fold.keeps else value
    y = np.clip(shifted(value, fold.shift), -fold.most, fold.most)
    half = (1 << fold.shift) >> 1
    left = np.clip(value - (y << fold.shift), -half, half)
    silent = shown == 0
    return np.where(silent, 0, y * fold.stride), np.where(silent | (not fold.keeps), rest, left)


def shifted(value: Any, shift: int) -> Any:
    """Return ``value / 2^shift``, rounded, halves upwards."""
    return (value + ((1 << shift) >> 1)) >> shift

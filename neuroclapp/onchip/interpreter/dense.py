"""What synapses bring to neurons, and how weights are truncated: Lava's Dense in fixed point.

    arriving in step s + 1 = (sum_j w_ij s_j) << exponent    of the spikes of step s;  >> -exponent below 0

in 32 bits, which wrap. Weights keep their upper ``weight_bits`` bits; those of mixed sign lose one more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError
from .integers import Integers
from .words import LAVA_WORDS, Sign, Words


def sign_of(weights: ArrayLike) -> Sign:
    """Return the sign that Lava gives to synapses that do not learn."""
    array = np.asarray(weights)
    if array.min() >= 0:
        return "excitatory"
    return "inhibitory" if array.max() <= 0 else "mixed"


def truncated(weights: ArrayLike, weight_bits: int, sign: Sign, words: Words = LAVA_WORDS) -> Integers:
    """Return weights without the bits that they may not have, rounded down (inhibitory: towards 0)."""
    array = np.asarray(weights)
    if array.dtype.kind not in "iub":
        raise InputError("synapses", "weights", array.dtype, "must be integers")
    array = array.astype(np.int32)
    lost = words.weight - weight_bits + (sign == "mixed")
    if lost < 0:
        raise InputError("synapses", "weight_bits", weight_bits, f"must be at most {words.weight}")
    if sign == "inhibitory":
        return -(-array >> lost << lost)
    return array >> lost << lost


def clipped(weights: Integers, sign: Sign, words: Words = LAVA_WORDS) -> Integers:
    """Return weights within the range of their sign."""
    low, high = words.range("w", sign)
    return np.minimum(np.maximum(weights, low), high)


def current(weights: Integers, sent: Integers, exponent: int) -> Integers:
    """Return what arrives (..., post) of spikes (..., pre) that carry ``sent``, in 32 bits."""
    if weights.ndim == 2:
        (spiked,) = sent.nonzero()
        total = sent[spiked] @ weights.T[spiked]
    else:
        total = np.matmul(weights, sent[..., None])[..., 0]
    return total << exponent if exponent > 0 else total >> -exponent


def pre_major(array: Integers) -> Integers:
    """Return (..., post, pre) with one presynaptic neuron's synapses side by side in memory."""
    return np.swapaxes(np.swapaxes(array, -1, -2).copy(), -1, -2)


@dataclass(frozen=True)
class StaticDense:
    """Synapses that do not learn; ``sign`` is taken from the weights unless given."""

    weights: Integers
    payload: bool = False
    exponent: int = 0

    @classmethod
    def of(
        cls,
        weights: ArrayLike,
        payload: bool = False,
        exponent: int = 0,
        weight_bits: int = 8,
        sign: Sign | None = None,
        words: Words = LAVA_WORDS,
    ) -> StaticDense:
        """Return synapses with integer weights, clipped, then truncated, as Lava does at its first step."""
        sign = sign_of(weights) if sign is None else sign
        inside = clipped(np.asarray(weights, np.int32), sign, words)
        return cls(pre_major(truncated(inside, weight_bits, sign, words)), payload, exponent)

    def start(self) -> Integers:
        """Return what arrives in the first step: nothing, (..., post)."""
        return np.zeros(self.weights.shape[:-1], np.int32)

    def step(self, pending: Integers, spikes: ArrayLike) -> tuple[Integers, Integers]:
        """Return what arrives in this step, and what its spikes (..., pre) bring in the next one."""
        sent = np.asarray(spikes, np.int32)
        sent = sent if self.payload else (sent != 0).astype(np.int32)
        return pending, current(self.weights, sent, self.exponent)

"""The inference half of an export in integers, as a chip with weights of few bits computes it.

With threshold T, v = T div 2 at the begin of a presentation, and what was sent in the step before:

    v = clip(v + sum_j w_ij n_j + b, -2^23 + 1, 2^23 - 1)     b in the first steps_on steps only
    n = clip(v div T, 0, neurons);  v -= n T                  no packet from ``clock.silent`` on

A weight of 8 bits, one of them its sign, is an even integer w = 2 round(W T / 2), |w| <= 2^8 - 2: so does
Lava hold weights of both signs. W is in thresholds per spike; T = floor((2^8 - 2) / max |W|) lets a layer's
widest weight take all bits. The scale needs no power of two, since it is folded into the threshold. Input
units integrate activities in steps of 2^-12 of a threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from . import nir
from .clock import Clock
from .program import Units

Integers = NDArray[np.int32]

#: Bits of a membrane with its sign: it saturates.
MEMBRANE_BITS = 24
#: The input units' threshold: activities become charges in this many steps of it.
INPUT_THRESHOLD = 2**12
_MOST = 2 ** (MEMBRANE_BITS - 1) - 1


@dataclass(frozen=True)
class IntegerLayer:
    """A layer: somata, their threshold, even weights (post, pre), and bias (post,) per step."""

    soma: Units
    threshold: int
    weights: Integers
    bias: Integers


@dataclass(frozen=True)
class IntegerInference:
    """A network in integers; ``weight_bits`` counts the sign."""

    clock: Clock
    input: Units
    layers: tuple[IntegerLayer, ...]
    weight_bits: int

    def charge(self, charge: ArrayLike) -> Integers:
        """Return the input units' charge per step from that of `nir.Inference.charge` [thresholds]."""
        return _rounded(np.asarray(charge) * INPUT_THRESHOLD)


def quantised(network: nir.Inference, weight_bits: int = 8) -> IntegerInference:
    """Return a network with weights of ``weight_bits`` bits; raise InputError where a layer does not fit."""
    if not 2 <= weight_bits <= 8:
        raise InputError("fixed point", "weight_bits", weight_bits, "must be 2 .. 8, with the sign")
    layers = tuple(_layer(layer, weight_bits) for layer in network.layers)
    return IntegerInference(network.clock, network.input, layers, weight_bits)


def _layer(layer: nir.Feedforward, weight_bits: int) -> IntegerLayer:
    widest, step = float(np.abs(layer.weights).max()), 2 ** (9 - weight_bits)
    most = step * (2 ** (weight_bits - 1) - 1)
    fits = (_MOST + 1) // (2 * layer.soma.neurons)  # a whole packet stays within half of the membrane
    threshold = int(min(most / widest, fits)) if widest else fits
    if threshold < 2:
        allowed = f"must be at most {most // 2}: a threshold is at least two steps of a weight"
        raise InputError("fixed point", f"{layer.soma.name}.w_ff, largest", widest, allowed)
    bias = np.zeros(layer.soma.units) if layer.bias is None else layer.bias
    weights = step * _rounded(layer.weights * threshold / step)
    return IntegerLayer(layer.soma, threshold, weights, _rounded(bias * threshold))


def _rounded(values: Any) -> Integers:
    return np.floor(np.asarray(values) + 0.5).astype(np.int32)


class IntegerSomata:
    """Packet units in integers, see the module's equations; arrays are (..., units) as in ``shape``."""

    def __init__(self, shape: tuple[int, ...], neurons: int, threshold: int, clock: Clock) -> None:
        self.neurons, self.threshold, self.clock = neurons, threshold, clock
        self.v = np.zeros(shape, dtype=np.int32)
        self.count = np.zeros(shape, dtype=np.int32)
        self.turn()

    def turn(self) -> None:
        """Begin a presentation."""
        self.v = np.full_like(self.v, self.threshold // 2)
        self.count = np.zeros_like(self.count)

    def step(self, charge: Integers | int, phase: int) -> Integers:
        """Integrate ``charge`` [steps of a threshold] and return the packets of step ``phase``."""
        self.v = np.clip(self.v.astype(np.int64) + charge, -_MOST, _MOST).astype(np.int32)
        if phase >= self.clock.silent:
            return np.zeros_like(self.count)
        packets = np.clip(self.v // self.threshold, 0, self.neurons)
        self.v = self.v - packets * self.threshold
        self.count = self.count + packets
        return packets


def simulate(network: IntegerInference, charge: Integers) -> list[NDArray[np.uint16]]:
    """Return the packets of every layer (samples, steps, units), one presentation each.

    ``charge`` (samples, inputs) is what `IntegerInference.charge` returns.
    """
    clock, samples = network.clock, len(charge)
    source = IntegerSomata(charge.shape, network.input.neurons, INPUT_THRESHOLD, clock)
    somata = [
        IntegerSomata((samples, layer.soma.units), layer.soma.neurons, layer.threshold, clock)
        for layer in network.layers
    ]
    # Sums of such integers are exact in float64, and much faster there.
    weights = [layer.weights.T.astype(np.float64) for layer in network.layers]
    arriving = [np.zeros((samples, layer.soma.units), dtype=np.int64) for layer in network.layers]
    found = [np.zeros((samples, clock.steps, layer.soma.units), np.uint16) for layer in network.layers]
    for step in range(clock.steps):
        on = step < clock.steps_on
        sent = source.step(charge if on else 0, step)
        for n, (layer, units) in enumerate(zip(network.layers, somata, strict=True)):
            packets = units.step(arriving[n] + (layer.bias if on else 0), step)
            arriving[n] = (sent.astype(np.float64) @ weights[n]).astype(np.int64)
            found[n][:, step] = sent = packets
    return found

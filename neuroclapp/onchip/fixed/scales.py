"""The scales of a network in integers: of each matrix, and of what each population replays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ...spiking.populations import Populations
from ..interpreter import LAVA_WORDS, Words
from .schemes import Scheme


@dataclass(frozen=True)
class MatrixScale:
    """The scale of one matrix.

    The weight's step is 2^-exponent, the tag's 1 / carry of it; ``product`` is the exponent in its rule. A
    bias has the rule of ``w_ff``; its step is about 2^-exponent, see `always_on`.
    """

    exponent: int
    carry: int = 1
    product: int = 0


@dataclass(frozen=True)
class Scales:
    """All scales of a network: of each matrix ("layer1.w_ff"), and the shift of each population's replay."""

    matrices: Mapping[str, MatrixScale]
    replay: Mapping[str, int]
    scheme: Scheme = field(default_factory=Scheme)
    words: Words = LAVA_WORDS

    def finest(self, matrix: str) -> int:
        """Return the exponent of the finest steps of a matrix's synapses, those in which neurons hear it."""
        one = self.matrices[matrix]
        return one.exponent + (
            (self.scheme.synapses * (one.carry if self.scheme.low else 1)).bit_length() - 1
        )


def with_carries(scales: Scales, carries: Mapping[str, int], populations: Populations) -> Scales:
    """Return scales with these carries, by matrix; those that are not named stay.

    The carry of a bias is at least what lets it learn at the rate of ``w_ff``: see `always_on`.
    """
    matrices = {
        name: replace(one, carry=carries.get(name, one.carry)) for name, one in scales.matrices.items()
    }
    below = populations.input
    for layer in populations.layers:
        name = f"{layer.name}.bias"
        if name in matrices and matrices[name].carry > 1:
            activity = populations.timing.steps_on * below.quantum**2 * 2.0 ** scales.replay[below.name]
            least = matrices[f"{layer.name}.w_ff"].carry * activity
            most = 2 ** (scales.words.tag - 1)  # beyond it a tag could not hold half a step of the weight
            carry = max(matrices[name].carry, min(2 ** int(np.ceil(np.log2(least))), most))
            matrices[name] = replace(matrices[name], carry=carry)
        below = layer.soma
    return replace(scales, matrices=matrices)

"""A dyadic grid for weights: with it sums are exact in double precision, whatever their order.

On a grid of step g = 2^-places every quantity is a whole number of some power of two, and small enough for
the 53 bits of a double, so that any simulator, compiler and number of threads gives the same bits:

    weights                    multiples of g, rounded back after each update
    input and bias charges     rounded to g, in thresholds
    dendrites when held        rounded to g; when they decay, at each time step
    membranes that leak        rounded to g at each time step
    quantum, 1/neurons         powers of two (checked)
    learning rates             10 significant bits
    decay factors, shares      multiples of 2^-16
    modulator                  a power of two of units (checked); weights and resolution multiples of 2^-12

The widest product is a change of w_ff, eta * dendrite * x: with g = 2^-24, dendrites below 8, 10 bits for
eta and 12 for a count it needs 51 bits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

#: Step of the modulator's weights, and of decay factors and shares in a mean.
COARSE, DECAY = 2.0**-12, 2.0**-16
#: Significant bits of a learning rate.
RATE_BITS = 10


def rounded(values: NDArray[np.float64], step: float | None) -> NDArray[np.float64]:
    """Round to multiples of ``step``, halves up; None leaves values as they are."""
    return values if step is None else np.floor(values / step + 0.5) * step


def rate(value: float) -> float:
    """Round a learning rate to its significant bits."""
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(mantissa * 2**RATE_BITS), exponent - RATE_BITS)


def decay(dt: float, tau: float, on_grid: bool) -> float:
    """Return what a time step of ``dt`` [s] leaves of a charge that decays with ``tau`` [s]."""
    left = math.exp(-dt / tau)
    return round(left / DECAY) * DECAY if on_grid else left


def share(count: int, on_grid: bool) -> float:
    """Return 1 / count, what each of ``count`` summands has in their mean."""
    return round(1 / count / DECAY) * DECAY if on_grid else 1 / count


def is_power_of_two(value: float) -> bool:
    return value > 0 and math.frexp(value)[0] == 0.5

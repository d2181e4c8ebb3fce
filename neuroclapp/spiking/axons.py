"""Unreliable axons: which spikes of a packet are sent, and when.

Each of a packet's n spikes is lost with probability p, so that n - B are sent with B binomial. Given a lot L,
uniform on 0 ... LEVELS - 1 and drawn before the run, that number is a quantile, the same in every simulator:

    sent(L, n) = min { k : P(Binomial(n, 1 - p) <= k) >= (L + 1/2) / LEVELS }

What is sent in step s arrives in step s + late, unless that is the release or past it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

#: Number of different lots.
LEVELS = 4096


def sent(loss: float, most: int) -> NDArray[np.float64]:
    """Return how many of n = 0 ... ``most`` spikes are sent by lot, (LEVELS, most + 1)."""
    quantile = (np.arange(LEVELS) + 0.5) / LEVELS
    return np.asarray(binom.ppf(quantile[:, None], np.arange(most + 1), 1.0 - loss), dtype=np.float64)

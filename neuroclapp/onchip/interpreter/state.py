"""All that changes in plastic synapses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .integers import Integers


@dataclass
class State:
    """Synapses, traces and spikes of the running epoch; a copy, or its arrays, go on to the same bits.

    ``w``, ``d``, ``t`` (..., post, pre); traces ``x`` (2, ..., pre), ``y`` (3, ..., post); ``pre_spike`` and
    ``post_spike`` the step of the last spike in the running epoch, or 0; ``pending`` (..., post) what the
    next step brings; ``step`` counts time steps. ``settled``: what the rule changes is known to be in its
    range, so that synapses at which no product holds need no look; set it to False after writing to w or d.
    """

    w: Integers
    d: Integers
    t: Integers
    x: Integers
    y: Integers
    pre_spike: Integers
    post_spike: Integers
    pending: Integers
    step: int = 0
    settled: bool = False

    def copy(self) -> State:
        """Return a state that shares nothing with this one."""
        own = {name: value.copy("K") for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **own)

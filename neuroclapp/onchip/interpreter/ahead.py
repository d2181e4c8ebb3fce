"""What is known of epochs before they are taken: presynaptic spikes, and the numbers that Lava draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .integers import Integers
from .plastic import PlasticDense
from .random import LavaNumbers, Side
from .traces import Dynamics

Array = NDArray[np.float64]

#: Where so many of all neurons spike in a step, an epoch's spikes are weighted by one matrix product, and so
#: they are where there are no more synapses than this.
_FEW, _SMALL = 0.25, 2**17


@dataclass(frozen=True)
class Ahead:
    """Some epochs of one network; traces x1 x2 y1 y2 y3 stand side by side, in rows of 2 pre + 3 post.

    ``fall`` (epochs, traces) is held against what decays drop. Impulses: ``rise_x`` (epochs, steps, 2 pre) in
    each step, ``rise_y`` (epochs, 3, 1) per spike back, ``again`` (epochs, 2 pre) of earlier spikes than the
    epoch's last. ``spiked`` and ``last``: see `neuroclapp.onchip.interpreter.sided.Epoch`. ``rows``: which
    neurons spike in each step, where they are few of many. ``upwards``: what rounds synapses.
    """

    fall: Array
    rise_x: Array
    rise_y: Integers
    again: Array
    spiked: list[NDArray[np.intp]]
    last: list[NDArray[np.intp]]
    rows: list[NDArray[np.intp]] | None
    upwards: list[int]


def look_ahead(
    synapses: PlasticDense, numbers: LavaNumbers, sent: Integers, step: int, post: int, fraction: int
) -> Ahead:
    """Return what is known of the epochs of ``sent`` (steps, pre), which begin after time step ``step``."""
    epoch, pre = synapses.learning.epoch, sent.shape[1]
    spiked = (sent != 0).reshape(-1, epoch, pre)
    ends = step + epoch * np.arange(1, len(spiked) + 1)
    steps = np.arange(1, epoch + 1)[:, None]
    last, count = (spiked * steps).max(1), spiked.sum(1)
    found = [row.nonzero()[0] for row in last]
    rises = {side: _rises(numbers, side, one, ends) for side, one in _sides(synapses)}
    rise_x = (last[:, None] == steps)[:, :, None] * rises["x"][:, None, :, None].astype(float)
    extra = synapses.pre.whole + (synapses.pre.part > 0)
    rows = found
    if epoch > 1 and pre * post > _SMALL and np.count_nonzero(sent) < _FEW * sent.size:
        rows = [row.nonzero()[0] for row in sent]
    falls = np.stack([numbers.decay(side, ends, ()) for side, _ in _sides(synapses)], 1)
    unity = 1 << fraction
    return Ahead(
        np.repeat(falls, (2 * pre, 3 * post), axis=1),
        rise_x.reshape(len(ends), epoch, -1),
        rises["y"][:, :, None],
        (np.maximum(count - 1, 0)[:, None] * extra).reshape(len(ends), -1).astype(float),
        found,
        [row[where] for row, where in zip(last, found, strict=True)],
        rows if epoch == 1 or rows is not found else None,
        (unity - 1 - (numbers.synapses_of(ends // epoch) * unity).astype(int)).tolist(),
    )


def _sides(synapses: PlasticDense) -> tuple[tuple[Side, Dynamics], ...]:
    return ("x", synapses.pre), ("y", synapses.post)


def _rises(numbers: LavaNumbers, side: Side, of: Dynamics, ends: NDArray[np.int64]) -> Integers:
    """Return the impulses (epochs, traces) of the last spikes of epochs that end at these steps."""
    rounded: Integers = of.whole[:, 0] + (numbers.impulse(side, ends, (), False)[:, None] < of.part[:, 0])
    return rounded

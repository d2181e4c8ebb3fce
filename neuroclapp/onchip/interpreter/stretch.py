"""Many steps at once where all spikes are known beforehand: an epoch at a time, to the same bits.

Within an epoch no synapse changes. So what arrives in all its steps is one matrix product, and of a neuron's
spikes only the number, the last one's step and the last payload matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from .integers import Integers
from .plastic import PlasticDense
from .random import LavaNumbers
from .state import State
from .traces import payload_trace

#: Integers up to which a matrix product in single, or in double precision is exact.
_EXACT: tuple[tuple[int, type], ...] = ((2**24, np.float32), (2**53, np.float64))


def run(
    synapses: PlasticDense,
    state: State,
    spikes: ArrayLike,
    back: ArrayLike | None = None,
    written: ArrayLike | None = None,
) -> Integers:
    """Take the steps of ``spikes`` (steps, ..., pre), in place; return what arrives, (steps, ..., post).

    ``back`` (steps, ..., post), ``written`` (steps, 3, ..., post): see `PlasticDense.step`.
    """
    sent = np.asarray(spikes, np.int32)
    if not synapses.payload:
        sent = (sent != 0).astype(np.int32)
    echo = None if back is None else np.asarray(back)
    shown = None if written is None else np.asarray(written)
    steps, epoch = len(sent), synapses.learning.epoch
    arriving = np.empty((steps, *state.pending.shape), np.int32)
    at = 0
    while at < steps:
        ends = at + epoch - state.step % epoch
        if epoch > 1 and ends - at == epoch and ends <= steps and _simple(synapses):
            part = slice(at, ends)
            _epoch(
                synapses,
                state,
                sent[part],
                None if echo is None else echo[part],
                None if shown is None else shown[ends - 1],
                arriving[part],
            )
            at = ends
            continue
        for n in range(at, min(ends, steps)):
            arriving[n] = synapses.step(
                state, sent[n], None if echo is None else echo[n], None if shown is None else shown[n]
            )
        at = min(ends, steps)
    return arriving


def _simple(synapses: PlasticDense) -> bool:
    """Say whether an epoch can be taken at once: no sums modulo 256, no numbers drawn on the way."""
    return synapses.graded in ("regular", "overwrite") and isinstance(synapses.drawn, LavaNumbers)


def _epoch(
    synapses: PlasticDense,
    state: State,
    sent: Integers,
    back: Integers | None,
    written: Integers | None,
    arriving: Integers,
) -> None:
    """Take the steps of one whole epoch; ``written`` is what neurons write in its last step."""
    brought = products(state.w, sent, synapses.exponent)
    arriving[0], arriving[1:], state.pending = state.pending, brought[:-1], brought[-1]
    _hear(synapses, state, sent)
    if back is not None:
        _echo(synapses, state, back)
    state.step += synapses.learning.epoch
    if synapses.learning.written:
        if written is None:
            raise InputError("run", "written", None, "the rule's y1 y2 y3 come from the neurons")
        state.y = np.asarray(written, np.int32)
    synapses.learn(state)


def _hear(synapses: PlasticDense, state: State, sent: Integers) -> None:
    """Note an epoch's presynaptic spikes, (epoch, ..., pre)."""
    count, last = _counted(sent)
    if synapses.graded == "overwrite":
        spiked = last.nonzero()
        at: Any = (last[spiked] - 1, *spiked)
        payload = np.zeros_like(last)
        payload[spiked] = sent[at]
        payload_trace(state.x[0], payload, spiked, "overwrite", synapses.words.trace)
    again = (count > 1).nonzero()
    if len(again[0]):
        for row in (0, 1) if synapses.graded == "regular" else (1,):
            impulse = synapses.pre.whole[row, 0] + (synapses.pre.part[row, 0] > 0)
            summed = state.x[row][again] + (count[again] - 1) * impulse
            state.x[row][again] = np.minimum(summed, synapses.pre.most)
    state.pre_spike[...] = last


def _echo(synapses: PlasticDense, state: State, back: Integers) -> None:
    """Note an epoch's postsynaptic spikes, (epoch, ..., post)."""
    if synapses.learning.written:
        state.post_spike[...] = _counted(back)[1]
        return
    before = state.step
    for t, spiked in enumerate(back, 1):
        state.step = before + t
        synapses.echo(state, spiked, t)
    state.step = before


def _counted(sent: Integers) -> tuple[Integers, Integers]:
    """Return how often neurons spiked in an epoch, and in which of its steps last, from 1, or 0."""
    spiked = sent != 0
    steps = np.arange(1, len(sent) + 1, dtype=np.int32).reshape(-1, *(1,) * (sent.ndim - 1))
    return spiked.sum(axis=0), (spiked * steps).max(axis=0)


def products(weights: Integers, sent: Integers, exponent: int, widest: int | None = None) -> Integers:
    """Return what the steps of ``sent`` (steps, ..., pre) bring, (steps, ..., post): see `dense.current`.

    ``widest``: a bound of the magnitudes of ``weights``, where one is known.
    """
    widest = int(np.abs(weights).max()) if widest is None else widest
    largest = widest * int(np.abs(sent).sum(axis=-1).max())
    kind = next((one for most, one in _EXACT if largest < most), np.int64)
    columns: NDArray[Any] = np.swapaxes(weights, -1, -2).astype(kind)
    rows = np.swapaxes(sent, 0, -2)  # of each network; of a single one they are where they were
    total = np.swapaxes(np.matmul(rows.astype(kind), columns), 0, -2)
    total = total.astype(np.int64).astype(np.int32)
    return total << exponent if exponent > 0 else total >> -exponent

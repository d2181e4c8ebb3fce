"""Neurons and plastic synapses in a loop, an epoch at a time: to the same bits as step by step.

Neurons answer what synapses bring them, and their spikes come back to the synapses' rule. Within an epoch no
synapse changes: neurons go through its steps by themselves, and traces and synapses follow. Numbers that
change are float64, in which a chip's integers are exact, in arrays that are used again: at a few hundred
units a step takes as long as its calls of numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .ahead import Ahead, look_ahead
from .integers import Integers
from .neurons import LIF, Membrane, Running
from .plastic import PlasticDense
from .random import LavaNumbers
from .sided import Epoch, Room, Sided
from .state import State
from .stretch import products

#: Steps that are looked ahead.
_AHEAD = 2048


def loop(
    synapses: PlasticDense, state: State, cells: LIF, membrane: Membrane, spikes: ArrayLike
) -> tuple[Integers, Integers]:
    """Take the steps of ``spikes`` (steps, ..., pre), in place; return what arrives, and the neurons' spikes.

    Both are (steps, ..., post). Where the rule is of `Sided` products, whole epochs are taken at once, and
    networks side by side one after the other; all else goes step by step.
    """
    sent = np.asarray(spikes, np.int32)
    if not synapses.payload:
        sent = (sent != 0).astype(np.int32)
    arriving = np.empty((len(sent), *state.pending.shape), np.int32)
    fired = np.empty_like(arriving)
    epoch, sided, numbers = synapses.learning.epoch, _sided(synapses), synapses.drawn
    at = 0
    while at < len(sent):
        whole = (len(sent) - at) // epoch * epoch if state.step % epoch == 0 else 0
        if sided is None or not isinstance(numbers, LavaNumbers) or not whole or not _tame(synapses, state):
            fired[at] = cells.step(membrane, state.pending)
            arriving[at] = synapses.step(state, sent[at], fired[at])
            at += 1
            continue
        for network in np.ndindex(*state.w.shape[:-2]):
            here: Any = (slice(at, at + whole), *network)
            own = numbers.of(network) if network else numbers
            one = _Network(synapses, own, sided, state, cells, membrane, network)
            one.run(sent[here], arriving[here], fired[here])
            one.leave(state, membrane)
        state.step, state.settled = state.step + whole, True
        membrane.step += whole
        at += whole
    return arriving, fired


def _sided(synapses: PlasticDense) -> Sided | None:
    """Return the rule made ready where epochs can be taken at once."""
    if synapses.learning.written or synapses.graded != "regular":
        return None
    return Sided.of(synapses.learning.rule, synapses.words, synapses.mode, synapses.sign)


def _tame(synapses: PlasticDense, state: State) -> bool:
    """Say whether traces are in their range, as they are unless somebody wrote to them."""
    return all(bool(one.min() >= 0 and one.max() <= synapses.pre.most) for one in (state.x, state.y))


class _Network:
    """One network; its traces x1 x2 y1 y2 y3 stand side by side, its accumulators as (pre, post)."""

    def __init__(
        self,
        synapses: PlasticDense,
        numbers: LavaNumbers,
        sided: Sided,
        state: State,
        cells: LIF,
        membrane: Membrane,
        network: tuple[int, ...],
    ) -> None:
        self._synapses, self._numbers, self._sided, self._step = synapses, numbers, sided, state.step
        self._at: Any = network or ...
        self._traces: Any = (slice(None), *network)
        w, self._fraction = state.w[self._at], sided.target.fraction
        self._post, self._pre = w.shape
        self._summed = np.ascontiguousarray(w.T) << self._fraction
        self._widest = max(2**synapses.words.weight, int(np.abs(w).max()))
        self._room = Room(self._summed, sided.target, synapses.words)
        self._pending = state.pending[self._at].copy()
        self._cells = Running(cells, membrane.u[self._at], membrane.v[self._at], membrane.step)
        traces = [one[self._traces].ravel() for one in (state.x, state.y)]
        self._now = np.concatenate(traces).astype(float)
        sides = ((synapses.pre, self._pre), (synapses.post, self._post))
        self._factor = np.concatenate([np.repeat(one.factor[:, 0], units) for one, units in sides])
        self._most = np.full_like(self._now, synapses.pre.most)
        self._drops, self._up = np.empty_like(self._now), np.empty(self._now.shape, bool)

    def run(self, sent: Integers, arriving: Integers, fired: Integers) -> None:
        """Take the steps of ``sent`` (steps, pre), whole epochs; fill ``arriving`` and ``fired``."""
        epoch = self._synapses.learning.epoch
        length = max(1, _AHEAD // epoch) * epoch
        tame = self._cells.tame(self._largest(sent))
        for first in range(0, len(sent), length):
            part = sent[first : first + length]
            ahead = look_ahead(self._synapses, self._numbers, part, self._step, self._post, self._fraction)
            for n in range(len(part) // epoch):
                here = slice(first + n * epoch, first + (n + 1) * epoch)
                self._bring(ahead, n * epoch, sent[here], arriving[here])
                self._cells.run(arriving[here], fired[here], tame)
                self._learn(ahead, n, fired[here])

    def leave(self, state: State, membrane: Membrane) -> None:
        """Write all that has changed into the state, in its place."""
        split = 2 * self._pre
        state.w[self._at] = (self._summed >> self._fraction).T
        state.x[self._traces] = self._now[:split].reshape(2, -1)
        state.y[self._traces] = self._now[split:].reshape(3, -1)
        state.pending[self._at] = self._pending
        membrane.u[self._at], membrane.v[self._at] = self._cells.u, self._cells.v

    def _largest(self, sent: Integers) -> int:
        """Return a bound of what arrives at a neuron in a step."""
        brought = self._widest * int(np.abs(sent).sum(1).max()) << max(0, self._synapses.exponent)
        return max(int(np.abs(self._pending).max()), brought)

    def _bring(self, ahead: Ahead, first: int, sent: Integers, arriving: Integers) -> None:
        """Fill what arrives in the steps of an epoch; what its last one brings is pending."""
        exponent, fraction = self._synapses.exponent, self._fraction
        if ahead.rows is None:
            brought = products((self._summed >> fraction).T, sent, exponent, self._widest)
            arriving[0], arriving[1:], self._pending = self._pending, brought[:-1], brought[-1]
            return
        for step, weighted in enumerate(sent):
            arriving[step], spiked = self._pending, ahead.rows[first + step]
            rows = self._summed[spiked]
            if self._synapses.payload:
                total = weighted[spiked] @ (rows >> fraction)
            else:
                total = np.add.reduce(rows, 0, np.int32)
                total >>= fraction
            self._pending = total << exponent if exponent > 0 else total >> -exponent

    def _learn(self, ahead: Ahead, n: int, fired: Integers) -> None:
        epoch, split = len(fired), 2 * self._pre
        spiked = fired != 0
        back, ends = spiked[0].astype(np.int32), spiked  # in an epoch of one step each spike is the last
        if epoch > 1:
            steps = np.arange(1, epoch + 1, dtype=np.int32)[:, None]
            back = (spiked * steps).max(0)
            ends = back == steps
            if np.count_nonzero(spiked) > np.count_nonzero(back):
                self._strike(spiked, steps)
        history = np.empty((epoch + 1, len(self._now)))
        x, y = history[:, :split].reshape(epoch + 1, 2, -1), history[:, split:].reshape(epoch + 1, 3, -1)
        history[1:, :split] = ahead.rise_x[n]
        np.multiply(ahead.rise_y[n], ends[:, None], out=y[1:])
        self._follow(history, ahead.fall[n], ahead.again[n] if epoch > 1 else None)
        seen = Epoch(x, y, ahead.spiked[n], ahead.last[n], back)
        self._sided.learn(self._summed, seen, ahead.upwards[n], self._room)
        self._step += epoch

    def _strike(self, spiked: NDArray[np.bool_], steps: Integers) -> None:
        """Add the impulses of an epoch's spikes back but one for each neuron, which comes later."""
        dynamics, y = self._synapses.post, self._now[2 * self._pre :]
        repeated = spiked[1:] & np.logical_or.accumulate(spiked)[:-1]
        drawn = self._numbers.impulse("y", self._step + steps[1:, 0].astype(int), (), True)
        rises = dynamics.whole[:, 0] + (drawn[:, None] < dynamics.part[:, 0])
        y += (rises.T @ repeated).ravel()
        np.minimum(y, self._most[2 * self._pre :], out=y)

    def _follow(self, history: NDArray[np.float64], fall: NDArray[np.float64], again: Any) -> None:
        """Put traces at an epoch's begin and at the ends of its steps in the place of their impulses."""
        now, drops, up = self._now, self._drops, self._up
        if again is not None:
            now[: 2 * self._pre] += again
            np.minimum(now, self._most, out=now)
        history[0] = now
        for row in history[1:]:
            np.multiply(now, self._factor, out=drops)
            np.floor(drops, out=now)
            np.subtract(drops, now, out=drops)
            np.less(fall, drops, out=up)
            now += up
            now += row
            np.minimum(now, self._most, out=now)
            row[...] = now

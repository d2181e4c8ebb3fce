"""e-prop in gated recurrent units (Eqs. 15-18): eligibility traces carried forward in time, exact.

With h_{t-1} blocked in r, z and n, and open in ``z_t h_{t-1}``, no unit's state depends on another's past:

    dh_t/dtheta = z_t dh_{t-1}/dtheta + p_t pre_t            a trace e_t, one number to a synapse

where ``pre`` is x_t, h_{t-1} or, for a bias, 1, and ``p`` is how h_t follows that synapse's sum:

    p_z = (h_{t-1} - n) z (1 - z)      p_n = (1 - z) (1 - n^2)      (of W_hn and b_hn: p_n r)
    p_r = p_n m r (1 - r)

The change is the sum of L_t e_t, with the learning signal L_t = -dloss/dh_t. A chunk of steps is that sum
regrouped: a trace is needed where chunks meet, and the rest is matrix products (`docs/eprop.md`).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..objective import CHUNK
from .matmul import matmul
from .recurrent import BLOCK, Arrays, Steps, follow, partials, recall


class Projection:
    """The synapses of one projection: its traces (batch, 3 units, pres), and its changes so far.

    Nothing is held of traces until a chunk has ended: at rest all are 0.
    """

    def __init__(self, weights: Tensor) -> None:
        self.weights, self.biases = torch.zeros_like(weights), weights.new_zeros(len(weights))
        self.trace = self.bias_trace = weights.new_empty(0)

    def begin(self, batch: int) -> None:
        """Make room for traces, where there is none."""
        if not len(self.trace):
            self.trace = self.weights.new_zeros((batch, *self.weights.shape))
            self.bias_trace = self.biases.new_zeros((batch, *self.biases.shape))

    def step(self, z: Tensor, p: Tensor, pre: Tensor) -> None:
        """Take every trace one step on: ``e = z e + p pre``; z and p (batch, 3 units), pre (batch, pres)."""
        self.trace.mul_(z.unsqueeze(2)).addcmul_(p.unsqueeze(2), pre.unsqueeze(1))
        self.bias_trace.mul_(z).add_(p)

    def meet(self, signals: Tensor) -> None:
        """Add what ``signals`` (batch, 3 units) make of the traces."""
        for signal, trace in zip(signals, self.trace, strict=False):
            self.weights.addcmul_(signal.unsqueeze(1), trace)
        if len(self.trace):
            self.biases += (signals * self.bias_trace).sum(0)

    def learn(self, met: Tensor, pre: Tensor) -> None:
        """Add the changes of steps, from p times the signals met (steps, 3 units) and pre (steps, pres)."""
        self.weights += matmul(met.T, pre.T)
        self.biases += met.sum(0)

    def carry(self, decay: Tensor, left: Tensor, pre: Tensor) -> None:
        """Take the traces on to a chunk's end.

        ``decay`` (batch, 3 units) is what remains of them by then, ``left`` (batch, steps, 3 units) of each
        step's p; ``pre`` is (batch, steps, pres).
        """
        for trace, remains, own, by in zip(self.trace, decay, left, pre, strict=True):
            torch.addcmul(matmul(own.T, by.T), trace, remains.unsqueeze(1), out=trace)
        self.bias_trace.mul_(decay).add_(left.sum(1))


class Traces:
    """The eligibility traces of a layer, from rest on, and the changes that they have led to.

    What is held does not depend on how many steps have passed.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.ih, self.hh = Projection(arrays["w_ih"]), Projection(arrays["w_hh"])

    @torch.no_grad()
    def advance(self, steps: Steps, delta: Tensor, *, last: bool = False) -> None:
        """Learn from the next steps, a chunk of them, with their signals ``delta`` (batch, steps, units).

        After the ``last`` chunk the traces are not up to date.
        """
        if delta.shape[1] == 1:
            self._step(steps, delta[:, 0])
            return
        ahead = summed_ahead(steps.z, delta)
        for first in range(0, delta.shape[1], BLOCK):
            part = slice(first, first + BLOCK)
            for projection, p, pre in self._see(steps[part]):
                projection.learn(_scaled(p, ahead[:, part]).flatten(0, 1), pre.flatten(0, 1))
        carried = _thrice(steps.z[:, 0] * ahead[:, 0])
        self.ih.meet(carried)
        self.hh.meet(carried)
        if not last:
            self._carry(steps)

    def _step(self, steps: Steps, delta: Tensor) -> None:
        """Take one step as each synapse would."""
        for projection, p, pre in self._see(steps):
            projection.begin(len(delta))
            projection.step(_thrice(steps.z[:, 0]), p[:, 0], pre[:, 0])
            projection.meet(_thrice(delta))

    def _carry(self, steps: Steps) -> None:
        # What remains at the end is what a signal of 1 at the last step, and 0 before, would meet.
        end = torch.zeros_like(steps.before)
        end[:, -1] = 1
        left = summed_ahead(steps.z, end)
        decay = _thrice(steps.z[:, 0] * left[:, 0])
        for projection, p, pre in self._see(steps):
            projection.begin(len(end))
            projection.carry(decay, _scaled(p, left), pre)

    def _see(self, steps: Steps) -> Iterator[tuple[Projection, Tensor, Tensor]]:
        """Yield each projection, p (batch, steps, 3 units) and pre (batch, steps, pres)."""
        return zip((self.ih, self.hh), partials(steps), (steps.x, steps.before), strict=True)

    @property
    def changes(self) -> dict[str, Tensor]:
        """The change of each array per unit of learning rate."""
        ih, hh = self.ih, self.hh
        return {"w_ih": ih.weights, "w_hh": hh.weights, "b_ih": ih.biases, "b_hh": hh.biases}


@torch.no_grad()
def eprop(
    arrays: Arrays, x: Tensor, h: Tensor, delta: Tensor, chunk: int = CHUNK, gates: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the changes per unit of learning rate of a sequence that began at rest, all arrays.

    ``h`` (batch, steps, units) are the states that `respond` gave for ``x`` (batch, steps, inputs); ``delta``
    (batch, steps, units) is L_t, the negative gradient of the loss with respect to each h_t alone. The gates
    are found again, chunk by chunk, unless those that `follow` gave are handed in.
    """
    traces, count = Traces(arrays), x.shape[1]
    for first in range(0, count, chunk):
        part = slice(first, min(first + chunk, count))
        start = torch.zeros_like(h[:, :1]) if first == 0 else h[:, first - 1 : first]
        before = torch.cat([start, h[:, first : part.stop - 1]], 1)
        if gates is None:
            steps = recall(arrays, x[:, part], before)
        else:
            steps = Steps(x[:, part], before, gates[:, part])
        traces.advance(steps, delta[:, part], last=part.stop == count)
    return traces.changes


@torch.no_grad()
def input_delta(arrays: Arrays, x: Tensor, h: Tensor, delta: Tensor) -> Tensor:
    """Return what Eqs. 15-18 send on to ``x``, shaped like it, for arguments as in `eprop`.

    A layer below would need it at each step, and it holds signals of all later ones: it has no form that goes
    forward in time.
    """
    seen = recall(arrays, x, torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], 1))
    met = _scaled(partials(seen)[0], summed_ahead(seen.z, delta))
    return matmul(met.flatten(0, 1), arrays["w_ih"].T).view_as(x)


def summed_ahead(z: Tensor, delta: Tensor) -> Tensor:
    """Return at each step the signals of it and of later ones, as far as z lets its trace reach them.

    ``A_s = L_s + z_{s+1} A_{s+1}`` within the chunk; all are (batch, steps, units).
    """
    ahead = torch.empty_like(delta)
    ahead[:, -1] = delta[:, -1]
    later, zs, deltas = ahead.unbind(1), z.unbind(1), delta.unbind(1)
    for s in range(len(zs) - 2, -1, -1):
        torch.addcmul(deltas[s], zs[s + 1], later[s + 1], out=later[s])
    return ahead


def _thrice(a: Tensor) -> Tensor:
    """Return ``a`` (batch, units) for the rows of all three sums."""
    return a.repeat(1, 3)


def _scaled(p: Tensor, by: Tensor) -> Tensor:
    """Return ``p`` (batch, steps, 3 units) times ``by`` (batch, steps, units)."""
    return (p.unflatten(2, (3, -1)) * by.unsqueeze(2)).flatten(2)


class Stream:
    """A layer that responds to one input after another, and learns from signals that come later.

    Inputs come one by one, or up to a chunk at a time; a signal may come up to ``horizon`` steps after its
    step. Only so many steps, and less than three chunks more, are remembered.
    """

    def __init__(self, arrays: Arrays, batch: int, horizon: int, chunk: int = CHUNK) -> None:
        if horizon < 0 or chunk < 1:
            raise ValueError(f"horizon {horizon} and chunk {chunk} [steps]: at least 0 and 1 are needed")
        units, inputs = arrays["w_hh"].shape[1], arrays["w_ih"].shape[1]
        self.arrays, self.horizon, self.chunk = arrays, horizon, chunk
        # Whole chunks, so that each lies in one piece when the memory is written round and round.
        self.size = -(-(horizon + 2 * chunk - 1) // chunk) * chunk
        room = (arrays["w_hh"].new_empty((batch, self.size, n)) for n in (inputs, units, 4 * units, units))
        self.memory, self.delta = Steps(next(room), next(room), next(room)), next(room)
        self.h = arrays["w_hh"].new_zeros((batch, units))
        self._rest()

    def respond(self, x: Tensor) -> Tensor:
        """Return the states (batch, steps, units) that follow on the next inputs (batch, steps, inputs).

        Raises ``ValueError`` where a signal would come later than the horizon.
        """
        awaited, most = self.seen + x.shape[1] - self.taught, self.horizon + self.chunk
        if awaited > most:
            raise ValueError(f"{awaited} steps would await a signal, horizon and chunk allow {most}")
        steps, h = follow(self.arrays, x, self.h)
        for name in ("x", "before", "gates"):
            self._write(getattr(self.memory, name), self.seen, getattr(steps, name))
        self.h = h[:, -1].clone()
        self.seen += x.shape[1]
        return h

    def learn(self, delta: Tensor) -> None:
        """Take the signals (batch, steps, units) of the next steps that have none yet.

        Raises ``ValueError`` where there are no such steps.
        """
        if self.taught + delta.shape[1] > self.seen:
            raise ValueError(f"{delta.shape[1]} signals for {self.seen - self.taught} steps that await one")
        self._write(self.delta, self.taught, delta)
        self.taught += delta.shape[1]
        while self.taught - self.learned >= self.chunk:
            self._advance(self.chunk)

    def finish(self) -> dict[str, Tensor]:
        """Return the changes of all arrays, and begin anew from rest.

        Steps that have had no signal, the last ones, add nothing.
        """
        if self.taught > self.learned:
            self._advance(self.taught - self.learned, last=True)
        changes = self.traces.changes
        self._rest()
        return changes

    def _rest(self) -> None:
        self.h.zero_()
        self.traces = Traces(self.arrays)
        self.seen = self.taught = self.learned = 0

    def _advance(self, count: int, last: bool = False) -> None:
        first = self.learned % self.size
        part = slice(first, first + count)
        self.traces.advance(self.memory[part], self.delta[:, part], last=last)
        self.learned += count

    def _write(self, target: Tensor, step: int, value: Tensor) -> None:
        first, count = step % self.size, value.shape[1]
        room = min(count, self.size - first)
        target[:, first : first + room] = value[:, :room]
        target[:, : count - room] = value[:, room:]

"""Rules whose products take a spike of one side and traces of one side: pairs of spikes, and more.

    dw = sum of  m 2^e x0 f(y1, y2, y3)  +  m 2^e y0 f(x1, x2)  +  m 2^e x0 f(x1, x2)  +  ...

What such a product adds to the accumulator of synapse (i, j) is a number of neuron j (or i) at the time of
a spike of i (or j): it is computed for neurons instead of for synapses, and then only added. Accumulators
stand as (pre, post), with empty fractions between epochs, so that ``w << fraction`` need not be made anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..series import POST_TRACES, PRE_TRACES
from .integers import Integers, Step, addend, confine
from .rules import Rule, Target, targets
from .words import Mode, Sign, Words

#: Accumulators up to which a sum of two that were not clipped stays within 32 bits.
_BITS = 24


@dataclass(frozen=True)
class Product:
    """A product made ready: the dependency, the side whose traces it sees ("" for none), and a table.

    ``table`` holds what it adds, by the value of its only trace, ``row``; None where it sees several.
    """

    step: Step
    spike: str
    side: str
    row: int
    table: Integers | None

    def adds(self, now: Epoch, words: Words) -> Integers:
        """Return what it adds (times, units of ``side``), or (1, 1) where it sees no trace."""
        traces = now.x if self.side == "x" else now.y
        if self.table is not None:
            return self.table.take(traces[:, self.row].astype(np.intp))
        names = PRE_TRACES if self.side == "x" else POST_TRACES
        return _added(
            self.step, {name: traces[:, row].astype(np.int32) for row, name in enumerate(names)}, words
        )


@dataclass(frozen=True)
class Sided:
    """A rule of such products for w alone; see the module's equations."""

    products: tuple[Product, ...]
    target: Target
    words: Words

    @classmethod
    def of(cls, rule: Rule, words: Words, mode: Mode, sign: Sign) -> Sided | None:
        """Return a rule made ready, None where it is not of this kind."""
        if rule.d or rule.t or words.accumulator > _BITS:
            return None
        (target,) = targets(rule, words, mode, sign)
        products = [_product(step, words) for step in target.steps]
        kept = tuple(one for one in products if one is not None)
        return cls(kept, target, words) if len(kept) == len(products) else None

    def learn(self, summed: Integers, now: Epoch, upwards: int, room: Room) -> None:
        """Change the accumulators (pre, post) of an epoch's synapses, in place, and empty their fractions."""
        loose, size = "", len(now.spiked)
        for one in self.products:
            added = one.adds(now, self.words)
            if one.spike == "x0":
                rows = summed[now.spiked]
                if loose:
                    np.minimum(rows, room.most[:size], out=rows)
                    np.maximum(rows, room.least[:size], out=rows)
                rows += _before(added, one, now)
                summed[now.spiked] = rows
                loose = loose or "x0"
            else:
                if loose:
                    np.minimum(summed, room.most, out=summed)
                    np.maximum(summed, room.least, out=summed)
                summed += _after(added, one, now, room)
                loose = "y0"
        # The accumulator's own range is wider than the weight's, so that the last clip does for both.
        summed += upwards
        summed &= -(1 << self.target.fraction)
        np.minimum(summed, room.high, out=summed)
        np.maximum(summed, room.low, out=summed)


class Epoch(NamedTuple):
    """What a rule sees of an epoch; times are the epoch's begin and the end of each of its steps.

    Traces ``x`` (times, 2, pre) and ``y`` (times, 3, post). ``spiked``: presynaptic neurons that spiked, and
    ``last`` the steps of their last spikes; ``back`` (post,) those of the postsynaptic ones, or 0.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    spiked: NDArray[np.intp]
    last: NDArray[np.intp]
    back: Integers


class Room:
    """Arrays of the accumulators' shape that are used again: numpy clips fastest to arrays.

    ``least`` and ``most`` of an accumulator, ``low`` and ``high`` of a weight.
    """

    def __init__(self, summed: Integers, target: Target, words: Words) -> None:
        most = 2**words.accumulator - 1
        ends = (-most - 2, most, target.low << target.fraction, target.high << target.fraction)
        self.least, self.most, self.low, self.high = (np.full_like(summed, end) for end in ends)
        self.added = np.empty_like(summed)


def _product(step: Step, words: Words) -> Product | None:
    names = {factor.name for factor in step.factors}
    sides = [side for side in (PRE_TRACES, POST_TRACES) if names <= set(side)]
    if step.dependency not in ("x0", "y0") or not sides:
        return None
    table, row = None, 0
    if len(step.factors) == 1:
        (name,) = names
        row = sides[0].index(name)
        table = _added(step, {name: np.arange(2**words.trace, dtype=np.int32)}, words)
    side = "" if not names else "x" if sides[0] is PRE_TRACES else "y"
    return Product(step, step.dependency, side, row, table)


def _added(step: Step, values: dict[str, Integers], words: Words) -> Integers:
    found = addend(step, values)
    if found is None:
        return np.zeros((1, 1), np.int32)
    if step.clipped:
        most = 2**words.accumulator - 1
        confine(found, -most - 2, most)
    return found.astype(np.int32)


def _before(added: Integers, one: Product, now: Epoch) -> Any:
    """Return what a product with x0 adds to the synapses of presynaptic neurons that spiked."""
    if one.side == "y":
        return added[1] if len(added) == 2 else added[now.last]
    return added[now.last, now.spiked][:, None] if one.side else added


def _after(added: Integers, one: Product, now: Epoch, room: Room) -> Any:
    """Return what a product with y0 adds to all synapses."""
    if one.side == "x" and len(added) == 2:
        return np.multiply(added[1, :, None], now.back, out=room.added)
    if one.side == "x":
        added[0] = 0  # before the epoch's first step there is no spike
        return added.T.copy().take(now.back, axis=1, out=room.added, mode="clip")
    seen = added[now.back, np.arange(len(now.back))] if one.side else added
    return np.where(now.back > 0, seen, 0)

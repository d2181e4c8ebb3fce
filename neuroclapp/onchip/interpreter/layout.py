"""A rule, a connection, neurons and random numbers as the arrays that `kernels` take."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..series import POST_TRACES, PRE_TRACES, SYNAPTIC
from .integers import Integers, Step
from .kernels import ALWAYS, COLUMN, MIXED, OTHER, OWN, ROW, Cells, Clock, Drawn, Now, Room, Rules
from .neurons import ALIGN, LIF, UNITY, Membrane
from .plastic import PlasticDense
from .random import LavaNumbers
from .rules import Rule, targets
from .state import State
from .traces import GRADED, Dynamics
from .words import Mode, Sign, Words

_SPIKES = {"x": {"x0": ROW, "y0": COLUMN, "u": ALWAYS}, "y": {"x0": COLUMN, "y0": ROW, "u": ALWAYS}}
#: A threshold that no voltage is below.
_NEVER = -(2**31)


@lru_cache(maxsize=256)
def rules(rule: Rule, words: Words, mode: Mode, sign: Sign, rows: str = "x") -> Rules:
    """Return a rule as arrays; ``rows``: whether synapses stand in rows of one neuron of side x, or of y."""
    found = targets(rule, words, mode, sign)
    steps = [step for one in found for step in one.steps]
    begin = np.cumsum([0, *(len(one.steps) for one in found)])
    used = variables(rule)
    factors: list[tuple[int, int, int, int, int]] = []
    parts, places = [], []
    for step in steps:
        part = [len(factors)]
        for names in (*_sides(step, rows), used):
            factors += [
                (names.index(one.name), one.constant, one.low, one.high, one.sign)
                for one in step.factors
                if one.name in names
            ]
            part.append(len(factors))
        own, other, synaptic = np.diff(part)
        parts.append(part)
        places.append(MIXED if synaptic or (own and other) else OWN if own else OTHER)
    most = 2**words.accumulator - 1
    return Rules(
        begin=_whole(begin),
        slot=_whole([used.index(one.name) for one in found]),
        fraction=_whole([one.fraction for one in found]),
        low=_whole([one.low for one in found]),
        high=_whole([one.high for one in found]),
        tag=np.array([one.name == "t" for one in found]),
        spike=_whole([_SPIKES[rows][step.dependency] for step in steps]),
        place=_whole(places),
        mantissa=_whole([step.mantissa for step in steps]),
        half=np.array([step.half for step in steps], np.int64),
        shift=_whole([min(step.shift, np.iinfo(step.dtype).bits - 1) for step in steps]),
        left=_whole([step.left for step in steps]),
        part=_whole(parts),
        factors=_whole(factors).reshape(-1, 5),
        least=np.int32(-most - 2),
        most=np.int32(most),
        period=rule.period,
        slots=len(used),
        long=any(step.dtype is np.int64 for step in steps),
    )


def variables(rule: Rule) -> tuple[str, ...]:
    """Return which of w d t a rule changes or reads, w always."""
    read = {operand.name for term in rule.terms for operand in term.operands}
    return tuple(name for name in SYNAPTIC if name == "w" or name in read or name in rule.series())


def _sides(step: Step, rows: str) -> tuple[tuple[str, ...], ...]:
    """Return the traces of the neuron whose spike a product asks for, and those of the other."""
    own = {"x0": "x", "y0": "y", "u": rows}[step.dependency]
    return (POST_TRACES, PRE_TRACES) if own == "y" else (PRE_TRACES, POST_TRACES)


def _whole(values: object) -> Integers:
    return np.array(values, dtype=np.int32)


def clock(synapses: PlasticDense, echoes: bool) -> Clock:
    """Return a connection's constants."""
    learning, pre, post = synapses.learning, synapses.pre, synapses.post
    return Clock(
        epoch=learning.epoch,
        payload=synapses.payload,
        graded=GRADED.index(synapses.graded),
        exponent=synapses.exponent,
        written=learning.written,
        echoes=echoes,
        followed=synapses.needs_y,
        factor_x=pre.factor[:, 0].copy(),
        factor_y=post.factor[:, 0].copy(),
        again_x=_whole(pre.whole + (pre.part > 0))[:, 0].copy(),
        most=np.int32(pre.most),
    )


def drawn(synapses: PlasticDense, numbers: LavaNumbers, step: int, steps: int) -> Drawn:
    """Return what random numbers make of the steps that follow ``step``."""
    epoch = synapses.learning.epoch
    every = np.arange(step + 1, step + steps + 1)
    ends = every[every % epoch == 0]
    pre, post = synapses.pre, synapses.post
    fractions = np.array([one.fraction for one in synapses.targets])
    unity = 1 << fractions
    upwards = unity - 1 - (numbers.many_synapses(ends // epoch)[:, None] * unity).astype(np.int64)
    return Drawn(
        fall_x=numbers.decays("x", 2 * ends),
        fall_y=numbers.decays("y", 2 * ends),
        rise_x=_rises(pre, numbers.impulses("x", 2 * ends)),
        rise_y=_rises(post, numbers.impulses("y", 2 * ends)),
        again_y=_rises(post, numbers.impulses("y", 2 * every - 1)),
        upwards=_whole(upwards),
    )


def _rises(of: Dynamics, numbers: NDArray[np.int64]) -> Integers:
    """Return impulses (seeds, steps, traces), rounded by numbers (seeds, steps)."""
    return _whole(of.whole[:, 0] + (numbers[..., None] < of.part[:, 0]))


def cells(of: LIF | None, networks: int, shape: tuple[int, ...]) -> Cells:
    """Return neurons whose membranes have ``shape``; None: there are none."""
    if of is None:
        return Cells(False, 0, 0, 0.0, 0.0, 0, 0, np.zeros((networks, shape[-1]), np.int32))
    return Cells(
        there=True,
        high=of.vth << ALIGN,
        low=_NEVER if of.vth_low is None else of.vth_low << ALIGN,
        fall_u=(UNITY - of.du - 1) / UNITY,
        fall_v=(UNITY - of.dv) / UNITY,
        interval=of.interval,
        offset=of.offset,
        bias=_new(np.broadcast_to(of.bias, shape).reshape(networks, -1)),
    )


def now(rule: Rule, state: State, membrane: Membrane) -> Now:
    """Return what changes: synapses in their own place where that is possible, all else as copies."""
    pre, post = state.x.shape[-1], state.y.shape[-1]
    rows = [getattr(state, name).swapaxes(-1, -2).reshape(-1, pre, post) for name in variables(rule)]
    traces = [_new(one.reshape(len(one), len(rows[0]), -1).swapaxes(0, 1)) for one in (state.x, state.y)]
    each = (state.pre_spike, state.post_spike, state.pending, membrane.u, membrane.v)
    return Now(
        own(rows[0] if len(rows) == 1 else np.stack(rows, axis=1)).reshape(-1, post),
        *(one.reshape(-1, one.shape[-1]) for one in traces),
        *(_new(one.reshape(len(rows[0]), -1)) for one in each),
    )


def leave(now: Now, rule: Rule, state: State, membrane: Membrane) -> None:
    """Write what has changed into the state."""
    *side, post, pre = state.w.shape
    used = variables(rule)
    rows = now.synapses.reshape(-1, len(used), pre, post)
    for slot, name in enumerate(used):
        setattr(state, name, rows[:, slot].reshape(*side, pre, post).swapaxes(-1, -2))
    state.x, state.y = (
        one.reshape(len(rows), kinds, -1).swapaxes(0, 1).reshape(kinds, *side, one.shape[-1])
        for one, kinds in ((now.x, 2), (now.y, 3))
    )
    state.pre_spike, state.post_spike, state.pending, membrane.u, membrane.v = (
        one.reshape(*side, -1) for one in now[3:]
    )


def room(
    made: Rules,
    epoch: int,
    rows: int,
    columns: int,
    kinds: tuple[int, int] = (2, 3),
    each: Integers | None = None,
) -> Room:
    """Return arrays to work in; ``kinds`` of traces there are by row and by column."""
    products, widest = len(made.spike), max(rows, columns)
    return Room(
        rows=np.zeros(((epoch + 1) * kinds[0], rows), np.int32),
        columns=np.zeros(((epoch + 1) * kinds[1], columns), np.int32),
        seen=np.zeros((products * (epoch + 3), widest), np.int64 if made.long else np.int32),
        always=np.full((1, widest), epoch, np.int32),
        before=np.zeros((made.slots, columns), np.int32),
        after=np.zeros((1, columns), np.int32),
        active=np.zeros(products, np.int64),
        size=np.zeros(products, np.int32),
        each=np.zeros((0, columns), np.int32) if each is None else each,
    )


def own(values: Any) -> Integers:
    """Return int32 in one piece that may be written to: the same array where possible."""
    made: Integers = np.require(values, np.int32, ["C", "W"])
    return made


def _new(values: Integers) -> Integers:
    return np.array(values, np.int32, order="C")

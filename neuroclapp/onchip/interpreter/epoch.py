"""The end of a learning epoch: what each product sees, and the change of all synapses, or of some columns.

A product with x0 sees all traces at the presynaptic neuron's last spike in the epoch, one with y0 at the
postsynaptic neuron's, one with uk at the epoch's end. Where all products ask for x0, only the synapses of
neurons that spiked are touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..series import POST_TRACES, PRE_TRACES
from .integers import Integers
from .rules import Random, Rule, Target, ceilings, targets
from .state import State
from .traces import Spiked
from .words import Mode, Sign, Words

#: Synapses that are worked on at once: what is computed on the way stays in the processor's cache.
_BLOCK = 2**13


@dataclass(frozen=True)
class Program:
    """What an epoch changes, and the factors that its products see, by dependency (``u`` for any k)."""

    targets: tuple[Target, ...]
    seen: dict[str, tuple[str, ...]]
    words: Words

    @classmethod
    def of(cls, rule: Rule, words: Words, mode: Mode, sign: Sign) -> Program:
        """Return the program of a rule."""
        found: dict[str, set[str]] = {}
        for term in rule.terms:
            dependency = "u" if term.dependency[0] == "u" else term.dependency
            found.setdefault(dependency, set()).update(one.name for one in term.operands)
        seen = {name: tuple(sorted(names)) for name, names in found.items()}
        return cls(targets(rule, words, mode, sign), seen, words)

    @cached_property
    def tags(self) -> bool:
        """Whether tags change."""
        return any(one.name == "t" for one in self.targets)

    @cached_property
    def by_column(self) -> bool:
        """Whether only the synapses of presynaptic neurons that spiked can change."""
        return set(self.seen) == {"x0"}

    def sees(self, names: tuple[str, ...]) -> bool:
        """Say whether a product has one of these factors."""
        return any(name in names for factors in self.seen.values() for name in factors)

    def settled(self, state: State) -> bool:
        """Say whether synapses at which no product holds stay as they are; tags need a look each time."""
        if state.settled and not self.tags:
            return True
        return all(
            (state.settled and one.name != "t") or one.settled(getattr(state, one.name))
            for one in self.targets
        )


@dataclass(frozen=True)
class Past:
    """Traces x (2, ..., pre) and y (3, ..., post) before an epoch and at the end of each of its steps.

    Two of them may also stand for a longer epoch in which they do not change.
    """

    x: list[Integers]
    y: list[Integers]


def learn(program: Program, state: State, past: Past, holds: bool, random: Random) -> None:
    """Change the synapses of ``state``, in place; ``holds`` says whether uk holds in this epoch."""
    if program.by_column and state.settled:
        _learn_columns(program, state, past, random)
    else:
        _learn_all(program, state, past, holds, random)


def _learn_all(program: Program, state: State, past: Past, holds: bool, random: Random) -> None:
    # In the order in which synapses lie in memory, presynaptic neurons first.
    placed = {
        name: {key: _turned(value) for key, value in _placed(name, factors, state, past, holds).items()}
        for name, factors in program.seen.items()
    }
    changed = {}
    for one in program.targets:
        before = _turned(getattr(state, one.name))
        upwards = _turned(ceilings(random, one.fraction, state.w.shape))
        changed[one.name] = after = np.empty_like(before)
        rows = max(1, _BLOCK * before.shape[-2] // max(before.size, 1))
        for first in range(0, before.shape[-2], rows):
            at = slice(first, first + rows)
            part = {
                name: {key: _cut(value, at) for key, value in own.items()} for name, own in placed.items()
            }
            after[..., at, :] = one.learned(before[..., at, :], part, _cut(upwards, at), program.words)
    for name, value in changed.items():
        setattr(state, name, _turned(value))


def _turned(value: Any) -> Any:
    """Return (..., pre, post) of (..., post, pre) and back; a number as it is."""
    return np.swapaxes(value, -1, -2) if np.ndim(value) else value


def _cut(value: Any, rows: slice) -> Any:
    """Return some rows of what is not the same in all."""
    return value[..., rows, :] if np.ndim(value) and value.shape[-2] > 1 else value


def _placed(
    dependency: str, factors: tuple[str, ...], state: State, past: Past, holds: bool
) -> dict[str, Integers]:
    """Return what products with one dependency see, shaped to be multiplied."""
    times = {"x0": state.pre_spike, "y0": state.post_spike}.get(dependency)
    gate = np.full((1, 1), holds) if times is None else times > 0
    if dependency != "u":
        gate = gate[..., None, :] if dependency == "x0" else gate[..., :, None]
    found: dict[str, Integers] = {dependency: gate.astype(np.int32)}
    for name in factors:
        if name in PRE_TRACES:
            seen = _seen([one[PRE_TRACES.index(name)] for one in past.x], times, dependency != "y0")
            found[name] = seen if seen.ndim == state.w.ndim else seen[..., None, :]
        elif name in POST_TRACES:
            seen = _seen([one[POST_TRACES.index(name)] for one in past.y], times, dependency != "x0")
            found[name] = np.swapaxes(seen, -1, -2) if seen.ndim == state.w.ndim else seen[..., :, None]
        else:
            found[name] = getattr(state, name)
    return found


def _seen(history: list[Integers], times: Integers | None, own: bool) -> Integers:
    """Return a trace (..., units) as it was at ``times`` of its ``own`` neurons, or of others.

    Others' times give (..., others, units). Without ``times`` it is that of the epoch's end. Where a time is
    0 the dependency does not hold, so that any value will do.
    """
    if times is None or len(history) == 2:
        return history[-1]
    every = np.stack(history)
    if own:
        return np.take_along_axis(every, times[None], axis=0)[0]
    return every[times] if times.ndim == 1 else every[times, np.arange(len(times))[:, None]]


def _learn_columns(program: Program, state: State, past: Past, random: Random) -> None:
    """Change the synapses of presynaptic neurons that spiked, (spikes, post) at a time."""
    spiked = state.pre_spike.nonzero()
    networks = spiked[:-1]
    times = state.pre_spike[spiked]
    found: dict[str, Integers] = {}
    for name in program.seen["x0"]:
        if name in PRE_TRACES:
            found[name] = _at(past.x, PRE_TRACES.index(name), times, spiked)[:, None]
        elif name in POST_TRACES:
            found[name] = _at(past.y, POST_TRACES.index(name), times, networks)
        else:
            found[name] = np.swapaxes(getattr(state, name), -1, -2)[spiked]
    placed = {"x0": found}
    changed = []
    for one in program.targets:
        columns = np.swapaxes(getattr(state, one.name), -1, -2)
        upwards = ceilings(random, one.fraction, state.w.shape)
        if not isinstance(upwards, int):
            upwards = np.swapaxes(np.broadcast_to(upwards, state.w.shape), -1, -2)[spiked]
        changed.append((columns, one.learned(columns[spiked], placed, upwards, program.words)))
    for columns, value in changed:
        columns[spiked] = value


def _at(history: list[Integers], row: int, times: Integers, where: Spiked) -> Integers:
    """Return one trace where neurons or networks are, at their times; a single network's is one for all."""
    if len(history) == 2:
        return history[-1][row][where]
    at: Any = (times, *where)
    return np.stack(history)[:, row][at]

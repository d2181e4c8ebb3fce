"""Plastic synapses between two populations, step by step: Lava's LearningDense in fixed point.

    a step    a_out = what the last step's spikes brought; then the spikes are weighted for the next one,
              spike times and traces are noted
    an epoch  every ``epoch`` steps: traces are followed through it, rules see them, w, d and t change

A rule's product with x0 sees all traces at the presynaptic neuron's last spike in the epoch, one with y0 at
the postsynaptic neuron's, one with uk at the epoch's end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ..series import POST_TRACES, PRE_TRACES
from .dense import current, truncated
from .integers import Integers
from .random import LavaNumbers, Numbers
from .rules import Rule, learn
from .traces import GRADED, Dynamics, Graded, Trace, payload_trace
from .words import LAVA_WORDS, MODES, SIGNS, Mode, Sign, Words

#: Lava's Loihi3FLearningRule lets traces that a neuron writes decay with the greatest number of 16 bits.
WRITTEN = Trace(0.0, 65535.0)


@dataclass(frozen=True)
class Learning:
    """A rule and what it sees. ``written``: the neuron writes y1 y2 y3 in every step (Loihi3FLearningRule).

    ``epoch`` [steps]; ``seed``: Lava's rng_seed, or one for each network side by side.
    """

    rule: Rule
    x1: Trace = field(default_factory=Trace)
    x2: Trace = field(default_factory=Trace)
    y1: Trace = field(default_factory=Trace)
    y2: Trace = field(default_factory=Trace)
    y3: Trace = field(default_factory=Trace)
    written: bool = False
    epoch: int = 1
    seed: int | tuple[int, ...] = 1

    def __post_init__(self) -> None:
        if self.epoch < 1:
            raise InputError("learning", "epoch", self.epoch, "must be at least one step")

    @classmethod
    def three_factor(cls, rule: Rule, **options: Any) -> Learning:
        """Return a learning whose y1 y2 y3 the neuron writes; they decay as Lava's unless given otherwise."""
        return cls(rule, written=True, **{**dict.fromkeys(POST_TRACES, WRITTEN), **options})


@dataclass
class State:
    """All that changes: copy it, or keep its arrays, and a run goes on from there with the same bits.

    ``w``, ``d``, ``t`` (..., post, pre); traces ``x`` (..., 2, pre), ``y`` (..., 3, post); ``pre_spike``
    and ``post_spike`` the step of the last spike in the running epoch, or 0; ``pending`` (..., post) what the
    next step brings; ``step`` counts time steps.
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

    def copy(self) -> State:
        return replace(self, **{name: value.copy() for name, value in vars(self).items() if name != "step"})


@dataclass(frozen=True)
class PlasticDense:
    """Plastic synapses. ``payload``: spikes carry numbers (Lava's num_message_bits > 0).

    ``weight_bits`` truncates the initial weights only; ``exponent`` scales what arrives by 2^exponent.
    """

    learning: Learning
    payload: bool = False
    graded: Graded = "regular"
    exponent: int = 0
    weight_bits: int = 8
    sign: Sign = "mixed"
    words: Words = LAVA_WORDS
    mode: Mode = "lava"
    numbers: Numbers | None = None

    def __post_init__(self) -> None:
        for key, allowed in (("graded", GRADED), ("sign", SIGNS), ("mode", MODES)):
            if getattr(self, key) not in allowed:
                raise InputError("synapses", key, getattr(self, key), f"must be one of {', '.join(allowed)}")

    @cached_property
    def _pre(self) -> Dynamics:
        """x1 and x2; a payload takes the place of x1's impulse."""
        learning = self.learning
        x1 = learning.x1 if self.graded == "regular" else replace(learning.x1, impulse=0.0)
        return Dynamics.of((x1, learning.x2), self.words.trace)

    @cached_property
    def _post(self) -> Dynamics:
        learning = self.learning
        return Dynamics.of((learning.y1, learning.y2, learning.y3), self.words.trace)

    @cached_property
    def _drawn(self) -> Numbers:
        return LavaNumbers(self.learning.seed, self.words.trace) if self.numbers is None else self.numbers

    @cached_property
    def _seen(self) -> dict[str, tuple[str, ...]]:
        """The factors of the rule's products by their dependency, ``u`` for any k."""
        found: dict[str, set[str]] = {}
        for term in self.learning.rule.terms:
            dependency = "u" if term.dependency[0] == "u" else term.dependency
            found.setdefault(dependency, set()).update(one.name for one in term.operands)
        return {name: tuple(sorted(names)) for name, names in found.items()}

    def start(self, weights: ArrayLike, tags: ArrayLike = 0, delays: ArrayLike = 0) -> State:
        """Return the state before the first step; ``weights`` (..., post, pre) are truncated as Lava does."""
        w = truncated(weights, self.weight_bits, self.sign, self.words)
        if w.ndim < 2:
            raise InputError("synapses", "weights", w.shape, "must be (..., post, pre)")
        *networks, post, pre = w.shape
        kind = np.int32
        return State(
            w,
            np.broadcast_to(np.asarray(delays, kind), w.shape).copy(),
            np.broadcast_to(np.asarray(tags, kind), w.shape).copy(),
            np.zeros((*networks, 2, pre), kind),
            np.zeros((*networks, 3, post), kind),
            np.zeros((*networks, pre), kind),
            np.zeros((*networks, post), kind),
            np.zeros((*networks, post), kind),
        )

    def step(
        self, state: State, spikes: ArrayLike, back: ArrayLike | None = None, written: ArrayLike | None = None
    ) -> Integers:
        """Take one time step, in place, and return what arrives at the neurons in it, (..., post).

        ``spikes`` (..., pre): payloads, or 0 and 1; ``back`` (..., post): where postsynaptic neurons spike in
        this step; ``written`` (..., 3, post): y1 y2 y3 as the neurons write them, where they do.
        """
        arriving = state.pending
        sent = np.asarray(spikes)
        sent = sent.astype(np.int32) if self.payload else (sent != 0).astype(np.int32)
        state.pending = current(state.w, sent, self.exponent, self.payload)
        state.step += 1
        time = (state.step - 1) % self.learning.epoch + 1
        self._hear(state, sent, time)
        if back is not None:
            self._echo(state, np.asarray(back) != 0, time)
        if self.learning.written:
            if written is None:
                raise InputError("step", "written", None, "the rule's y1 y2 y3 come from the neurons")
            state.y = np.asarray(written, np.int32)
        if time == self.learning.epoch:
            self._learn(state)
        return arriving

    def _hear(self, state: State, sent: Integers, time: int) -> None:
        """Note presynaptic spikes: their step, payloads, and impulses of a second spike in an epoch."""
        counted = sent != 0
        again = counted & (state.pre_spike > 0)
        if self.graded != "regular":
            x1, counted = payload_trace(state.x[..., 0, :], sent, self.graded, self.words.trace)
            again = again & counted
            state.x = np.stack((x1, state.x[..., 1, :]), axis=-2).astype(np.int32)
        if again.any():
            random = self._drawn.impulse("x", state.step, state.x.shape, True)
            struck = self._pre.struck(state.x, again, random)
            if self.graded != "regular":
                struck[..., 0, :] = state.x[..., 0, :]
            state.x = struck
        state.pre_spike = np.where(counted, np.int32(time), state.pre_spike)

    def _echo(self, state: State, spiked: NDArray[np.bool_], time: int) -> None:
        """Note postsynaptic spikes: their step, and impulses of a second spike in an epoch."""
        again = spiked & (state.post_spike > 0)
        if again.any() and not self.learning.written:
            random = self._drawn.impulse("y", state.step, state.y.shape, True)
            state.y = self._post.struck(state.y, again, random)
        state.post_spike = np.where(spiked, np.int32(time), state.post_spike)

    def _learn(self, state: State) -> None:
        """Follow the traces through the epoch that ends, apply the rules, and forget the spikes."""
        learning = self.learning
        epoch, rule = learning.epoch, learning.rule
        number = state.step // epoch
        x = self._pre.history(state.x, state.pre_spike, epoch, "x", state.step, self._drawn)
        y = self._post.history(state.y, state.post_spike, epoch, "y", state.step, self._drawn)
        placed = {
            dependency: self._place(dependency, names, state, x, y, number)
            for dependency, names in self._seen.items()
        }
        variables = {name: getattr(state, name) for name in rule.series()}
        random = self._drawn.synapses(number)
        changed = learn(rule, variables, placed, random, self.words, self.mode, self.sign)
        for name, value in changed.items():
            setattr(state, name, value)
        state.x = x[-1]
        if not learning.written:
            state.y = y[-1]
        state.pre_spike, state.post_spike = np.zeros_like(state.pre_spike), np.zeros_like(state.post_spike)

    def _place(
        self,
        dependency: str,
        names: Sequence[str],
        state: State,
        x: list[Integers],
        y: list[Integers],
        number: int,
    ) -> dict[str, Integers]:
        """Return the values that products with one dependency see."""
        if dependency == "u":
            holds = np.full((1, 1), number % self.learning.rule.period == 0, np.int32)
            at: Integers | None = None
        elif dependency == "x0":
            at = state.pre_spike[..., None, :]
            holds = (at > 0).astype(np.int32)
        else:
            at = state.post_spike[..., :, None]
            holds = (at > 0).astype(np.int32)
        found: dict[str, Integers] = {dependency: holds}
        for name in names:
            if name in PRE_TRACES:
                row = PRE_TRACES.index(name)
                found[name] = _seen_at([one[..., row, None, :] for one in x], at)
            elif name in POST_TRACES:
                row = POST_TRACES.index(name)
                found[name] = _seen_at([one[..., row, :, None] for one in y], at)
            else:
                found[name] = getattr(state, name)
        return found


def _seen_at(history: list[Integers], at: Integers | None) -> Integers:
    """Return a trace at the last spikes ``at``, which broadcast with it; at the epoch's end without ``at``.

    Where ``at`` is 0 the dependency does not hold, so that any value will do.
    """
    if at is None or len(history) == 2:
        return history[-1]
    if history[0].shape == at.shape:
        return np.take_along_axis(np.stack(history), at[None], axis=0)[0]
    first, at = np.broadcast_arrays(history[0], at)
    every = np.stack([np.broadcast_to(one, first.shape) for one in history])
    return np.take_along_axis(every, at[None], axis=0)[0]

"""Plastic synapses between two populations, step by step: Lava's LearningDense in fixed point.

a step    a_out = what the last step's spikes brought; then the spikes are weighted for the next one,
          spike times and traces are noted
an epoch  every ``epoch`` steps: traces are followed through it, rules see them, w, d and t change
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ..series import POST_TRACES
from .dense import current, pre_major, truncated
from .epoch import Past, Program, learn
from .integers import Integers
from .random import LavaNumbers, Numbers
from .rules import Rule, Target
from .state import State
from .traces import GRADED, Dynamics, Graded, Spiked, Trace, payload_trace
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
    def pre(self) -> Dynamics:
        """x1 and x2; a payload takes the place of x1's impulse."""
        learning = self.learning
        x1 = learning.x1 if self.graded == "regular" else replace(learning.x1, impulse=0.0)
        return Dynamics.of((x1, learning.x2), self.words.trace)

    @cached_property
    def post(self) -> Dynamics:
        learning = self.learning
        return Dynamics.of((learning.y1, learning.y2, learning.y3), self.words.trace)

    @cached_property
    def drawn(self) -> Numbers:
        return LavaNumbers(self.learning.seed, self.words.trace) if self.numbers is None else self.numbers

    @cached_property
    def _full(self) -> Program:
        return Program.of(self.learning.rule, self.words, self.mode, self.sign)

    @property
    def targets(self) -> tuple[Target, ...]:
        """What the rule changes, in Lava's order."""
        return self._full.targets

    def settled(self, state: State) -> bool:
        """Say whether synapses at which no product holds stay as they are in the next epoch."""
        return self._full.settled(state)

    @cached_property
    def _rest(self) -> Program:
        """What is left of an epoch in which uk does not hold."""
        rule = self.learning.rule.without_clock()
        return Program.of(rule, self.words, self.mode, self.sign) if rule else Program((), {}, self.words)

    @cached_property
    def needs_y(self) -> bool:
        """Whether y1 y2 y3 are followed through an epoch: nobody sees those that neurons write anew."""
        return self._full.sees(POST_TRACES) or not self.learning.written

    def start(self, weights: ArrayLike, tags: ArrayLike = 0, delays: ArrayLike = 0) -> State:
        """Return the state before the first step; ``weights`` (..., post, pre) are truncated as Lava does."""
        w = truncated(weights, self.weight_bits, self.sign, self.words)
        if w.ndim < 2:
            raise InputError("synapses", "weights", w.shape, "must be (..., post, pre)")
        *networks, post, pre = w.shape
        kind = np.int32
        d, t = (np.broadcast_to(np.asarray(value, kind), w.shape) for value in (delays, tags))
        return State(
            w=pre_major(w),
            d=pre_major(d),
            t=pre_major(t),
            x=np.zeros((2, *networks, pre), kind),
            y=np.zeros((3, *networks, post), kind),
            pre_spike=np.zeros((*networks, pre), kind),
            post_spike=np.zeros((*networks, post), kind),
            pending=np.zeros((*networks, post), kind),
        )

    def step(
        self, state: State, spikes: ArrayLike, back: ArrayLike | None = None, written: ArrayLike | None = None
    ) -> Integers:
        """Take one time step, in place, and return what arrives at the neurons in it, (..., post).

        ``spikes`` (..., pre): payloads, or 0 and 1; ``back`` (..., post): where postsynaptic neurons spike in
        this step; ``written`` (3, ..., post): y1 y2 y3 as the neurons write them, where they do.
        """
        sent = np.asarray(spikes, np.int32)
        if not self.payload:
            sent = (sent != 0).astype(np.int32)
        arriving, state.pending = state.pending, current(state.w, sent, self.exponent)
        state.step += 1
        time = (state.step - 1) % self.learning.epoch + 1
        self._hear(state, sent, time)
        if back is not None:
            self.echo(state, np.asarray(back), time)
        if self.learning.written:
            if written is None:
                raise InputError("step", "written", None, "the rule's y1 y2 y3 come from the neurons")
            state.y = np.asarray(written, np.int32)
        if time == self.learning.epoch:
            self.learn(state)
        return arriving

    def _hear(self, state: State, sent: Integers, time: int) -> None:
        """Note presynaptic spikes: their step, payloads, and impulses of a second spike in an epoch."""
        counted: Spiked = sent.nonzero()
        if self.graded != "regular":
            counted = payload_trace(state.x[0], sent, counted, self.graded, self.words.trace)
        if time > 1:
            before = state.pre_spike[counted] > 0
            if np.count_nonzero(before):
                again = tuple(axis[before] for axis in counted)
                random = self.drawn.impulse("x", state.step, state.x.shape, True)
                struck = self.pre.struck(state.x, again, random)
                state.x[1] = struck[1]
                if self.graded == "regular":
                    state.x[0] = struck[0]
        state.pre_spike[counted] = time

    def echo(self, state: State, back: NDArray[Any], time: int) -> None:
        """Note postsynaptic spikes: their step, and impulses of a second spike in an epoch."""
        spiked: Spiked = back.nonzero()
        if time > 1 and not self.learning.written:
            before = state.post_spike[spiked] > 0
            if np.count_nonzero(before):
                again = tuple(axis[before] for axis in spiked)
                random = self.drawn.impulse("y", state.step, state.y.shape, True)
                state.y = self.post.struck(state.y, again, random)
        state.post_spike[spiked] = time

    def learn(self, state: State) -> None:
        """Follow the traces through the epoch that ends, apply the rules, and forget the spikes."""
        learning, numbers, step = self.learning, self.drawn, state.step
        number = step // learning.epoch
        x = self.pre.history(state.x, state.pre_spike, learning.epoch, "x", step, numbers)
        y = [state.y]
        if self.needs_y:
            y = self.post.history(state.y, state.post_spike, learning.epoch, "y", step, numbers)
        holds = number % learning.rule.period == 0
        random = numbers.synapses(number)
        state.settled = self.settled(state)
        program = self._rest if state.settled and not holds else self._full
        learn(program, state, Past(x, y), holds, random)
        state.settled = True
        state.x = x[-1]
        if not learning.written:
            state.y = y[-1]
        state.pre_spike.fill(0)
        state.post_spike.fill(0)

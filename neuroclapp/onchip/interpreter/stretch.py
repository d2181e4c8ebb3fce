"""Many steps at once, with neurons in a loop or where all spikes are known: to the same bits as step by step.

`neuroclapp.onchip.interpreter.kernels` takes them, compiled, once the rule stands in arrays and what random
numbers make of decays, impulses and synapses is known for all steps.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError
from .integers import Integers
from .neurons import LIF, Membrane
from .plastic import PlasticDense
from .random import LavaNumbers
from .state import State


def run(
    synapses: PlasticDense,
    state: State,
    spikes: ArrayLike,
    back: ArrayLike | None = None,
    written: ArrayLike | None = None,
) -> Integers:
    """Take the steps of ``spikes`` (steps, ..., pre), in place; return what arrives, (steps, ..., post).

    ``back`` (steps, ..., post), ``written`` (steps, 3, ..., post): see `PlasticDense.step`. With numbers
    other than Lava's it goes step by step.
    """
    sent = np.asarray(spikes, np.int32)
    if isinstance(synapses.drawn, LavaNumbers):
        return _advance(synapses, synapses.drawn, state, sent, None, back, written)[0]
    arriving = np.empty((len(sent), *state.pending.shape), np.int32)
    for n, now in enumerate(sent):
        shown = None if written is None else np.asarray(written)[n]
        arriving[n] = synapses.step(state, now, None if back is None else np.asarray(back)[n], shown)
    return arriving


def loop(
    synapses: PlasticDense, state: State, cells: LIF, membrane: Membrane, spikes: ArrayLike
) -> tuple[Integers, Integers]:
    """Take the steps of ``spikes`` (steps, ..., pre), in place; return what arrives, and the neurons' spikes.

    Both are (steps, ..., post). The neurons' spikes come back to the synapses' rule.
    """
    sent = np.asarray(spikes, np.int32)
    if isinstance(synapses.drawn, LavaNumbers):
        return _advance(synapses, synapses.drawn, state, sent, (cells, membrane))
    arriving = np.empty((len(sent), *state.pending.shape), np.int32)
    fired = np.empty_like(arriving)
    for n, now in enumerate(sent):
        fired[n] = cells.step(membrane, state.pending)
        arriving[n] = synapses.step(state, now, fired[n])
    return arriving, fired


def _advance(
    synapses: PlasticDense,
    numbers: LavaNumbers,
    state: State,
    sent: Integers,
    neurons: tuple[LIF, Membrane] | None = None,
    back: ArrayLike | None = None,
    written: ArrayLike | None = None,
) -> tuple[Integers, Integers]:
    """Take the steps of ``sent``, and of neurons if there are any; return what arrives and spikes back."""
    from . import layout  # numba takes a second to import
    from .kernels import advance

    learning, steps = synapses.learning, len(sent)
    if learning.written and written is None:
        raise InputError("run", "written", None, "the rule's y1 y2 y3 come from the neurons")
    side, post, pre = state.w.shape[:-2], *state.w.shape[-2:]
    networks = math.prod(side)
    cells, membrane = neurons or (None, Membrane(np.zeros((*side, post)), np.zeros((*side, post))))
    echoes = cells is not None or back is not None
    echoed = np.zeros((steps * echoes, networks, post), np.int32)
    if back is not None:
        echoed[...] = (np.asarray(back) != 0).reshape(echoed.shape)
    shown = layout.own(written if learning.written else [])
    shown = shown.reshape(steps * learning.written, 3, networks, post)
    if membrane.v.shape != state.pending.shape:
        raise InputError(
            "run", "membrane", membrane.v.shape, f"neurons of these synapses are {state.pending.shape}"
        )
    if max(int(one.max(initial=0)) for one in (state.pre_spike, state.post_spike)) > learning.epoch:
        raise InputError("run", "epoch", learning.epoch, "the state holds spikes of a longer epoch")
    arriving = np.empty((steps, networks, post), np.int32)
    drawn = layout.drawn(synapses, numbers, state.step, steps)
    if len(drawn.fall_x) not in (1, *side[-1:]):
        raise InputError("run", "seed", learning.seed, f"must be one, or one for each of {side} networks")
    made = layout.rules(learning.rule, synapses.words, synapses.mode, synapses.sign)
    now = layout.now(learning.rule, state, membrane)
    advance(
        made,
        layout.clock(synapses, echoes),
        drawn,
        now,
        layout.cells(cells, networks, membrane.v.shape),
        layout.room(made, learning.epoch, pre, post),
        layout.own(sent).reshape(steps, networks, pre),
        shown,
        arriving,
        echoed,
        state.step,
        membrane.step,
        not synapses.settled(state),
    )
    layout.leave(now, learning.rule, state, membrane)
    if steps and learning.written:
        state.y = shown[-1].reshape(3, *side, post).copy()
    state.settled |= (state.step + steps) // learning.epoch > state.step // learning.epoch
    state.step, membrane.step = state.step + steps, membrane.step + steps
    return arriving.reshape(steps, *side, post), echoed.reshape(-1, *side, post)

"""One learning epoch, compiled: what `neuroclapp.onchip.interpreter.apply` computes, to the same bits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ..series import POST_TRACES, PRE_TRACES
from .integers import Integers
from .rules import Random, Rule, ceilings, targets
from .words import LAVA_WORDS, Mode, Sign, Words


def apply_once(
    rule: Rule,
    values: Mapping[str, ArrayLike],
    random: Random,
    words: Words = LAVA_WORDS,
    mode: Mode = "lava",
    sign: Sign = "mixed",
) -> dict[str, Integers]:
    """Return the variables that ``rule`` changes, after one learning epoch, by name.

    As `apply`, of networks side by side: x0 x1 x2 (networks, pre), y0 y1 y2 y3 (networks, post), w d t
    (networks, post, pre), all within 32 bits; traces and spikes that are missing are 0. ``random`` is a
    number or numpy generators. The first call of all compiles for some seconds; all others are faster.
    """
    from . import layout  # numba takes a second to import
    from .kernels import learn_once

    networks, post, pre = np.shape(values["w"])
    made, used = layout.rules(rule, words, mode, sign, "y"), layout.variables(rule)
    synapses = np.stack([np.asarray(values[name], np.int32) for name in used], axis=1)
    found = targets(rule, words, mode, sign)
    upwards = [ceilings(random, one.fraction, (networks, post, pre)) for one in found]
    each = None
    if not isinstance(upwards[0], int):
        each, upwards = np.stack(upwards).reshape(-1, pre), [0] * len(found)
    learn_once(
        made,
        layout.room(made, 1, post, pre, (len(POST_TRACES), len(PRE_TRACES)), each),
        synapses.reshape(-1, pre),
        _traces(values, POST_TRACES, networks, post),
        _traces(values, PRE_TRACES, networks, pre),
        _traces(values, ("y0",), networks, post),
        _traces(values, ("x0",), networks, pre),
        np.array(upwards, np.int32),
        bool(np.any(values.get("u", 1))),
    )
    return {one.name: synapses[:, used.index(one.name)] for one in found}


def _traces(values: Mapping[str, ArrayLike], names: tuple[str, ...], networks: int, units: int) -> Integers:
    """Return traces (networks and names, units)."""
    made = np.zeros((networks, len(names), units), np.int32)
    for k, name in enumerate(names):
        if name in values:
            made[:, k] = np.asarray(values[name]) != 0 if name in ("x0", "y0") else values[name]
    return made.reshape(-1, units)

"""What a chip's traces hold, presentation by presentation, beside the rate network's own values.

Both networks have the same learned weights and see the same presentations, without learning. For ``w_ff`` of
each layer: x1, the replayed count of a presynaptic unit, beside its activity; and y1, which the postsynaptic
neuron shows in the window "sample", beside gamma d rho'(a) (Eq. 13). Float values are given in steps of the
trace, so that what differs is rounding, the trace's range, and counts and gates that are otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.measures import cosine
from ..onchip.chip import load_chip
from ..onchip.fixed.machine import Machine, Seen
from ..onchip.fixed.presented import folded, replayed
from ..onchip.fixed.program import FixedFold
from ..onchip.fixed.scales import MatrixScale, Scales
from ..onchip.fixed.scaling import fixed_program
from ..onchip.fixed.schemes import neutral
from ..plasticity import APICAL, SLOPE_SAMPLE, third_factor
from ..presentations import Presentations
from ..rate.side_by_side import Layer, hold, respond
from ..settings import OnChip
from ..spiking.populations import Populations
from ..weights import Weights

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Presentations that are compared, and the last of them, which are drawn.
COMPARED, DRAWN = 300, 40


def scales_in(results: Mapping[str, Any], wanted: OnChip) -> Scales:
    """Return the scales that a condition's results hold."""
    matrices = {name: MatrixScale(**one) for name, one in results["scales"].items()}
    return Scales(matrices, results["replay"], wanted.scheme, wanted.words)


def traces(
    populations: Populations, chip: str, scales: Scales, weights: Weights, shown: Presentations
) -> dict[str, dict[str, Any]]:
    """Return by layer and trace, "x1" and "y1", what `beside` says of it."""
    machine = Machine([fixed_program(populations, weights, load_chip(chip), scales)])
    names, rates, words = [layer.name for layer in populations.layers], machine.rates(), scales.words
    seen, floats = list[Seen](), list[list[Layer]]()
    for inputs, sign in zip(shown.inputs, shown.sign, strict=True):
        seen.append(machine.present(inputs[None], np.array([sign]), learn=False))
        floats.append(respond(rates, names, inputs[None]))
        hold(rates, names, floats[-1], None)
    found, source = {}, machine.program.input
    for n, layer in enumerate(machine.program.layers):
        count = np.concatenate([one.layers[n - 1].count if n else one.input_count for one in seen])
        x1 = replayed(source, count, words)
        x = np.concatenate([one[n].x for one in floats]) / (source.quantum * 2.0**source.replay)
        fold, step = layer.connections[0].folds[0], 2.0 ** -scales.finest(f"{names[n]}.w_pred")
        per_step = fold.multiplier * 2.0**-fold.shift * fold.stride / (step * layer.soma.quantum)
        middle, reach = neutral(words), fold.most * fold.stride
        y1, y = middle + _shown(fold, seen, n), middle + per_step * _in_rates(floats, n, shown.sign)
        found[names[n]] = {
            "x1": beside(x1[1:], x[1:], 0, (0, 2**words.trace - 1)),
            "y1": beside(y1, y, middle, (middle - reach, middle + reach)),
        }
        source = layer.soma
    return found


def beside(chip: Integers, rate: Array, rest: int, limits: tuple[int, int]) -> dict[str, Any]:
    """Return what one unit's trace holds beside the float value, and how close those of all units are.

    Both are (presentations, units); the unit is the one whose float value varies most, and the last
    presentations of it are returned. ``cosine`` is that of all values, counted from ``rest``; ``full`` the
    share of those that differ from ``rest`` and stand at one of the trace's ``limits``.
    """
    unit = int(np.argmax(rate.std(axis=0)))
    acts = chip != rest
    return {
        "unit": unit,
        "chip": chip[-DRAWN:, unit].tolist(),
        "rate": rate[-DRAWN:, unit].tolist(),
        "cosine": cosine((chip - rest).astype(np.float64), rate - rest),
        "full": float(np.isin(chip[acts], limits).mean()) if acts.any() else 0.0,
        "limits": list(limits),
    }


def _shown(fold: FixedFold, seen: Sequence[Seen], layer: int) -> Integers:
    """Return what the fold adds to y1, from the second presentation on; open gates replace its rests."""
    rest, found = np.zeros_like(seen[0].layers[layer].count), []
    for then, now in pairwise(seen):
        gamma, own = now.gamma[layer][fold.gate], now.layers[layer]
        here = {APICAL: then.layers[layer].ahead, SLOPE_SAMPLE: (own.charge > 0).astype(np.int64)}
        y, left = folded(fold, gamma, here, rest)
        opens = gamma[:, None] != 0
        rest = np.where(opens, left, rest)
        found.append(y * opens)
    return np.concatenate(found)


def _in_rates(floats: Sequence[Sequence[Layer]], layer: int, sign: NDArray[np.int8]) -> Array:
    """Return gamma d rho' of the rate network, from the second presentation on."""
    found = []
    for (then, now), one in zip(pairwise(floats), sign[1:], strict=True):
        d = then[layer].held
        gamma = third_factor(float(np.sum(now[layer].z * d)), float(one))
        found.append(gamma * d * now[layer].rho)
    return np.concatenate(found)

"""The engine's response to a presentation: spikes go up layer by layer, all time steps of a layer at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..populations import LayerPopulations, Populations
from ..state import State
from .arrays import Arrays
from .dendrites import collected
from .membranes import soma_packets


@dataclass
class Activity:
    """A layer in a presentation: input ``x`` (batch, pre), activity ``z``, slope ``rho``, ``count`` and ``v``
    at the end, ``next_held`` = W_pred z for the next presentation, each (batch, units).
    """

    x: Any
    z: Any
    rho: Any
    count: Any
    v: Any
    next_held: Any


def respond(
    xp: Arrays, populations: Populations, w: Mapping[str, Any], packets: Any, noise: Sequence[Any]
) -> list[tuple[Any, Activity]]:
    """Return of each layer its packets (batch, steps, units), and its activity.

    ``packets`` (batch, steps, inputs). Weights (post, pre) are shared by the batch, (batch, post, pre) not.
    """
    timing, found, below = populations.timing, [], populations.input
    x = packets.sum(1) * below.quantum
    for n, layer in enumerate(populations.layers):
        soma = layer.soma
        drive = xp.heard(w[f"{layer.name}.w_ff"], packets)
        if below.quantum != soma.quantum:
            drive *= below.quantum / soma.quantum
        bias = None
        if layer.bias:
            bias = xp.rounded(w[f"{layer.name}.bias"] / (soma.quantum * timing.steps_on), populations.grid)
        packets, v = soma_packets(xp, populations, soma, drive, bias, noise[n] if noise else None)
        next_held = collected(xp, populations, w[f"{layer.name}.w_pred"], packets, soma.quantum)
        found.append((packets, _activity(xp, layer, x, packets.sum(1), v, next_held)))
        x, below = found[-1][1].z, soma
    return found


def remembered(xp: Arrays, populations: Populations, states: Sequence[State]) -> list[Activity]:
    """Return the activities that states hold, one state for each simulation of a batch."""
    x = xp.array([state.input_count for state in states]) * populations.input.quantum
    found = []
    for n, layer in enumerate(populations.layers):
        held = (
            xp.array([getattr(state.layers[n], name) for state in states])
            for name in ("count", "v", "next_held")
        )
        found.append(_activity(xp, layer, x, *held))
        x = found[-1].z
    return found


def _activity(xp: Arrays, layer: LayerPopulations, x: Any, count: Any, v: Any, next_held: Any) -> Activity:
    return Activity(x, count * layer.soma.quantum, xp.number(count + v > 0.5), count, v, next_held)

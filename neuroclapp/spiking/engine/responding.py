"""The engine's response to a presentation: spikes go up layer by layer, all time steps of a layer at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..populations import LayerPopulations, Populations
from ..state import State
from .arrays import Arrays
from .axons import Axons
from .dendrites import collected
from .membranes import soma_packets
from .shown import Shown


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
    xp: Arrays, populations: Populations, axons: Axons, w: Mapping[str, Any], batch: Shown
) -> list[tuple[Any, Activity]]:
    """Return of each layer the packets that leave it (batch, steps, units), and its activity.

    Weights (post, pre) are shared by the batch, (batch, post, pre) not.
    """
    timing, below, packets = populations.timing, populations.input, batch.packets
    sent: list[Any] = []
    counts: list[Any] = []
    membranes: list[Any] = []
    for n, layer in enumerate(populations.layers):
        soma = layer.soma
        drive = xp.heard(w[f"{layer.name}.w_ff"], packets)
        if below.quantum != soma.quantum:
            drive *= below.quantum / soma.quantum
        bias = None
        if layer.bias:
            bias = xp.rounded(w[f"{layer.name}.bias"] / (soma.quantum * timing.steps_on), populations.grid)
        thresholds = batch.thresholds[n] if batch.thresholds else None
        packets, v = soma_packets(xp, populations, soma, drive, bias, thresholds)
        packets = axons(
            n + 1, packets, batch.lots[n] if batch.lots else None, batch.late[n] if batch.late else None
        )
        sent.append(packets)
        counts.append(packets.sum(1))
        membranes.append(v)
        below = soma
    found, x = [], batch.count * populations.input.quantum
    for n, layer in enumerate(populations.layers):
        context = populations.context_of(n)
        quantum = populations.layers[context].soma.quantum
        w_pred = w[f"{layer.name}.w_pred"]
        next_held = collected(xp, populations, w_pred, sent[context], counts[context], quantum)
        found.append((sent[n], _activity(xp, layer, x, counts[n], membranes[n], next_held)))
        x = found[-1][1].z
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

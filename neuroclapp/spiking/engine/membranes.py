"""The engine's neurons: packets of a population from the charge that arrives in each time step.

Written from the equations in `neuroclapp.spiking.populations` and `neuroclapp.spiking.variants`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..grid import decay
from ..populations import Population, Populations
from ..variants import Leaky
from .arrays import Arrays


def input_packets(xp: Arrays, populations: Populations, charge: Any) -> Any:
    """Return packets (batch, steps, inputs) of a regular code; ``charge`` (batch, inputs) is of one step."""
    timing, source = populations.timing, populations.input
    packets = xp.full((len(charge), timing.steps, source.units), 0.0)
    v = xp.full((len(charge), source.units), 0.5)
    for step in range(timing.release):
        if step < timing.steps_on:
            v += charge
        packets[:, step] = n = xp.floor(v).clip(0, source.neurons)
        v -= n
    return packets


def soma_packets(
    xp: Arrays, populations: Populations, soma: Population, drive: Any, bias: Any | None, noise: Any | None
) -> tuple[Any, Any]:
    """Return the packets of a layer (batch, steps, units), and its membranes at the end (batch, units).

    ``drive`` (batch, steps, units): what the packets of each step bring, in spikes; it acts one step later.
    ``bias`` (..., units): the charge of each step with input. ``noise`` (batch, steps, units * neurons): how
    far thresholds lie above 1. With neurons one by one, membranes have a third axis.
    """
    timing, (batch, steps, units) = populations.timing, drive.shape
    leak, reset = _leak(xp, populations), _reset(populations)
    packets = xp.full((batch, steps, units), 0.0)
    one_by_one = populations.unit == "neurons"
    if one_by_one:
        most, start = 1, (np.arange(soma.neurons) + 0.5) / soma.neurons
        v = xp.full((batch, units, 1), 0.0) + xp.array(start)
        noise = None if noise is None else noise.reshape(batch, steps, units, soma.neurons)
    else:
        most, v = soma.neurons, xp.full((batch, units), 0.5)
    for step in range(steps):
        v = leak(v)
        for charge in (
            drive[:, step - 1] if step > 0 else None,
            bias if step < timing.steps_on else None,
        ):
            if charge is not None:
                v += charge[..., None] / soma.neurons if one_by_one else charge
        if step < timing.release:
            n = xp.floor(v if noise is None else v - noise[:, step]).clip(0, most)
            v = reset(v, n)
            packets[:, step] = n.sum(-1) if one_by_one else n
    return packets, v.sum(-1) - 0.5 * (soma.neurons - 1) if one_by_one else v


def _leak(xp: Arrays, populations: Populations) -> Callable[[Any], Any]:
    neuron, grid = populations.neuron, populations.grid
    if not isinstance(neuron, Leaky):
        return lambda v: v
    keep = decay(populations.timing.dt, neuron.tau, grid is not None)
    return lambda v: xp.rounded(0.5 + (v - 0.5) * keep, grid)


def _reset(populations: Populations) -> Callable[[Any, Any], Any]:
    neuron = populations.neuron
    if isinstance(neuron, Leaky) and neuron.reset == "zero":
        return lambda v, n: v * (n == 0)
    return lambda v, n: v - n

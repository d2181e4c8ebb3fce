"""The engine's neurons: packets of a population from the charge that arrives in each time step.

Written from the equations in `neuroclapp.spiking.populations` and `neuroclapp.spiking.variants`. In numpy,
packet units without leak and noise are one compiled loop. In torch they have fired the running maximum of
their charge, rounded down, so that all time steps are found at once, unless a packet would be larger than its
neurons can send. All else goes step by step, and so do torch's arrays that no cache holds, which would be
passed over once for each of the operations that find all at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..grid import decay
from ..populations import Population, Populations
from ..variants import IntegrateAndFire, Leaky
from .arrays import Arrays

#: Charges (batch, steps, units) that are worth finding all time steps of at once: 2 MB of them.
_FEW = 2**18


def input_packets(xp: Arrays, populations: Populations, charge: Any) -> Any:
    """Return packets (batch, steps, inputs) of a regular code; ``charge`` (batch, inputs) is of one step."""
    timing, source = populations.timing, populations.input
    if xp.is_numpy:
        return _integrated(populations, source, np.empty((len(charge), 0, source.units)), charge)[0]
    if len(charge) * timing.steps * source.units <= _FEW:
        on = xp.array(np.clip(np.arange(1, timing.release + 1), 0, timing.steps_on))
        fired = xp.floor(0.5 + charge[:, None] * on[:, None])
        packets = _increments(xp, fired, timing.steps)
        if float(packets.max()) <= source.neurons:
            return packets
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
    plain = populations.unit == "packet" and isinstance(populations.neuron, IntegrateAndFire)
    if plain and xp.is_numpy:
        return _integrated(populations, soma, drive, np.zeros(units) if bias is None else bias)
    if plain and batch * steps * units <= _FEW:
        packets, v = _at_once(xp, populations, drive, bias)
        if float(packets.max()) <= soma.neurons:
            return packets, v
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


def _integrated(populations: Populations, unit: Population, drive: Any, constant: Any) -> tuple[Any, Any]:
    """Return packets and final membranes in numpy; ``constant`` (..., units) comes while there is input."""
    from . import kernels

    timing, constant = populations.timing, constant.reshape(-1, unit.units)
    packets, v = np.empty((len(drive), timing.steps, unit.units)), np.full((len(drive), unit.units), 0.5)
    kernels.integrate(drive, constant, timing.steps_on, timing.release, float(unit.neurons), packets, v)
    return packets, v


def _at_once(xp: Arrays, populations: Populations, drive: Any, bias: Any | None) -> tuple[Any, Any]:
    """Return packets and final membranes of units that send whatever they are charged with."""
    timing, (batch, steps, units) = populations.timing, drive.shape
    charge = xp.full((batch, steps, units), 0.0)
    charge[:, 1:] = drive[:, :-1]
    if bias is not None:
        charge[:, : timing.steps_on] += bias[..., None, :]
    charge[:, 0] += 0.5
    v = charge.cumsum(1)
    packets = _increments(xp, xp.running_maximum(xp.floor(v[:, : timing.release]).clip(0)), steps)
    return packets, v[:, -1] - packets.sum(1)


def _increments(xp: Arrays, total: Any, steps: int) -> Any:
    """Return in each of ``steps`` time steps what a running ``total`` (batch, first steps, units) gains."""
    packets = xp.full((len(total), steps, total.shape[2]), 0.0)
    packets[:, : total.shape[1]] = total
    packets[:, 1 : total.shape[1]] -= total[:, :-1]
    return packets


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

"""Packets of a simulation whose single time steps were recorded, and which neuron sent which spike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .populations import Population, Populations
from .variants import Axon, IntegrateAndFire, Regular

Packets = NDArray[np.uint8]


def packets_of(model: Any) -> dict[str, Packets]:
    """Return the packets (presentations, steps, units) of input and layers from Brian2's spike monitors.

    ``model`` is what `neuroclapp.spiking.simulation.run_steps` returns beside the stretch.
    """
    populations: Populations = model.populations
    steps, dt = populations.timing.steps, populations.timing.dt
    sources = {"input": (populations.input, "input_spikes")}
    sources |= {layer.name: (layer.soma, f"soma{n}_spikes") for n, layer in enumerate(populations.layers)}
    found = {}
    for name, (population, monitor) in sources.items():
        events = model.monitors[monitor]
        packets = np.zeros((model.presentations * steps + 1, population.units), dtype=np.uint8)
        packets[np.round(np.array(events.t) / dt).astype(np.int64), np.array(events.i)] = events.packet
        found[name] = packets[:-1].reshape(model.presentations, steps, population.units)
    return found


def senders(packets: Packets, population: Population) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return presentation, step, unit and neuron of every spike, in the order of time.

    All neurons of a unit see the same charge and start a presentation at (i + 1/2) / K, so that they fire in
    turn, the highest first: spike m = 0, 1, ... of a unit in a presentation is of neuron K - 1 - m mod K.
    This is exact for integrate-and-fire neurons (`are_known`).
    """
    before = packets.cumsum(1, dtype=np.int64) - packets
    where = np.nonzero(packets)
    sizes = packets[where].astype(np.int64)
    presentation, step, unit = (np.repeat(index, sizes) for index in where)
    number = np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes)
    neuron = population.neurons - 1 - (np.repeat(before[where], sizes) + number) % population.neurons
    return presentation, step, unit, neuron


def are_known(populations: Populations, name: str) -> bool:
    """Return whether `senders` are the neurons that fire: neither leak nor noise, and no spike is lost."""
    if name == "input":
        return isinstance(populations.code, Regular) and populations.input_axon == Axon()
    return isinstance(populations.neuron, IntegrateAndFire) and populations.axon == Axon()

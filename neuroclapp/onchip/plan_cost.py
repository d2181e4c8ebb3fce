"""What a placed network does in one presentation: messages, operations, and what these take.

A message is one spike, or the packet of a unit in one time step; it goes once to each core that holds a list
of its synapses, and acts there at all of them. So with m messages of each neuron of a population

    synaptic operations   sum over projections of m(pre) * synapses
    neuron updates        neurons * compartments * steps
    synaptic updates      sum over plastic projections of synapses * products, where the gate is open

Where a core does one thing after another, its time is the sum over its operations; that is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .chip import Chip
from .demand import Population, Projection, Wiring
from .plan_cores import Core
from .plan_placement import Placement

#: Learn windows of a presentation, in each of which a presynaptic unit replays one count.
REPLAYS = 2


@dataclass(frozen=True)
class Activity:
    """Spikes and messages of one neuron (or packet unit) in a presentation, by population."""

    spikes: Mapping[str, float]
    messages: Mapping[str, float]
    said: str

    def carried(self, one: Projection) -> float:
        """Return the messages of one presynaptic neuron that a projection carries in a presentation."""
        return 1.0 if one.once else self.messages[one.pre.name]


@dataclass(frozen=True)
class Traffic:
    """Messages of a presentation, counted once for each core that receives them."""

    within_cores: float
    between_cores: float
    between_chips: float


@dataclass(frozen=True)
class Operations:
    """Operations of one presentation; ``synaptic_updates`` and ``replayed`` of one with an open gate."""

    synaptic_operations: float
    neuron_updates: float
    messages: float
    synaptic_updates: float
    replayed: float


@dataclass(frozen=True)
class Energies:
    """Energies [J] as far as they are stated; ``least`` with all neurons idle, ``most`` with all active."""

    least: float
    most: float
    update: float | None


def operations(wiring: Wiring, activity: Activity, steps: int, compartments: int) -> Operations:
    """Count the operations of one presentation of ``steps`` time steps."""
    of = activity.messages
    plastic = [one for one in wiring.projections if one.products]
    return Operations(
        sum(activity.carried(one) * one.synapses for one in wiring.projections),
        float(sum(one.neurons for one in wiring.populations) * compartments * steps),
        sum(of[one.name] * one.neurons for one in wiring.populations)
        + sum(one.pre.neurons for one in wiring.projections if one.once),
        float(sum(one.products * one.synapses for one in plastic)),
        float(sum(REPLAYS * one.synapses for one in plastic)),
    )


def energies(counted: Operations, chip: Chip) -> Energies | None:
    """Return estimated energies of a presentation and of an update; None where none is stated."""
    stated = {one.operation: one.energy for one in chip.energies}
    if not {"synaptic operation", "neuron update"} <= stated.keys():
        return None
    sent = counted.synaptic_operations * stated["synaptic operation"]
    sent += counted.messages * stated.get("spike", 0.0)
    active = stated["neuron update"]
    update = None
    if counted.synaptic_updates and "synaptic update" in stated:
        update = counted.synaptic_updates * stated["synaptic update"]
        update += counted.replayed * stated["synaptic operation"]
    idle = stated.get("idle neuron update", active)
    return Energies(sent + counted.neuron_updates * idle, sent + counted.neuron_updates * active, update)


def seconds(wiring: Wiring, placement: Placement, activity: Activity, chip: Chip, steps: int) -> float | None:
    """Return the estimated time of a presentation on one chip [s]; None where no source states it."""
    stated = {one.operation: one.time for one in chip.times}
    if placement.chips_needed != 1 or not {"synaptic operation", "neuron update", "barrier"} <= stated.keys():
        return None
    busiest = 0.0
    for core in placement.cores:
        arriving = sum(activity.carried(one) * synapses_on(one, core) for one in wiring.into(core.population))
        busiest = max(
            busiest,
            steps * core.compartments * stated["neuron update"] + arriving * stated["synaptic operation"],
        )
    return busiest + steps * stated["barrier"]


def traffic(wiring: Wiring, placement: Placement, activity: Activity) -> Traffic:
    """Count the messages that stay in their core, go to another, and to another chip."""
    where = {population.name: _chips_of(population, placement) for population in wiring.populations}
    within = between = abroad = 0.0
    for core, chip in zip(placement.cores, placement.chips.tolist(), strict=True):
        for one in wiring.into(core.population):
            positions, lists = _lists(one, core)
            if not len(positions):
                continue
            on_chip = where[one.pre.name][positions]
            here = on_chip[:, chip] if chip < on_chip.shape[1] else np.zeros(len(positions))
            own = _own(one, core, positions)
            rate = activity.carried(one)
            sent = float(lists.sum())
            share = lists / one.pre.units
            stay = float((share * own).sum())
            local = float((share * here).sum())
            within += rate * stay
            between += rate * (local - stay)
            abroad += rate * (sent - local)
    return Traffic(within, between, abroad)


def synapses_on(one: Projection, core: Core) -> int:
    """Return the synapses of a projection that lie in a core."""
    positions, held = _held(core)
    sizes = np.diff(one.window.start[positions[0] : positions[-1] + 2])
    return int((held * sizes).sum()) * one.heard


def _held(core: Core) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of a core's neurons, and how many it has of each."""
    units = core.population.units
    low, high = core.first // units, (core.end - 1) // units + 1
    positions = np.arange(low, high)
    first = np.maximum(positions * units, core.first)
    return positions, np.minimum((positions + 1) * units, core.end) - first


def _lists(one: Projection, core: Core) -> tuple[np.ndarray, np.ndarray]:
    """Return the presynaptic positions that a core hears, and how many neurons of each."""
    positions, held = _held(core)
    start = one.window.start
    heard = one.window.pre[start[positions[0]] : start[positions[-1] + 1]]
    if one.full:
        unique = np.unique(heard)
        return unique, np.full(len(unique), one.sources)
    many = np.repeat(held, np.diff(start[positions[0] : positions[-1] + 2])) * one.heard
    return heard, np.minimum(one.sources, many)


def _own(one: Projection, core: Core, positions: np.ndarray) -> np.ndarray:
    """Return how many of the neurons at presynaptic positions lie in the core itself."""
    if one.pre != core.population:
        return np.zeros(len(positions))
    units = core.population.units
    first = np.maximum(positions * units, core.first)
    return np.maximum(np.minimum((positions + 1) * units, core.end) - first, 0)


def _chips_of(population: Population, placement: Placement) -> np.ndarray:
    """Return how many neurons of each position lie on each chip, (positions, chips)."""
    found = np.zeros((population.positions, max(placement.chips_needed, 1)))
    for core, chip in zip(placement.cores, placement.chips.tolist(), strict=True):
        if core.population == population:
            positions, held = _held(core)
            found[positions, chip] += held
    return found

"""Wiring -> cores: a stated, simple placement that keeps every limit of every core, and a bound below it.

A population takes cores of its own, as Lava's compiler for Loihi is described to do. Its neurons are taken in
their order, all neurons of a position and then the next position, row by row; a core takes as many as its
limits allow, then the next core goes on. Synapses lie in the core of the neuron that hears:

    neurons     neurons * compartments
    lists       presynaptic neurons of the core, once for each projection
    memory      for n synapses of a list: n (weight + index) + header bits in each block, rounded up to words
    synapses    an even share of the chip's, where only the chip's total is stated
    edges       pairs of a neuron of the core and a core that it sends to, once for each projection

Edges depend on where the targets lie, so the top is placed first. Where populations hear themselves or each
other the placement is repeated, with the cores of the last round, until it stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .chip import Chip
from .demand import Indices, Population, Projection, Wiring, neurons_of
from .plan_cores import Core, alone, broken, core, limits, reached, refuse
from .plan_wiring import Refused

#: Rounds until a placement must have settled.
ROUNDS = 32


@dataclass(frozen=True)
class Placement:
    """Cores in the order of their populations; ``chips`` (cores,) the chip of each, from 0."""

    cores: tuple[Core, ...]
    chips: Indices
    refused: tuple[Refused, ...]

    @property
    def chips_needed(self) -> int:
        return int(self.chips[-1]) + 1 if len(self.chips) else 0

    def of(self, population: Population) -> list[Core]:
        return [one for one in self.cores if one.population == population]


def place(wiring: Wiring, chip: Chip) -> Placement:
    """Place every population; where a neuron fits no core, it is refused by name and nothing is placed."""
    refused = alone(wiring, chip)
    known: dict[str, list[Core]] = {}
    recurrent = any(_backwards(wiring, one) for one in wiring.projections)
    for _ in range(ROUNDS):
        placed: dict[str, list[Core]] = {}
        for population in reversed(wiring.populations) if not refused else ():
            found = _place(wiring, chip, population, {**known, **placed})
            if isinstance(found, Refused):
                refused = (found,)
                break
            placed[population.name] = found
        if refused or not recurrent or placed == known:
            break
        known = placed
    else:
        said = f"no placement stayed as it was in {ROUNDS} rounds"
        refused = (Refused("all layers", "limits.fan_out", said, ""),)
    if refused:
        return Placement((), np.zeros(0, np.int64), refused)
    cores = [one for population in wiring.populations for one in placed[population.name]]
    return Placement(tuple(cores), _chips(cores, chip), ())


def _backwards(wiring: Wiring, one: Projection) -> bool:
    order = [population.name for population in wiring.populations]
    return order.index(one.post.name) <= order.index(one.pre.name)


def _place(
    wiring: Wiring, chip: Chip, population: Population, known: Mapping[str, list[Core]]
) -> list[Core] | Refused:
    into = wiring.into(population)
    sends = np.zeros(population.positions, np.int64)
    for one in wiring.out_of(population):
        sends += reached(one, known[one.post.name]) if one.post.name in known else 1
    ends = np.concatenate([[0], np.cumsum(sends * population.units)])
    table = limits(chip)

    def edges_before(neuron: int) -> int:
        position, unit = divmod(neuron, population.units)
        return int(ends[position]) + (unit * int(sends[position]) if unit else 0)

    def made_of(first: int, end: int) -> Core:
        return core(chip, into, population, first, end, edges_before(end) - edges_before(first))

    cores: list[Core] = []
    first, guess = 0, 1
    while first < population.neurons:
        left = population.neurons - first
        best = made_of(first, first + 1)
        limit = broken(best, table)
        if limit is not None:
            return refuse(into, best, limit)
        # The largest number of neurons that keeps the limits: doubling from the last core's, then halving.
        good, bad, size = 1, left + 1, min(guess, left)
        while bad - good > 1:
            size = min(max(size, good + 1), bad - 1)
            made = made_of(first, first + size)
            if broken(made, table) is None:
                good, best = size, made
                size = 2 * size if bad > left else (good + bad) // 2
            else:
                bad = size
                size = (good + bad) // 2
        cores.append(best)
        first, guess = first + good, good
    return cores


def _chips(cores: list[Core], chip: Chip) -> Indices:
    """Fill chip after chip with cores in their order."""
    stated, neurons = chip.limits, neurons_of(chip)
    found = np.zeros(len(cores), np.int64)
    current = used = somata = synapses = 0
    for index, each in enumerate(cores):
        over = (
            (stated.cores is not None and used + 1 > stated.cores)
            or (neurons is not None and somata + each.compartments > neurons)
            or (stated.synapses is not None and synapses + each.synapses > stated.synapses)
        )
        if over:
            current, used, somata, synapses = current + 1, 0, 0, 0
        used, somata, synapses = used + 1, somata + each.compartments, synapses + each.synapses
        found[index] = current
    return found


def fewest_cores(wiring: Wiring, chip: Chip) -> int:
    """Return a number of cores that no placement can go below: totals over what a core holds."""
    held = {limit.use: limit.held for limit in limits(chip)}
    neurons = sum(one.neurons for one in wiring.populations) * chip.neurons.compartments
    synapses = sum(one.synapses for one in wiring.projections)
    weight = chip.synapses.weight if chip.synapses is not None else chip.widths.weight or 0
    totals = {"compartments": neurons, "synapses": synapses, "bits": synapses * weight}
    needed = [
        math.ceil(totals[use] / most) for use, most in held.items() if most is not None and use in totals
    ]
    return max(needed, default=1)

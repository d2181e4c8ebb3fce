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
from .plan_wiring import Refused

#: Rounds until a placement must have settled.
ROUNDS = 32


@dataclass(frozen=True)
class Core:
    """Neurons ``first`` .. ``end - 1`` of a population, and what they take of a core."""

    population: Population
    first: int
    end: int
    compartments: int
    lists: int
    bits: int
    synapses: int
    edges: int

    @property
    def neurons(self) -> int:
        return self.end - self.first


@dataclass(frozen=True)
class Limit:
    """A core's limit: its name in `Core`, what a chip's file calls it, and how much a core holds."""

    use: str
    key: str
    unit: str
    held: int | None


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
        return [core for core in self.cores if core.population == population]


def limits(chip: Chip) -> tuple[Limit, ...]:
    """Return a core's limits; ``held`` is None where no source states one."""
    stated = chip.limits
    share = None
    if stated.synapses is not None and stated.cores is not None:
        share = stated.synapses // stated.cores
    memory = stated.synaptic_memory_per_core
    return (
        Limit("compartments", "limits.neurons_per_core", "neurons", stated.neurons_per_core),
        Limit("lists", "limits.fan_in", "lists of synapses", stated.fan_in),
        Limit(
            "bits",
            "limits.synaptic_memory_per_core",
            "bits of synaptic memory",
            None if memory is None else round(8 * memory),
        ),
        Limit("synapses", "limits.synapses / limits.cores", "synapses", share),
        Limit("edges", "limits.fan_out", "pairs of neuron and core", stated.fan_out),
    )


def list_bits(chip: Chip, lengths: Indices, neurons: int, skips: bool) -> Indices:
    """Return the bits of lists of ``lengths`` synapses on a core of ``neurons``; ``skips`` some of them.

    Where no source says how synapses lie in memory, it is that of the weights alone.
    """
    layout = chip.synapses
    if layout is None:
        return lengths * (chip.widths.weight or 0)
    weight = layout.weight
    if skips:
        needed = math.ceil(math.log2(neurons)) if neurons > 1 else 0
        weight += next((bits for bits in layout.index if bits >= needed), layout.index[-1])
    full, rest = np.divmod(lengths, layout.block)

    def words(synapses: Indices) -> Indices:
        return -(-(synapses * weight + layout.header) // layout.word) * layout.word

    return full * words(np.full_like(lengths, layout.block)) + np.where(rest > 0, words(rest), 0)


@dataclass(frozen=True)
class _Load:
    lists: int
    bits: int
    synapses: int


def load(chip: Chip, into: tuple[Projection, ...], population: Population, first: int, end: int) -> _Load:
    """Return what neurons ``first`` .. ``end - 1`` of a population take of a core's lists and memory."""
    units = population.units
    low, high = first // units, (end - 1) // units + 1
    held = np.full(high - low, units, np.int64)
    held[0] -= first - low * units
    held[-1] -= high * units - end
    lists = bits = synapses = 0
    for one in into:
        start = one.window.start
        heard = one.window.pre[start[low] : start[high]]
        neurons = np.repeat(held, np.diff(start[low : high + 1]))
        if not len(heard):
            continue
        if one.full:
            lowest = int(heard.min())
            lengths = np.bincount(heard - lowest, neurons).astype(np.int64)
            lengths = lengths[lengths > 0]
            many = np.full_like(lengths, one.sources)
        else:
            many = np.minimum(one.sources, neurons * one.heard)
            lengths = -(-neurons * one.heard // many)
        skips = not (one.full and bool((lengths == end - first).all()))
        lists += int(many.sum())
        bits += int((many * list_bits(chip, lengths, end - first, skips)).sum())
        synapses += int(neurons.sum()) * one.heard
    return _Load(lists, bits, synapses)


def reached(one: Projection, cores: list[Core]) -> Indices:
    """Return to how many cores (at most) each presynaptic position's neurons send, (positions,)."""
    count = np.zeros(one.pre.positions, np.int64)
    units = one.post.units
    for core in cores:
        start = one.window.start
        low, high = core.first // units, (core.end - 1) // units + 1
        count[np.unique(one.window.pre[start[low] : start[high]])] += 1
    if not one.full:
        count = np.minimum(count, -(-one.heard * units // one.sources))
    return count


def place(wiring: Wiring, chip: Chip) -> Placement:
    """Place every population; what fits no core is refused by name."""
    known: dict[str, list[Core]] = {}
    for _ in range(ROUNDS):
        placed: dict[str, list[Core]] = {}
        refused: list[Refused] = []
        for population in reversed(wiring.populations):
            cores = _place(wiring, chip, population, {**known, **placed}, refused)
            placed[population.name] = cores
        recurrent = any(_backwards(wiring, one) for one in wiring.projections)
        if refused or not recurrent or placed == known:
            break
        known = placed
    else:
        refused.append(
            Refused("all", "fan_out", f"no placement stayed in {ROUNDS} rounds", "fewer or narrower layers")
        )
    cores = [core for population in wiring.populations for core in placed.get(population.name, [])]
    return Placement(tuple(cores), _chips(cores, chip), tuple(refused))


def _backwards(wiring: Wiring, one: Projection) -> bool:
    order = [population.name for population in wiring.populations]
    return order.index(one.post.name) <= order.index(one.pre.name)


def _place(
    wiring: Wiring,
    chip: Chip,
    population: Population,
    known: Mapping[str, list[Core]],
    refused: list[Refused],
) -> list[Core]:
    into = wiring.into(population)
    sends = np.zeros(population.positions, np.int64)
    for one in wiring.out_of(population):
        sends += reached(one, known[one.post.name]) if one.post.name in known else 1
    ends = np.concatenate([[0], np.cumsum(sends * population.units)])
    table, compartments = limits(chip), chip.neurons.compartments

    def edges_before(neuron: int) -> int:
        position, unit = divmod(neuron, population.units)
        return int(ends[position]) + (unit * int(sends[position]) if unit else 0)

    def core(first: int, end: int) -> Core:
        held = load(chip, into, population, first, end)
        edges = edges_before(end) - edges_before(first)
        taken = (end - first) * compartments
        return Core(population, first, end, taken, held.lists, held.bits, held.synapses, edges)

    def broken(made: Core) -> Limit | None:
        return next(
            (limit for limit in table if limit.held is not None and getattr(made, limit.use) > limit.held),
            None,
        )

    cores: list[Core] = []
    first = 0
    guess = 1
    while first < population.neurons:
        left = population.neurons - first
        alone = core(first, first + 1)
        limit = broken(alone)
        if limit is not None:
            hears = sum((one.fan_in for one in into), np.zeros(population.positions, np.int64))
            most = int(hears.argmax()) * population.units
            worst = core(most, most + 1)
            refused.append(_refuse(wiring, worst if broken(worst) == limit else alone, limit))
            return cores
        # The largest number of neurons that keeps the limits: doubling from the last core's, then halving.
        good, bad, best = 1, left + 1, alone
        size = min(guess, left)
        while bad - good > 1:
            size = min(max(size, good + 1), bad - 1)
            made = core(first, first + size)
            if broken(made) is None:
                good, best = size, made
                size = 2 * size if bad > left else (good + bad) // 2
            else:
                bad = size
                size = (good + bad) // 2
        cores.append(best)
        first += good
        guess = good
    return cores


def _refuse(wiring: Wiring, alone: Core, limit: Limit) -> Refused:
    """Say why one neuron alone is more than a core holds."""
    population = alone.population
    position = alone.first // population.units
    heard = [(one, int(one.fan_in[position])) for one in wiring.into(population)]
    needed = getattr(alone, limit.use)
    if limit.use == "edges":
        return Refused(
            population.layer,
            population.name,
            f"one neuron sends to {needed} cores, a core has {limit.held} ({limit.key})",
            "fewer units in the layer above",
        )
    one, most = max(heard, key=lambda pair: pair[1])
    places = int(np.diff(one.window.start)[position])
    said = f"{places} positions x {one.heard} = {most}" if places > 1 else f"{most}"
    return Refused(
        population.layer,
        one.name,
        f"fan-in {said} of one neuron takes {needed} {limit.unit}, a core has {limit.held} ({limit.key})",
        "a smaller --width",
    )


def _chips(cores: list[Core], chip: Chip) -> Indices:
    """Fill chip after chip with cores in their order."""
    stated, neurons = chip.limits, neurons_of(chip)
    found = np.zeros(len(cores), np.int64)
    current = used = somata = synapses = 0
    for index, core in enumerate(cores):
        over = (
            (stated.cores is not None and used + 1 > stated.cores)
            or (neurons is not None and somata + core.compartments > neurons)
            or (stated.synapses is not None and synapses + core.synapses > stated.synapses)
        )
        if over:
            current, used, somata, synapses = current + 1, 0, 0, 0
        used, somata, synapses = used + 1, somata + core.compartments, synapses + core.synapses
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

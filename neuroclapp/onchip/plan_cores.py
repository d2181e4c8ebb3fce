"""What neurons take of a core (compartments, lists of synapses, memory, synapses, edges), and its limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .chip import Chip
from .demand import Indices, Population, Projection, Wiring
from .plan_wiring import Refused


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
class Load:
    lists: int
    bits: int
    synapses: int


def load(chip: Chip, into: tuple[Projection, ...], population: Population, first: int, end: int) -> Load:
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
    return Load(lists, bits, synapses)


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


def core(
    chip: Chip, into: tuple[Projection, ...], population: Population, first: int, end: int, edges: int = 0
) -> Core:
    """Return the core that holds neurons ``first`` .. ``end - 1`` of a population, which has ``edges``."""
    held = load(chip, into, population, first, end)
    taken = (end - first) * chip.neurons.compartments
    return Core(population, first, end, taken, held.lists, held.bits, held.synapses, edges)


def broken(made: Core, table: tuple[Limit, ...]) -> Limit | None:
    """Return the first limit that a core does not keep."""
    return next(
        (limit for limit in table if limit.held is not None and getattr(made, limit.use) > limit.held), None
    )


def alone(wiring: Wiring, chip: Chip) -> tuple[Refused, ...]:
    """Return what keeps the neuron of each population with the largest fan-in from a core of its own."""
    found = []
    for population in wiring.populations:
        into = wiring.into(population)
        heard = sum((one.fan_in for one in into), np.zeros(population.positions, np.int64))
        most = int(heard.argmax()) * population.units
        made = core(chip, into, population, most, most + 1)
        limit = broken(made, limits(chip))
        if limit is not None:
            found.append(refuse(into, made, limit))
    return tuple(found)


def refuse(into: tuple[Projection, ...], made: Core, limit: Limit) -> Refused:
    """Say why one neuron alone is more than a core holds."""
    population = made.population
    position = made.first // population.units
    heard = [(one, int(one.fan_in[position])) for one in into]
    needed = getattr(made, limit.use)
    if limit.use == "edges":
        return Refused(
            population.layer,
            population.name,
            f"one neuron sends to {needed} cores, a core has {limit.held} ({limit.key})",
            "",
        )
    one, most = max(heard, key=lambda pair: pair[1])
    places = int(np.diff(one.window.start)[position])
    said = f"{places} positions x {one.heard} = {most}" if places > 1 else f"{most}"
    return Refused(
        population.layer,
        one.name,
        f"fan-in {said} of one neuron takes {needed} {limit.unit}, a core has {limit.held} ({limit.key})",
        "",
    )

"""What a program needs of a chip: its populations and projections, counted in one place, and held against it.

A `Demand` is counted from a `Wiring`. There are two ways to get one: from a program that is exported
(`wiring`, here) and from a network before anything is trained (`neuroclapp.onchip.plan_wiring`); both build
a layer's learning populations by `learning_layer`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..plasticity import Gate
from .chip import Chip
from .program import LayerProgram, Program

Indices = NDArray[np.int64]
Role = Literal["input", "soma", "relay", "modulator", "site"]

#: Release sites of a layer: one for fixations, one for saccades.
SITES = 2


@dataclass(frozen=True)
class Population:
    """``units`` neurons at each of ``positions`` of a layer; a packet unit is one neuron."""

    name: str
    layer: str
    role: Role
    units: int
    positions: int = 1

    @property
    def neurons(self) -> int:
        return self.units * self.positions


@dataclass(frozen=True)
class Window:
    """Which presynaptic positions each postsynaptic one hears: ``pre[start[p] : start[p + 1]]``."""

    start: Indices
    pre: Indices


@dataclass(frozen=True)
class Projection:
    """Synapses from population ``pre`` to ``post``, written out.

    At each presynaptic position of its ``window`` a neuron hears ``heard`` of the ``sources`` neurons there
    that send at all. It hears all of them or, where windows do not overlap, some, so that all sources are
    heard about equally often. ``products`` of the plasticity rule: 0 where nothing learns. ``once``: it
    carries one message of each neuron in a presentation, a replayed count, and no spikes.
    """

    name: str
    pre: Population
    post: Population
    window: Window
    heard: int
    sources: int
    products: int = 0
    once: bool = False

    @property
    def full(self) -> bool:
        """Whether each neuron hears all that send at a position of its window."""
        return self.heard == self.sources

    @property
    def synapses(self) -> int:
        return len(self.window.pre) * self.post.units * self.heard

    @property
    def fan_in(self) -> Indices:
        """Synapses on each neuron of a postsynaptic position, (positions,)."""
        return np.diff(self.window.start) * self.heard


@dataclass(frozen=True)
class Wiring:
    """Populations in their order, from the input up, and the projections between them."""

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]

    def into(self, population: Population) -> tuple[Projection, ...]:
        return tuple(one for one in self.projections if one.post == population)

    def out_of(self, population: Population) -> tuple[Projection, ...]:
        return tuple(one for one in self.projections if one.pre == population)


@dataclass(frozen=True)
class Demand:
    """Neurons and synapses of a network (a packet unit is one neuron), and the largest fan-in of a neuron."""

    neurons: int
    synapses: int
    fan_in: int


def everywhere(pre: Population, post: Population) -> Window:
    """Return the window in which every position hears every position."""
    start = np.arange(post.positions + 1, dtype=np.int64) * pre.positions
    return Window(start, np.tile(np.arange(pre.positions, dtype=np.int64), post.positions))


def project(
    name: str,
    pre: Population,
    post: Population,
    heard: int | None = None,
    products: int = 0,
    once: bool = False,
) -> Projection:
    """Return a projection from every position to every position, of all neurons unless ``heard`` is given."""
    heard = pre.units if heard is None else heard
    return Projection(name, pre, post, everywhere(pre, post), heard, pre.units, products, once)


def learning_layer(
    below: Population,
    soma: Population,
    plastic: Sequence[tuple[str, int]],
    modulators: int,
    listened: int,
    gates: Sequence[Gate] = ("gamma",),
) -> Wiring:
    """Return what one dense layer that learns adds to ``below``.

    ``plastic`` names its matrices with the products of their rules; ``modulators`` in each half, of which
    each listens to ``listened`` somata. Each of ``gates`` has modulators and release sites of its own; the
    second modulator hears a replay of the somata's earlier counts.
    """
    name = soma.name
    matrices = [
        project(f"{name}.{target}", below if target == "w_ff" else soma, soma, products=products)
        for target, products in plastic
    ]
    populations, others = [soma], list[Projection]()
    for gate in gates:
        second = gate.removeprefix("gamma")
        modulator = Population(f"{name}.modulator{second}", soma.layer, "modulator", 2 * modulators)
        site = Population(f"{name}.release{second}", soma.layer, "site", SITES)
        populations += [modulator, site]
        others += [
            project(f"{name}.listens{second}", soma, modulator, listened, once=bool(second)),
            project(f"{name}.fires{second}", modulator, site, modulators),
            project(f"{name}.gamma{second}", site, soma),
        ]
    return Wiring(tuple(populations), (*matrices, *others))


def wiring(program: Program) -> Wiring:
    """Return the populations of a program and their projections."""
    source = Population(program.input.name, program.input.name, "input", program.input.units)
    somata = {source.name: source}
    populations, projections = [source], list[Projection]()
    for layer in program.layers:
        soma = Population(layer.soma.name, layer.soma.name, "soma", layer.soma.units)
        somata[soma.name] = soma
        plastic = [
            (one.target, len(one.series.terms))
            for one in layer.connections
            if one.target == "w_ff" or one.weights is not None
        ]
        modulators = layer.modulators
        listened = max(int(np.count_nonzero(one.listens, axis=1).max()) for one in modulators.values())
        units = layer.modulator.units
        made = learning_layer(somata[layer.source], soma, plastic, units, listened, tuple(modulators))
        populations.extend(made.populations)
        projections.extend(made.projections)
    return Wiring(tuple(populations), tuple(projections))


def demand(found: Wiring) -> Demand:
    """Count neurons and synapses, and the largest fan-in of a neuron."""
    fan_in = 0
    for population in found.populations:
        heard = sum((one.fan_in for one in found.into(population)), np.zeros(population.positions, np.int64))
        fan_in = max(fan_in, int(heard.max()))
    return Demand(
        sum(one.neurons for one in found.populations),
        sum(one.synapses for one in found.projections),
        fan_in,
    )


def check(program: Program, chip: Chip) -> None:
    """Raise InputError that names the chip's limit and the layer or count that does not fit."""
    if not chip.graded_spikes:
        raise _refuse(
            chip, "graded_spikes", False, "packets, replayed counts and coincidences are graded spikes"
        )
    if not chip.three_factor:
        raise _refuse(chip, "three_factor", False, "the neuron must fold gamma, d and r into its traces y")
    need, limits = demand(wiring(program)), chip.limits
    for key, needed, held in (
        ("neurons", need.neurons, neurons_of(chip)),
        ("synapses", need.synapses, limits.synapses),
        ("fan_in", need.fan_in, limits.fan_in),
        ("epoch", program.clock.epoch, limits.epoch),
    ):
        if held is not None and needed > held:
            raise _refuse(chip, f"limits.{key}", held, f"the network needs {needed}")
    if chip.widths.payload is not None:
        for layer in program.layers:
            _check_payload(chip, layer, program)


def neurons_of(chip: Chip) -> int | None:
    """Return the neurons that a chip holds, None where no source states it."""
    limits = chip.limits
    if limits.neurons is None and limits.cores is not None and limits.neurons_per_core is not None:
        return limits.cores * limits.neurons_per_core
    return limits.neurons


def payload_bits(neurons: int, steps: int) -> int:
    """Return the bits of the largest replay, twice a count, of a packet unit of ``neurons``."""
    return math.ceil(math.log2(2 * neurons * steps + 1))


def _check_payload(chip: Chip, layer: LayerProgram, program: Program) -> None:
    """Refuse a layer whose largest replay, twice a count, exceeds a graded spike's payload."""
    bits = payload_bits(layer.soma.neurons, program.clock.steps)
    if chip.widths.payload is not None and bits > chip.widths.payload:
        largest = 2 * layer.soma.neurons * program.clock.steps
        key, held = "widths.payload", chip.widths.payload
        raise _refuse(chip, key, held, f"{layer.soma.name} may replay {largest}, which needs {bits} bits")


def _refuse(chip: Chip, key: str, value: object, why: str) -> InputError:
    return InputError(f"hardware {chip.name!r}", key, value, why)

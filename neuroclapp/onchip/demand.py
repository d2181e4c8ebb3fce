"""What a program needs of a chip, held against what the chip has."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .chip import Chip
from .program import LayerProgram, Program


@dataclass(frozen=True)
class Demand:
    """Neurons and synapses of a network (a packet unit is one neuron), and the largest fan-in of a neuron."""

    neurons: int
    synapses: int
    fan_in: int


def demand(program: Program) -> Demand:
    """Count what a program needs: input, somata, modulators and release sites, and all synapses."""
    neurons, synapses, fan_in = program.input.units, 0, 0
    for layer in program.layers:
        units, below, sites = layer.soma.units, program.population(layer.source).units, 2
        modulators = 2 * layer.modulator.units
        square = sum(one.weights is not None for one in layer.connections)
        neurons += units + modulators + sites
        synapses += units * below + square * units**2 + int(np.count_nonzero(layer.modulator.listens))
        synapses += modulators + sites * units
        listened = int(np.count_nonzero(layer.modulator.listens, axis=1).max())
        fan_in = max(fan_in, below + square * units + sites, listened, layer.modulator.units)
    return Demand(neurons, synapses, fan_in)


def check(program: Program, chip: Chip) -> None:
    """Raise InputError that names the chip's limit and the layer or count that does not fit."""
    if not chip.graded_spikes:
        raise _refuse(
            chip, "graded_spikes", False, "packets, replayed counts and coincidences are graded spikes"
        )
    if not chip.three_factor:
        raise _refuse(chip, "three_factor", False, "the neuron must fold gamma, d and r into its traces y")
    need, limits = demand(program), chip.limits
    neurons = limits.neurons
    if neurons is None and limits.cores is not None and limits.neurons_per_core is not None:
        neurons = limits.cores * limits.neurons_per_core
    for key, needed, held in (
        ("neurons", need.neurons, neurons),
        ("synapses", need.synapses, limits.synapses),
        ("fan_in", need.fan_in, limits.fan_in),
        ("epoch", program.clock.epoch, limits.epoch),
    ):
        if held is not None and needed > held:
            raise _refuse(chip, f"limits.{key}", held, f"the network needs {needed}")
    if chip.widths.payload is not None:
        for layer in program.layers:
            _check_payload(chip, layer, program)


def _check_payload(chip: Chip, layer: LayerProgram, program: Program) -> None:
    """Refuse a layer whose largest replay, twice a count, exceeds a graded spike's payload."""
    largest = 2 * layer.soma.neurons * program.clock.steps
    bits = math.ceil(math.log2(largest + 1))
    if chip.widths.payload is not None and bits > chip.widths.payload:
        key, held = "widths.payload", chip.widths.payload
        raise _refuse(chip, key, held, f"{layer.soma.name} may replay {largest}, which needs {bits} bits")


def _refuse(chip: Chip, key: str, value: object, why: str) -> InputError:
    return InputError(f"hardware {chip.name!r}", key, value, why)

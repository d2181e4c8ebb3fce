"""A condition's network on a chip: the integer simulator in the place of the engine, its scales fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..onchip.chip import load_chip
from ..onchip.fixed.machine import LayerNow, Machine, Seen
from ..onchip.fixed.scales import Scales
from ..onchip.fixed.scaling import fixed_program
from ..presentations import Presentations
from ..spiking.drawn import NOTHING, Drawn
from ..spiking.engine import Simulation
from ..spiking.state import LayerRecord, LayerState, Record, State, Stretch
from ..weights import Weights
from .study_worlds import Worlds

#: Samples that are simulated at once.
AT_ONCE = 250

Array = NDArray[np.float64]


@dataclass
class ChipSimulator:
    """Simulates a condition's networks in a chip's integers; `run_many` and `run` are those of `Engine`."""

    worlds: Worlds
    scales: Scales
    seeds: tuple[int, ...]
    machine: Machine

    @classmethod
    def begin(
        cls, worlds: Worlds, seeds: Sequence[int], initial: Sequence[Weights], scales: Scales
    ) -> ChipSimulator:
        """Let these seeds start from their initial weights, rounded to the chip's."""
        machine = _machine(worlds, initial, scales, seeds)
        return cls(worlds, scales, tuple(seeds), machine)

    @property
    def weights(self) -> list[Weights]:
        """The weights of each network in rate units, as they stand."""
        rates = self._rates()
        return [Weights({name: array[n] for name, array in rates.items()}) for n in range(len(self.seeds))]

    def _rates(self) -> dict[str, Array]:
        """Return the weights that the rule has: not the transpose that a chip needs of symmetric feedback."""
        targets = self.worlds.populations.plasticity.targets
        return {
            name: array for name, array in self.machine.rates().items() if name.rsplit(".")[-1] in targets
        }

    def run_many(
        self, simulations: Sequence[Simulation], watch: Callable[[Mapping[str, Array]], None] | None = None
    ) -> list[Stretch]:
        """Let all networks learn from their streams; they go on from where they stand."""
        seen = []
        for n in range(len(simulations[0].stream)):
            inputs = np.stack([each.stream.inputs[n] for each in simulations])
            sign = np.stack([each.stream.sign[n] for each in simulations])
            seen.append(self.machine.present(inputs, sign))
            if watch is not None:
                watch(self._rates())
        records = [_record(self.machine, seen, n) for n in range(len(simulations))]
        return [Stretch(*each, _state(each[0])) for each in zip(records, self.weights, strict=True)]

    def run(
        self, stream: Presentations, weights: Weights, learn: bool = False, drawn: Drawn = NOTHING
    ) -> Stretch:
        """Show a stream without learning to a network with these weights, each sample from rest."""
        machine = _machine(self.worlds, [weights], self.scales, self.seeds[:1])
        parts = []
        for first in range(0, len(stream), AT_ONCE):
            parts.append(machine.infer(stream.inputs[first : first + AT_ONCE]))
        layers = [_inferred(machine, [part[n] for part in parts], n) for n in range(len(parts[0]))]
        record = Record(np.zeros((len(stream), machine.program.input.units)), layers)
        return Stretch(record, weights, _state(record))

    def arrays(self) -> dict[str, Any]:
        """Return what a killed run goes on from."""
        return self.machine.arrays()

    def restore(self, arrays: Mapping[str, Any]) -> None:
        self.machine.restore(arrays)


def _machine(worlds: Worlds, weights: Sequence[Weights], scales: Scales, seeds: Sequence[int]) -> Machine:
    wanted = worlds.settings.on_chip
    chip = load_chip(wanted.chip)
    programs = [fixed_program(worlds.populations, one, chip, scales) for one in weights]
    if wanted.rounding == "synapse":
        return Machine(programs, "corrected", seeds)
    return Machine(programs)


def _record(machine: Machine, seen: Sequence[Seen], network: int) -> Record:
    layers = []
    for number, layer in enumerate(machine.program.layers):
        now = [each.layers[number] for each in seen]
        gammas, totals = (
            {
                gate: np.array([getattr(each, part)[number][gate][network] for each in seen], np.float64)
                for gate in layer.modulators
            }
            for part in ("gamma", "total")
        )
        layers.append(
            LayerRecord(
                np.array([each.count[network] for each in now], dtype=np.float64),
                np.array([each.charge[network] for each in now]) / layer.soma.threshold,
                *(array for gate in layer.modulators for array in (gammas[gate], totals[gate])),
            )
        )
    return Record(np.array([each.input_count[network] for each in seen], dtype=np.float64), layers)


def _inferred(machine: Machine, parts: Sequence[LayerNow], number: int) -> LayerRecord:
    count = np.concatenate([part.count for part in parts]).astype(np.float64)
    charge = np.concatenate([part.charge for part in parts]) / machine.program.layers[number].soma.threshold
    silence = np.zeros(len(count))
    return LayerRecord(count, charge, silence, np.zeros((len(count), 2)))


def _state(record: Record) -> State:
    """Return the counts of the last presentation as a state; the integers are in `ChipSimulator.arrays`."""
    layers = [
        LayerState(layer.count[-1], layer.charge[-1] - layer.count[-1] + 0.5, np.zeros_like(layer.count[-1]))
        for layer in record.layers
    ]
    return State(record.input_count[-1], layers)

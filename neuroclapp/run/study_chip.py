"""A condition's network on a chip: the integer simulator in the place of the engine, its scales fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.watching import Watch
from ..files import read_json, write_json
from ..onchip.chip import load_chip
from ..onchip.fixed.fit import Ranges, fitted, ranges
from ..onchip.fixed.machine import LayerNow, Machine, Seen
from ..onchip.fixed.scaling import Scales, fixed_program
from ..presentations import Presentations, generator
from ..rate.online import train_online
from ..spiking.drawn import NOTHING, Drawn
from ..spiking.engine import Simulation
from ..spiking.state import LayerRecord, LayerState, Record, State, Stretch
from ..weights import Weights
from .study_worlds import Worlds

#: Presentations at the end of a float run that show how wide updates are, and on which tags are tried.
TRIED = 2000
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
        rates = self.machine.rates()
        return [Weights({name: array[n] for name, array in rates.items()}) for n in range(len(self.seeds))]

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
                watch(self.machine.rates())
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


def scales_of(worlds: Worlds, path: Path) -> Scales:
    """Return the scales of a condition, chosen on float runs with seeds of their own and kept at ``path``.

    The runs' ranges say where the bits go; of tags half as fine, as fine and twice as fine, each matrix then
    takes the one whose changes follow the rate rule best over `TRIED` presentations that go on from a float
    run.
    """
    wanted = worlds.settings.on_chip
    if path.is_file():
        kept = read_json(path)
        scales = fitted(worlds.populations, Ranges(**kept["ranges"]), wanted.scheme, wanted.words)
        return _with_carries(scales, kept["carry"])
    runs = []
    for seed in wanted.fit_seeds:
        stream, learning = worlds.stream(seed), worlds.settings.learning
        initial, length = worlds.initial(seed), len(stream)
        trained = train_online(worlds.network, initial, stream, learning.eta, learning.eta_pred, every=length)
        runs.append((trained.weights, stream[-TRIED:]))
    wide = ranges(worlds.populations, runs)
    scales = fitted(worlds.populations, wide, wanted.scheme, wanted.words)
    tried: dict[str, dict[int, float]] = {}
    if wanted.scheme.accumulate == "carry":
        for factor in (0.5, 1.0, 2.0):
            carries = {name: int(one.carry * factor) for name, one in scales.matrices.items()}
            if all(2 <= carry <= 2 ** (wanted.tag - 1) for carry in carries.values()):
                for name, cosine in _tried(worlds, _with_carries(scales, carries), runs[0]).items():
                    tried.setdefault(name, {})[carries[name]] = cosine
    chosen = {name: max(cosines, key=lambda carry: cosines[carry]) for name, cosines in tried.items()}
    chosen |= wanted.carry
    kept = {"seeds": list(wanted.fit_seeds), "ranges": vars(wide), "tried": tried, "carry": chosen}
    write_json(path, {**kept, "scales": {name: vars(one) for name, one in scales.matrices.items()}})
    return _with_carries(scales, chosen)


def _with_carries(scales: Scales, carries: Mapping[str, int]) -> Scales:
    matrices = {
        name: replace(one, carry=carries.get(name, one.carry)) for name, one in scales.matrices.items()
    }
    return replace(scales, matrices=matrices)


def _tried(worlds: Worlds, scales: Scales, run: tuple[Weights, Presentations]) -> dict[str, float]:
    """Return by matrix how well a chip's changes follow the rate rule, from a float run's weights on."""
    weights, stream = run
    chip = ChipSimulator.begin(worlds, worlds.settings.seeds[:1], [weights], scales)
    watch = Watch(worlds.populations, chip.weights)
    watch.begin([stream])
    (stretch,) = chip.run_many([Simulation(stream, weights)], watch)
    watch.end([stretch.record], [generator(0, "shuffle")])
    found = watch.summary(0)["accumulated_cosine"]
    names = [layer.name for layer in worlds.network.layers]
    return {f"{name}.{target}": values[n] for target, values in found.items() for n, name in enumerate(names)}


def _machine(worlds: Worlds, weights: Sequence[Weights], scales: Scales, seeds: Sequence[int]) -> Machine:
    wanted = worlds.settings.on_chip
    chip = load_chip(wanted.chip)
    programs = [fixed_program(worlds.populations, one, chip, scales) for one in weights]
    own = generator(seeds[0], "rounding") if wanted.rounding == "synapse" else None
    mode: Any = "corrected" if wanted.rounding == "synapse" else "lava"
    return Machine(programs, scales.words, mode, own)


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

"""Exported files -> real Lava processes, connected and ready to run or to be taken into another graph.

`neuroclapp.onchip.lava.shim.import_lava` must have been called before this module is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.magma.core.learning.learning_rule import Loihi3FLearningRule
from lava.proc.dense.process import Dense
from lava.utils.weightutils import SignMode
from numpy.typing import NDArray

from .. import nir
from ..clock import Clock
from ..exported import read_layers
from ..integer import quantised
from ..program import Connection, LayerProgram, ModulatorProgram, checked_sign
from .processes.inputs import InputPopulation
from .processes.learning_somata import LearningSomata
from .processes.modulator import ModulatorPopulation, ReleaseSite
from .processes.plastic import PlasticDense
from .processes.recorder import Recorder
from .processes.somata import Somata

Array = NDArray[np.float64]

#: Any positive value makes a Dense take payloads instead of single spikes.
_PAYLOAD_BITS = 24
#: A decay constant [steps] so long that exp(-1 / tau) is exactly 1; Lava's 0 gives NaN, its own 65535 decays.
_NO_DECAY = 2.0**80


@dataclass(frozen=True)
class InferenceGraph:
    """A network that does not learn: ``layers[k].s_out`` carries the packets of layer k.

    The input's packets of step s reach layer 1 in step s + 1 and layer 2 in step s + 2 of a presentation.
    """

    clock: Clock
    input: InputPopulation
    connections: tuple[Dense, ...]
    layers: tuple[Somata, ...]


@dataclass(frozen=True)
class LearningLayer:
    """A layer that learns; ``plastic`` holds its connections by target.

    ``source`` is the presynaptic population of W_ff: the layer below, or the input. Where gates are separate,
    ``modulator_retro`` and ``site_retro`` release the second one.
    """

    source: InputPopulation | Somata | LearningSomata
    somata: LearningSomata
    plastic: dict[str, PlasticDense]
    modulator: ModulatorPopulation
    site: ReleaseSite
    modulator_retro: ModulatorPopulation | None = None
    site_retro: ReleaseSite | None = None


@dataclass(frozen=True)
class LearningGraph:
    """A network up to its topmost layer that learns; ``layers`` holds those that learn, by name.

    ``populations`` are all layers, lowest first. Each sends its packets to the next one in the step in which
    it fires, whether or not its own weights are about to change.
    """

    clock: Clock
    input: InputPopulation
    populations: tuple[Somata | LearningSomata, ...]
    layers: dict[str, LearningLayer]


def inference(folder: Path, inputs: Array) -> InferenceGraph:
    """Build the whole network of ``folder`` for ``inputs`` (samples, inputs), one presentation each."""
    network = nir.read(folder)
    source = _input(network, inputs, network.clock)
    connections, layers = [], []
    below: Any = source
    for layer in network.layers:
        dense, below = _resting(layer, below, network.clock)
        connections.append(dense)
        layers.append(below)
    return InferenceGraph(network.clock, source, tuple(connections), tuple(layers))


def fixed_inference(folder: Path, inputs: Array, weight_bits: int = 8) -> InferenceGraph:
    """Build the network of ``folder`` in integers, to be run with the tag "fixed_pt".

    Lava's own ``Dense`` holds weights of ``weight_bits`` bits; see `neuroclapp.onchip.integer`.
    """
    network = nir.read(folder)
    made = quantised(network, weight_bits)
    charge = made.charge(network.charge(inputs))
    source = InputPopulation(charge, made.input.neurons, made.clock, name=made.input.name)
    connections, layers = [], []
    below: Any = source
    for layer in made.layers:
        name = layer.soma.name
        dense = Dense(
            weights=layer.weights,
            num_weight_bits=weight_bits,
            sign_mode=SignMode.MIXED,
            num_message_bits=_PAYLOAD_BITS,
            name=f"{name}_w_ff",
        )
        somata = Somata(layer.bias, layer.soma.neurons, made.clock, layer.threshold, name=name)
        below.s_out.connect(dense.s_in)
        dense.a_out.connect(somata.a_in)
        connections.append(dense)
        layers.append(somata)
        below = somata
    return InferenceGraph(made.clock, source, tuple(connections), tuple(layers))


def learning(
    folder: Path,
    inputs: Array,
    sign: NDArray[np.int8],
    records: Path,
    layers: Sequence[str] | None = None,
) -> LearningGraph:
    """Build the network of ``folder``, in which ``layers`` learn at once, by default all of them.

    The other layers keep their weights; what lies above the topmost that learns is left out. ``inputs``
    (presentations, inputs), ``sign`` (presentations,). What presentations leave goes to files in the folder
    ``records``: see `learned_files`.
    """
    network, program, indices = read_layers(folder, layers)
    stream = _Stream(checked_sign(sign, len(inputs)), program.clock, records)
    source = _input(network, inputs, program.clock)
    populations: list[Somata | LearningSomata] = []
    made: dict[str, LearningLayer] = {}
    below: Any = source
    for index, layer in enumerate(network.layers[: max(indices) + 1]):
        if index in indices:
            made[layer.soma.name] = one = _learning(layer, program.layers[index], below, stream)
            below = one.somata
        else:
            _, below = _resting(layer, below, program.clock)
        populations.append(below)
    return LearningGraph(program.clock, source, tuple(populations), made)


def learned_files(records: Path, layer: str, targets: Iterable[str]) -> dict[str, Path]:
    """Return the files that a layer leaves at the end: its somata's, its sites', and one for each matrix."""
    names = {"somata": "npz", "site": "npy", "site_retro": "npy", **dict.fromkeys(targets, "npy")}
    return {name: records / f"{layer}_{name}.{ending}" for name, ending in names.items()}


def record(graph: InferenceGraph, presentations: int, folder: Path) -> list[Path]:
    """Connect a recorder to every layer; its file holds (presentations * steps, units) in the end."""
    steps = presentations * graph.clock.period
    return [record_one(one, steps, folder / f"packets{n}.npy") for n, one in enumerate(graph.layers)]


def record_one(population: Any, steps: int, path: Path) -> Path:
    """Connect a recorder to the packets of one population; after ``steps`` steps its file is ``path``."""
    recorder = Recorder(population.s_out.shape[0], steps, path)
    population.s_out.connect(recorder.a_in)
    return path


def learning_rule(connection: Connection, clock: Clock) -> Loihi3FLearningRule:
    """Return Lava's learning rule of an exported connection: no trace decays, x1 is overwritten by spikes."""
    rule = Loihi3FLearningRule(
        dw=connection.series.text, x1_tau=_NO_DECAY, x2_tau=_NO_DECAY, t_epoch=clock.epoch, rng_seed=1
    )
    rule.y1_tau = rule.y2_tau = rule.y3_tau = _NO_DECAY
    return rule


@dataclass(frozen=True)
class _Stream:
    """What all layers that learn share: signs (presentations,), clock, and the folder of the records."""

    sign: NDArray[np.int8]
    clock: Clock
    records: Path


def _input(network: nir.Inference, inputs: Array, clock: Clock) -> InputPopulation:
    return InputPopulation(network.charge(inputs), network.input.neurons, clock, name=network.input.name)


def _resting(layer: nir.Feedforward, below: Any, clock: Clock) -> tuple[Dense, Somata]:
    """Make a layer that does not learn, fed by the population below."""
    name, units = layer.soma.name, layer.soma.units
    dense = Dense(weights=layer.weights, num_message_bits=_PAYLOAD_BITS, name=f"{name}_w_ff")
    bias = np.zeros(units) if layer.bias is None else layer.bias
    somata = Somata(bias, layer.soma.neurons, clock, name=name)
    below.s_out.connect(dense.s_in)
    dense.a_out.connect(somata.a_in)
    return dense, somata


def _learning(layer: nir.Feedforward, part: LayerProgram, below: Any, stream: _Stream) -> LearningLayer:
    """Make a layer that learns, fed by the population below: somata, plastic connections, modulator."""
    name, units = layer.soma.name, layer.soma.units
    matrices = {one.target: one for one in part.connections if one.target != "bias"}
    files = learned_files(stream.records, name, matrices)
    somata = LearningSomata(
        np.zeros(units) if layer.bias is None else layer.bias,
        layer.soma.neurons,
        layer.soma.quantum,
        stream.clock,
        tuple(one.series for one in part.connections),
        len(stream.sign),
        files["somata"],
        name=name,
    )
    dendrites = {"w_ff": somata.a_in, "w_pred": somata.apical_in, "w_retro": somata.retro_in}
    plastic: dict[str, PlasticDense] = {}
    for target, one in matrices.items():
        plastic[target] = dense = _plastic(one, layer.weights, stream, files[target])
        (below if target == "w_ff" else somata).s_out.connect(dense.s_in)
        dense.a_out.connect(dendrites[target])
        for fold in one.series.folds:
            getattr(somata, f"{target}_{fold.trace}").connect(getattr(dense, f"s_in_{fold.trace}"))
    made: list[Any] = []
    for gate, given in part.modulators.items():
        second = gate.removeprefix("gamma")
        modulator, site = _modulator(part, given, second, stream, files[f"site{second}"])
        listens = Dense(weights=given.listens, num_message_bits=_PAYLOAD_BITS, name=f"{name}_listens{second}")
        getattr(somata, f"coincidence{second}_out").connect(listens.s_in)
        listens.a_out.connect(modulator.a_in)
        modulator.s_out.connect(site.a_in)
        site.gamma_out.connect(getattr(somata, f"{gate}_in"))
        made += [modulator, site]
    return LearningLayer(below, somata, plastic, *made)


def _plastic(one: Connection, w_ff: Array, stream: _Stream, record: Path) -> PlasticDense:
    return PlasticDense(
        weights=np.array(w_ff if one.weights is None else one.weights),
        num_message_bits=_PAYLOAD_BITS,
        learning_rule=learning_rule(one, stream.clock),
        graded_spike_cfg=GradedSpikeCfg.OVERWRITE,
        steps=len(stream.sign) * stream.clock.period,
        record=record,
        name=record.stem,
    )


def _modulator(
    part: LayerProgram, given: ModulatorProgram, second: str, stream: _Stream, record: Path
) -> tuple[ModulatorPopulation, ReleaseSite]:
    name = f"{part.soma.name}_modulator{second}"
    population = ModulatorPopulation(
        given.units, given.tonic, given.resolution, given.burst, stream.clock, name=name
    )
    site = ReleaseSite(
        given.units, given.tonic, stream.sign, part.soma.units, stream.clock, record, name=record.stem
    )
    return population, site

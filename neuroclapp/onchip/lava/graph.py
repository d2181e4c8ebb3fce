"""Exported files -> real Lava processes, connected and ready to run or to be taken into another graph.

`neuroclapp.onchip.lava.shim.import_lava` must have been called before this module is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.magma.core.learning.learning_rule import Loihi3FLearningRule
from lava.proc.dense.process import Dense, LearningDense
from numpy.typing import NDArray

from .. import nir
from ..clock import Clock
from ..exported import read_layer
from ..program import Connection, LayerProgram, checked_sign
from .processes.inputs import InputPopulation
from .processes.learning_somata import LearningSomata
from .processes.modulator import ModulatorPopulation, ReleaseSite
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
class LearningGraph:
    """One layer that learns, above layers that do not; ``plastic`` holds its LearningDense by target.

    ``source`` is the presynaptic population of W_ff: the topmost layer of ``below``, or its input.
    """

    clock: Clock
    below: InferenceGraph
    source: InputPopulation | Somata
    somata: LearningSomata
    plastic: dict[str, LearningDense]
    modulator: ModulatorPopulation
    site: ReleaseSite


def inference(folder: Path, inputs: Array) -> InferenceGraph:
    """Build the whole network of ``folder`` for ``inputs`` (samples, inputs), one presentation each."""
    network = nir.read(folder)
    return _stack(network, len(network.layers), inputs, network.clock)


def learning(folder: Path, layer: str, inputs: Array, sign: NDArray[np.int8], records: Path) -> LearningGraph:
    """Build the network of ``folder`` up to ``layer``, which learns; the layers below keep their weights.

    ``inputs`` (presentations, inputs), ``sign`` (presentations,). What the layer's presentations leave goes
    to files in the folder ``records``.
    """
    network, program, index = read_layer(folder, layer)
    own, part, clock = network.layers[index], program.layers[index], program.clock
    below = _stack(network, index, inputs, clock)
    source = below.layers[-1] if below.layers else below.input
    sign = checked_sign(sign, len(inputs))
    units, series = own.soma.units, tuple(one.series for one in part.connections)
    somata = LearningSomata(
        np.zeros(units) if own.bias is None else own.bias,
        own.soma.neurons,
        own.soma.quantum,
        clock,
        series,
        len(inputs),
        records / "somata.npz",
        name=layer,
    )
    plastic: dict[str, LearningDense] = {}
    for one in part.connections:
        if one.target == "bias":
            continue
        plastic[one.target] = dense = _learning_dense(one, own.weights, clock, f"{layer}_{one.target}")
        (source if one.target == "w_ff" else somata).s_out.connect(dense.s_in)
        dense.a_out.connect(
            {"w_ff": somata.a_in, "w_pred": somata.apical_in, "w_retro": somata.retro_in}[one.target]
        )
        for fold in one.series.folds:
            getattr(somata, f"{one.target}_{fold.trace}").connect(getattr(dense, f"s_in_{fold.trace}"))
    modulator, site = _modulator(part, sign, clock, records)
    listens = Dense(weights=part.modulator.listens, num_message_bits=_PAYLOAD_BITS, name=f"{layer}_listens")
    somata.coincidence_out.connect(listens.s_in)
    listens.a_out.connect(modulator.a_in)
    modulator.s_out.connect(site.a_in)
    site.gamma_out.connect(somata.gamma_in)
    return LearningGraph(clock, below, source, somata, plastic, modulator, site)


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


def _stack(network: nir.Inference, depth: int, inputs: Array, clock: Clock) -> InferenceGraph:
    source = InputPopulation(network.charge(inputs), network.input.neurons, clock, name=network.input.name)
    connections, layers = [], []
    below: Any = source
    for layer in network.layers[:depth]:
        name, units = layer.soma.name, layer.soma.units
        dense = Dense(weights=layer.weights, num_message_bits=_PAYLOAD_BITS, name=f"{name}_w_ff")
        bias = np.zeros(units) if layer.bias is None else layer.bias
        somata = Somata(bias, layer.soma.neurons, clock, name=name)
        below.s_out.connect(dense.s_in)
        dense.a_out.connect(somata.a_in)
        connections.append(dense)
        layers.append(somata)
        below = somata
    return InferenceGraph(clock, source, tuple(connections), tuple(layers))


def _learning_dense(one: Connection, w_ff: Array, clock: Clock, name: str) -> LearningDense:
    return LearningDense(
        weights=np.array(w_ff if one.weights is None else one.weights),
        num_message_bits=_PAYLOAD_BITS,
        learning_rule=learning_rule(one, clock),
        graded_spike_cfg=GradedSpikeCfg.OVERWRITE,
        name=name,
    )


def _modulator(
    part: LayerProgram, sign: NDArray[np.int8], clock: Clock, records: Path
) -> tuple[ModulatorPopulation, ReleaseSite]:
    given, name = part.modulator, part.soma.name
    population = ModulatorPopulation(
        given.units, given.tonic, given.resolution, given.burst, clock, name=f"{name}_modulator"
    )
    site = ReleaseSite(
        given.units, given.tonic, sign, part.soma.units, clock, records / "site.npy", name=f"{name}_site"
    )
    return population, site

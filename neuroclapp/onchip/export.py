"""Populations and weights -> `network.nir` and `plasticity.json`, which together are all that Lava needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..plasticity import Target
from ..spiking.populations import LayerPopulations, Population, Populations
from ..weights import Weights
from . import demand, nir, rulefile
from .chip import Chip
from .clock import Clock
from .products import render, rules
from .program import Connection, LayerProgram, ModulatorProgram, Program, Units

#: Steps of a learning epoch: a weight changes at most once in it.
EPOCH = 8


def export(populations: Populations, weights: Weights, chip: Chip, folder: Path) -> None:
    """Write ``folder/network.nir`` and ``folder/plasticity.json``.

    Raises InputError where the network does not fit the chip; then nothing is written.
    """
    check(populations)
    learning, inference = program(populations, weights, chip), network(populations, weights)
    demand.check(learning, chip)
    nir.write(inference, folder)
    rulefile.write(learning, folder)


def check(populations: Populations) -> None:
    """Raise InputError where a chip's program has no such neuron, code, dendrite, axon, modulator or grid."""
    only = {"neuron": "integrate_and_fire", "code": "regular", "dendrite": "plateau"}
    for key, kind in only.items():
        found = getattr(populations, key).kind
        if found != kind:
            raise InputError("export", f"spiking.{key}.kind", found, f"what is exported has {kind!r}")
    for key, axon in (("input_axon", populations.input_axon), ("axon", populations.axon)):
        for name in ("loss", "jitter"):
            if value := getattr(axon, name):
                raise InputError(
                    "export", f"spiking.{key}.{name}", value, "what is exported has reliable axons"
                )
    for layer in populations.layers:
        for name in ("noise", "common_noise", "failure"):
            if value := getattr(layer.modulator, name):
                allowed = "what is exported has reliable modulators"
                raise InputError("export", f"spiking.modulator.{name}", value, allowed)
    if populations.plasticity.context != "own":
        found, allowed = populations.plasticity.context, "what is exported predicts from 'own' activity"
        raise InputError("export", "prediction.context", found, allowed)
    if populations.grid is not None:
        raise InputError(
            "export", "spiking.grid", populations.grid, "what is exported has no grid: leave it out"
        )


def network(populations: Populations, weights: Weights) -> nir.Inference:
    """Return the inference half, its weights in thresholds per spike."""
    timing = populations.timing
    layers = []
    below = populations.input
    for layer in populations.layers:
        w_ff = _array(weights, f"{layer.name}.w_ff", (layer.soma.units, below.units))
        bias = None
        if layer.bias:
            bias = _array(weights, f"{layer.name}.bias", (layer.soma.units,)) / (
                layer.soma.quantum * timing.steps_on
            )
        layers.append(nir.Feedforward(_units(layer.soma), w_ff * (below.quantum / layer.soma.quantum), bias))
        below = layer.soma
    return nir.Inference(
        Clock(timing.dt, timing.steps, timing.steps_on), _units(populations.input), tuple(layers)
    )


def program(populations: Populations, weights: Weights, chip: Chip) -> Program:
    """Return the learning half: every rule of every layer in the chip's units."""
    timing = populations.timing
    layers = []
    below = populations.input
    for layer in populations.layers:
        layers.append(_layer(layer, below, populations, weights))
        below = layer.soma
    return Program(
        chip.name,
        populations.plasticity.prediction,
        Clock(timing.dt, timing.steps, timing.steps_on, EPOCH),
        _units(populations.input),
        tuple(layers),
    )


def _layer(
    layer: LayerPopulations, below: Population, populations: Populations, weights: Weights
) -> LayerProgram:
    own = layer.soma
    scales: dict[Target, float] = {
        "w_ff": below.quantum / own.quantum,
        "bias": _bias_scale(layer, populations),
        "w_pred": own.quantum,
        "w_retro": own.quantum,
    }
    presynaptic: dict[Target, float] = {
        "w_ff": below.quantum,
        "bias": 1.0,
        "w_pred": own.quantum,
        "w_retro": own.quantum,
    }
    connections = []
    for rule in rules(populations.plasticity):
        target = rule.target
        if target == "bias" and not layer.bias:
            continue
        eta = layer.eta if target in ("w_ff", "bias") else layer.eta_pred
        initial = None
        if target in ("w_pred", "w_retro"):
            initial = _square(layer, target, weights) * scales[target]
        series = render(rule, eta * scales[target] * presynaptic[target])
        connections.append(Connection(series, scales[target], eta, initial))
    m = layer.modulator
    modulators = [
        ModulatorProgram(
            m.units, float(m.tonic), m.resolution, float(m.burst), layer.listens[layer.rows(gate)]
        )
        for gate in layer.gates
    ]
    return LayerProgram(_units(own), below.name, tuple(connections), *modulators)


def _square(layer: LayerPopulations, target: Target, weights: Weights) -> np.ndarray:
    """Return W_pred or W_retro in rate units; symmetric feedback has no W_retro of its own."""
    shape = (layer.soma.units, layer.soma.units)
    name = f"{layer.name}.{target}"
    if target == "w_retro" and name not in weights:
        return _array(weights, f"{layer.name}.w_pred", shape).T
    return _array(weights, name, shape)


def _bias_scale(layer: LayerPopulations, populations: Populations) -> float:
    return 1 / (layer.soma.quantum * populations.timing.steps_on)


def _units(population: Population) -> Units:
    return Units(population.name, population.units, population.neurons, population.quantum)


def _array(weights: Weights, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in weights:
        raise InputError("weights", name, None, f"this array of shape {shape} is missing")
    if weights[name].shape != shape:
        raise InputError("weights", name, weights[name].shape, f"its shape must be {shape}")
    return weights[name]

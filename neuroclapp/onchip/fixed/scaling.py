"""Populations and weights in rate units -> a fixed-point program, with scales that are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...plasticity import Factor, Gate, Rule, Target
from ...plasticity import Product as RateProduct
from ...spiking.populations import LayerPopulations, Population, Populations, Timing
from ...weights import Weights
from .. import export
from ..chip import Chip
from ..clock import Clock
from ..integer import INPUT_THRESHOLD
from ..interpreter import Words
from ..products import rules as rate_rules
from .program import (
    FRACTION,
    FixedAxon,
    FixedConnection,
    FixedFold,
    FixedLayer,
    FixedModulator,
    FixedProgram,
    FixedUnits,
    Integers,
)
from .scales import Scales
from .schemes import Scheme, low_rule, per_product, rules, stride

Array = NDArray[np.float64]

#: Bits of a fold's multiplier: learning rates are at most 0.4 % off.
MULTIPLIER_BITS = 8
#: What brings a gate's score: the dendrite of W_pred, and that of W_retro.
_HEARD: dict[Gate, Target] = {"gamma": "w_pred", "gamma_retro": "w_retro"}
#: Bits of what a modulator unit hears, with sign (a membrane's), and the largest score that they must hold.
EVIDENCE_BITS, LARGEST_SCORE = 24, 16.0


def fixed_program(populations: Populations, weights: Weights, chip: Chip, scales: Scales) -> FixedProgram:
    """Return the program of a network that starts from ``weights``.

    Raises InputError where it does not fit.
    """
    export.check(populations)
    timing = populations.timing
    if scales.scheme.synapses > 1 or scales.scheme.low:
        for layer in populations.layers:
            if layer.bias:
                allowed = "a bias has one synapse: synapses = 1, low = false"
                raise InputError("fixed point", f"layers.{layer.name}.bias", True, allowed)
    below = _units(populations.input, INPUT_THRESHOLD, scales)
    program_input, layers = below, []
    for layer in populations.layers:
        one = _layer(layer, below, populations, weights, scales)
        layers.append(one)
        below = one.soma
    clock = Clock(timing.dt, timing.steps, timing.steps_on, export.EPOCH)
    return FixedProgram(chip.name, clock, program_input, tuple(layers), scales.words)


def _layer(
    layer: LayerPopulations, below: FixedUnits, populations: Populations, weights: Weights, scales: Scales
) -> FixedLayer:
    name, own = layer.name, layer.soma
    step = 2.0 ** -scales.finest(f"{name}.w_ff")
    threshold = round(own.quantum / (below.quantum * step))
    if threshold < 2:
        raise InputError(
            "fixed point", f"{name}.threshold", threshold, "a weight step exceeds half a threshold"
        )
    soma = _units(own, threshold, scales)
    connections = []
    axon = always_on(scales, name, below.quantum, below.replay, populations.timing) if layer.bias else None
    for rule in rate_rules(populations.plasticity):
        if rule.target != "bias":
            connections += _connections(rule, layer, soma, below, weights, scales)
        elif axon is not None:
            connections.append(_bias(connections[0], axon, name, weights, scales))
    first, *second = (
        _modulator(layer, gate, scales.finest(f"{name}.{_HEARD[gate]}")) for gate in layer.gates
    )
    return FixedLayer(soma, tuple(connections), first, axon, *second)


def _connections(
    rule: Rule, layer: LayerPopulations, soma: FixedUnits, below: FixedUnits, weights: Weights, scales: Scales
) -> list[FixedConnection]:
    """Return the synapses side by side of one matrix; most often there is one for each pair of neurons."""
    name = f"{layer.name}.{rule.target}"
    scale, scheme, words = scales.matrices[name], scales.scheme, scales.words
    eta = layer.eta if rule.target == "w_ff" else layer.eta_pred
    source = below if rule.target == "w_ff" else soma
    step = 2.0**-scale.exponent
    unit = step if scheme.accumulate == "weight" else step / scale.carry
    gain = source.quantum * 2.0**source.replay / (unit * per_product(scheme, scale.product, words))
    folds = tuple(_fold(product, eta * gain, layer, soma, scales) for product in rule.products)
    dw, dt = rules(scheme, scale.product, scale.carry, words)
    array, every = _array(weights, name), scheme.every if scheme.accumulate == "batch" else 0
    found = []
    for part in range(scheme.synapses):
        # Shares have a k-th of the weight; their steps, a k-th as wide, begin in turn.
        share = array / scheme.synapses + (part - (scheme.synapses - 1) / 2) * step / scheme.synapses**2
        start, tags = _start(share, step / scheme.synapses, scale.carry, scheme, words)
        exponent = scale.exponent + scheme.synapses.bit_length() - 1
        one = FixedConnection(rule.target, exponent, scale.carry, dw, dt, folds, start, tags, every, part)
        found.append(one)
    if scheme.low:
        (one,) = found
        exponent = scales.finest(name)
        low, none = low_rule(dt), np.zeros_like(one.tags)
        found.append(replace(one, exponent=exponent, dw=low, dt=(), weights=one.tags, tags=none, part=1))
    return found


def always_on(scales: Scales, layer: str, quantum: float, replay: int, timing: Timing) -> FixedAxon:
    """Return the axon of a layer's bias, for a population below with this quantum and replay.

    The neuron shows one y1 for ``w_ff`` and bias, so that the bias learns at its rate where

        x1 = (tag steps of the bias / those of w_ff) / (activity quantum 2^replay),

    with activity = payload steps_on quantum. Of payloads that give from 1 to 2 times the activity that the
    bias's own exponent asks for, the one is taken with which x1 is nearest to an integer. Raises InputError
    where x1 would be less than 1.
    """
    w_ff, bias = scales.matrices[f"{layer}.w_ff"], scales.matrices[f"{layer}.bias"]
    packet, most = timing.steps_on * quantum, 2**scales.words.trace - 1
    wanted = bias.carry / w_ff.carry / (packet * quantum * 2.0**replay)  # x1 times payload
    if wanted < 1:
        allowed = "at least 1, to learn as w_ff does; take a larger carry for the bias"
        raise InputError("fixed point", f"{layer}.bias, x1", round(wanted, 3), allowed)
    # The bias arrives in steps of w_ff's weights; how wide it is, the payload decides.
    first = round(2.0 ** (w_ff.exponent - bias.exponent) / packet)
    first = max(int(np.ceil(wanted / most)), min(first, int(wanted)), 1)
    payloads = range(first, min(2 * first, max(first, int(wanted))) + 1)
    payload = min(payloads, key=lambda n: abs(np.log(wanted / n / max(1, round(wanted / n)))))
    return FixedAxon(payload, max(1, round(wanted / payload)), payload * packet)


def _bias(
    w_ff: FixedConnection, axon: FixedAxon, layer: str, weights: Weights, scales: Scales
) -> FixedConnection:
    """Return the bias: a synapse of the axon that is always on, under the rule of ``w_ff``."""
    name = f"{layer}.bias"
    scale, scheme, words = scales.matrices[name], scales.scheme, scales.words
    dw, dt = rules(scheme, scales.matrices[f"{layer}.w_ff"].product, scale.carry, words)
    step = w_ff.step * axon.activity
    start, tags = _start(_array(weights, name)[:, None], step, scale.carry, scheme, words)
    return replace(w_ff, target="bias", carry=scale.carry, dw=dw, dt=dt, weights=start, tags=tags)


def _array(weights: Weights, name: str) -> Array:
    if name not in weights and name.endswith(".w_retro"):  # symmetric: the transpose of W_pred
        return weights[name.replace("w_retro", "w_pred")].T
    if name not in weights:
        raise InputError("weights", name, None, "this array is missing")
    return weights[name]


def _start(
    weights: Array, step: float, carry: int, scheme: Scheme, words: Words
) -> tuple[Integers, Integers]:
    """Return weights and tags to start from.

    Lava's weights of mixed sign start even, since eight bits hold the sign, too; learned ones may be odd. So
    weights that are whole steps stay as they are, and others become even.
    """
    low, high = words.range("w")
    steps = weights / step
    whole = bool(np.all(steps == np.round(steps)))
    rounded = np.round(steps) if whole else 2 * np.floor(steps / 2 + 0.5)
    start = np.clip(rounded, low, high if whole else high - 1).astype(np.int64)
    tags = np.zeros_like(start)
    if scheme.remainder and scheme.accumulate != "weight":
        least, most = words.range("t")
        rest = np.floor((weights - start * step) / (step / carry) + 0.5)
        tags = np.clip(rest, least, most).astype(np.int64)
    if scheme.accumulate == "carry":
        tags = 2 * (tags // 2) + (not scheme.low)
    return start, tags


def _fold(
    product: RateProduct, gain: float, layer: LayerPopulations, soma: FixedUnits, scales: Scales
) -> FixedFold:
    """Return the fold of a product.

    Its integers times ``multiplier / 2^shift`` are y, in steps of the stride.
    """
    unit = 1.0
    for factor in product.post:
        unit *= _unit(factor, layer, soma, scales)
    multiple = stride(scales.scheme, scales.words)
    multiplier, shift = ratio(product.coefficient * gain * unit / multiple)
    return FixedFold(
        window=product.pre[0].time,
        post=product.post,
        multiplier=multiplier,
        shift=shift,
        stride=multiple,
        most=(2 ** (scales.words.trace - 1) - 1) // multiple,
        keeps=scales.scheme.keeps,
        gate=product.gate,
    )


def _unit(factor: Factor, layer: LayerPopulations, soma: FixedUnits, scales: Scales) -> float:
    """Return what one step of a neuron's integer is worth in rate units."""
    matrix = {"d": "w_pred", "r": "w_retro"}.get(factor.symbol)
    if matrix:
        return soma.quantum * 2.0 ** -scales.finest(f"{layer.name}.{matrix}")
    return soma.quantum if factor.symbol == "z" else 1.0


def ratio(value: float) -> tuple[int, int]:
    """Write a positive number as ``multiplier / 2^shift``, the multiplier of eight bits and shift >= 0."""
    shift = MULTIPLIER_BITS - 1 - int(np.floor(np.log2(value)))
    shift = max(shift, 0)
    return round(value * 2.0**shift), shift


def _units(population: Population, threshold: int, scales: Scales) -> FixedUnits:
    return FixedUnits(
        population.name,
        population.units,
        population.neurons,
        population.quantum,
        threshold,
        scales.replay[population.name],
    )


def _modulator(layer: LayerPopulations, gate: Gate, exponent: int) -> FixedModulator:
    """Return the modulator of a gate, whose dendrite holds steps of ``2^-exponent``."""
    given, quantum = layer.modulator, layer.soma.quantum
    listens_bits = 2
    listens = np.floor(layer.listens[layer.rows(gate)] * 2**listens_bits + 0.5).astype(np.int64)
    unit = quantum**2 * 2.0**-exponent / 2**listens_bits
    coincidence = max(0, int(np.ceil(np.log2(LARGEST_SCORE / unit))) - (EVIDENCE_BITS - 1))
    one = 2**FRACTION
    multiplier, shift = ratio(given.resolution * one * unit * 2**coincidence)
    stagger = ((2 * np.arange(given.units) + 1) * one) // (2 * given.units)
    return FixedModulator(
        listens,
        coincidence,
        np.tile(given.tonic * one + stagger, 2),
        round(given.resolution * one),
        multiplier,
        shift,
        round(given.burst),
        given.units * given.tonic,
    )

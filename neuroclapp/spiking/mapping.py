"""Network -> Populations: how a rate network becomes a spiking one."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass as description

from ..catalog import DESCRIPTION
from ..errors import InputError
from ..network import Network
from ..plasticity import Context, clapp
from .grid import COARSE, is_power_of_two, rate, rounded
from .populations import LayerPopulations, Modulator, Population, Populations, Timing
from .variants import Axon, Code, Dendrite, IntegrateAndFire, Neuron, Plateau, Regular, Unit


@description(frozen=True, config=DESCRIPTION)
class Spiking:
    """How rates become spikes.

    ``neurons`` per unit; ``input_gain`` and ``gain`` (one value per layer): spikes that one neuron fires
    in a presentation for an activity of 1. They set the resolution, ``1 / (neurons * gain)``, and the
    largest activity, ``steps_on / gain``. ``unit``: one packet counts for a unit's neurons, or they are
    simulated one by one. ``grid``: weights are multiples of 2^-grid, for sums that are exact. ``input_axon``
    and ``axon`` (of every layer): how reliable spikes are.
    """

    timing: Timing = field(default_factory=Timing)
    neurons: PositiveInt = 10
    input_gain: PositiveFloat = 10.0
    gain: tuple[PositiveFloat, ...] = (10.0,)
    modulator: Modulator = field(default_factory=Modulator)
    neuron: Neuron = field(default_factory=IntegrateAndFire)
    unit: Unit = "packet"
    code: Code = field(default_factory=Regular)
    dendrite: Dendrite = field(default_factory=Plateau)
    grid: Annotated[int, Field(ge=8, le=24)] | None = None
    input_axon: Axon = field(default_factory=Axon)
    axon: Axon = field(default_factory=Axon)


def populations(
    network: Network,
    spiking: Spiking,
    eta: tuple[float, ...],
    eta_pred: tuple[float, ...],
    generator: np.random.Generator,
    context: Context = "own",
) -> Populations:
    """Map a network of dense layers; ``eta`` and ``eta_pred`` hold one learning rate per layer.

    ``generator`` draws the modulators' wiring, that of second ones last. ``context``: whose activity predicts
    a layer's. Raises InputError where the network or a value does not fit.
    """
    layers = network.scaled_layers
    for layer in layers:
        if layer.kind != "dense":
            raise InputError(
                network.title, f"layers.{layer.name}.kind", layer.kind, "only dense layers map to spikes"
            )
    if any(len(module.layers) > 1 for module in network.split()):
        raise InputError(network.title, "modules", list(network.modules), "spiking layers learn one by one")
    for name, values in (
        ("spiking.gain", spiking.gain),
        ("learning.eta", eta),
        ("learning.eta_pred", eta_pred),
    ):
        if len(values) != len(layers):
            raise InputError(network.title, name, list(values), f"needs one value per layer, {len(layers)}")
    timing, dt = spiking.timing, spiking.timing.dt
    needed = len(layers) + 3 + spiking.input_axon.late(dt) + len(layers) * spiking.axon.late(dt)
    if timing.steps - timing.steps_on < needed:
        raise InputError(
            network.title,
            "spiking.timing.flush",
            f"{timing.flush} s",
            f"{len(layers)} layers need {needed} steps of dt",
        )
    _check_values(network, spiking)
    step, modulator = None, spiking.modulator
    if spiking.grid is not None:
        step = 2.0**-spiking.grid
        eta, eta_pred = tuple(map(rate, eta)), tuple(map(rate, eta_pred))
        coarse = float(rounded(np.array(modulator.resolution), COARSE))
        modulator = replace(modulator, resolution=max(coarse, COARSE))

    somata = [
        Population(layer.name, layer.units, spiking.neurons, 1 / (spiking.neurons * gain))
        for layer, gain in zip(layers, spiking.gain, strict=True)
    ]
    plasticity = clapp(network.prediction, context)
    listens = [[wiring(soma.units, modulator, generator)] for soma in somata]
    for index, (soma, drawn) in enumerate(zip(somata, listens, strict=True)):
        for _ in plasticity.of_layer(index == len(layers) - 1).gates[1:]:
            drawn.append(wiring(soma.units, modulator, generator))
    return Populations(
        timing=timing,
        input=Population(
            "input", int(np.prod(network.input)), spiking.neurons, 1 / (spiking.neurons * spiking.input_gain)
        ),
        layers=tuple(
            LayerPopulations(
                soma.name,
                soma,
                modulator,
                rounded(np.concatenate(drawn) / (1 - modulator.failure), None if step is None else COARSE),
                e,
                p,
                layer.bias,
            )
            for soma, drawn, layer, e, p in zip(somata, listens, layers, eta, eta_pred, strict=True)
        ),
        plasticity=plasticity,
        neuron=spiking.neuron,
        unit=spiking.unit,
        code=spiking.code,
        dendrite=spiking.dendrite,
        grid=step,
        input_axon=spiking.input_axon,
        axon=spiking.axon,
    )


def _check_values(network: Network, spiking: Spiking) -> None:
    """Raise InputError where values that are each allowed do not go together."""
    title, neurons, dt = network.title, spiking.neurons, spiking.timing.dt
    for key, axon in (("input_axon", spiking.input_axon), ("axon", spiking.axon)):
        if abs(axon.jitter - axon.late(dt) * dt) > 1e-6 * dt:
            allowed = f"must be a multiple of dt = {dt} s"
            raise InputError(title, f"spiking.{key}.jitter", f"{axon.jitter} s", allowed)
    if spiking.unit == "packet" and neurons > 1 and not isinstance(spiking.neuron, IntegrateAndFire):
        raise InputError(
            title,
            "spiking.unit",
            "packet",
            f"a packet counts for {neurons} neurons only where they neither leak nor are noisy; write "
            "'neurons', or neurons = 1",
        )
    if spiking.grid is None:
        return
    for key, gains in (("input_gain", (spiking.input_gain,)), ("gain", spiking.gain)):
        for gain in gains:
            if not is_power_of_two(gain * neurons):
                allowed = f"on a grid gain * neurons, {gain * neurons:g}, must be a power of two"
                raise InputError(title, f"spiking.{key}", gain, allowed)
    counts = {"modulator.units": spiking.modulator.units}
    if spiking.unit == "neurons":
        counts["neurons"] = neurons
    for key, count in counts.items():
        if not is_power_of_two(count):
            raise InputError(title, f"spiking.{key}", count, "on a grid it must be a power of two")


def wiring(units: int, modulator: Modulator, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw which somata each modulator unit listens to: (2 * modulator.units, units).

    Every unit listens to ``fan_in`` somata; coverage is as even as it can be, and weights make each
    half's mean estimate equal the score exactly.
    """
    fan_in = min(modulator.fan_in, units)
    if modulator.units * fan_in < units:
        raise InputError(
            "modulator", "fan_in", fan_in, f"{modulator.units} units cannot cover {units} somata"
        )
    halves = []
    for _ in range(2):
        listens = np.zeros((modulator.units, units))
        coverage = np.zeros(units)
        for unit in range(modulator.units):
            least_covered_first = np.lexsort((generator.random(units), coverage))[:fan_in]
            listens[unit, least_covered_first] = 1.0
            coverage[least_covered_first] += 1
        halves.append(listens * modulator.units / coverage)
    return np.concatenate(halves)

"""Convolutions in time as spiking populations, unrolled over what one step of the top layer hears.

One step of the top convolution is one presentation. Below it stand as many positions of each layer as it
hears of it (from the top 1, 4, 10, 22, 92 where kernels are 4, 4, 4, 8 and strides 2, 2, 2, 4), and at the
bottom the samples. Each position has neurons and synapses of its own, as a chip would need them: the kernel
is written out once for each. A sample is an ON and an OFF unit, since a rate cannot be negative; the
synapses from the OFF unit are those from the ON unit with the other sign.

A population is that of `neuroclapp.spiking.populations` without plasticity:

    step 0:                   v = 1/2
    input, s < steps_on:      v += activity / (quantum * steps_on)
    layer n = 1, 2, ...:      v += drive, the charge that arrived in step s - 1,
                              and bias / (quantum * steps_on) while n <= s < n + steps_on
    every step:               packet = clip(floor(v), 0, neurons), 0 where a position lies outside the sound;
                              v -= packet;  count += packet
    basal:                    drive_j += W_ji packet_i quantum_i / quantum_j

A layer's bias is as late as what it hears, by one step for each layer. Charges are multiples of 2^-24, so
that sums are exact in double precision in any order: whatever simulates this counts the same spikes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat
from pydantic.dataclasses import dataclass as description

from ..catalog import DESCRIPTION
from ..errors import InputError
from ..network import Layer
from .populations import Population, Timing

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Charges are multiples of this part of a threshold.
GRID = 2.0**-24
#: Input units of each sample: its positive and its negative half-wave.
ON_OFF = 2


def _timing() -> Timing:
    return Timing(duration=0.1, flush=0.04, dt=0.005)


@description(frozen=True, config=DESCRIPTION)
class Resolution:
    """How finely spikes stand for activity.

    One neuron fires ``spikes`` times in a presentation for the activity below which ``percentile`` [%] of a
    layer's activities lie that are not 0. At most it fires once in a time step.
    """

    timing: Timing = field(default_factory=_timing)
    spikes: PositiveFloat = 16.0
    percentile: PositiveFloat = 99.9

    def __post_init__(self) -> None:
        if self.spikes > self.timing.steps_on:
            raise ValueError(
                f"spikes = {self.spikes} must be at most {self.timing.steps_on}, the time steps with input"
            )
        if self.percentile > 100:
            raise ValueError(f"percentile = {self.percentile} must be at most 100")


@dataclass(frozen=True)
class LayerInTime:
    """A layer's somata, ``positions`` times ``units`` of them, unit by unit within a position.

    ``w`` (units, channels, kernel) is the charge in thresholds that a packet of one spike brings, ``bias``
    (units,) that of each time step with input. Of the lowest layer ``channels`` is 1, the ON unit's.
    """

    soma: Population
    layer: Layer
    positions: int
    w: Array
    bias: Array

    @property
    def units(self) -> int:
        """Units of a position."""
        return len(self.w)


@dataclass(frozen=True)
class Unrolled:
    """A spiking encoder of sound for one step of its top layer; ``input`` has two units for each sample."""

    timing: Timing
    input: Population
    layers: tuple[LayerInTime, ...]

    @property
    def samples(self) -> int:
        """Samples that one step of the top layer hears."""
        return self.input.units // ON_OFF

    @property
    def synapses(self) -> int:
        """Number of synapses, the kernels written out."""
        return sum(len(connections(self, index)[0]) for index in range(len(self.layers)))

    def first(self, step: Indices) -> list[Indices]:
        """Return the first position of the samples and of each layer that a step of the top layer hears.

        They count in the steps of a whole sound; what lies before 0 is padding.
        """
        found = [np.asarray(step)]
        for each in reversed(self.layers):
            found.append(found[-1] * each.layer.stride - each.layer.padding)
        return found[::-1]

    def charges(self, samples: NDArray[np.floating]) -> Array:
        """Return the charge of the ON and the OFF unit of each sample in a time step, (samples, 2)."""
        charge = np.asarray(samples, dtype=np.float64) / (self.input.quantum * self.timing.steps_on)
        return on_grid(np.maximum(np.stack([charge, -charge], -1), 0.0))


def positions(layers: Sequence[Layer]) -> list[int]:
    """Return how many samples, and positions of each layer, one step of the top layer hears."""
    found = [1]
    for layer in reversed(layers):
        found.append((found[-1] - 1) * layer.stride + layer.kernel)
    return found[::-1]


def unroll(
    title: str,
    layers: Sequence[Layer],
    arrays: Mapping[str, NDArray[np.floating]],
    neurons: int,
    largest: Sequence[float],
    resolution: Resolution,
) -> Unrolled:
    """Map trained convolutions, ``arrays`` by name (``conv1.w_ff``, ``conv1.bias``), to spikes.

    ``largest`` holds the activity for which a neuron fires ``resolution.spikes`` times, of the samples and of
    each layer. Raises InputError, naming ``title`` and the layer, where a layer or a value does not fit.
    """
    _check(title, layers, largest, resolution)
    quanta = [value / (neurons * resolution.spikes) for value in largest]
    places, steps_on = positions(layers), resolution.timing.steps_on
    made = []
    for index, layer in enumerate(layers):
        below, own = quanta[index], quanta[index + 1]
        w = np.asarray(arrays[f"{layer.name}.w_ff"], dtype=np.float64)
        bias = np.asarray(arrays.get(f"{layer.name}.bias", np.zeros(len(w))), dtype=np.float64)
        made.append(
            LayerInTime(
                Population(layer.name, places[index + 1] * len(w), neurons, own),
                layer,
                places[index + 1],
                on_grid(w * (below / own)),
                on_grid(bias / (own * steps_on)),
            )
        )
    return Unrolled(
        resolution.timing, Population("input", ON_OFF * places[0], neurons, quanta[0]), tuple(made)
    )


def connections(unrolled: Unrolled, index: int) -> tuple[Indices, Indices, Array]:
    """Return each synapse of a layer: presynaptic and postsynaptic unit, and its charge in thresholds.

    Units count position by position. The lowest layer hears ON and OFF units, one with each sign.
    """
    each = unrolled.layers[index]
    units, channels, kernel = each.w.shape
    position, unit, tap, channel = np.indices((each.positions, units, kernel, channels)).reshape(4, -1)
    pre = (position * each.layer.stride + tap) * channels + channel
    post = position * units + unit
    charge = each.w[unit, channel, tap]
    if index == 0:
        pre, post = np.concatenate([ON_OFF * pre, ON_OFF * pre + 1]), np.tile(post, ON_OFF)
        charge = np.concatenate([charge, -charge])
    return pre, post, charge


def on_grid(charge: Array) -> Array:
    """Round to multiples of 2^-24."""
    return np.round(charge / GRID) * GRID


def _check(title: str, layers: Sequence[Layer], largest: Sequence[float], resolution: Resolution) -> None:
    for layer in layers:
        if layer.kind != "conv1d":
            raise InputError(
                title, f"layers.{layer.name}.kind", layer.kind, "only convolutions in time ('conv1d') unroll"
            )
    if len(largest) != len(layers) + 1:
        raise InputError(
            title,
            "largest",
            list(largest),
            f"needs one value for the samples and each of {len(layers)} layers",
        )
    for name, value in zip(("samples", *(layer.name for layer in layers)), largest, strict=True):
        if not value > 0:
            raise InputError(title, f"largest.{name}", value, "must be positive: is this layer ever active?")
    timing = resolution.timing
    if timing.steps - timing.steps_on < len(layers):
        raise InputError(
            title, "timing.flush", f"{timing.flush} s", f"{len(layers)} layers need as many steps of dt"
        )

"""Convolutions over maps as spiking populations, with pooling: an encoder that sees one patch at a time.

One patch is one presentation. Every unit at every pixel of a layer is a population with synapses of its own,
as a chip would need them: the kernel is written out once for each place. A pixel is an ON and an OFF unit for
each of its channels; the synapses from the OFF unit are those from the ON unit with the other sign. What lies
in the padding sends nothing. Populations, resolution and charges are those of `neuroclapp.spiking.unrolled`:

    step 0:                   v = 1/2
    input, s < steps_on:      v += activity / (quantum * steps_on)
    layer:                    v += drive, the charge that arrived in step s - 1,
                              and bias / (quantum * steps_on) while late <= s < late + steps_on
    every step:               packet = clip(floor(v), 0, neurons);  v -= packet;  count += packet
    basal:                    drive_j += W_ji packet_i quantum_i / quantum_j

``late`` is one step more than that of what the layer hears. A pooled layer's somata reach the layer above by
`Pooling`, through relays that take one step more, or by the mean of their packets, which is in the synapses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor, log2
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..network import Layer
from .populations import Population, Timing
from .unrolled import GRID, ON_OFF, Array, Indices, Resolution, on_grid

#: What a block of n x n units sends on, with c_i the count of unit i so far:
#: ``"lead"``: a spike passes where it takes its unit beyond every count so far, so that the relay's count is
#: max_i c_i. Each unit drives one gate of the relay, v_i += packet_i; the relay sends the largest v_i that is
#: positive, and all gates lose it: an integrate-and-fire neuron with one branch per unit and a common reset.
#: ``"most"``: the packets of the unit with the largest count so far (the first of them) pass whole.
#: ``"first"``: the packets of the unit that fires first pass, and no others (at a draw those of the larger
#: packet, then of the first).
#: ``"mean"``: the mean of the block's packets, by weights; average pooling, without relays.
Pooling = Literal["lead", "most", "first", "mean"]
POOLINGS: tuple[Pooling, ...] = ("lead", "most", "first", "mean")

#: Bits of a float of single precision: sums of whole numbers below 2^24 are exact in any order.
SINGLE = 24


@dataclass(frozen=True)
class LayerOfMaps:
    """A layer's somata, ``shape`` (units, height, width) of them, before pooling.

    ``w`` (units, channels, kernel, kernel) is the charge in thresholds that a packet of one spike brings,
    ``bias`` (units,) that of each time step with input. The layer hears maps of shape ``below``, after their
    pooling, and ``late`` counts the time steps before it hears the first. Of the lowest layer ``w`` is the ON
    unit's.
    """

    soma: Population
    layer: Layer
    below: tuple[int, int, int]
    w: Array
    bias: Array
    late: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Units, height and width of the somata."""
        layer = self.layer
        height, width = (
            (side + 2 * layer.padding - layer.kernel) // layer.stride + 1 for side in self.below[1:]
        )
        return len(self.w), height, width

    @property
    def sends(self) -> tuple[int, int, int]:
        """Units, height and width of what the layer above hears."""
        units, height, width = self.shape
        return units, height // self.layer.pool, width // self.layer.pool


@dataclass(frozen=True)
class Maps:
    """A spiking encoder of patches; ``input`` has an ON and an OFF unit for each value of a patch."""

    timing: Timing
    input: Population
    layers: tuple[LayerOfMaps, ...]
    pooling: Pooling

    @property
    def patch(self) -> tuple[int, int, int]:
        """Channels, height and width of a patch."""
        return self.layers[0].below

    @property
    def synapses(self) -> int:
        """Number of synapses, the kernels written out, without those on relays."""
        return sum(len(connections(self, index)[0]) for index in range(len(self.layers)))

    @property
    def relays(self) -> int:
        """Number of relays."""
        pooled = [each for each in self.layers if each.layer.pool > 1]
        return 0 if self.pooling == "mean" else sum(int(np.prod(each.sends)) for each in pooled)

    def charges(self, patches: NDArray[np.floating]) -> Array:
        """Return the charge of ON and OFF units in a time step, (patches, channels, height, width, 2)."""
        charge = np.asarray(patches, dtype=np.float64) / (self.input.quantum * self.timing.steps_on)
        return on_grid(np.maximum(np.stack([charge, -charge], -1), 0.0))


def map_convolutions(
    title: str,
    layers: Sequence[Layer],
    patch: tuple[int, int, int],
    arrays: Mapping[str, NDArray[np.floating]],
    neurons: int,
    largest: Sequence[float],
    resolution: Resolution,
    pooling: Pooling = "lead",
) -> Maps:
    """Map trained convolutions, ``arrays`` by name (``conv1.w_ff``, ``conv1.bias``), to spikes.

    ``largest`` holds the activity for which a neuron fires ``resolution.spikes`` times, of the pixels and of
    each layer before pooling. Weights are rounded so that charges add up exactly in single precision. Raises
    InputError, naming ``title`` and the layer, where a layer or a value does not fit.
    """
    _check(title, layers, largest, resolution, pooling)
    quanta = [value / (neurons * resolution.spikes) for value in largest]
    made: list[LayerOfMaps] = []
    below, late, parts = patch, 1, 1
    for index, layer in enumerate(layers):
        w = np.asarray(arrays[f"{layer.name}.w_ff"], dtype=np.float64) * (quanta[index] / quanta[index + 1])
        bias = np.asarray(arrays.get(f"{layer.name}.bias", np.zeros(len(w))), dtype=np.float64)
        step = exact_step(w, neurons, parts)
        units = int(np.prod(replace(layer, pool=1).output(below)))
        made.append(
            LayerOfMaps(
                Population(layer.name, units, neurons, quanta[index + 1]),
                layer,
                below,
                np.round(w / step) * step,
                on_grid(bias / (quanta[index + 1] * resolution.timing.steps_on)),
                late,
            )
        )
        relayed = layer.pool > 1 and pooling != "mean"
        below, late = made[-1].sends, late + (2 if relayed else 1)
        parts = layer.pool**2 if pooling == "mean" else 1
    timing = resolution.timing
    if timing.steps - timing.steps_on < late - 1:
        allowed = f"{len(layers)} layers with their relays need {late - 1} steps of dt"
        raise InputError(title, "timing.flush", f"{timing.flush} s", allowed)
    source = Population("input", ON_OFF * int(np.prod(patch)), neurons, quanta[0])
    return Maps(timing, source, tuple(made), pooling)


def exact_step(w: Array, neurons: int, parts: int = 1) -> float:
    """Return the step of the finest grid on which charges of single precision add up exactly.

    Sums of ``w`` (units, ...) times packets of at most ``neurons``, each a multiple of 1 / ``parts``.
    """
    largest = float(np.abs(w).reshape(len(w), -1).sum(1).max()) * neurons * parts * (1 + 2**-8)
    bits = SINGLE - 1 - floor(log2(largest)) if largest > 0 else SINGLE
    return max(GRID, 2.0**-bits)


def connections(maps: Maps, index: int) -> tuple[Indices, Indices, Array]:
    """Return each synapse of a layer: presynaptic and postsynaptic unit, and its charge in thresholds.

    Units count channel by channel, row by row: those of the layer, and those of what it hears, which are
    relays where the layer below is pooled by them, else somata. The lowest layer hears ON and OFF units, one
    with each sign, side by side.
    """
    each = maps.layers[index]
    units, channels, kernel, _ = each.w.shape
    _, height, width = each.shape
    unit, row, column, channel, y, x = np.indices((units, height, width, channels, kernel, kernel)).reshape(
        6, -1
    )
    from_y = row * each.layer.stride + y - each.layer.padding
    from_x = column * each.layer.stride + x - each.layer.padding
    _, tall, wide = each.below
    inside = (from_y >= 0) & (from_y < tall) & (from_x >= 0) & (from_x < wide)
    charge = each.w[unit, channel, y, x][inside]
    post = ((unit * height + row) * width + column)[inside]
    channel, from_y, from_x = channel[inside], from_y[inside], from_x[inside]
    if index == 0:
        pre = ON_OFF * ((channel * tall + from_y) * wide + from_x)
        return (
            np.concatenate([pre, pre + 1]),
            np.tile(post, ON_OFF),
            np.concatenate([charge, -charge]),
        )
    lower = maps.layers[index - 1]
    pool = lower.layer.pool
    if maps.pooling != "mean" or pool == 1:
        return (channel * tall + from_y) * wide + from_x, post, charge
    _, high, broad = lower.shape
    corners = [(dy, dx) for dy in range(pool) for dx in range(pool)]
    pre = np.concatenate(
        [(channel * high + pool * from_y + dy) * broad + pool * from_x + dx for dy, dx in corners]
    )
    return pre, np.tile(post, len(corners)), np.tile(charge / pool**2, len(corners))


def blocks(each: LayerOfMaps) -> tuple[Indices, Indices]:
    """Return soma and relay of each synapse on relays; units that fill no block have none."""
    pool = each.layer.pool
    _, height, width = each.shape
    unit, row, column, dy, dx = np.indices((*each.sends, pool, pool)).reshape(5, -1)
    pre = (unit * height + pool * row + dy) * width + pool * column + dx
    post = (unit * each.sends[1] + row) * each.sends[2] + column
    return pre, post


def _check(
    title: str, layers: Sequence[Layer], largest: Sequence[float], resolution: Resolution, pooling: str
) -> None:
    for layer in layers:
        if layer.kind != "conv" or not layer.rectified:
            said = layer.kind if layer.rectified else "conv, not rectified"
            allowed = "only rectified convolutions ('conv') map to maps of spikes"
            raise InputError(title, f"layers.{layer.name}.kind", said, allowed)
        if pooling == "mean" and layer.pool & (layer.pool - 1):
            allowed = "must be a power of two where a mean is taken, for charges that add up exactly"
            raise InputError(title, f"layers.{layer.name}.pool", layer.pool, allowed)
    if pooling not in POOLINGS:
        raise InputError(title, "pooling", pooling, f"must be one of {', '.join(POOLINGS)}")
    if len(largest) != len(layers) + 1:
        allowed = f"needs one value for the pixels and each of {len(layers)} layers"
        raise InputError(title, "largest", list(largest), allowed)
    for name, value in zip(("pixels", *(layer.name for layer in layers)), largest, strict=True):
        if not value > 0:
            raise InputError(title, f"largest.{name}", value, "must be positive: is this layer ever active?")

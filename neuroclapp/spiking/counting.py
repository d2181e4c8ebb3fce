"""Spike counts of an unrolled encoder for a whole sound at once, in plain numpy.

A unit at a position does the same in every presentation that holds it: nothing is carried over, and all that
it hears is below it. So each position of the sound is simulated once, and the presentation of a step of the
top layer is a window of them. The equations are those of `neuroclapp.spiking.unrolled`, to the same counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .unrolled import Array, LayerInTime, Unrolled


@dataclass(frozen=True)
class Counted:
    """Spikes in a presentation, ``count`` (steps, units), and the net charge in thresholds, of the input (ON
    and OFF units of each sample) or of a layer.
    """

    count: Array
    charge: Array


class _Population:
    """Membranes of a layer at all positions of a sound, with its packets between silent padding."""

    def __init__(self, steps: int, units: int, neurons: int, padding: int) -> None:
        self.v = np.full((steps, units), 0.5)
        self.count = np.zeros((steps, units))
        self.padded = np.zeros((steps + 2 * padding, units))
        self.packet = self.padded[padding : padding + steps]
        self.neurons = neurons

    def fire(self) -> None:
        """Send the packets of this time step."""
        np.floor(self.v, out=self.packet)
        np.clip(self.packet, 0, self.neurons, out=self.packet)
        self.v -= self.packet
        self.count += self.packet


class _Hears:
    """A layer's synapses from the packets of the population below it, or from ON less OFF packets."""

    def __init__(self, each: LayerInTime, heard: Array) -> None:
        layer = each.layer
        windows = sliding_window_view(heard, layer.kernel, 0)[:: layer.stride]
        self.windows = windows.transpose(0, 2, 1)
        self.matrix = np.ascontiguousarray(each.w.transpose(2, 1, 0).reshape(-1, each.units))

    def __call__(self) -> Array:
        """Return the charge that this time step's packets bring, (steps, units)."""
        return self.windows.reshape(len(self.windows), -1) @ self.matrix


def count(unrolled: Unrolled, samples: NDArray[np.floating]) -> list[Counted]:
    """Return the spikes of the input and of every layer for a sound (samples,), by their steps."""
    timing, layers = unrolled.timing, unrolled.layers
    charges = unrolled.charges(samples)
    source = _Population(len(charges), 2, unrolled.input.neurons, 0)
    padding = layers[0].layer.padding
    heard = np.zeros((len(charges) + 2 * padding, 1))
    signed = heard[padding : padding + len(charges)]
    populations: list[_Population] = []
    synapses: list[_Hears] = []
    for index, each in enumerate(layers):
        synapses.append(_Hears(each, heard))
        above = layers[index + 1].layer.padding if index + 1 < len(layers) else 0
        populations.append(_Population(len(synapses[-1].windows), each.units, each.soma.neurons, above))
        heard = populations[-1].padded
    for step in range(timing.steps):
        for index in reversed(range(min(step, len(layers)))):  # the top first: it hears the step before
            each, population = layers[index], populations[index]
            population.v += synapses[index]()
            if step < index + 1 + timing.steps_on:
                population.v += each.bias
            population.fire()
        if step < timing.steps_on:
            source.v += charges
        source.fire()
        signed[:, 0] = source.packet[:, 0] - source.packet[:, 1]
    return [Counted(each.count, each.count + each.v - 0.5) for each in (source, *populations)]

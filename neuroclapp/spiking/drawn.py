"""Random numbers of a simulation as data, so that every simulator sees the same.

Poisson input is a packet for each step and input unit; escape noise is a threshold for each step and neuron.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..presentations import Presentations
from .grid import rounded
from .populations import Populations
from .variants import EscapeNoise, Poisson

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """What was drawn for a stream; empty where nothing is random.

    ``packets`` (presentations, steps_on, inputs): spikes of Poisson input. ``thresholds``, one array for each
    layer (presentations, steps, neurons of the layer): how far a threshold lies above 1 [thresholds].
    """

    packets: NDArray[np.uint16] | None = None
    thresholds: tuple[Array, ...] = ()

    def __getitem__(self, part: slice) -> Drawn:
        packets = None if self.packets is None else self.packets[part]
        return Drawn(packets, tuple(each[part] for each in self.thresholds))

    def padded(self, count: int) -> Drawn:
        """Return this with zeros up to ``count`` presentations."""

        def pad(array: NDArray) -> NDArray:
            return np.concatenate([array, np.zeros((count - len(array), *array.shape[1:]), array.dtype)])

        packets = None if self.packets is None else pad(self.packets)
        return Drawn(packets, tuple(pad(each) for each in self.thresholds))


#: Where nothing is random.
NOTHING = Drawn()


def draw(populations: Populations, stream: Presentations, generator: np.random.Generator) -> Drawn:
    """Draw what is random in these populations; nothing is taken from ``generator`` where nothing is."""
    timing, packets, thresholds = populations.timing, None, []
    if isinstance(populations.code, Poisson):
        source = populations.input
        mean = stream.inputs[:, None] / (source.quantum * timing.steps_on)
        shape = (len(stream), timing.steps_on, source.units)
        packets = np.minimum(generator.poisson(mean, shape), source.neurons).astype(np.uint16)
    neuron = populations.neuron
    if isinstance(neuron, EscapeNoise):
        for layer in populations.layers:
            waiting = generator.exponential(
                size=(len(stream), timing.steps, layer.soma.units * layer.soma.neurons)
            )
            above = neuron.width * (np.log(waiting) - np.log(neuron.rate * timing.dt))
            thresholds.append(rounded(above, populations.grid))
    return Drawn(packets, tuple(thresholds))


def blank(populations: Populations, count: int) -> Drawn:
    """Return zeros in the shape of what `draw` would give for ``count`` presentations."""
    none = Presentations(
        np.zeros((0, populations.input.units)), np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.int64)
    )
    return draw(populations, none, np.random.default_rng(0)).padded(count)


def check(populations: Populations, stream: Presentations, drawn: Drawn) -> None:
    """Raise InputError where what was drawn does not fit these populations and this stream."""
    wanted, found = (
        [
            None if each.packets is None else each.packets.shape,
            *(array.shape for array in each.thresholds),
        ]
        for each in (blank(populations, 0).padded(len(stream)), drawn)
    )
    if wanted != found:
        raise InputError(
            "spiking", "drawn", found, f"must be drawn for these populations and this stream: {wanted}"
        )


def stimulus(populations: Populations, stream: Presentations, drawn: Drawn) -> Array:
    """Return what the input group is given: activity or, on a grid, charge per step (presentations, inputs);
    with a Poisson code packets (presentations * steps, inputs).
    """
    timing, source = populations.timing, populations.input
    if drawn.packets is not None:
        silent = timing.steps - timing.steps_on
        return np.pad(drawn.packets.astype(np.float64), ((0, 0), (0, silent), (0, 0))).reshape(
            -1, source.units
        )
    if populations.grid is None:
        return stream.inputs
    return charges(populations, stream)


def charges(populations: Populations, stream: Presentations) -> Array:
    """Return each input unit's charge in a time step with input (presentations, inputs)."""
    return rounded(
        stream.inputs / (populations.input.quantum * populations.timing.steps_on), populations.grid
    )

"""Random numbers of a simulation as data, so that every simulator sees the same.

Poisson input is a packet for each step and input unit; escape noise is a threshold for each step and neuron.
How many spikes of a packet an unreliable axon sends is read from a table by a number drawn for each step and
unit (see `neuroclapp.spiking.axons`); how late it sends them is drawn too. Modulators have a noise for each
unit, and which of their synapses work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..presentations import Presentations
from .axons import LEVELS
from .grid import COARSE, rounded
from .populations import LayerPopulations, Populations
from .variants import EscapeNoise, Poisson

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """What was drawn for a stream; empty where nothing is random.

    ``packets`` (presentations, steps_on, inputs): spikes of Poisson input. The others hold one array for each
    layer. ``thresholds`` (presentations, steps, neurons of the layer): how far a threshold lies above 1
    [thresholds]. ``noise`` (presentations, modulator units): what is added to their estimates, of both
    modulators where a layer has two. ``works`` (presentations, synapses): which of the synapses from somata
    onto modulator units are not silent, soma outermost. Of axons, the input's first, None for a reliable one:
    ``lots`` (presentations, steps, units), by which spikes are lost, and ``late`` of the same shape [steps].
    """

    packets: NDArray[np.uint16] | None = None
    thresholds: tuple[Array, ...] = ()
    noise: tuple[Array, ...] = ()
    works: tuple[NDArray[np.bool_], ...] = ()
    lots: tuple[NDArray[np.uint16] | None, ...] = ()
    late: tuple[NDArray[np.uint8] | None, ...] = ()

    def __getitem__(self, part: slice) -> Drawn:
        return self._each(lambda array: array[part])

    def padded(self, count: int) -> Drawn:
        """Return this with zeros up to ``count`` presentations."""

        def pad(array: NDArray) -> NDArray:
            return np.concatenate([array, np.zeros((count - len(array), *array.shape[1:]), array.dtype)])

        return self._each(pad)

    def shapes(self) -> list[tuple[int, ...] | None]:
        """Return the shape of every array, None for one that is not there."""
        parts = (self.packets, *(each for name in _BY_LAYER for each in getattr(self, name)))
        return [None if each is None else each.shape for each in parts]

    def _each(self, change: Callable[[NDArray], NDArray]) -> Drawn:
        def one(array: NDArray | None) -> NDArray | None:
            return None if array is None else change(array)

        layers: dict[str, Any] = {name: tuple(map(one, getattr(self, name))) for name in _BY_LAYER}
        return Drawn(one(self.packets), **layers)


_BY_LAYER = ("thresholds", "noise", "works", "lots", "late")

#: Where nothing is random.
NOTHING = Drawn()


def draw(populations: Populations, stream: Presentations, generator: np.random.Generator) -> Drawn:
    """Draw what is random in these populations; nothing is taken from ``generator`` where nothing is."""
    timing, packets, thresholds = populations.timing, None, []
    if isinstance(populations.code, Poisson):
        source = populations.input
        mean = stream.inputs[:, None] / (source.quantum * timing.steps_on)
        shape = (len(stream), timing.steps_on, source.units)
        packets = _packets(populations.code, mean, shape, source.neurons, generator)
    neuron = populations.neuron
    if isinstance(neuron, EscapeNoise):
        for layer in populations.layers:
            waiting = generator.exponential(
                size=(len(stream), timing.steps, layer.soma.units * layer.soma.neurons)
            )
            above = neuron.width * (np.log(waiting) - np.log(neuron.rate * timing.dt))
            thresholds.append(rounded(above, populations.grid))
    layers = populations.layers
    noise = [_noise(populations, each, len(stream), generator) for each in layers if each.modulator.is_noisy]
    works = [
        generator.random((len(stream), np.count_nonzero(each.listens))) >= each.modulator.failure
        for each in layers
        if each.modulator.failure
    ]
    lots, late = _axons(populations, len(stream), generator)
    return Drawn(packets, tuple(thresholds), tuple(noise), tuple(works), lots, late)


def _packets(
    code: Poisson, mean: Array, shape: tuple[int, ...], neurons: int, generator: np.random.Generator
) -> NDArray[np.uint16]:
    """Draw the packets of input units of ``neurons`` neurons, with these means (broadcast to ``shape``)."""
    if code.once:
        fires = np.broadcast_to(np.minimum(mean / neurons, 1.0), shape)
        return generator.binomial(neurons, fires).astype(np.uint16)
    return np.minimum(generator.poisson(mean, shape), neurons).astype(np.uint16)


def _noise(
    populations: Populations, layer: LayerPopulations, count: int, generator: np.random.Generator
) -> Array:
    """Draw what is added to the estimates of a layer's modulator units (presentations, units)."""
    m, drawn = layer.modulator, []
    for _ in layer.gates:
        common = m.common_noise * generator.standard_normal((count, 1))
        drawn.append(m.noise * generator.standard_normal((count, 2 * m.units)) + common)
    return rounded(np.concatenate(drawn, axis=1), None if populations.grid is None else COARSE)


def _axons(
    populations: Populations, count: int, generator: np.random.Generator
) -> tuple[tuple[NDArray[np.uint16] | None, ...], tuple[NDArray[np.uint8] | None, ...]]:
    """Draw lots and lateness of the packets of input and layers; empty where all axons are reliable."""
    timing = populations.timing
    axons = [populations.input_axon, *(populations.axon for _ in populations.layers)]
    units = [populations.input.units, *(layer.soma.units for layer in populations.layers)]
    lots: list[NDArray[np.uint16] | None] = []
    late: list[NDArray[np.uint8] | None] = []
    for axon, width in zip(axons, units, strict=True):
        shape, most = (count, timing.steps, width), axon.late(timing.dt)
        lots.append(generator.integers(LEVELS, size=shape, dtype=np.uint16) if axon.loss else None)
        late.append(generator.integers(most + 1, size=shape, dtype=np.uint8) if most else None)
    return (
        tuple(lots) if any(axon.loss for axon in axons) else (),
        tuple(late) if any(axon.late(timing.dt) for axon in axons) else (),
    )


def blank(populations: Populations, count: int) -> Drawn:
    """Return zeros in the shape of what `draw` would give for ``count`` presentations."""
    none = Presentations(
        np.zeros((0, populations.input.units)), np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.int64)
    )
    return draw(populations, none, np.random.default_rng(0)).padded(count)


def check(populations: Populations, stream: Presentations, drawn: Drawn) -> None:
    """Raise InputError where what was drawn does not fit these populations and this stream."""
    wanted, found = blank(populations, 0).padded(len(stream)).shapes(), drawn.shapes()
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

"""What simulations are shown: packets of the input, noise, signs and controls, for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...plasticity import Control
from ...presentations import Presentations
from ...weights import Weights
from ..drawn import NOTHING, Drawn, charges, stimulus
from ..populations import LayerPopulations, Populations
from ..state import State
from ..variants import Poisson
from .arrays import Arrays
from .axons import Axons
from .controls import Dendrites, dendrites
from .membranes import input_packets

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Simulation:
    """What one simulation starts from, by default the state of rest; ``drawn`` is what is random in it."""

    stream: Presentations
    weights: Weights
    state: State | None = None
    control: Control = field(default_factory=Control)
    drawn: Drawn = NOTHING


@dataclass(frozen=True)
class Shown:
    """A batch: ``packets`` (batch, steps, inputs) that arrive, ``count`` of them (batch, inputs).

    ``sign`` and ``always_open`` are (batch,).

    By layer: ``thresholds`` (batch, steps, neurons), ``lots`` and ``late`` of axons (batch, steps, units),
    and ``noise`` of modulators (batch, modulator units), each empty where there is none; ``listens``, the
    weights of what they hear, shared or for each of the batch. ``dendrites``: what controls do.
    """

    packets: Any
    count: Any
    thresholds: list[Any]
    lots: list[Any]
    late: list[Any]
    noise: list[Array]
    listens: list[Any]
    dendrites: Dendrites
    sign: Array
    always_open: NDArray[np.bool_]


def shown(
    xp: Arrays, populations: Populations, axons: Axons, simulations: Sequence[Simulation], part: slice
) -> Shown:
    """Return these presentations of each simulation, one after the other in the batch."""
    streams, controls = [each.stream[part] for each in simulations], [each.control for each in simulations]
    drawn = [each.drawn[part] for each in simulations]
    lengths = [len(stream) for stream in streams]

    def each(name: str, kind: type = np.float64) -> list[Any]:
        arrays = zip(*(getattr(one, name) for one in drawn), strict=True)
        return [None if parts[0] is None else xp.array(np.concatenate(parts), kind) for parts in arrays]

    lots, late = each("lots", np.int64), each("late", np.int64)
    packets = _packets(xp, populations, streams, drawn)
    packets = axons(0, packets, lots[0] if lots else None, late[0] if late else None)
    return Shown(
        packets=packets,
        count=packets.sum(1),
        thresholds=each("thresholds"),
        lots=lots[1:],
        late=late[1:],
        noise=[np.concatenate(parts) for parts in zip(*(one.noise for one in drawn), strict=True)],
        listens=[
            xp.array(_listens(layer, [one.works[n] for one in drawn if one.works]))
            for n, layer in enumerate(populations.layers)
        ],
        dendrites=dendrites(xp, populations, controls, lengths, part),
        sign=np.concatenate([stream.sign for stream in streams]).astype(np.float64),
        always_open=np.repeat([control.always_open for control in controls], lengths),
    )


def _listens(layer: LayerPopulations, works: Sequence[NDArray[np.bool_]]) -> Array:
    """Return the weights of a layer's modulators, (batch, units, somata) where synapses fail."""
    if not works:
        return layer.listens
    working = np.concatenate(works)
    soma, unit = np.nonzero(layer.listens.T)
    weights = np.zeros((len(working), *layer.listens.shape))
    weights[:, unit, soma] = layer.listens[unit, soma] * working
    return weights


def _packets(
    xp: Arrays, populations: Populations, streams: Sequence[Presentations], drawn: Sequence[Drawn]
) -> Any:
    if isinstance(populations.code, Poisson):
        given = [stimulus(populations, *pair) for pair in zip(streams, drawn, strict=True)]
        shape = (-1, populations.timing.steps, populations.input.units)
        return xp.array(np.concatenate(given).reshape(shape))
    charge = np.concatenate([charges(populations, stream) for stream in streams])
    return input_packets(xp, populations, xp.array(charge))

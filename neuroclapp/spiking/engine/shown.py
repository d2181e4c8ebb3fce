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
from ..populations import Populations
from ..state import State
from ..variants import Poisson
from .arrays import Arrays
from .membranes import input_packets


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
    """A batch: ``packets`` (batch, steps, inputs), ``sign`` and ``always_open`` (batch,). By layer ``noise``
    (batch, steps, neurons), and ``picks`` (batch, units): whose dendrites are taken, None for each its own.
    """

    packets: Any
    noise: list[Any]
    picks: list[Any]
    sign: NDArray[np.float64]
    always_open: NDArray[np.bool_]


def shown(xp: Arrays, populations: Populations, simulations: Sequence[Simulation], part: slice) -> Shown:
    """Return these presentations of each simulation, one after the other in the batch."""
    streams, controls = [each.stream[part] for each in simulations], [each.control for each in simulations]
    drawn = [each.drawn[part] for each in simulations]
    layers = range(len(populations.layers))
    return Shown(
        packets=_packets(xp, populations, streams, drawn),
        noise=[
            xp.array(np.concatenate([each.thresholds[n] for each in drawn]))
            for n in layers
            if drawn[0].thresholds
        ],
        picks=[_picks(xp, populations, controls, streams, part, n) for n in layers],
        sign=np.concatenate([stream.sign for stream in streams]).astype(np.float64),
        always_open=np.repeat([control.always_open for control in controls], [len(each) for each in streams]),
    )


def _packets(
    xp: Arrays, populations: Populations, streams: Sequence[Presentations], drawn: Sequence[Drawn]
) -> Any:
    if isinstance(populations.code, Poisson):
        given = [stimulus(populations, *pair) for pair in zip(streams, drawn, strict=True)]
        shape = (-1, populations.timing.steps, populations.input.units)
        return xp.array(np.concatenate(given).reshape(shape))
    charge = np.concatenate([charges(populations, stream) for stream in streams])
    return input_packets(xp, populations, xp.array(charge))


def _picks(
    xp: Arrays,
    populations: Populations,
    controls: Sequence[Control],
    streams: Sequence[Presentations],
    part: slice,
    layer: int,
) -> Any | None:
    if all(control.permutations is None for control in controls):
        return None
    own = np.arange(populations.layers[layer].soma.units)
    picks = [
        np.tile(own, (len(stream), 1)) if control.permutations is None else control.permutations[part, layer]
        for control, stream in zip(controls, streams, strict=True)
    ]
    return xp.array(np.concatenate(picks), np.int64)

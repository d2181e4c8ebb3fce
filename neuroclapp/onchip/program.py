"""A chip program: all that `plasticity.json` and `network.nir` hold, as data, in the chip's units.

Chip units: charge in thresholds of one neuron, activity in spikes, d and r in rate units. A connection's
``scale`` is the chip's weight per rate unit:

    w_ff            quantum_pre / quantum_post     one spike of the presynaptic unit delivers thresholds
    w_pred, w_retro quantum                        one spike of the layer's own unit delivers d or r
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..network import Prediction
from ..plasticity import Gate, Target
from .clock import Clock
from .products import Series

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """A population: ``units`` of at most ``neurons`` spikes per step, each worth ``quantum`` of activity."""

    name: str
    units: int
    neurons: int
    quantum: float


@dataclass(frozen=True)
class Connection:
    """A plastic matrix of a layer: its series, and for W_pred and W_retro the weights to start from.

    ``weights`` is (post, pre); W_ff starts from those in `network.nir`, so that it is None there. A bias is a
    connection without a presynaptic unit. ``learning_rate`` is eta in rate units; the series contains it.
    """

    series: Series
    scale: float
    learning_rate: float
    weights: Array | None = None

    @property
    def target(self) -> Target:
        return self.series.target


@dataclass(frozen=True)
class ModulatorProgram:
    """The neuromodulator population: see `neuroclapp.spiking.populations.Modulator`.

    ``listens`` (2 * units, layer's units): weights of the coincidence synapses, fixation half first. The
    first modulator of a layer hears d_j z_j packet by packet, a second one r_j c_j once, before the release.
    """

    units: int
    tonic: float
    resolution: float
    burst: float
    listens: Array


@dataclass(frozen=True)
class LayerProgram:
    """A layer: its somata, the population below it, its plastic connections and its modulator.

    ``modulator_retro`` releases the second gate where gates are separate; it hears the retro dendrites.
    """

    soma: Units
    source: str
    connections: tuple[Connection, ...]
    modulator: ModulatorProgram
    modulator_retro: ModulatorProgram | None = None

    @property
    def modulators(self) -> dict[Gate, ModulatorProgram]:
        """The modulators by the gate that they release."""
        found: dict[Gate, ModulatorProgram] = {"gamma": self.modulator}
        return found if self.modulator_retro is None else found | {"gamma_retro": self.modulator_retro}

    def connection(self, target: Target) -> Connection | None:
        """Return the plastic connection with this target, None where the rule has none."""
        return next((one for one in self.connections if one.target == target), None)


def checked_sign(sign: ArrayLike, presentations: int) -> NDArray[np.int8]:
    """Return the signs of a stream's pairs (presentations,); raise InputError for other values or lengths."""
    array = np.asarray(sign)
    if array.shape != (presentations,):
        raise InputError(
            "sign", "shape", array.shape, f"must be ({presentations},), one for each presentation"
        )
    if not np.isin(array, (-1, 0, 1)).all():
        wrong = array[~np.isin(array, (-1, 0, 1))][0].item()
        raise InputError("sign", "value", wrong, "must be +1 (fixation), -1 (saccade) or 0 (no pair)")
    return array.astype(np.int8)


@dataclass(frozen=True)
class Program:
    """What `plasticity.json` holds."""

    chip: str
    prediction: Prediction
    clock: Clock
    input: Units
    layers: tuple[LayerProgram, ...]

    def population(self, name: str) -> Units:
        """Return the input or a layer's somata by name; raise KeyError where there is none."""
        return {one.name: one for one in (self.input, *(layer.soma for layer in self.layers))}[name]

"""What a spiking network holds between two presentations, and what it leaves of each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..plasticity import Gate
from ..weights import Weights
from .populations import Populations

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LayerState:
    """Per unit: spikes of the presentation that ended, membrane, and ``W_pred c`` for the next one.

    ``pending``: the gammas that are still on their way, where a control delays them, (delayed,), or
    (gates, delayed) where gates are separate.
    """

    count: Array
    v: Array
    next_held: Array
    pending: Array = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class State:
    """The state of a network at the very end of a presentation; with the weights it is all there is."""

    input_count: Array
    layers: list[LayerState]


@dataclass(frozen=True)
class LayerRecord:
    """One layer over presentations: ``count`` and ``charge`` (net charge, in spikes) (presentations, units),
    ``gamma`` as it acts (presentations,), ``total`` (presentations, 2): the modulator's spikes at the
    release, fixation half first. Where gates are separate, ``gamma_retro`` and ``total_retro`` are those of
    the second modulator; else they are empty.
    """

    count: Array
    charge: Array
    gamma: Array
    total: Array
    gamma_retro: Array = field(default_factory=lambda: np.zeros(0))
    total_retro: Array = field(default_factory=lambda: np.zeros((0, 2)))

    def gammas(self) -> dict[Gate, Array]:
        """Return each gate's gamma, by its name."""
        return (
            {"gamma": self.gamma, "gamma_retro": self.gamma_retro}
            if self.is_separate
            else {"gamma": self.gamma}
        )

    def totals(self) -> dict[Gate, Array]:
        """Return each modulator's spikes, by the name of its gate."""
        return (
            {"gamma": self.total, "gamma_retro": self.total_retro}
            if self.is_separate
            else {"gamma": self.total}
        )

    @property
    def is_separate(self) -> bool:
        """Whether there are two gates."""
        return len(self.total_retro) == len(self.total) > 0


@dataclass(frozen=True)
class Record:
    """What a run leaves: ``input_count`` (presentations, inputs) and one record per layer."""

    input_count: Array
    layers: list[LayerRecord]


@dataclass(frozen=True)
class Stretch:
    """What a stretch of presentations leaves: their record, the weights and the state at its end."""

    record: Record
    weights: Weights
    state: State


def rest(populations: Populations) -> State:
    """Return the state before the first presentation: no spikes, nothing held."""
    return State(
        np.zeros(populations.input.units),
        [
            LayerState(np.zeros(layer.soma.units), np.full(layer.soma.units, 0.5), np.zeros(layer.soma.units))
            for layer in populations.layers
        ],
    )


def scores(
    record: LayerRecord,
    populations: Populations,
    index: int,
    sign: NDArray[np.int8],
    gate: Gate = "gamma",
) -> Array:
    """Return a modulator's estimate of its score (presentations,), from the half that the sign selects."""
    modulator = populations.layers[index].modulator
    excess = record.totals()[gate] / modulator.units - modulator.tonic
    return np.where(
        sign >= 0, 1 - excess[:, 0] / modulator.resolution, excess[:, 1] / modulator.resolution - 1
    )


def join(records: list[Record]) -> Record:
    """Join the records of consecutive stretches."""
    layers = [
        LayerRecord(
            *(
                np.concatenate(parts)
                for parts in zip(*(vars(r.layers[n]).values() for r in records), strict=True)
            )
        )
        for n in range(len(records[0].layers))
    ]
    return Record(np.concatenate([r.input_count for r in records]), layers)

"""Trained encoders of speech in spikes: the experiment, and its run's directory (`neuroclapp.run.converted`).

The .npz files hold the top layer of each frame, in rates and in spikes, and its phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass as description

from ..catalog import DESCRIPTION
from ..data.excerpts import standardised
from ..data.utterances import Utterance
from ..errors import InputError
from ..network import Layer
from ..rate.convolution1d import respond
from ..spiking.unrolled import Resolution, Unrolled, unroll
from ..systems import Row, SpeechExperiment
from .converted import ConvertedRun
from .hearing import Hearing

PARTS = ("training", "test")
#: Training utterances that the scales are set on, at most.
SCALED = 20


@description(frozen=True, config=DESCRIPTION)
class InSpikes:
    """What runs in spikes, and how finely.

    ``neurons`` per unit, each value a run of its own; at most so many ``utterances``, spread evenly over the
    training set and over the test set; ``presentations`` of one of them run in Brian2 as well (0: none).
    """

    neurons: tuple[PositiveInt, ...] = (1, 5, 10, 64)
    utterances: PositiveInt = 40
    presentations: NonNegativeInt = 40
    resolution: Resolution = field(default_factory=Resolution)

    def __post_init__(self) -> None:
        if not self.neurons or list(self.neurons) != sorted(set(self.neurons)):
            raise ValueError(f"neurons = {list(self.neurons)} must be one or more rising numbers")


@description(frozen=True, config=DESCRIPTION)
class _Table:
    spikes: InSpikes = field(default_factory=InSpikes)


class SpokenSpikesRun(ConvertedRun[SpeechExperiment, InSpikes]):
    """The run of trained systems of speech in spikes."""

    described_by = "speech", SpeechExperiment, _Table

    @classmethod
    def fits(cls, experiment: SpeechExperiment, spikes: InSpikes, source: Path) -> None:
        super().fits(experiment, spikes, source)
        for row in experiment.systems:
            if row.features != "encoder":
                raise InputError(
                    source, f"systems.{row.name}.features", row.features, "only an encoder runs in spikes"
                )
            layers = convolutions(experiment, row)
            shapes = experiment.network(row).shapes
            blank = {
                f"{layer.name}.w_ff": np.zeros(layer.weight_shape(shape))
                for layer, shape in zip(layers, shapes, strict=False)
            }
            unroll(str(source), layers, blank, 1, [1.0] * (len(layers) + 1), spikes.resolution)

    @cached_property
    def hearing(self) -> Hearing:
        return Hearing(self.experiment)

    def utterances(self, part: str) -> list[Utterance]:
        """Return the utterances of a part that run in spikes; raise InputError if none can be read."""
        found = [each for each in self._spread(part) if each.name not in self.broken]
        if not found:
            raise InputError(self.experiment.data.folder, None, None, f"no {part} utterance can be read")
        return found

    @cached_property
    def broken(self) -> dict[str, str]:
        """Those that would run in spikes but for their broken files, and why.

        All are read, since a header does not tell whether a file is whole.
        """
        found: dict[str, str] = {}
        for utterance in (each for part in PARTS for each in self._spread(part)):
            try:
                utterance.read()
            except InputError as error:
                found[utterance.name] = str(error)
        return found

    def _spread(self, part: str) -> list[Utterance]:
        return spread(getattr(self.hearing.speech, part), self.spikes.utterances)

    def encoder(self, row: Row, seed: int) -> Convolutions:
        """Return the convolutions of a trained system."""
        return Convolutions(convolutions(self.experiment, row), self.weights(row, seed), self.hearing)

    def unrolled(self, encoder: Convolutions, neurons: int, largest: Sequence[float]) -> Unrolled:
        """Return a system's convolutions in spikes, with so many ``neurons`` per unit."""
        resolution = self.spikes.resolution
        return unroll(self.experiment.title, encoder.layers, encoder.arrays, neurons, largest, resolution)


class Convolutions:
    """The convolutions of an encoder in rates."""

    def __init__(
        self, layers: Sequence[Layer], arrays: Mapping[str, NDArray[np.float32]], hearing: Hearing
    ) -> None:
        self.layers, self.arrays, self.hearing = layers, arrays, hearing

    def hear(self, utterance: Utterance) -> NDArray[np.float32]:
        """Return the samples of an utterance as the encoder hears them."""
        return standardised(utterance.read(), self.hearing.speech.statistics)

    @torch.no_grad()
    def rates(self, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return every layer's activity (steps, units)."""
        x, found = torch.from_numpy(samples)[None, :, None], []
        for layer in self.layers:
            w, bias = self.arrays[f"{layer.name}.w_ff"], self.arrays.get(f"{layer.name}.bias")
            x = respond(layer, x, torch.from_numpy(w), None if bias is None else torch.from_numpy(bias)).z
            found.append(x[0].numpy())
        return found

    def largest(self, utterances: Sequence[Utterance], percentile: float) -> list[float]:
        """Return that percentile of the samples' and of each layer's activity, where it is not 0.

        Of at most 20 of the utterances.
        """
        seen: list[list[NDArray[np.float32]]] = [[] for _ in range(len(self.layers) + 1)]
        for utterance in spread(utterances, SCALED):
            samples = self.hear(utterance)
            for gathered, each in zip(seen, [np.abs(samples), *self.rates(samples)], strict=True):
                gathered.append(each[each > 0])
        active = [np.concatenate(gathered) for gathered in seen]
        return [float(np.percentile(each, percentile)) if len(each) else 0.0 for each in active]


def convolutions(experiment: SpeechExperiment, row: Row) -> list[Layer]:
    """Return the layers of a system that run in spikes: all but recurrent units, which stay in rates."""
    return [layer for layer in row.system.cut(experiment.network(row)).scaled_layers if layer.kind != "gru"]


def spread(utterances: Sequence[Utterance], count: int) -> list[Utterance]:
    """Return at most ``count`` utterances, spread evenly."""
    places = np.linspace(0, len(utterances) - 1, min(count, len(utterances))).round().astype(int)
    return [utterances[place] for place in places]

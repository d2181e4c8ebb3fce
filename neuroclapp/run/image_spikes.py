"""Trained image encoders in spikes: the experiment, and its run's directory (`neuroclapp.run.converted`).

The .npz files hold every layer's mean features of each image, in rates and in spikes, and its label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass as description

from ..catalog import DESCRIPTION
from ..data.images import Images
from ..data.patches import survey
from ..errors import InputError
from ..network import Layer
from ..rate.convolution import convolve
from ..spiking.maps import Maps, Pooling, map_convolutions
from ..spiking.unrolled import Resolution
from ..systems import Row, SystemsExperiment
from .converted import ConvertedRun
from .vision import SURVEY, Vision

Maps32 = NDArray[np.float32]

#: Training images that the scales are set on, at most.
SCALED = 100


@description(frozen=True, config=DESCRIPTION)
class InSpikes:
    """What runs in spikes, and how finely.

    ``neurons`` per unit, each value a run of its own, with ``pooling``; of the last system also ``others``
    with ``others_neurons`` and the first seed. Every ``spacing``-th row and column of patches of at most so
    many ``training``, ``validation`` and ``test`` images, spread evenly; ``presentations`` patches of test
    images run in Brian2 as well (0: none).
    """

    neurons: tuple[PositiveInt, ...] = (1, 5, 10, 64)
    pooling: Pooling = "lead"
    others: tuple[Pooling, ...] = ("most", "first", "mean")
    others_neurons: PositiveInt = 10
    spacing: PositiveInt = 2
    training: PositiveInt = 400
    validation: PositiveInt = 100
    test: PositiveInt = 400
    presentations: NonNegativeInt = 20
    resolution: Resolution = field(default_factory=Resolution)

    def __post_init__(self) -> None:
        if not self.neurons or list(self.neurons) != sorted(set(self.neurons)):
            raise ValueError(f"neurons = {list(self.neurons)} must be one or more rising numbers")
        if self.pooling in self.others or len(set(self.others)) < len(self.others):
            raise ValueError(f"others = {list(self.others)} must differ, and hold no {self.pooling!r}")


@description(frozen=True, config=DESCRIPTION)
class _Table:
    spikes: InSpikes = field(default_factory=InSpikes)


class ImageSpikesRun(ConvertedRun[SystemsExperiment, InSpikes]):
    """The run of trained image encoders in spikes."""

    described_by = "systems", SystemsExperiment, _Table

    @classmethod
    def fits(cls, experiment: SystemsExperiment, spikes: InSpikes, source: Path) -> None:
        super().fits(experiment, spikes, source)
        for row in experiment.systems:
            if row.contrast.task == "views":
                allowed = "whole views do not run in spikes: the encoder must see patches"
                raise InputError(source, f"systems.{row.name}.contrast.task", "views", allowed)
            layers, shapes = convolutions(experiment, row), experiment.network(row).shapes
            blank = {
                f"{layer.name}.w_ff": np.zeros(layer.weight_shape(shape))
                for layer, shape in zip(layers, shapes, strict=False)
                if layer.kind == "conv"
            }
            patch = (shapes[0][0], shapes[0][1], shapes[0][2])
            for pooling in (spikes.pooling, *spikes.others):
                largest = [1.0] * (len(layers) + 1)
                map_convolutions(str(source), layers, patch, blank, 1, largest, spikes.resolution, pooling)

    @cached_property
    def vision(self) -> Vision:
        return Vision(self.experiment)

    def images(self, part: str) -> Images:
        """Return the images of a part that run in spikes, labels included."""
        images: Images = getattr(self.vision.images, part)
        count = min(len(images), getattr(self.spikes, part))
        return images[np.linspace(0, len(images) - 1, count).round().astype(np.int64)]

    def patches(self, images: Images, batch: int = SURVEY) -> Iterator[Maps32]:
        """Yield the patches that run in spikes, (images, patches, channels, height, width)."""
        spacing = self.spikes.spacing
        for shown in survey(images, self.experiment.data, self.vision.images.statistics, batch):
            seen = shown.patches[:, ::spacing, ::spacing]
            yield seen.reshape(len(seen), -1, *seen.shape[3:])

    def variants(self, row: Row, seed: int) -> list[tuple[str, Pooling, int]]:
        """Return name, pooling and neurons per unit of all that a system runs in."""
        spikes = self.spikes
        found = [(str(neurons), spikes.pooling, neurons) for neurons in spikes.neurons]
        last = self.experiment.systems[-1]
        if row == last and seed == self.experiment.seeds_of(last)[0]:
            found += [(other, other, spikes.others_neurons) for other in spikes.others]
        return found

    def encoder(self, row: Row, seed: int) -> Encoder:
        """Return the convolutions of a trained system."""
        return Encoder(convolutions(self.experiment, row), self.weights(row, seed))

    def maps(self, encoder: Encoder, pooling: Pooling, neurons: int, largest: Sequence[float]) -> Maps:
        """Return a system's convolutions in spikes."""
        shape = self.experiment.network(self.experiment.systems[0]).shapes[0]
        patch = (shape[0], shape[1], shape[2])
        title, resolution = self.experiment.title, self.spikes.resolution
        return map_convolutions(
            title, encoder.layers, patch, encoder.arrays, neurons, largest, resolution, pooling
        )

    def largest(self, encoder: Encoder, pooling: Pooling) -> list[float]:
        """Return that percentile of pixels and of each layer's activity before pooling, where it is not 0.

        Of at most 100 of the training images.
        """
        images = self.images("training")
        chosen = np.linspace(0, len(images) - 1, min(SCALED, len(images))).round().astype(np.int64)
        seen: list[list[Maps32]] = [[] for _ in range(len(encoder.layers) + 1)]
        for patches in self.patches(images[chosen]):
            flat = patches.reshape(-1, *patches.shape[2:])
            activities = [np.abs(flat), *(before for before, _ in encoder.rates(flat, pooling))]
            for gathered, each in zip(seen, activities, strict=True):
                gathered.append(each[each > 0])
        percentile, found = self.spikes.resolution.percentile, []
        for gathered in seen:
            active = np.concatenate(gathered)
            found.append(float(np.percentile(active, percentile)) if len(active) else 0.0)
        return found


class Encoder:
    """The convolutions of an encoder in rates."""

    def __init__(self, layers: Sequence[Layer], arrays: Mapping[str, Maps32]) -> None:
        self.layers, self.arrays = layers, arrays

    @torch.no_grad()
    def rates(self, patches: Maps32, pooling: Pooling = "lead") -> list[tuple[Maps32, Maps32]]:
        """Return every layer's activity before and after pooling, (patches, units, height, width).

        Pooling takes the largest, or where spikes are averaged the mean.
        """
        x, found = torch.from_numpy(patches), []
        pool = torch.nn.functional.avg_pool2d if pooling == "mean" else torch.max_pool2d
        for layer in self.layers:
            w, bias = self.arrays[f"{layer.name}.w_ff"], self.arrays.get(f"{layer.name}.bias")
            before = convolve(
                layer, x, torch.from_numpy(w), None if bias is None else torch.from_numpy(bias)
            ).relu()
            x = before if layer.pool == 1 else pool(before, layer.pool)
            found.append((before.numpy(), x.numpy()))
        return found


def convolutions(experiment: SystemsExperiment, row: Row) -> list[Layer]:
    """Return the layers of a system."""
    return list(row.system.cut(experiment.network(row)).scaled_layers)

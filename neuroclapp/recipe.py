"""How an image system is trained: batches, learning rates, how long, in which numbers."""

from __future__ import annotations

from math import cos, pi
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from .catalog import DESCRIPTION


@dataclass(frozen=True, config=DESCRIPTION)
class Recipe:
    """Training with Adam, as a table of values.

    ``epochs`` passes over the images, or ``updates`` if it is given. ``columns`` of patches are taken from
    each image at random (0: all); predictions stay in a column, so fewer columns are an unbiased
    sample of the same loss. ``prediction_rate`` multiplies the learning rate of prediction weights and heads;
    ``decay = "cosine"`` brings all rates to zero at the end, after ``warmup`` updates of a linear rise.
    ``gain`` of the initial weights: see `neuroclapp.rate.patchnet.initial`. ``precision`` is that of
    activities and products; weights are kept in float32 at least.
    """

    epochs: PositiveFloat = 300.0
    updates: PositiveInt | None = None
    batch: PositiveInt = 32
    columns: NonNegativeInt = 0
    learning_rate: PositiveFloat = 2e-4
    prediction_rate: PositiveFloat = 1.0
    decay: Literal["constant", "cosine"] = "constant"
    warmup: NonNegativeFloat = 0
    gain: PositiveFloat = 3**-0.5
    precision: Literal["float32", "bfloat16", "float64"] = "float32"
    checkpoint: PositiveInt = 2000

    def length(self, batches_per_epoch: int) -> int:
        """Return the number of updates."""
        return self.updates or max(1, round(self.epochs * batches_per_epoch))

    def rate(self, update: int, updates: int) -> float:
        """Return the learning rate of one update, counted from 0."""
        rise = min(1.0, (update + 1) / self.warmup) if self.warmup else 1.0
        fall = 0.5 * (1 + cos(pi * update / updates)) if self.decay == "cosine" else 1.0
        return self.learning_rate * rise * fall

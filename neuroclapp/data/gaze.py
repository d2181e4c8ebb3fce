"""A small eye before photographs: coarse pixels, centre less surround, small movements, ON and OFF."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass as description
from scipy.ndimage import uniform_filter

from ..catalog import DESCRIPTION
from ..presentations import Presentations
from .images import Images

Array = NDArray[np.float64]

#: Images that the scale is set on, at most.
SCALED = 1000


@description(frozen=True, config=DESCRIPTION)
class Gaze:
    """How a grey image reaches the eye.

    ``shrink`` x ``shrink`` pixels become one; the mean over ``surround`` x ``surround`` of those is
    subtracted, and what is left has a standard deviation of 1. The eye sees ``crop`` x ``crop`` of them,
    ``shift`` at most beside the middle in both directions, each with ``noise``; ``contrast`` multiplies the
    result.
    """

    shrink: PositiveInt = 4
    surround: PositiveInt = 7
    crop: PositiveInt = 20
    shift: NonNegativeInt = 2
    noise: NonNegativeFloat = 0.2
    contrast: PositiveFloat = 0.5


@dataclass(frozen=True)
class Eye:
    """An eye that is used to images; ``scale`` is the standard deviation of what their surround leaves."""

    gaze: Gaze
    scale: float

    @classmethod
    def used_to(cls, images: Images, gaze: Gaze) -> Eye:
        """Return an eye with the scale of images, of at most 1000 of them."""
        return cls(gaze, float(_contrasts(images[np.arange(min(len(images), SCALED))], gaze).std()) or 1.0)

    def fixations(self, images: Images, count: int, generator: np.random.Generator) -> Presentations:
        """Return ``count`` presentations A1 A2 B1 B2 ..., each with a movement of the eye of its own.

        The second of a pair is a fixation, the first a saccade to an image drawn without regard to labels.
        """
        objects = (count + 1) // 2
        steps = generator.integers(1, len(images), size=objects)
        image = np.repeat(np.cumsum(steps) % len(images), 2)[:count]
        sign = np.where(np.arange(count) % 2 == 1, 1, -1).astype(np.int8)
        sign[:1] = 0
        most = self.gaze.shift
        moved = generator.integers(-most, most, size=(count, 2), endpoint=True)
        seen, place = np.unique(image, return_inverse=True)
        inputs = self._look(_contrasts(images[seen], self.gaze)[place], moved, generator)
        return Presentations(inputs, sign, image)

    def survey(self, images: Images) -> Array:
        """Return what is seen of the middle of every image, without noise, (images, inputs)."""
        return self._look(_contrasts(images, self.gaze), np.zeros((len(images), 2), dtype=np.int64), None)

    def _look(
        self, contrasts: Array, moved: NDArray[np.int64], generator: np.random.Generator | None
    ) -> Array:
        gaze = self.gaze
        middle = [(side - gaze.crop) // 2 for side in contrasts.shape[1:]]
        y, x = (middle[axis] + moved[:, axis, None] + np.arange(gaze.crop) for axis in (0, 1))
        seen = contrasts[np.arange(len(contrasts))[:, None, None], y[:, :, None], x[:, None]] / self.scale
        if generator is not None:
            seen = seen + gaze.noise * generator.standard_normal(seen.shape)
        both = np.stack([np.maximum(seen, 0.0), np.maximum(-seen, 0.0)], axis=1)
        return gaze.contrast * both.reshape(len(seen), -1)


def _contrasts(images: Images, gaze: Gaze) -> Array:
    """Return coarse pixels less their surround's mean, (images, height, width), full range 0 to 1."""
    pixels = images.grey().pixels[:, 0]
    height, width = (side // gaze.shrink * gaze.shrink for side in pixels.shape[1:])
    parts = pixels[:, :height, :width].reshape(
        len(pixels), height // gaze.shrink, gaze.shrink, width // gaze.shrink, gaze.shrink
    )
    coarse: Array = parts.mean((2, 4)) / 255
    return coarse - uniform_filter(coarse, (0, gaze.surround, gaze.surround))

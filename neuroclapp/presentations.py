"""What is shown when: the one stream of presentations that all worlds share.

Presentation ``n`` shows one glimpse. ``sign[n]`` is that of the pair ``(n-1, n)``: +1 for a fixation (the
same image seen again), -1 for a saccade to another image, 0 where there is no pair. The eye moves in
the order A1 A2 B1 B2 C1 C2 ..., and the next image is drawn without regard to labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass as description

from .catalog import DESCRIPTION

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Presentations:
    """A stream: ``inputs`` (presentations, inputs), ``sign`` and ``image`` (presentations,)."""

    inputs: Array
    sign: NDArray[np.int8]
    image: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, part: slice) -> Presentations:
        return Presentations(self.inputs[part], self.sign[part], self.image[part])


@description(frozen=True, config=DESCRIPTION)
class Glimpse:
    """How an image reaches the retina: centred, with fresh pixel noise, split into ON and OFF channels.

    ``noise`` is the standard deviation of the pixel noise, in units of the image's full range; ``contrast``
    multiplies the result. ``inputs = contrast * [max(g, 0), max(-g, 0)]`` with
    ``g = image - mean + noise * normal``.
    """

    noise: NonNegativeFloat = 0.0
    contrast: PositiveFloat = 1.0

    def look(self, images: Array, mean: Array, generator: np.random.Generator) -> Array:
        """Return glimpses (images, 2 * pixels) of ``images`` (images, pixels), all values >= 0."""
        seen = images - mean + self.noise * generator.standard_normal(images.shape)
        return self.contrast * np.concatenate([np.maximum(seen, 0.0), np.maximum(-seen, 0.0)], axis=1)


def fixations(
    images: Array, mean: Array, count: int, glimpse: Glimpse, generator: np.random.Generator
) -> Presentations:
    """Return ``count`` presentations in the order A1 A2 B1 B2 ..., images drawn without labels.

    The next image always differs from the one before it.
    """
    objects = (count + 1) // 2
    steps = generator.integers(1, len(images), size=objects)
    image = np.repeat(np.cumsum(steps) % len(images), 2)[:count]
    sign = np.where(np.arange(count) % 2 == 1, 1, -1).astype(np.int8)
    sign[:1] = 0
    return Presentations(glimpse.look(images[image], mean, generator), sign, image)


@description(frozen=True, config=DESCRIPTION)
class Order:
    """In which order the pairs of a stream come; every order has the same pairs of the same glimpses.

    ``"seen"``: the stream itself, A1 A2 B1 B2 ..., in which a presentation ends one pair and begins the next.
    In the others every pair is shown by itself, context and then sample, so that they take twice as many
    presentations: ``"alternating"``: A1 A2 | A2 B1 | B1 B2 | ...; ``"shuffled"``: ``block`` fixations
    and as many saccades, all in random order, then the next; ``"day_and_night"``: ``block`` fixations,
    A1 A2 | B1 B2 | ..., then the saccades that lay between them, A2 B1 | B2 C1 | ...
    """

    kind: Literal["seen", "alternating", "shuffled", "day_and_night"] = "seen"
    block: PositiveInt = 1

    def presentations(self, count: int) -> int:
        """Return the length in this order of a stream of ``count``, of which only the first ends no pair."""
        return count if self.kind == "seen" else 2 * (count - 1)

    def arranged(self, stream: Presentations, generator: np.random.Generator) -> Presentations:
        """Return the stream in this order; only ``"shuffled"`` takes from ``generator``."""
        if self.kind == "seen":
            return stream
        sample = np.flatnonzero(stream.sign)
        if self.kind != "alternating":
            fixations, saccades = (sample[stream.sign[sample] == sign] for sign in (1, -1))
            parts = [sample[:0]]
            for first in range(0, max(len(fixations), len(saccades)), self.block):
                block = slice(first, first + self.block)
                part = np.concatenate([fixations[block], saccades[block]])
                parts.append(generator.permutation(part) if self.kind == "shuffled" else part)
            sample = np.concatenate(parts)
        shown = np.stack([sample - 1, sample], axis=1).ravel()
        sign = np.where(np.arange(len(shown)) % 2 == 1, stream.sign[shown], 0).astype(np.int8)
        return Presentations(stream.inputs[shown], sign, stream.image[shown])


def survey(
    images: Array, mean: Array, glimpse: Glimpse, generator: np.random.Generator, times: int = 1
) -> Presentations:
    """Return ``times`` rounds of one glimpse of every image in order, without pairs: nothing is learned."""
    image = np.tile(np.arange(len(images)), times)
    seen = glimpse.look(images[image], mean, generator)
    return Presentations(seen, np.zeros(len(image), dtype=np.int8), image)


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return the random generator of one purpose in one seed, independent of all others."""
    return np.random.default_rng(np.random.SeedSequence([seed, *purpose.encode()]))

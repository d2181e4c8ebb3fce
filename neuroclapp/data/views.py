"""Two views of one image, which predict each other in CLAPP++: all views of a batch are made at once.

Cutting, resizing, mirroring and blurring are linear, and they act on rows and on columns alike. So a view is
``A_y @ image @ A_x.T`` with two small matrices (crop, height) and (crop, width) of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat
from pydantic.dataclasses import dataclass as description

from ..catalog import DESCRIPTION
from .images import ImageData, Images, Pixels, Statistics
from .patches import Array, Batch, Order, generator

Reals = NDArray[np.float64]
Range = tuple[float, float]
Probability = Annotated[float, Field(ge=0, le=1)]


@description(frozen=True, config=DESCRIPTION)
class Augmentation:
    """In what views of an image differ; every range is drawn from uniformly, but ``ratio`` in its logarithm.

    A view is a box that covers the share ``scale`` of the image's area and is ``ratio`` times as wide as
    high, resized to a square and, with ``flip``, mirrored left and right with probability 1/2. With
    probability ``blur`` it loses detail to a Gaussian of width ``sigma`` [pixels of the view]. With
    probability ``jitter`` its brightness and contrast are multiplied by factors of 1 - value to 1 + value,
    and at least 0.
    """

    scale: Range = (0.08, 1.0)
    ratio: Range = (3 / 4, 4 / 3)
    flip: bool = True
    brightness: NonNegativeFloat = 0.4
    contrast: NonNegativeFloat = 0.4
    jitter: Probability = 0.8
    blur: Probability = 0.5
    sigma: Range = (0.1, 2.0)

    def __post_init__(self) -> None:
        for key, most in (("scale", 1.0), ("ratio", math.inf), ("sigma", math.inf)):
            low, high = getattr(self, key)
            if not 0 < low <= high <= most:
                bound = "" if most == math.inf else f" and at most {most:g}"
                raise ValueError(f"{key} = {[low, high]}: must be least and most, above 0{bound}")


@dataclass(eq=False)
class Views:
    """Pairs for learning: ``views[n]`` is the batch of step n, which depends on the seed and on n alone.

    Its ``patches`` are (batch, 2, 1, channels, crop, crop): the two views of an image lie one above the
    other, like patches in a grid of two rows and one column. Each is drawn on its own. Images come as in
    Order: the same ones as in Batches with the same seed. Of ``data`` only ``crop`` and ``flip`` count;
    nothing is mirrored unless ``data`` and ``augmentation`` both allow it. The products are BLAS's: its
    number of threads (``OPENBLAS_NUM_THREADS``) can change the last bit of a pixel, and one is the fastest.

    Raises InputError if there are fewer images than ``batch``.
    """

    images: Images
    data: ImageData
    statistics: Statistics
    batch: int
    seed: int
    augmentation: Augmentation
    _order: Order = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._order = Order(self.data.name, len(self.images), self.batch, self.seed)
        known, channels = len(self.statistics.mean), self.images.pixels.shape[1]
        if known != channels:
            raise ValueError(f"statistics of {known} channels do not fit images of {channels}")

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch."""
        return self._order.per_epoch

    def __getitem__(self, step: int) -> Batch:
        index = self._order[step]
        draw = generator(self.seed, step, b"views")
        seen = self._geometry(self.images.pixels[index], draw)
        brightness, contrast = self._factors(len(index), draw)
        jitter(seen, brightness, contrast)
        # In place, as an array of this size costs more to make than to fill.
        seen -= 255 * np.array(self.statistics.mean, dtype=np.float32)[:, None, None]
        seen /= 255 * np.array(self.statistics.std, dtype=np.float32)[:, None, None]
        labels = None if self.images.labels is None else self.images.labels[index]
        return Batch(seen[:, :, None], labels, index, np.zeros((len(index), 1), dtype=np.int64))

    def _geometry(self, pixels: Pixels, draw: np.random.Generator) -> Array:
        """Return views (images, 2, channels, crop, crop) that are cut, resized, mirrored and blurred."""
        how, size, (height, width) = self.augmentation, self.data.crop, pixels.shape[2:]
        pair = len(pixels), 2
        high, wide = boxes(how, height, width, draw.random((2, *pair)))
        y, x = draw.random((2, *pair))
        rows = resampling(y * (height - high), high, height, size)
        columns = resampling(x * (width - wide), wide, width, size)
        # All is drawn whatever the settings, so that to change one of them changes nothing else.
        mirrored = (draw.random(pair) < 0.5) & (how.flip and self.data.flip)
        columns[mirrored] = columns[mirrored, ::-1]
        blurred, sigma = draw.random(pair) < how.blur, draw.uniform(*how.sigma, pair)
        blur = blurring(sigma[blurred], size)
        rows[blurred], columns[blurred] = blur @ rows[blurred], blur @ columns[blurred]
        lines = rows[:, :, None] @ pixels[:, None].astype(np.float32)
        return lines @ columns[:, :, None].swapaxes(-1, -2)

    def _factors(self, images: int, draw: np.random.Generator) -> tuple[Reals, Reals]:
        """Return the brightness and contrast of views, both (images, 2)."""
        how = self.augmentation
        jittered = draw.random((images, 2)) < how.jitter
        ends = ((max(0.0, 1 - value), 1 + value) for value in (how.brightness, how.contrast))
        brightness, contrast = (np.where(jittered, draw.uniform(*end, (images, 2)), 1.0) for end in ends)
        return brightness, contrast


def boxes(how: Augmentation, height: int, width: int, uniform: Reals) -> tuple[Reals, Reals]:
    """Return height and width [pixels] of boxes that lie within an image, each of the shape of the draws.

    ``uniform`` are two draws from [0, 1), of the share and of the ratio. The share is as drawn; the ratio is
    one with which such a box fits, and leaves its range only if none in it does.
    """
    share = how.scale[0] + uniform[0] * (how.scale[1] - how.scale[0])
    fits = np.log(share * width / height), np.log(width / height / share)
    low, high = (np.clip(np.log(end), *fits) for end in how.ratio)
    aspect = np.exp(low + uniform[1] * (high - low))
    area = share * height * width
    return np.minimum(np.sqrt(area / aspect), height), np.minimum(np.sqrt(area * aspect), width)


def resampling(start: Reals, length: Reals, side: int, size: int) -> Array:
    """Return matrices (..., size, side) that resize a part of a line of ``side`` pixels to ``size`` pixels.

    The part begins at ``start`` (...) and is ``length`` (...) long [pixels]. It is enlarged by linear
    interpolation. Where it is reduced, the same triangle is as wide as two pixels of the result, so that
    fine patterns do not alias. This is Pillow's ``BILINEAR``; beyond the line's ends nothing is seen.
    """
    step = (length / size)[..., None]
    centre = start[..., None] + step * (np.arange(size) + 0.5)
    # From here on in single precision and in place: this is where most of a batch's time goes.
    weight = np.subtract.outer(centre.astype(np.float32), np.arange(side, dtype=np.float32) + 0.5)
    np.abs(weight, out=weight)
    weight *= (-1 / np.maximum(step, 1)[..., None]).astype(np.float32)
    weight += 1
    np.maximum(weight, 0, out=weight)
    weight /= weight.sum(axis=-1, keepdims=True)
    return weight


def blurring(sigma: Reals, size: int) -> Array:
    """Return matrices (..., size, size) that average ``size`` pixels with Gaussian weights of width sigma.

    Each row sums to one, also at the ends, where the pixels that there are count for those that there
    are not.
    """
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    weight = np.exp(-0.5 * (distance / sigma[..., None, None]) ** 2)
    weight /= weight.sum(axis=-1, keepdims=True)
    return weight.astype(np.float32)


def jitter(seen: Array, brightness: Reals, contrast: Reals) -> None:
    """Change views in place to ``b * (mean + c * (v - mean))``, cut off at 0 and 255.

    ``seen`` are (images, views, channels, height, width), the factors b and c (images, views), and the mean
    is that of all pixels and channels of a view. It makes no difference which of the two comes first.
    """
    scale = (brightness * contrast)[..., None, None, None].astype(np.float32)
    shift = (brightness * (1 - contrast))[..., None, None, None].astype(np.float32)
    mean = seen.mean(axis=(2, 3, 4), keepdims=True)
    seen *= scale
    seen += shift * mean
    np.clip(seen, 0, 255, out=seen)

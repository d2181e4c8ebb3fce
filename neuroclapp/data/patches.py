"""Images become batches of patches: cropped, mirrored, cut and normalised, all images of a batch at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..errors import InputError
from .images import ImageData, Images, Indices, Pixels, Statistics

Array = NDArray[np.float32]
Value = TypeVar("Value", np.uint8, np.float32)


def crops(pixels: Pixels, size: int, y: Indices, x: Indices, flip: NDArray[np.bool_]) -> Pixels:
    """Return a square of each image (images, channels, size, size), its upper left corner at (y, x).

    ``pixels`` are (images, channels, height, width), the others (images,); ``flip`` mirrors left and right.
    """
    cut = _windows(pixels, size)[np.arange(len(pixels)), :, y, x]
    cut[flip] = cut[flip, :, :, ::-1]
    return cut


def centre_crops(pixels: Pixels, size: int) -> Pixels:
    """Return the square in the centre of each image, (images, channels, size, size)."""
    y, x = ((side - size) // 2 for side in pixels.shape[2:])
    return pixels[:, :, y : y + size, x : x + size]


def normalisation(statistics: Statistics) -> Array:
    """Return ``(value / 255 - mean) / std`` of each channel and pixel value, (channels, 256)."""
    mean, std = np.array(statistics.mean)[:, None], np.array(statistics.std)[:, None]
    return ((np.arange(256) / 255 - mean) / std).astype(np.float32)


def patches(crops: Pixels, patch: int, stride: int, columns: Indices | None, table: Array) -> Array:
    """Return normalised patches (images, rows, columns, channels, patch, patch), C-contiguous.

    ``crops`` are (images, channels, height, width), ``columns`` (images, k) which columns of patches are
    taken of each image (None: all), ``table`` (channels, 256) what a pixel value becomes.
    """
    if len(table) != crops.shape[1]:
        raise ValueError(f"a table for {len(table)} channels does not fit images of {crops.shape[1]}")
    seen = np.empty(crops.shape, dtype=np.float32)
    for channel, values in enumerate(table):
        seen[:, channel] = values[crops[:, channel]]
    cut = _windows(seen, patch)[:, :, ::stride, ::stride].transpose(0, 2, 3, 1, 4, 5)
    if columns is not None:
        image, row = np.ogrid[: cut.shape[0], : cut.shape[1]]
        cut = cut[image[..., None], row[..., None], columns[:, None]]
    return np.ascontiguousarray(cut)


def generator(seed: int, number: int, purpose: bytes) -> np.random.Generator:
    """Return the random numbers of a step or an epoch, those of each purpose independent of all others."""
    return np.random.default_rng(np.random.SeedSequence([seed, number, *purpose]))


@dataclass(frozen=True)
class Batch:
    """Patches (images, rows, k, channels, patch, patch), of the images ``index`` (images,) of a part.

    ``labels`` are (images,), None without labels; ``columns`` (images, k) are those of the grid, rising.
    """

    patches: Array
    labels: Indices | None
    index: Indices
    columns: Indices


@dataclass(eq=False)
class Order:
    """Which images are seen: ``order[n]`` are those of step n, which depend on the seed and on n alone.

    Every epoch shows each image once, in an order of its own; an incomplete last batch is dropped. Raises
    InputError, which names ``source``, if there are fewer images than ``batch``.
    """

    source: str
    images: int
    batch: int
    seed: int
    _known: tuple[int, Indices] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= self.images:
            allowed = f"must be 1 to {self.images}, the number of images"
            raise InputError(self.source, "batch", self.batch, allowed)
        self._known = -1, np.empty(0, dtype=np.int64)

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch."""
        return self.images // self.batch

    def __getitem__(self, step: int) -> Indices:
        if step < 0:
            raise IndexError(f"step {step} is before the first, 0")
        epoch, place = divmod(step, self.per_epoch)
        return self._permutation(epoch)[place * self.batch : (place + 1) * self.batch]

    def _permutation(self, epoch: int) -> Indices:
        known, order = self._known
        if known != epoch:
            order = generator(self.seed, epoch, b"order").permutation(self.images)
            self._known = epoch, order
        return order


@dataclass(eq=False)
class Batches:
    """Batches for learning: ``batches[n]`` is that of step n, which depends on the seed and on n alone.

    So a run that resumes at step n sees what it would have seen. Images come as in Order. With ``augment``
    crops and mirrored images are drawn at random, otherwise the centre is seen; ``columns`` columns of
    patches are drawn of each image, without replacement (None: all are taken).

    Raises InputError if there are fewer images than ``batch`` or fewer columns in the grid than ``columns``.
    """

    images: Images
    data: ImageData
    statistics: Statistics
    batch: int
    seed: int
    columns: int | None = None
    augment: bool = True
    _table: Array = field(init=False, repr=False)
    _order: Order = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._order = Order(self.data.name, len(self.images), self.batch, self.seed)
        if self.columns is not None and not 1 <= self.columns <= self.data.grid[1]:
            allowed = f"must be 1 to {self.data.grid[1]}, the columns of the grid of patches"
            raise InputError(self.data.name, "columns", self.columns, allowed)
        self._table = normalisation(self.statistics)

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch."""
        return self._order.per_epoch

    def __getitem__(self, step: int) -> Batch:
        index = self._order[step]
        draw = generator(self.seed, step, b"glimpse")
        cut = self._crops(self.images.pixels[index], draw)
        every = np.arange(self.data.grid[1])
        columns = None if self.columns is None else _choose(self.columns, len(index), len(every), draw)
        seen = patches(cut, self.data.patch, self.data.stride, columns, self._table)
        labels = None if self.images.labels is None else self.images.labels[index]
        return Batch(seen, labels, index, np.tile(every, (len(index), 1)) if columns is None else columns)

    def _crops(self, pixels: Pixels, draw: np.random.Generator) -> Pixels:
        size, count = self.data.crop, len(pixels)
        if not self.augment:
            return centre_crops(pixels, size)
        y, x = (draw.integers(0, side - size, size=count, endpoint=True) for side in pixels.shape[2:])
        flip = draw.random(count) < 0.5
        return crops(pixels, size, y, x, flip & self.data.flip)


def survey(images: Images, data: ImageData, statistics: Statistics, batch: int) -> Iterator[Batch]:
    """Yield all patches of the centre of every image in order; the last batch may be smaller."""
    table, every = normalisation(statistics), np.arange(data.grid[1])
    for start in range(0, len(images), batch):
        index = np.arange(start, min(start + batch, len(images)))
        part = images[index]
        seen = patches(centre_crops(part.pixels, data.crop), data.patch, data.stride, None, table)
        yield Batch(seen, part.labels, index, np.tile(every, (len(index), 1)))


def _windows(pixels: NDArray[Value], size: int) -> NDArray[Value]:
    """View all squares of images, (images, channels, rows, columns, size, size)."""
    return sliding_window_view(sliding_window_view(pixels, size, axis=2), size, axis=3)


def _choose(count: int, images: int, columns: int, draw: np.random.Generator) -> Indices:
    """Return ``count`` different columns of each image, rising: (images, count)."""
    return np.sort(draw.random((images, columns)).argsort(axis=1)[:, :count], axis=1)

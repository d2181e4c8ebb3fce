"""Natural images: what a set is divided into, and which of it a run sees."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass as description

from ..catalog import DESCRIPTION
from ..errors import InputError

Pixels = NDArray[np.uint8]
Indices = NDArray[np.int64]

#: The environment variable that names the folder of all data sets; unset, it is ``data``.
ROOT = "NEUROCLAPP_DATA"
#: Images that are converted at once, so that what is needed besides the result stays small.
CHUNK = 256
#: The one choice of validation images and of few labels, the same for every seed of a run.
DIVISION = 20201


@dataclass(frozen=True)
class Images:
    """Images: ``pixels`` (images, channels, height, width) and ``labels`` (images,), None without labels.

    There are one (grey) or three (red, green, blue) channels.
    """

    pixels: Pixels
    labels: Indices | None = None

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 4 or shape[1] not in (1, 3):
            raise ValueError(
                f"pixels {self.pixels.dtype} {shape}: uint8 (images, 1 or 3, height, width) needed"
            )
        if self.labels is not None and self.labels.shape != shape[:1]:
            raise ValueError(f"labels {self.labels.shape} do not belong to {shape[0]} images")

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: Indices) -> Images:
        return Images(self.pixels[index], None if self.labels is None else self.labels[index])

    def grey(self) -> Images:
        """Return the images in one channel: luma of ITU-R 601, in the same integers as Pillow's ``"L"``."""
        if self.pixels.shape[1] == 1:
            return self
        luma = np.empty((len(self), 1, *self.pixels.shape[2:]), dtype=np.uint8)
        for start in range(0, len(self), CHUNK):
            part = slice(start, start + CHUNK)
            red, green, blue = (self.pixels[part, channel].astype(np.uint32) for channel in range(3))
            luma[part, 0] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
        return Images(luma, self.labels)


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of the pixels of each channel, in units of the full range 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, images: Images) -> Statistics:
        """Return the statistics of images."""
        counts = np.zeros((images.pixels.shape[1], 256))
        for start in range(0, len(images), CHUNK):
            for channel, count in enumerate(counts):
                count += np.bincount(images.pixels[start : start + CHUNK, channel].ravel(), minlength=256)
        counts /= counts.sum(axis=1, keepdims=True)
        values = np.arange(256) / 255
        mean = counts @ values
        std = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(axis=1))
        return cls(tuple(mean.tolist()), tuple(std.tolist()))


@dataclass(frozen=True)
class Published:
    """A set as its authors divide it; without ``unlabelled`` one learns from the labelled images.

    ``statistics`` are those of the grey images, where they are published; ``source`` is what an error names.
    """

    source: Path
    classes: tuple[str, ...]
    labelled: Images
    test: Images
    unlabelled: Images | None = None
    statistics: Statistics | None = None


@dataclass(frozen=True)
class ImageSet:
    """A set as a run sees it. No image of ``validation`` or ``test`` is in another part.

    ``unlabelled`` is what is learned from; a readout is trained on ``training``, its settings are chosen
    on ``validation``, and ``test`` is scored once. In a set that has no unlabelled images of its own,
    ``unlabelled`` holds all labelled ones but those of ``validation``, and so includes ``training``.
    """

    name: str
    classes: tuple[str, ...]
    unlabelled: Images
    training: Images
    validation: Images
    test: Images
    statistics: Statistics


@description(frozen=True, config=DESCRIPTION)
class ImageData:
    """Which images are seen, and how: a crop of them, cut into overlapping patches [pixels].

    ``path`` is where the set lies; empty, it is the folder ``name`` in the folder that the environment
    variable NEUROCLAPP_DATA names, or in ``data``. Learning sees random crops, mirrored at random with
    ``flip``. ``labels_per_class`` labels of each class train a readout (None: all but validation's).
    ``fold`` is one of the ten published folds of STL-10 (None: all labelled images): its images are then all
    that is trained on with labels, and validation's are among the others.
    """

    name: Literal["stl10", "cifar10", "imagenette96", "folder", "npz"]
    path: str = ""
    crop: PositiveInt = 64
    patch: PositiveInt = 16
    stride: PositiveInt = 8
    flip: bool = True
    labels_per_class: PositiveInt | None = None
    validation_per_class: PositiveInt = 100
    colour: bool = False
    fold: Annotated[int, Field(ge=0, le=9)] | None = None

    def __post_init__(self) -> None:
        if self.fold is not None and self.name != "stl10":
            raise ValueError(
                f"fold = {self.fold}: {self.name!r} has no folds, only 'stl10' has; leave it out"
            )
        if self.patch > self.crop:
            raise ValueError(f"patch = {self.patch} is larger than crop = {self.crop}; at most {self.crop}")

    @property
    def folder(self) -> Path:
        """Where the set lies."""
        return Path(self.path) if self.path else Path(os.environ.get(ROOT) or "data") / self.name

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches in a crop; pixels that fill no patch are not seen."""
        side = (self.crop - self.patch) // self.stride + 1
        return side, side


def load(data: ImageData) -> ImageSet:
    """Read a set and divide it, in the same way for every seed.

    Raises InputError where a file is missing (it says what to get) or broken, where a class has too few
    images, and where the images are smaller than the crop.
    """
    reader = import_module(f".{data.name}", __package__)
    published: Published = reader.read(data.folder)
    fold: Indices | None = None if data.fold is None else reader.fold(data.folder, data.fold)
    labelled, test = _seen(published.labelled, published, data), _seen(published.test, published, data)
    training, validation = _divide(published, data, fold)
    if published.unlabelled is None:
        rest = np.delete(np.arange(len(labelled)), validation)
        unlabelled = Images(labelled.pixels[rest])
    else:
        unlabelled = _seen(published.unlabelled, published, data)
    known = None if data.colour else published.statistics
    statistics = known or Statistics.of(unlabelled)
    if not all(statistics.std):
        raise InputError(published.source, None, None, "all pixels of the images to learn from are equal")
    parts = unlabelled, labelled[training], labelled[validation], test
    return ImageSet(data.name, published.classes, *parts, statistics)


def _seen(images: Images, published: Published, data: ImageData) -> Images:
    """Return images in memory, in grey or in colour, once they are known to hold a crop."""
    channels, *sides = images.pixels.shape[1:]
    size = "x".join(map(str, sides))
    if data.crop > min(sides):
        allowed = f"the images have {size} pixels, so at most {min(sides)}"
        raise InputError(published.source, "crop", data.crop, allowed)
    if images.pixels.shape[1:] != published.labelled.pixels.shape[1:]:
        allowed = "images of all parts must have one size and as many channels"
        raise InputError(published.source, "size", f"{channels}x{size}", allowed)
    if not data.colour:
        return images.grey()
    if channels == 1:
        raise InputError(published.source, "colour", True, "the images are grey, so it must be false")
    return Images(np.ascontiguousarray(images.pixels), images.labels)


def _divide(published: Published, data: ImageData, fold: Indices | None) -> tuple[Indices, Indices]:
    """Return which labelled images are for training and for validation, sorted.

    Fewer labels are a subset of more, and which they are does not depend on ``validation_per_class``.
    With a ``fold`` those for training are of it, and those for validation are not.
    """
    labels = published.labelled.labels
    if labels is None:
        raise InputError(published.source, None, None, "the training images have no labels")
    order = np.random.default_rng(DIVISION).permutation(len(labels))
    held, few = data.validation_per_class, data.labels_per_class
    training, validation = [], []
    for number, name in enumerate(published.classes):
        mine = order[labels[order] == number]
        inside = None if fold is None else np.isin(mine, fold)
        others, rest = (mine, mine[held:]) if inside is None else (mine[~inside], mine[inside])
        if len(others) < held or len(rest) < (few or 1):
            too_few = few and len(rest) and len(others) >= held
            key, value = ("labels_per_class", few) if too_few else ("validation_per_class", held)
            which = (
                "for validation and training together"
                if inside is None
                else f"{len(rest)} of them in fold {data.fold}; validation is of the other {len(others)}"
            )
            allowed = f"class {name!r} has {len(mine)} labelled images, {which}"
            raise InputError(published.source, key, value, allowed)
        validation.append(others[:held])
        training.append(rest if few is None else rest[-few:])
    return np.sort(np.concatenate(training)), np.sort(np.concatenate(validation))

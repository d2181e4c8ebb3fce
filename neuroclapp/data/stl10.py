"""STL-10, as published in binary: 100 000 unlabelled, 5000 training and 8000 test images of 96x96 pixels.

Coates, Lee and Ng (2011), An analysis of single-layer networks in unsupervised feature learning, AISTATS.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from .images import Images, Indices, Published, Statistics
from .published import content, labels, lines, present, records

SIDE = 96
#: Images of each part.
IMAGES = {"unlabeled": 100_000, "train": 5000, "test": 8000}
#: Training images of each of the ten folds.
IN_FOLD = 1000
ORIGIN = "Download stl10_binary.tar.gz from Stanford's page of STL-10 and unpack it"
#: Of the grey images, as the published CLAPP code has them.
GREY = Statistics(mean=(0.4120,), std=(0.2570,))


def read(folder: Path) -> Published:
    """Map the files of the archive; pixels are read when they are used."""
    folder = _unpacked(folder)
    classes = lines(present(folder / "class_names.txt", ORIGIN))
    labelled, test = (_labelled(folder, part, len(classes)) for part in ("train", "test"))
    return Published(folder, classes, labelled, test, _images(folder, "unlabeled"), GREY)


def fold(folder: Path, number: int) -> Indices:
    """Return which of the training images make up one of the ten published folds, 0 to 9."""
    path = present(_unpacked(folder) / "fold_indices.txt", ORIGIN)
    folds, images = lines(path), IMAGES["train"]
    if not 0 <= number < len(folds):
        raise InputError(path, "fold", number, f"must be 0 to {len(folds) - 1}, one for each line")
    try:
        found = np.array(folds[number].split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise InputError(path, f"fold {number}", folds[number], f"must be whole numbers: {error}") from None
    if len(found) != IN_FOLD or not np.array_equal(np.unique(found), np.sort(found % images)):
        allowed = f"must be {IN_FOLD} different numbers from 0 to {images - 1}, but holds {len(found)}"
        raise InputError(path, f"fold {number}", folds[number], allowed)
    return found


def _unpacked(folder: Path) -> Path:
    """Return the folder that the archive unpacks to, if it is there."""
    inner = folder / "stl10_binary"
    return inner if inner.is_dir() else folder


def _images(folder: Path, part: str) -> Images:
    # Each channel of an image is stored column by column.
    stored = records(present(folder / f"{part}_X.bin", ORIGIN), 3 * SIDE * SIDE, IMAGES[part])
    return Images(stored.reshape(-1, 3, SIDE, SIDE).transpose(0, 1, 3, 2))


def _labelled(folder: Path, part: str, classes: int) -> Images:
    images = _images(folder, part)
    path = present(folder / f"{part}_y.bin", ORIGIN)
    values = np.frombuffer(content(path), dtype=np.uint8)
    return Images(images.pixels, labels(path, values, len(images), classes, first=1))

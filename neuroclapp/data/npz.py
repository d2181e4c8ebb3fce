"""Your own images as arrays in one .npz file without pickles.

``training_images`` and ``test_images`` are uint8, grey (images, height, width) or (images, height, width, 3)
in red, green and blue; ``training_labels`` and ``test_labels`` are whole numbers (images,) from 0. Two keys
may be left out: ``unlabelled``, images like the others, and ``classes``, the names of the classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .images import Images, Published
from .published import arrays, labels, present

FILE = "images.npz"
KEYS = ("training_images", "training_labels", "test_images", "test_labels")
ORIGIN = f"Write your arrays {', '.join(KEYS)} with numpy.savez as {FILE}"


def read(folder: Path) -> Published:
    """Read the arrays; ``folder`` holds ``images.npz``, or is an .npz file."""
    path = present(folder if folder.suffix == ".npz" else folder / FILE, ORIGIN)
    stored = arrays(path, KEYS, optional=("unlabelled", "classes"))
    classes = _classes(path, stored)
    labelled, test = (_labelled(path, stored, part, len(classes)) for part in ("training", "test"))
    unlabelled = _images(path, stored, "unlabelled") if "unlabelled" in stored else None
    return Published(path, classes, labelled, test, unlabelled)


def _classes(path: Path, stored: Mapping[str, NDArray]) -> tuple[str, ...]:
    for key in ("training_labels", "test_labels"):
        if stored[key].dtype.kind not in "iu" or stored[key].size == 0:
            raise InputError(
                path, key, f"{stored[key].dtype} {stored[key].shape}", "must be whole numbers (images,)"
            )
    if "classes" in stored:
        return tuple(map(str, stored["classes"]))
    return tuple(map(str, range(int(stored["training_labels"].max()) + 1)))


def _labelled(path: Path, stored: Mapping[str, NDArray], part: str, classes: int) -> Images:
    images = _images(path, stored, f"{part}_images")
    known = labels(path, stored[f"{part}_labels"], len(images), classes, key=f"{part}_labels")
    return Images(images.pixels, known)


def _images(path: Path, stored: Mapping[str, NDArray], key: str) -> Images:
    pixels = stored[key]
    colour = pixels.ndim == 4 and pixels.shape[-1] == 3
    if pixels.dtype != np.uint8 or pixels.size == 0 or not (colour or pixels.ndim == 3):
        allowed = "must be uint8 (images, height, width) or (images, height, width, 3)"
        raise InputError(path, key, f"{pixels.dtype} {pixels.shape}", allowed)
    return Images(pixels.transpose(0, 3, 1, 2) if colour else pixels[:, None])

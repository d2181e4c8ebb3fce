"""Imagenette at 96x96 pixels: 9469 training and 3925 test photographs of ten classes of ImageNet.

One .npz file without pickles holds, for ``train`` and for ``val``, the JPEG files one after another:
``train_jpeg`` (bytes,) uint8, ``train_offsets`` (images + 1,) where each begins, and the end, ``train_y``
(images,) labels from 0; and ``class_names`` (classes,). The photographs are fastai's Imagenette2, each cut
to the square in its centre and reduced to 96x96 pixels (bicubic, JPEG quality 92).

It is not STL-10, and accuracies on it are not comparable with those on STL-10.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .images import Images, Published
from .published import arrays, decode, labels, present

SIDE = 96
FILE = "imagenette96_rgb_jpeg92.npz"
ORIGIN = f"Put {FILE}, made of fastai's Imagenette2 as neuroclapp/data/imagenette96.py describes,"
KEYS = ("jpeg", "offsets", "y")


def read(folder: Path) -> Published:
    """Decode the photographs; ``folder`` holds the file, or is the file."""
    path = present(folder if folder.suffix == ".npz" else folder / FILE, ORIGIN)
    stored = arrays(path, [*(f"{part}_{key}" for part in ("train", "val") for key in KEYS), "class_names"])
    classes = tuple(map(str, stored["class_names"]))
    labelled, test = (_images(path, stored, part, len(classes)) for part in ("train", "val"))
    return Published(path, classes, labelled, test)


def _images(path: Path, stored: Mapping[str, NDArray], part: str, classes: int) -> Images:
    encoded, offsets, known = (stored[f"{part}_{key}"] for key in KEYS)
    if offsets.ndim != 1 or len(offsets) < 2 or offsets[-1] != len(encoded) or (np.diff(offsets) <= 0).any():
        allowed = (
            f"must rise from 0 to {len(encoded)}, the size of {part}_jpeg; the file is cut short or another"
        )
        raise InputError(path, f"{part}_offsets", offsets[-1:].tolist(), allowed)
    pixels = np.empty((len(offsets) - 1, 3, SIDE, SIDE), dtype=np.uint8)
    blob = encoded.tobytes()
    for number, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        image = decode(blob[start:end], f"{path}: {part} image {number}")
        if image.shape != pixels.shape[1:]:
            size = "x".join(map(str, image.shape[1:]))
            raise InputError(f"{path}: {part} image {number}", "size", size, f"must be {SIDE}x{SIDE}")
        pixels[number] = image
    return Images(pixels, labels(path, known, len(pixels), classes, key=f"{part}_y"))

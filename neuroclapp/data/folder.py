"""Your own images in folders: ``train/CLASS/*``, ``test/CLASS/*`` and, if you have them, ``unlabelled/*``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from .images import Images, Published
from .published import content, decode
from .published import folder as folder_of

KINDS = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
ORIGIN = "Put folders train/CLASS and test/CLASS with images of one size, and perhaps unlabelled,"


def read(folder: Path) -> Published:
    """Decode all images of the folders; classes are the folders' names, sorted."""
    training, test = folder_of(folder / "train", ORIGIN), folder_of(folder / "test", ORIGIN)
    classes = _classes(training)
    if _classes(test) != classes:
        raise InputError(
            test, "classes", _classes(test), f"must be those of {training}: {', '.join(classes)}"
        )
    extra = folder / "unlabelled"
    unlabelled = _images(_files(folder_of(extra, ORIGIN))) if extra.exists() else None
    return Published(folder, classes, _labelled(training, classes), _labelled(test, classes), unlabelled)


def _classes(part: Path) -> tuple[str, ...]:
    found = tuple(sorted(path.name for path in part.iterdir() if path.is_dir()))
    if not found:
        raise InputError(part, None, None, "must hold one folder for each class, but there is none")
    return found


def _files(part: Path) -> list[Path]:
    found = sorted(path for path in part.iterdir() if path.suffix.lower() in KINDS)
    if not found:
        raise InputError(
            part, None, None, f"must hold images ({', '.join(sorted(KINDS))}), but there is none"
        )
    return found


def _labelled(part: Path, classes: Sequence[str]) -> Images:
    files = [_files(part / name) for name in classes]
    known = np.repeat(np.arange(len(classes)), [len(some) for some in files])
    return Images(_images([path for some in files for path in some]).pixels, known)


def _images(paths: Sequence[Path]) -> Images:
    first = decode(content(paths[0]), paths[0])
    pixels = np.empty((len(paths), *first.shape), dtype=np.uint8)
    for number, path in enumerate(paths):
        image = decode(content(path), path)
        if image.shape != first.shape:
            sizes = ["x".join(map(str, some.shape[1:])) for some in (image, first)]
            raise InputError(
                path, "size", sizes[0], f"all images must have one size; {paths[0]} has {sizes[1]}"
            )
        pixels[number] = image
    return Images(pixels)

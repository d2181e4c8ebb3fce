"""What the readers of published files share: each fault becomes one error that names its file."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError
from .images import ROOT, Indices, Pixels


def state_of(place: Path, parts: Sequence[str]) -> str:
    """Return a digest of a file, or of ``parts`` of a folder: each file's name, size and time of change.

    Files that are changed in place so become another set, without any of them being read.
    """
    places = [place] if place.is_file() else [place / part for part in parts]
    files = [path for one in places for path in (one, *one.rglob("*")) if path.is_file()]
    stats = [(path.relative_to(place).as_posix(), path.stat()) for path in sorted(files)]
    state = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def present(path: Path, origin: str) -> Path:
    """Return ``path`` if it is there; else raise InputError that says what to get, and where it goes."""
    if path.exists():
        return path
    root = os.environ.get(ROOT)
    where = f"is {root!r}" if root else "is not set, which means 'data'"
    allowed = (
        f"no such file or folder. {origin} into {path.parent}. A set lies in the folder that its key `path` "
        f"names, else in the one that the environment variable {ROOT} names (it {where})"
    )
    raise InputError(path, None, None, allowed)


def folder(path: Path, origin: str) -> Path:
    """Return ``path`` if it is a folder; else raise InputError that says what to get, and where it goes."""
    if present(path, origin).is_dir():
        return path
    raise InputError(path, None, None, f"must be a folder, but is a file. {origin} into {path.parent}")


def content(path: Path) -> bytes:
    """Return all bytes of a file; raise InputError if it cannot be read, as a folder of its name cannot."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(path, None, None, f"cannot be read as a file: {error.strerror}") from None


def records(path: Path, size: int, count: int) -> Pixels:
    """Map a file of ``count`` records of ``size`` bytes as (records, size), without reading it."""
    if not path.is_file():
        raise InputError(path, None, None, "must be a file, but is a folder")
    length = path.stat().st_size
    if length != count * size:
        allowed = (
            f"must be {count * size}, {count} records of {size} each, not {length / size:.10g}; "
            "the file is cut short or another: get it again"
        )
        raise InputError(path, "bytes", length, allowed)
    return np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, size)


def labels(
    path: Path, values: NDArray[np.integer], images: int, classes: int, *, first: int = 0, key: str = "labels"
) -> Indices:
    """Return labels counted from zero; raise InputError if there is not one of a class for each image.

    In the file they stand under ``key``, and the classes count from ``first``.
    """
    if values.shape != (images,):
        raise InputError(path, key, values.shape, f"must be one for each of {images} images")
    wrong = (values < first) | (values >= first + classes)
    if wrong.any():
        allowed = f"must be {first} to {first + classes - 1}"
        raise InputError(path, f"{key}[{wrong.argmax()}]", int(values[wrong.argmax()]), allowed)
    return values.astype(np.int64) - first


def lines(path: Path) -> tuple[str, ...]:
    """Return the lines of a text file that are not empty; raise InputError if there are none."""
    text = content(path).decode("utf-8", errors="replace")
    found = tuple(filter(None, map(str.strip, text.splitlines())))
    if not found:
        raise InputError(path, None, None, "must hold one name on each line, but is empty")
    return found


def arrays(path: Path, keys: Sequence[str], optional: Sequence[str] = ()) -> Mapping[str, NDArray]:
    """Read named arrays of an .npz file that holds no pickles."""
    found = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in [*keys, *(key for key in optional if key in file)]:
                found[key] = file[key]
    except KeyError:
        raise InputError(path, None, None, f"has no array {key!r}; needed are {', '.join(keys)}") from None
    except (OSError, ValueError, TypeError, AttributeError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(path, None, None, f"not an .npz file of plain arrays: {error}") from None
    return found


def decode(encoded: bytes, name: object) -> Pixels:
    """Decode a JPEG, PNG or like image of 8 bits per channel to (3, height, width)."""
    try:
        with Image.open(BytesIO(encoded)) as image:
            mode = image.mode
            pixels = np.asarray(image if mode == "RGB" else image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(name, None, None, f"not an image that can be read: {error}") from None
    if mode.startswith(("I", "F")):
        raise InputError(name, "mode", mode, "images must have 8 bits per channel")
    return pixels.transpose(2, 0, 1)

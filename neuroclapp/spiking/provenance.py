"""What a simulation depends on, value by value, so that a difference can be named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from .. import __version__
from ..errors import InputError
from ..plasticity import Control
from ..presentations import Presentations
from .drawn import Drawn


def described(value: Any, name: str) -> dict[str, str]:
    """Return the values of a description by their dotted names; an array is its type, shape and SHA-256."""
    if is_dataclass(value) and not isinstance(value, type):
        found = {name: type(value).__name__}
        parts: Any = ((field.name, getattr(value, field.name)) for field in fields(value))
    elif isinstance(value, Mapping):
        found, parts = {}, value.items()
    elif isinstance(value, list | tuple):
        found, parts = {}, enumerate(value)
    elif isinstance(value, np.ndarray):
        digest = hashlib.sha256(_bytes(value)).hexdigest()[:16]
        return {name: f"{value.dtype} {value.shape} {digest}"}
    else:
        return {name: repr(value.item() if isinstance(value, np.generic) else value)}
    for key, part in parts:
        found |= described(part, f"{name}.{key}")
    return found


def simulator(value: Any) -> dict[str, str]:
    """Return what computes: the class of a simulator, its library where it has one, and our version."""
    arrays = getattr(value, "xp", None)
    library = [] if arrays is None else [arrays.library.__name__, arrays.device]
    return {"simulator": " ".join([type(value).__name__, *library]), "neuroclapp": __version__}


class Seen:
    """Digests of the presentations that a simulation has seen so far, and of what was drawn for them.

    They do not depend on the stretches in which the presentations came.
    """

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}

    def add(self, stream: Presentations, drawn: Drawn, control: Control) -> None:
        """Add the next presentations; all arrays have one row for each of them."""
        for name, array in [
            *_arrays(stream, "stream"),
            *_arrays(drawn, "drawn"),
            *_arrays(control, "control"),
        ]:
            if name not in self._digests:
                self._digests[name] = hashlib.sha256(f"{array.dtype} {array.shape[1:]}".encode())
            self._digests[name].update(_bytes(array))

    @property
    def found(self) -> dict[str, str]:
        return {name: digest.hexdigest()[:16] for name, digest in self._digests.items()}


def is_seen(name: str) -> bool:
    """Return whether a name is that of a digest of presentations."""
    return name.startswith(("stream.", "drawn.")) or name == "control.permutations"


def compare(source: object, kept: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Raise InputError, which names ``source`` and the first value that differs, unless both are the same."""
    for name in [*here, *(name for name in kept if name not in here)]:
        if kept.get(name) != here.get(name):
            raise InputError(
                source,
                name,
                here.get(name, "absent"),
                f"this was begun with {kept.get(name, 'absent')}; give the same, or another folder",
            )


def _arrays(value: Any, name: str) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(value, np.ndarray):
        yield name, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _arrays(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, list | tuple):
        for n, each in enumerate(value):
            yield from _arrays(each, f"{name}.{n}")


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data

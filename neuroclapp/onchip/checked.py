"""Reading a JSON document field by field: each error names the file, the key's full path and the value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


class Table:
    """One JSON object. Every method takes a key, raises InputError where the value is not what it may be."""

    def __init__(self, value: Any, source: object, path: str = "") -> None:
        self._source, self._path = source, path
        if not isinstance(value, dict):
            raise InputError(source, path or None, value, "an object {...} is expected")
        self._values, self._read = value, set[str]()

    def key(self, key: str) -> str:
        """Return the full path of a key, as errors name it."""
        return self._path + key

    def refuse(self, key: str, allowed: str) -> InputError:
        """Return the error that says what the value at ``key`` may be."""
        return InputError(self._source, self._path + key, self._values.get(key), allowed)

    def get(self, key: str) -> Any:
        if key not in self._values:
            raise InputError(self._source, self._path + key, None, "this key is missing")
        self._read.add(key)
        return self._values[key]

    def has(self, key: str) -> bool:
        """Say whether there is a value."""
        return key in self._values

    def only(self, key: str, *allowed: Any) -> Any:
        """Return a value that is one of ``allowed``, of the same type; ``1`` may stand for ``1.0``."""
        value = self.get(key)
        for one in allowed:
            same = type(value) is type(one) or (type(value) is int and type(one) is float)
            if same and value == one:
                return one
        raise self.refuse(key, "must be " + " or ".join(repr(one) for one in allowed))

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not value:
            raise self.refuse(key, "must be a text that is not empty")
        return value

    def integer(self, key: str, low: int, high: int | None = None) -> int:
        value = self.get(key)
        if type(value) is not int or value < low or (high is not None and value > high):
            raise self.refuse(
                key, f"must be an integer >= {low}" + (f" and <= {high}" if high is not None else "")
            )
        return value

    def number(self, key: str, low: float = -math.inf, above: bool = False) -> float:
        """Return a finite number ``>= low``, or ``> low`` if ``above``."""
        value = self.get(key)
        if type(value) not in (int, float) or not _finite(value) or value < low or (above and value == low):
            limit = "" if low == -math.inf else f" {'>' if above else '>='} {low:g}"
            raise self.refuse(key, "must be a finite number" + limit)
        return float(value)

    def array(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return nested lists of finite numbers as an array of exactly this shape."""
        value = self.get(key)
        try:
            array = np.array(value, dtype=object)
            numbers = all(type(one) in (int, float) for one in array.ravel())
            finite = numbers and all(map(_finite, array.ravel()))
            array = array.astype(np.float64) if finite else array
        except ValueError:
            raise self.refuse(key, f"must be a full table of numbers of shape {shape}") from None
        if not numbers or array.shape != shape:
            raise self.refuse(key, f"must be a full table of numbers of shape {shape}")
        if not finite:
            raise self.refuse(key, "every number must be finite")
        return array

    def table(self, key: str) -> Table:
        return Table(self.get(key), self._source, f"{self._path}{key}.")

    def tables(self, key: str) -> Iterator[Table]:
        value = self.get(key)
        if not isinstance(value, list) or not value:
            raise self.refuse(key, "must be a list [...] of at least one object")
        for index, one in enumerate(value):
            yield Table(one, self._source, f"{self._path}{key}.{index}.")

    def done(self, *optional: str) -> None:
        """Refuse keys that nobody has read."""
        unknown = sorted(set(self._values) - self._read - set(optional))
        if unknown:
            raise self.refuse(unknown[0], f"unknown key; known: {', '.join(self.known(optional))}")

    def known(self, optional: Sequence[str] = ()) -> list[str]:
        return sorted(self._read | set(optional))


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond all floats
        return False

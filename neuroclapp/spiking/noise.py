"""Randomness of a long simulation, drawn where it is needed instead of all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from ..presentations import Presentations
from .drawn import Drawn, draw
from .populations import Populations


@dataclass(frozen=True)
class Noise:
    """What is random in each presentation, from a generator of its own.

    ``noise[first:last]`` is the `Drawn` of these presentations. It depends on the seed and on their numbers
    alone: not on where a stretch begins, nor on what was drawn before. A simulation that goes on needs only
    the number of its next presentation.
    """

    populations: Populations
    stream: Presentations
    seed: int

    def __getitem__(self, part: slice) -> Drawn:
        numbers = range(len(self.stream))[part]
        if not numbers:
            return draw(self.populations, self.stream[0:0], np.random.default_rng(0))
        drawn = [draw(self.populations, self.stream[n : n + 1], self._generator(n)) for n in numbers]
        return _joined(drawn)

    def _generator(self, presentation: int) -> np.random.Generator:
        return np.random.default_rng(
            np.random.SeedSequence([self.seed, *b"noise"], spawn_key=(presentation,))
        )


def _joined(parts: Sequence[Any]) -> Any:
    """Join the arrays of the same place in each of several descriptions."""
    first = parts[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, tuple):
        return tuple(map(_joined, zip(*parts, strict=True)))
    if is_dataclass(first):
        values = {f.name: _joined([getattr(part, f.name) for part in parts]) for f in fields(first)}
        return replace(first, **values)  # type: ignore[type-var]
    return first

"""Utterances become batches of excerpts of one length, standardised, with a label for each 10 ms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .images import Indices
from .patches import Batch, Order, generator
from .speech import SpeechData, Statistics, heard
from .utterances import FRAME, UNKNOWN, Array, Utterance


def standardised(samples: Array, statistics: Statistics) -> Array:
    """Return ``(samples - mean) / std`` in single precision."""
    return (samples - np.float32(statistics.mean)) * np.float32(1 / statistics.std)


class _Heard(NamedTuple):
    """An excerpt, which utterance that is long enough it is from, and its first frame."""

    place: int
    first: int
    samples: Array


@dataclass(eq=False)
class Excerpts:
    """Excerpts for learning: ``excerpts[n]`` are those of step n, which depend on the seed and on n alone.

    So a run that resumes at step n hears what it would have heard. Every epoch visits each utterance once
    that is long enough, in an order of its own, at a random place that is a multiple of 160 samples; an
    incomplete last batch is dropped. Which are not, `SpeechSet.too_short` tells.
    The next utterance that can be read stands in for one whose file is broken, which is told once.

    In a batch, ``patches`` are the excerpts (batch, excerpt), ``labels`` with ``labelled`` the phones
    (batch, excerpt // 160), -1 where unknown, ``index`` (batch,) which of ``utterances`` they are from, and
    ``columns`` (batch, excerpt // 160) which of its frames of 10 ms.

    Raises InputError if fewer utterances than ``batch`` are long enough, and if none can be read.
    """

    utterances: Sequence[Utterance]
    data: SpeechData
    statistics: Statistics
    batch: int
    seed: int
    labelled: bool
    _long: Indices = field(init=False, repr=False)
    _order: Order = field(init=False, repr=False)

    def __post_init__(self) -> None:
        enough = [number for number, each in enumerate(self.utterances) if each.samples >= self.data.excerpt]
        self._long = np.array(enough, dtype=np.int64)
        if not enough:
            longest = max((each.samples for each in self.utterances), default=0)
            allowed = f"no utterance is as long; the longest has {longest} samples"
            raise InputError(self.data.name, "excerpt", self.data.excerpt, allowed)
        if not 1 <= self.batch <= len(enough):
            allowed = f"must be 1 to {len(enough)}, the number of utterances of at least an excerpt"
            raise InputError(self.data.name, "batch", self.batch, allowed)
        self._order = Order(self.data.name, len(enough), self.batch, self.seed)

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch."""
        return self._order.per_epoch

    def __getitem__(self, step: int) -> Batch:
        place, random = self._order[step], generator(self.seed, step, b"excerpt")
        first = random.integers(0, self._room(self._long[place]), endpoint=True)
        found = [self._heard(*each, random) for each in zip(place.tolist(), first.tolist(), strict=True)]
        index = np.array([self._long[each.place] for each in found])
        first = np.array([each.first for each in found])
        chosen = [self.utterances[number] for number in index]
        samples = np.stack([each.samples for each in found])
        frames = first[:, None] + np.arange(self.data.frames)
        phones = _phones(chosen, frames) if self.labelled else None
        return Batch(standardised(samples, self.statistics), phones, index, frames)

    def _room(self, index: Indices) -> Indices:
        """Return the last frame at which an excerpt of each utterance can begin."""
        return np.array([(self.utterances[each].samples - self.data.excerpt) // FRAME for each in index])

    def _heard(self, place: int, first: int, random: np.random.Generator) -> _Heard:
        """Return an utterance's excerpt from a frame on, or one of the next that can be read."""
        for away in range(len(self._long)):
            at = (place + away) % len(self._long)
            if away:
                first = int(random.integers(0, self._room(self._long[[at]])[0], endpoint=True))
            samples = heard(self.utterances[self._long[at]], FRAME * first, self.data.excerpt)
            if samples is not None:
                return _Heard(at, first, samples)
        raise InputError(self.data.name, None, None, "no utterance can be read")


def _phones(utterances: Sequence[Utterance], frames: Indices) -> Indices:
    """Return the phones of these frames of each utterance (utterances, frames), -1 without an alignment."""
    found = np.full(frames.shape, UNKNOWN, dtype=np.int64)
    for row, each, places in zip(found, utterances, frames, strict=True):
        if each.phones is not None:
            row[:] = each.phones[places]
    return found

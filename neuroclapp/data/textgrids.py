"""Your own speech in ``train/SPEAKER/*`` and ``test/SPEAKER/*``: WAV or FLAC files with Praat's text grids.

Beside ``NAME.wav`` stands ``NAME.TextGrid`` with an interval tier ``phones`` or ``SPEAKER - phones``, as the
Montreal Forced Aligner writes it. Empty marks, "sil", "sp" and "spn" are silence, and the stress of ARPABET's
vowels is dropped (AH0 is AH). The audio has one channel and 16000 samples in a second. A text grid that goes
on after its audio's end does not belong to it, or the audio was cut short: its phones are not used. A speaker
is in ``train`` or in ``test``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from praatio import textgrid
from praatio.utilities.errors import PraatioException

from ..errors import InputError
from .published import present
from .speech import Corpus, SpeechData
from .utterances import FRAME, RATE, UNKNOWN, Phones, Recording, Utterance

KINDS = {".flac", ".wav"}
ORIGIN = "Put folders train/SPEAKER and test/SPEAKER with audio at 16 kHz and a .TextGrid beside each file"
SILENCE = "SIL"
#: By how many samples a text grid may be longer than its audio: three frames, as in `.librispeech`.
TOLERANCE = 3 * FRAME
SILENT = {"", "sil", "sp", "spn"}
VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}


@dataclass(frozen=True)
class Interval:
    """A phone from ``start`` to before ``end`` [samples]."""

    start: int
    end: int
    phone: str


@dataclass(frozen=True)
class Heard:
    """A recording whose phones have no numbers yet; without a text grid there are none."""

    name: str
    speaker: str
    samples: int
    intervals: tuple[Interval, ...] | None
    recording: Recording


def read(data: SpeechData) -> Corpus:
    """Find all recordings and read their text grids; the phones are all that occur, silence first.

    Raises InputError where a speaker is in both parts.
    """
    skipped: list[tuple[str, str]] = []
    training, test = (_part(present(data.folder / part, ORIGIN), skipped) for part in ("train", "test"))
    both = sorted({each.speaker for each in training} & {each.speaker for each in test})
    if both:
        allowed = "are in train and in test; a speaker must be in one of them"
        raise InputError(data.folder, "speakers", ", ".join(both), allowed)
    used = {each.phone for heard in (*training, *test) for each in heard.intervals or ()}
    phones = SILENCE, *sorted(used - {SILENCE})
    numbers = {phone: number for number, phone in enumerate(phones)}
    learned, tested = (tuple(_utterance(heard, numbers) for heard in part) for part in (training, test))
    return Corpus(data.folder, phones, (0,), learned, tested, tuple(skipped))


def intervals(path: Path) -> tuple[Interval, ...]:
    """Read the phones of a text grid, their times rounded to samples; raise InputError if there are none."""
    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="silence")
    except (PraatioException, ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise InputError(path, None, None, f"not a text grid that can be read: {error}") from None
    tiers = [name for name in grid.tierNames if name == "phones" or name.endswith(" - phones")]
    if len(tiers) != 1:
        allowed = "must have one tier that is called 'phones' or 'SPEAKER - phones'"
        raise InputError(path, "tiers", list(grid.tierNames), allowed)
    tier = grid.getTier(tiers[0])
    if not isinstance(tier, textgrid.IntervalTier):
        raise InputError(path, tiers[0], type(tier).__name__, "must be a tier of intervals")
    return tuple(
        Interval(round(start * RATE), round(end * RATE), phone(mark)) for start, end, mark in tier.entries
    )


def phone(mark: str) -> str:
    """Return the phone of a mark: without stress if it is one of ARPABET's vowels, SIL for any silence."""
    mark = mark.strip()
    if mark.lower() in SILENT:
        return SILENCE
    return mark[:-1] if mark[-1] in "012" and mark[:-1] in VOWELS else mark


def labels(intervals: Sequence[Interval], numbers: Mapping[str, int], samples: int) -> Phones:
    """Return the phone at the centre of each frame, sample 160 t + 80: (samples // 160,), -1 for none."""
    found = np.full(samples // FRAME, UNKNOWN, dtype=np.int16)
    for each in intervals:
        # The first frame whose centre is not before a sample.
        first, last = (max(0, -((FRAME // 2 - place) // FRAME)) for place in (each.start, each.end))
        found[first:last] = numbers[each.phone]
    return found


def _part(folder: Path, skipped: list[tuple[str, str]]) -> list[Heard]:
    """Return the recordings of all speakers; tell of those that are broken or have no phones."""
    found = []
    for path in sorted(path for path in folder.glob("*/*") if path.suffix.lower() in KINDS):
        name, recording = f"{folder.name}/{path.parent.name}/{path.stem}", Recording(path)
        try:
            samples = recording.length()
        except InputError as error:
            skipped.append((name, str(error)))
            continue
        try:
            known = _fitting(path.with_suffix(".TextGrid"), samples)
        except InputError as error:
            known = None
            skipped.append((name, str(error)))
        found.append(Heard(name, path.parent.name, samples, known, recording))
    return found


def _fitting(path: Path, samples: int) -> tuple[Interval, ...]:
    """Read the phones of a recording of so many samples; raise InputError if there are none or too many."""
    found = intervals(path)
    end = max((each.end for each in found), default=0)
    if end > samples + TOLERANCE:
        allowed = f"must be at most the {samples / RATE:.3f} s of its audio; it is another's, or that was cut"
        raise InputError(path, "end [s]", round(end / RATE, 3), allowed)
    return found


def _utterance(heard: Heard, numbers: Mapping[str, int]) -> Utterance:
    known = None if heard.intervals is None else labels(heard.intervals, numbers, heard.samples)
    return Utterance(heard.name, heard.speaker, heard.samples, known, heard.recording)

"""LibriSpeech with the phones and the division of van den Oord et al. (2018): 100 hours, 251 speakers.

The audio is OpenSLR 12, ``train-clean-100/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac``. Three lists come
with contrastive predictive coding, and were used by Greedy InfoMax (Löwe et al., 2019) and CLAPP:
``train_split.txt`` and ``test_split.txt``, the name of one utterance on each line, and
``converted_aligned_phones.txt``, on each line the name of an utterance and its phones, 0 to 40, one for each
10 ms. They were aligned with Kaldi, whose windows of 25 ms end inside the audio: the last one or two frames
have no label.

All speakers are in both lists, so that a test here is one of new sentences, not of new speakers. Validation
is carved out of the training list by speaker, and the test list stays whole. Speakers are told apart as in
Greedy InfoMax: a readout is trained on the whole training list and tested on the test list. Phone 0 is
silence; for the other numbers no published table is known, so they stand as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from .published import lines, present
from .speech import Corpus, SpeechData
from .utterances import FRAME, UNKNOWN, Phones, Recording, Utterance

PHONES = ("SIL", *map(str, range(1, 41)))
NUMBERS = {str(number): number for number in range(len(PHONES))}
#: The folder of the lists where they were unpacked for Greedy InfoMax; they may also lie beside LibriSpeech.
LISTS = "LibriSpeech100_labels_split"
#: By how many labels an alignment may differ from its audio; more means that they do not belong together.
TOLERANCE = 3
AUDIO_ORIGIN = "Unpack {}.tar.gz of LibriSpeech (https://www.openslr.org/12)"
LISTS_ORIGIN = (
    "Put train_split.txt, test_split.txt and converted_aligned_phones.txt, which van den Oord et al. (2018) "
    "and Greedy InfoMax link to,"
)


def read(data: SpeechData) -> Corpus:
    """Find the utterances that are listed; their audio is read when it is asked for."""
    folder = data.folder
    audio = folder / data.subset
    if not audio.is_dir():
        audio = present(folder / "LibriSpeech" / data.subset, AUDIO_ORIGIN.format(data.subset))
    lists = folder / LISTS if (folder / LISTS).is_dir() else folder
    names = {part: _names(_file(lists / f"{part}_split.txt")) for part in ("train", "test")}
    twice = set(names["train"]).intersection(names["test"])
    if twice:
        raise InputError(lists / "test_split.txt", "name", min(twice), "stands in train_split.txt as well")
    path = _file(lists / "converted_aligned_phones.txt")
    known = alignments(path, {name for part in names.values() for name in part})
    skipped: list[tuple[str, str]] = []
    training, test = (_utterances(audio, part, known, skipped) for part in names.values())
    return Corpus(folder, PHONES, (0,), training, test, tuple(skipped))


def alignments(path: Path, names: Collection[str]) -> dict[str, Phones]:
    """Read the phones of these utterances; raise InputError if a label is none."""
    found = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            name, _, rest = line.partition(" ")
            if name in names:
                words = rest.split()
                try:
                    found[name] = np.fromiter(map(NUMBERS.__getitem__, words), np.int16, len(words))
                except KeyError as wrong:
                    allowed = f"must be 0 to {len(PHONES) - 1}"
                    raise InputError(path, f"line {number}, {name}", wrong.args[0], allowed) from None
    return found


def _file(path: Path) -> Path:
    """Return the path of a list if it is there, and one of a file."""
    if present(path, LISTS_ORIGIN).is_dir():
        raise InputError(path, None, None, "must be a file, and is a folder")
    return path


def _names(path: Path) -> tuple[str, ...]:
    names, before = lines(path), dict[str, int]()
    for number, name in enumerate(names, start=1):
        if name.count("-") != 2:
            raise InputError(path, f"name {number}", name, "must be SPEAKER-CHAPTER-NUMBER")
        if name in before:
            raise InputError(path, f"name {number}", name, f"is name {before[name]} as well")
        before[name] = number
    return names


def _utterances(
    audio: Path, names: Sequence[str], known: Mapping[str, Phones], skipped: list[tuple[str, str]]
) -> tuple[Utterance, ...]:
    """Return the utterances that can be read; tell of the others, and of those without phones."""
    found = []
    for name in names:
        speaker, chapter, _ = name.split("-")
        recording = Recording(audio / speaker / chapter / f"{name}.flac")
        try:
            samples = recording.length()
        except InputError as error:
            skipped.append((name, str(error)))
            continue
        phones, why = _fit(known.get(name), samples // FRAME)
        if phones is None:
            skipped.append((name, why))
        found.append(Utterance(name, speaker, samples, phones, recording))
    return tuple(found)


def _fit(phones: Phones | None, frames: int) -> tuple[Phones | None, str]:
    """Return one label for each frame, or None and why there is no such thing."""
    if phones is None:
        return None, "no line in converted_aligned_phones.txt"
    if abs(len(phones) - frames) > TOLERANCE:
        return None, f"{len(phones)} labels in converted_aligned_phones.txt for {frames} frames of 10 ms"
    fitted = np.full(frames, UNKNOWN, dtype=np.int16)
    fitted[: len(phones)] = phones[:frames]
    return fitted, ""

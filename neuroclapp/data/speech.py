"""Speech: what a set is divided into, and which of it a run hears."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass as description

from ..catalog import DESCRIPTION
from ..errors import InputError
from .images import DIVISION, ROOT
from .utterances import FRAME, Array, Utterance

#: Utterances that the statistics of a set are computed from, at most.
SURVEYED = 1000
#: Where a set lies whose folder has another name.
FOLDERS = {"speechocean762": "speechocean762_align"}
#: Which of the utterances of a speaker is held out to test how speakers are told apart: every third.
HELD_OUT = 3


class Statistics(NamedTuple):
    """Mean and standard deviation of samples that lie in -1 to 1."""

    mean: float
    std: float

    @classmethod
    def of(cls, utterances: Sequence[Utterance]) -> Statistics:
        """Return the statistics of utterances; of many, of 1000 that are spread evenly over them."""
        chosen = np.unique(np.linspace(0, len(utterances) - 1, min(SURVEYED, len(utterances))).round())
        sums = np.zeros(3)
        for index in chosen.astype(int):
            read = heard(utterances[index])
            if read is not None:
                samples = read.astype(np.float64)
                sums += np.array([len(samples), samples.sum(), samples @ samples])
        mean = sums[1] / max(sums[0], 1)
        return cls(float(mean), float(np.sqrt(max(sums[2] / sums[0] - mean**2, 0.0))))


@dataclass(frozen=True)
class Corpus:
    """A set as its authors divide it. ``source`` is what an error names, ``silence`` the phones of silence.

    ``skipped`` are the names of utterances that are missing in it, or stand in it without phones, and why.
    """

    source: Path
    phones: tuple[str, ...]
    silence: tuple[int, ...]
    training: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
    skipped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class SpeechSet:
    """A set as a run hears it. No utterance of ``validation`` or ``test`` is in another part.

    ``unlabelled`` is what is learned from: all utterances for training but those of validation's speakers.
    A readout of phones is trained on those of them that have phones, ``training``; its settings are chosen on
    ``validation``, and ``test`` is scored once. No speaker of ``validation`` is in ``training``;
    ``shared_speakers`` are those who are in ``test`` as well as in what is trained or chosen on, which in
    some sets is everyone. ``too_short`` are those of ``unlabelled`` from which nothing is learned, since an
    excerpt is longer. For telling ``speakers`` apart, see `divide_speakers`.
    """

    name: str
    phones: tuple[str, ...]
    silence: tuple[int, ...]
    unlabelled: tuple[Utterance, ...]
    training: tuple[Utterance, ...]
    validation: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
    speakers: tuple[str, ...]
    speaker_training: tuple[Utterance, ...]
    speaker_test: tuple[Utterance, ...]
    shared_speakers: tuple[str, ...]
    statistics: Statistics
    skipped: tuple[tuple[str, str], ...]
    too_short: tuple[Utterance, ...] = ()


@description(frozen=True, config=DESCRIPTION)
class SpeechData:
    """Which speech is heard, and how: in excerpts of ``excerpt`` samples at 16 kHz, 20480 for 1.28 s.

    ``path`` is where the set lies; empty, it is the folder ``name`` (``speechocean762_align`` for that set)
    in the folder that the environment variable NEUROCLAPP_DATA names, or in ``data``.
    ``validation_speakers`` speakers are set apart from the training speakers; ``subset`` is the part of
    LibriSpeech.
    """

    name: Literal["librispeech", "speechocean762", "textgrids"]
    path: str = ""
    excerpt: PositiveInt = 20480
    validation_speakers: PositiveInt = 25
    subset: str = "train-clean-100"

    def __post_init__(self) -> None:
        if self.excerpt < FRAME:
            raise ValueError(
                f"excerpt = {self.excerpt} is shorter than one label of a phone; at least {FRAME}"
            )
        if self.name != "librispeech" and self.subset != "train-clean-100":
            raise ValueError(f"subset = {self.subset!r} is for librispeech only; leave it out")

    @property
    def folder(self) -> Path:
        """Where the set lies."""
        if self.path:
            return Path(self.path)
        return Path(os.environ.get(ROOT) or "data") / FOLDERS.get(self.name, self.name)

    @property
    def frames(self) -> int:
        """Labels of 10 ms in an excerpt."""
        return self.excerpt // FRAME


def load(data: SpeechData) -> SpeechSet:
    """Read a set and divide it, in the same way for every seed.

    What cannot be used is told once on standard error. Raises InputError where a file is missing (it says
    what to get) or broken, and where no utterances with phones are left for a part.
    """
    corpus: Corpus = import_module(f".{data.name}", __package__).read(data)
    if corpus.skipped:
        count, (name, reason) = len(corpus.skipped), corpus.skipped[0]
        _tell(
            f"{corpus.source}: {count} utterances are broken or have no phones; the first: {name}: {reason}"
        )
    training, test = _aligned(corpus, "training"), _aligned(corpus, "test")
    held = _validation_speakers(corpus, training, data)
    unlabelled = tuple(each for each in corpus.training if each.speaker not in held)
    validation = tuple(each for each in training if each.speaker in held)
    training = tuple(each for each in training if each.speaker not in held)
    statistics = Statistics.of(unlabelled)
    if not statistics.std > 0:
        raise InputError(
            corpus.source, None, None, "the utterances to learn from are silent, or cannot be read"
        )
    too_short = tuple(each for each in unlabelled if each.samples < data.excerpt)
    if too_short:
        first = too_short[0]
        _tell(
            f"{corpus.source}: {len(too_short)} utterances are shorter than an excerpt of {data.excerpt} "
            f"samples, and are not learned from; the first: {first.name}: {first.samples} samples"
        )
    speakers, speaker_training, speaker_test = divide_speakers(corpus, training)
    return SpeechSet(
        name=data.name,
        phones=corpus.phones,
        silence=corpus.silence,
        unlabelled=unlabelled,
        training=training,
        validation=validation,
        test=test,
        speakers=speakers,
        speaker_training=speaker_training,
        speaker_test=speaker_test,
        shared_speakers=tuple(
            sorted({each.speaker for each in corpus.training} & {each.speaker for each in test})
        ),
        statistics=statistics,
        skipped=corpus.skipped,
        too_short=too_short,
    )


Division = tuple[tuple[str, ...], tuple[Utterance, ...], tuple[Utterance, ...]]


def divide_speakers(corpus: Corpus, training: Iterable[Utterance]) -> Division:
    """Return the speakers to tell apart, and their utterances to train on and to test on.

    Where everyone in the set's own list for training is in its list for test as well, as in LibriSpeech, they
    are those two lists, as in Greedy InfoMax. The encoder does not learn here, so validation's speakers are
    among them, and utterances need no phones. Else every third utterance of each speaker in ``training`` is
    held out.
    """
    known = {each.speaker for each in corpus.training}
    if known <= {each.speaker for each in corpus.test}:
        test = tuple(each for each in corpus.test if each.speaker in known)
        return tuple(sorted(known)), corpus.training, test
    return hold_out(training)


def hold_out(utterances: Iterable[Utterance]) -> Division:
    """Return the speakers with at least three utterances, those to train on and those held out."""
    ordered = sorted(utterances, key=lambda each: (each.speaker, each.name))
    counts = Counter(each.speaker for each in ordered)
    training: list[Utterance] = []
    test: list[Utterance] = []
    place = Counter[str]()
    for each in ordered:
        if counts[each.speaker] >= HELD_OUT:
            place[each.speaker] += 1
            (training if place[each.speaker] % HELD_OUT else test).append(each)
    speakers = tuple(name for name, count in counts.items() if count >= HELD_OUT)
    return speakers, tuple(training), tuple(test)


def _aligned(corpus: Corpus, part: str) -> tuple[Utterance, ...]:
    """Return the utterances of a part that have phones, if there are any."""
    everyone: tuple[Utterance, ...] = getattr(corpus, part)
    found = tuple(each for each in everyone if each.phones is not None)
    if not found:
        why = "; the first: {}: {}".format(*corpus.skipped[0]) if corpus.skipped else ""
        allowed = f"there is no {part} utterance with labels of phones{why}"
        raise InputError(corpus.source, None, None, allowed)
    return found


def _validation_speakers(corpus: Corpus, aligned: Sequence[Utterance], data: SpeechData) -> set[str]:
    """Return whose utterances are kept from training; fewer speakers are a subset of more."""
    names = sorted({each.speaker for each in aligned})
    if data.validation_speakers >= len(names):
        allowed = f"there are {len(names)} training speakers with labels, so at most {len(names) - 1}"
        raise InputError(corpus.source, "validation_speakers", data.validation_speakers, allowed)
    order = np.random.default_rng(DIVISION).permutation(len(names))
    return {names[index] for index in order[: data.validation_speakers]}


def heard(utterance: Utterance, start: int = 0, count: int | None = None) -> Array | None:
    """Return samples of an utterance, or None where its file is broken, which is told once.

    A header does not tell whether a file is whole, and to decode a hundred hours in order to know takes
    minutes: a file that is broken in its middle is found when its samples are asked for.
    """
    try:
        return utterance.read(start, count)
    except InputError as error:
        _tell(f"skipped {utterance.name}: {error.source}: {error.allowed}")
        return None


@lru_cache
def _tell(line: str) -> None:
    """Print a line on standard error, once in a process."""
    print(f"neuroclapp: {line}", file=sys.stderr)

"""Part of speechocean762 with phones: 782 English sentences by speakers of Mandarin, 53 minutes.

``audio_16k.flac`` is all utterances one after another; ``index.npz``, without pickles, says where each
begins, and the end, in samples (``offsets``) and in labels of 10 ms (``frame_offsets``), and holds the labels
(``frame_labels_10ms``), their phones (``labels``), and of each utterance its name (``utt``), ``speaker`` and
``split``, "train" or "test". The two have no speaker in common, as published (Zhang et al., 2021). The labels
are those of a machine (a forced alignment by pocketsphinx), and 40 percent of them are silence.

It is not LibriSpeech, and accuracies on it are not comparable with those on LibriSpeech.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..errors import InputError
from .published import arrays, present
from .speech import Corpus, SpeechData
from .utterances import FRAME, RATE, Array, Utterance

AUDIO, INDEX = "audio_16k.flac", "index.npz"
ORIGIN = f"Put {AUDIO} and {INDEX}, made of speechocean762 as neuroclapp/data/speechocean762.py describes,"
KEYS = ("offsets", "frame_offsets", "frame_labels_10ms", "labels", "utt", "speaker", "split")
SILENCE = "SIL"


@dataclass(frozen=True, eq=False)
class Packed:
    """An utterance in a longer recording of 16-bit samples, from ``first`` on."""

    pcm: NDArray[np.int16]
    first: int

    def read(self, start: int, count: int) -> Array:
        """Return samples (count,) in -1 to 1."""
        begin = self.first + start
        return self.pcm[begin : begin + count] * np.float32(1 / 32768)


def read(data: SpeechData) -> Corpus:
    """Read the index, and the audio into memory (100 MB) if this process has not done so before."""
    path, index = present(data.folder / AUDIO, ORIGIN), present(data.folder / INDEX, ORIGIN)
    if index.is_dir():
        raise InputError(index, None, None, "must be a file, and is a folder")
    stored = arrays(index, KEYS)
    pcm = _pcm(path.resolve())
    phones = tuple(map(str, stored["labels"]))
    if SILENCE not in phones:
        raise InputError(index, "labels", list(phones), f"must have {SILENCE!r} among them")
    labels = stored["frame_labels_10ms"]
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or (labels < 0).any():
        allowed = "must be whole numbers (frames,) that are not negative"
        raise InputError(index, "frame_labels_10ms", f"{labels.dtype} {labels.shape}", allowed)
    if labels.max(initial=0) >= len(phones):
        place = int(labels.argmax())
        raise InputError(
            index, f"frame_labels_10ms[{place}]", int(labels[place]), f"must be 0 to {len(phones) - 1}"
        )
    return _corpus(index, stored, pcm, phones)


def _corpus(
    path: Path, stored: Mapping[str, NDArray], pcm: NDArray[np.int16], phones: tuple[str, ...]
) -> Corpus:
    names = stored["utt"]
    samples = _bounds(path, stored, "offsets", len(pcm))
    frames = _bounds(path, stored, "frame_offsets", len(stored["frame_labels_10ms"]))
    labels = stored["frame_labels_10ms"].astype(np.int16)
    parts: dict[str, list[Utterance]] = {"train": [], "test": []}
    for key in ("speaker", "split"):
        if stored[key].shape != names.shape:
            raise InputError(path, key, stored[key].shape, f"must be one for each of {len(names)} utterances")
    for number, (name, speaker, split) in enumerate(
        zip(names.tolist(), stored["speaker"].tolist(), stored["split"].tolist(), strict=True)
    ):
        if split not in parts:
            raise InputError(path, f"split[{number}]", split, f"must be one of {', '.join(parts)}")
        (start, end), (first, last) = samples[number : number + 2], frames[number : number + 2]
        if last - first != (end - start) // FRAME:
            allowed = f"must be {(end - start) // FRAME}, one for each 10 ms of {end - start} samples"
            raise InputError(path, f"labels of {name}", last - first, allowed)
        utterance = Utterance(name, speaker, end - start, labels[first:last], Packed(pcm, start))
        parts[split].append(utterance)
    silence = (phones.index(SILENCE),)
    return Corpus(path.parent, phones, silence, tuple(parts["train"]), tuple(parts["test"]))


def _bounds(path: Path, stored: Mapping[str, NDArray], key: str, total: int) -> list[int]:
    """Return where utterances begin, and the end of the last, which must be that of what is stored."""
    offsets, count = stored[key], len(stored["utt"])
    if offsets.shape != (count + 1,) or offsets.dtype.kind not in "iu":
        raise InputError(path, key, f"{offsets.dtype} {offsets.shape}", f"must be {count + 1} whole numbers")
    if offsets[0] != 0 or offsets[-1] != total or (np.diff(offsets.astype(np.int64)) <= 0).any():
        allowed = f"must rise from 0 to {total}; one of the two files is cut short or another"
        raise InputError(path, key, offsets[[0, -1]].tolist(), allowed)
    return offsets.tolist()


@lru_cache(maxsize=1)
def _pcm(path: Path) -> NDArray[np.int16]:
    try:
        with soundfile.SoundFile(path) as file:
            if (file.samplerate, file.channels) != (RATE, 1):
                found = f"{file.samplerate} Hz, {file.channels} channels"
                raise InputError(path, "audio", found, f"must be {RATE} Hz in one channel")
            pcm = file.read(dtype="int16")
    except (soundfile.SoundFileError, OSError) as error:
        raise InputError(path, None, None, f"cannot be read as FLAC; get it again: {error}") from None
    pcm.setflags(write=False)
    return pcm

"""Readouts of speech: phones by frame, of all frames or of the spoken ones, and speakers by utterance."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.utterances import Utterance
from ..systems import Probe
from .probe import by_adam

Features = Mapping[str, NDArray[np.float32]]

#: Inverse strength of the L2 penalty. There are thousands of frames for each feature: it hardly matters.
STRENGTH = 1.0
#: The same for speakers, of whom there are few utterances.
SPEAKER_STRENGTH = 0.1


@dataclass(frozen=True)
class Frames:
    """All frames of a part: ``features`` by layer (frames, units), and ``labels`` (frames,)."""

    features: Features
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, heard: Iterable[tuple[Utterance, Features]]) -> Frames:
        """Join the frames of utterances; frames without a label are left out."""
        found: dict[str, list[NDArray[np.float32]]] = {}
        labels: list[NDArray[np.int64]] = []
        for utterance, features in heard:
            if utterance.phones is None:
                continue
            frames = min(len(utterance.phones), *(len(each) for each in features.values()))
            known = utterance.phones[:frames] >= 0
            labels.append(utterance.phones[:frames][known].astype(np.int64))
            for name, each in features.items():
                found.setdefault(name, []).append(each[:frames][known])
        return cls({name: np.concatenate(parts) for name, parts in found.items()}, np.concatenate(labels))


def frame_accuracy(
    parts: Mapping[str, Frames], name: str, how: Probe, seed: int, without: Sequence[int] = ()
) -> dict[str, float]:
    """Return a layer's accuracy [%] on ``validation`` and ``test``; frames labelled ``without`` do not count.

    The probe is trained on the frames of ``training`` that count.
    """
    x, y = {}, {}
    for part, frames in parts.items():
        counts = ~np.isin(frames.labels, without)
        x[part], y[part] = frames.features[name][counts], frames.labels[counts]
    mean, std = x["training"].mean(0), x["training"].std(0)
    std[std == 0] = 1
    x = {part: (each - mean) / std for part, each in x.items()}
    if how.kind == "adam":
        return by_adam(x, y, how, seed)
    classifier = _logistic(x["training"], y["training"], STRENGTH)
    return {
        part: 100 * float(np.mean(classifier.predict(x[part]) == y[part])) for part in ("validation", "test")
    }


def speaker_accuracy(
    people: Mapping[str, Sequence[tuple[Utterance, Features]]], name: str, seed: int
) -> float:
    """Return how many utterances [%] a linear readout of mean features gives to their speaker."""
    x, y = {}, {}
    for part, heard in people.items():
        x[part] = np.stack([features[name].mean(0) for _, features in heard])
        y[part] = np.array([utterance.speaker for utterance, _ in heard])
    mean, std = x["training"].mean(0), x["training"].std(0)
    std[std == 0] = 1
    classifier = _logistic((x["training"] - mean) / std, y["training"], SPEAKER_STRENGTH)
    return 100 * float(np.mean(classifier.predict((x["test"] - mean) / std) == y["test"]))


def _logistic(x: NDArray[np.float32], y: NDArray, strength: float):  # type: ignore[no-untyped-def]
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=60).fit(x, y)

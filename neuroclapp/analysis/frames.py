"""Readouts of speech: phones by frame, of all frames or of the spoken ones, and speakers by utterance."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from ..data.utterances import Utterance
from ..rate.labels import teach
from ..systems import Probe

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


def frame_accuracy(parts: Mapping[str, Frames], name: str, without: Sequence[int] = ()) -> dict[str, float]:
    """Return a layer's accuracy [%] on ``validation`` and ``test``, by logistic regression on ``training``.

    Frames labelled ``without`` do not count, neither here nor there. Features are standardised with the
    training frames' statistics.
    """
    x, y = {}, {}
    for part, frames in parts.items():
        counts = ~np.isin(frames.labels, without)
        x[part], y[part] = frames.features[name][counts], frames.labels[counts]
    readout = fit_frames(x["training"], y["training"])
    return {part: readout.accuracy(x[part], y[part]) for part in ("validation", "test")}


@dataclass(frozen=True)
class FrameReadout:
    """A logistic readout of frames, and the statistics of the features that it was fitted to."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    classifier: Any

    def accuracy(self, features: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
        """Return the share of frames (frames, units) that it labels rightly [%]."""
        return 100 * float(np.mean(self.classifier.predict((features - self.mean) / self.std) == labels))


def fit_frames(features: NDArray[np.float32], labels: NDArray[np.int64]) -> FrameReadout:
    """Fit a logistic readout to frames (frames, units)."""
    mean, std = features.mean(0), features.std(0)
    std[std == 0] = 1
    return FrameReadout(mean, std, _logistic((features - mean) / std, labels, STRENGTH))


class Heads:
    """The paper's readout of phones, a linear map on each layer, trained by Adam while excerpts pass.

    Nothing but the maps is kept, so that it reads a hundred hours. Frames labelled ``without`` do not count.
    """

    def __init__(self, how: Probe, classes: int, without: Sequence[int], seed: int) -> None:
        self.how, self.classes, self.without = how, classes, torch.tensor(without, dtype=torch.int64)
        self.weights: dict[str, tuple[Tensor, Tensor]] = {}
        self._draw = torch.Generator().manual_seed(seed)
        self._adam: torch.optim.Adam | None = None
        self._right: dict[str, list[int]] = {}

    def learn(self, layers: Mapping[str, Tensor], labels: Tensor) -> None:
        """Learn from excerpts: ``layers`` (sounds, frames, units) each, ``labels`` (sounds, frames)."""
        counts = (labels >= 0) & ~torch.isin(labels, self.without)
        if not counts.any():
            return
        if self._adam is None:
            self._begin(layers)
        y = labels[counts]
        for name, each in layers.items():
            x, (w, b) = each[counts], self.weights[name]
            taught = teach(x, y, w, b)
            w.grad, b.grad = taught.changes["w_head"].neg_(), taught.changes["b_head"].neg_()
        if self._adam is not None:
            self._adam.step()

    def judge(self, utterance: Utterance, features: Features) -> None:
        """Count the frames of an utterance that are right."""
        frames = Frames.of([(utterance, features)])
        counts = ~np.isin(frames.labels, self.without.numpy())
        for name, (w, b) in self.weights.items():
            guess = (torch.from_numpy(frames.features[name][counts]) @ w.T + b).argmax(1).numpy()
            right, seen = self._right.get(name, [0, 0])
            self._right[name] = [right + int(np.sum(guess == frames.labels[counts])), seen + len(guess)]

    def shares(self) -> dict[str, float]:
        """Return the accuracy [%] of each layer since this was last asked for."""
        found = {name: 100 * right / max(seen, 1) for name, (right, seen) in self._right.items()}
        self._right = {}
        return found

    def _begin(self, layers: Mapping[str, Tensor]) -> None:
        for name, each in layers.items():
            bound = each.shape[-1] ** -0.5
            shapes = (self.classes, each.shape[-1]), (self.classes,)
            w, b = ((torch.rand(shape, generator=self._draw) * 2 - 1) * bound for shape in shapes)
            self.weights[name] = w, b
        arrays = [array for pair in self.weights.values() for array in pair]
        self._adam = torch.optim.Adam(arrays, lr=self.how.learning_rate, fused=True)


@dataclass(frozen=True)
class Voices:
    """What a readout of speakers sees: ``features`` by layer, means over each utterance (utterances, units).

    ``speakers`` (utterances,) are who speaks. Frames are not kept, so that it reads a hundred hours.
    """

    features: Features
    speakers: NDArray[np.str_]

    @classmethod
    def of(cls, heard: Iterable[tuple[Utterance, Features]]) -> Voices:
        """Take the means of utterances, one after another."""
        found: dict[str, list[NDArray[np.float32]]] = {}
        speakers: list[str] = []
        for utterance, features in heard:
            speakers.append(utterance.speaker)
            for name, each in features.items():
                found.setdefault(name, []).append(each.mean(0))
        return cls({name: np.stack(means) for name, means in found.items()}, np.array(speakers))


def speaker_accuracy(people: Mapping[str, Voices], name: str) -> float:
    """Return how many utterances [%] a linear readout of mean features gives to their speaker."""
    x = {part: voices.features[name] for part, voices in people.items()}
    y = {part: voices.speakers for part, voices in people.items()}
    mean, std = x["training"].mean(0), x["training"].std(0)
    std[std == 0] = 1
    classifier = _logistic((x["training"] - mean) / std, y["training"], SPEAKER_STRENGTH)
    return 100 * float(np.mean(classifier.predict((x["test"] - mean) / std) == y["test"]))


def _logistic(x: NDArray[np.float32], y: NDArray, strength: float):  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=60).fit(x, y)

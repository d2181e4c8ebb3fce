"""Audio systems of a run: what they hear, what they learn from, and their readout by frame and by speaker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..analysis.frames import Frames, Heads, Voices, frame_accuracy, speaker_accuracy
from ..data.excerpts import Excerpts
from ..data.speech import SpeechData, SpeechSet, load
from ..data.utterances import RATE, Utterance
from ..errors import InputError
from ..objective import parameters
from ..rate.modular import initial
from ..rate.soundnet import SoundNetwork, check
from ..rate.training import Batched, Learner
from ..systems import Row, SpeechExperiment
from .ears import UNTRAINED, Ear, Encoder, Features, Spectrum
from .precision import TYPES

Scores = dict[str, dict[str, float]]


class Hearing:
    """The systems of an experiment of speech; the data are read when first asked for."""

    def __init__(self, experiment: SpeechExperiment) -> None:
        self.experiment = experiment

    @cached_property
    def speech(self) -> SpeechSet:
        return speech_of(self.experiment.data)

    def load(self) -> None:
        """Read what there is, or raise InputError that says what is missing."""
        _ = self.speech

    def check(self, row: Row) -> None:
        """Raise ValueError where a system does not fit its encoder."""
        network = self.experiment.network(row)
        parameters(network, row.system, classes=2)
        check(network, row.system, row.in_time)
        if row.learns == "contrast":
            if row.contrast.source in ("same_place", "one_image") and row.recipe.batch < 2:
                raise ValueError(
                    f"recipe.batch = {row.recipe.batch}: source = {row.contrast.source!r} needs two sounds"
                )
            steps = min(shape[1] for shape in network.shapes[1:])
            window, reach = min(row.in_time.window or steps, steps), row.contrast.skip + row.contrast.steps
            if reach >= window:
                raise ValueError(
                    f"contrast.steps = {row.contrast.steps}: the farthest sample is {reach} steps ahead, and "
                    f"only {window} are compared"
                )

    def layers(self, row: Row) -> list[str]:
        """Return the names of what is read out."""
        if row.features != "encoder":
            return [row.features]
        return [layer.name for layer in row.system.cut(self.experiment.network(row)).scaled_layers]

    def learner(self, row: Row, seed: int) -> Learner:
        """Return a system as it is before training."""
        network, classes = self.experiment.network(row), len(self.speech.phones)
        arrays = initial(network, row.system, classes, seed, row.recipe.gain)
        types = TYPES[row.recipe.precision]
        return Learner(SoundNetwork(network, row.system, arrays, row.in_time, classes, *types), row.recipe)

    def batches(self, row: Row, seed: int) -> Batched:
        """Return what a system learns from: aligned utterances where it needs labels, else all."""
        labelled = row.learns == "labels"
        part = self.speech.training if labelled else self.speech.unlabelled
        return Excerpts(
            part, self.experiment.data, self.speech.statistics, row.recipe.batch, seed, labelled=labelled
        )

    @property
    def work(self) -> int:
        """What `read_out` has to do, in the units that it reports."""
        return sum(len(part) for part in self._parts.values()) + self._steps

    @property
    def _steps(self) -> int:
        """Batches that a readout trained by Adam sees instead of the utterances for training."""
        if self.experiment.probe.kind == "logistic":
            return 0
        return self.experiment.probe.epochs * self._excerpts(0).per_epoch - len(self.speech.training)

    def _excerpts(self, seed: int) -> Excerpts:
        """Return the excerpts that a readout is trained on by Adam."""
        speech, data = self.speech, self.experiment.data
        return Excerpts(
            speech.training, data, speech.statistics, self.experiment.probe.batch, seed, labelled=True
        )

    @property
    def _parts(self) -> dict[str, Sequence[Utterance]]:
        speech = self.speech
        parts = {"training": speech.training, "validation": speech.validation, "test": speech.test}
        return {**parts, "speaker_training": speech.speaker_training, "speaker_test": speech.speaker_test}

    def ear(self, row: Row, seed: int, learner: Learner) -> Ear:
        """Return what gives every layer's response to an utterance, each (frames, units)."""
        if row.features != "encoder":
            return Spectrum(row.features, self.speech.statistics)
        network = learner.network
        if not isinstance(network, SoundNetwork):
            raise ValueError("an encoder of sound is needed")
        before = None
        if network.network.layers[-1].kind == "gru" and row.learns != "nothing":
            before = initial(self.experiment.network(row), row.system, 1, seed, row.recipe.gain)
        return Encoder(network, self.speech.statistics, before)

    def read_out(
        self, row: Row, seed: int, learner: Learner, report: Callable[[int], None]
    ) -> dict[str, Any]:
        """Return accuracy [%] by layer: of frames, of those that are spoken, of speakers.

        Where recurrent units have learned, ``untrained`` is the accuracy of those that they were, over the
        same layers below. ``skipped`` names the utterances whose files are broken, and why.
        """
        names, done = self.layers(row), 0
        hear = self.ear(row, seed, learner)
        broken: dict[str, str] = {}

        def advance() -> None:
            nonlocal done
            done += 1
            report(done)

        def counted(part: str) -> Iterator[tuple[Utterance, Features]]:
            for utterance in self._parts[part]:
                try:
                    features = hear(utterance)
                except InputError as error:
                    broken[utterance.name] = str(error)
                else:
                    yield utterance, features
                advance()

        every, spoken = self._phones(hear, seed, counted, advance)
        people = {part: Voices.of(counted(f"speaker_{part}")) for part in ("training", "test")}
        found: dict[str, Any] = {
            part: [every[name][part] for name in names] for part in ("validation", "test")
        }
        besides: dict[str, list[float]] = {"spoken": [spoken[name]["test"] for name in names]}
        if len(set(people["training"].speakers)) > 1 and len(people["test"].speakers):
            besides["speaker"] = [speaker_accuracy(people, name) for name in names]
        if UNTRAINED in every:
            top = every[names[-1]]["test"], spoken[names[-1]]["test"]
            before = every[UNTRAINED]["test"], spoken[UNTRAINED]["test"]
            besides[UNTRAINED] = list(before)
            besides["learned minus untrained"] = [top[0] - before[0], top[1] - before[1]]
        skipped = [list(each) for each in sorted(broken.items())]
        return {**found, "besides": besides, "skipped": skipped}

    def _phones(
        self,
        hear: Ear,
        seed: int,
        heard: Callable[[str], Iterator[tuple[Utterance, Features]]],
        advance: Callable[[], None],
    ) -> tuple[Scores, Scores]:
        """Return the accuracy of each layer on validation and test: of all frames, and of the spoken ones."""
        probe, silence = self.experiment.probe, self.speech.silence
        if probe.kind == "logistic":
            parts = {part: Frames.of(heard(part)) for part in ("training", "validation", "test")}
            layers = parts["training"].features
            return (
                {name: frame_accuracy(parts, name) for name in layers},
                {name: frame_accuracy(parts, name, silence) for name in layers},
            )
        heads = [Heads(probe, len(self.speech.phones), without, seed) for without in ((), silence)]
        batches = self._excerpts(seed)
        for step in range(probe.epochs * batches.per_epoch):
            batch = batches[step]
            if batch.labels is not None:
                found = hear.batch(torch.from_numpy(batch.patches))
                for head in heads:
                    head.learn(found, torch.from_numpy(batch.labels))
            advance()
        scores: list[Scores] = [{name: {} for name in head.weights} for head in heads]
        for part in ("validation", "test"):
            for utterance, features in heard(part):
                for head in heads:
                    head.judge(utterance, features)
            for head, score in zip(heads, scores, strict=True):
                for name, share in head.shares().items():
                    score[name][part] = share
        every, spoken = scores
        return every, spoken

    def notes(self) -> dict[str, Any]:
        """Return what a reader of the results must know about the data."""
        speech = self.speech
        shares: dict[str, float] = {}
        labels = {part: _labels(getattr(speech, part)) for part in ("training", "test")}
        for name, keep in (("majority", lambda y: y[y >= 0]), ("spoken_majority", self._spoken)):
            most = np.bincount(keep(labels["training"])).argmax()
            shares[name] = 100 * float(np.mean(keep(labels["test"]) == most))
        return {
            **shares,
            "utterances": {name: len(part) for name, part in self._parts.items()},
            "hours": (_samples(speech.unlabelled) - _samples(speech.too_short)) / RATE / 3600,
            "phones": len(speech.phones),
            "test_speakers": len({each.speaker for each in speech.test}),
            "shared_speakers": len(speech.shared_speakers),
            "skipped": [list(each) for each in speech.skipped],
            "too_short": [
                [each.name, f"{each.samples} samples, and an excerpt has {self.experiment.data.excerpt}"]
                for each in speech.too_short
            ],
        }

    def _spoken(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        return labels[(labels >= 0) & ~np.isin(labels, self.speech.silence)]


def _samples(utterances: Sequence[Utterance]) -> int:
    return sum(each.samples for each in utterances)


def _labels(utterances: Sequence[Utterance]) -> NDArray[np.int64]:
    return np.concatenate([each.phones for each in utterances if each.phones is not None]).astype(np.int64)


@lru_cache(maxsize=1)
def speech_of(data: SpeechData) -> SpeechSet:
    """Read a data set once for all that ask for it."""
    return load(data)

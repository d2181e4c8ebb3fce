"""What hears an utterance, or a batch of excerpts, and gives every layer's response by frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.excerpts import standardised
from ..data.spectra import log_mel, mfcc
from ..data.speech import Statistics
from ..data.utterances import FRAME, Utterance
from ..rate.recurrent import ARRAYS, respond
from ..rate.soundnet import SoundNetwork

_SPECTRA = {"mfcc": mfcc, "log_mel": log_mel}
#: The name under which recurrent units are read out as they were before training, over what is now below.
UNTRAINED = "untrained"

Features = dict[str, NDArray[np.float32]]


class Ear(Protocol):
    """Every layer's response by frame, (frames, units); of excerpts (sounds, frames, units)."""

    def __call__(self, utterance: Utterance) -> Features: ...

    def batch(self, x: Tensor) -> dict[str, Tensor]: ...


class Spectrum:
    """The response of a spectrum, which has one layer."""

    def __init__(self, name: str, statistics: Statistics) -> None:
        self.name, self.statistics = name, statistics

    def __call__(self, utterance: Utterance) -> Features:
        return {self.name: _SPECTRA[self.name](utterance.read())}

    def batch(self, x: Tensor) -> dict[str, Tensor]:
        samples = x.numpy() * self.statistics.std + self.statistics.mean
        found = [_SPECTRA[self.name](each.astype(np.float32)) for each in samples]
        return {self.name: torch.from_numpy(np.stack(found))}


class Encoder:
    """The response of an encoder's layers, and of its recurrent units as they were ``before`` training."""

    def __init__(
        self, network: SoundNetwork, statistics: Statistics, before: Mapping[str, Any] | None
    ) -> None:
        self.network, self.statistics, self.untrained = network, statistics, None
        self.names = [layer.name for layer in network.network.scaled_layers]
        self.like = next(network.parameters())
        if before is not None:
            old = {name: before[f"{self.names[-1]}.{name}"] for name in ARRAYS}
            self.untrained = {name: torch.from_numpy(array).to(self.like) for name, array in old.items()}

    @torch.no_grad()
    def batch(self, x: Tensor) -> dict[str, Tensor]:
        layers = self.network.features(x.to(self.like))
        found = dict(zip(self.names, layers, strict=True))
        if self.untrained is not None:
            found[UNTRAINED] = respond(self.untrained, layers[-2])
        return {name: each.float().cpu() for name, each in found.items()}

    def __call__(self, utterance: Utterance) -> Features:
        samples = standardised(utterance.read(), self.statistics)
        frames = len(samples) // FRAME
        found = self.batch(torch.from_numpy(samples)[None])
        return {name: each[0, :frames].numpy() for name, each in found.items()}

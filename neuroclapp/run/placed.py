"""Learning at places, in spikes beside rates: the experiment, and its run's directory.

experiment.toml                    the experiment, resolved
learned/SHARING-rate-seedN.npz     weights before and after learning in rates
learned/SHARING-spiking-seedN.npz  the same in spikes; .json how the changes agree with the rule in rates
scores/seedN.json                  accuracy of the readouts, by world and layer
results.json figures/ report.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass as description

from .. import catalog
from ..catalog import DESCRIPTION
from ..data.gaze import Eye, Gaze
from ..data.images import ImageData, Images, ImageSet
from ..errors import InputError
from ..network import Network, load_network
from ..places import Arrays, Sharing, World, as_dense, drawn, places_of
from ..presentations import Presentations, generator
from ..rate.places import PlacedRates
from ..spiking.mapping import Spiking, populations
from ..spiking.places import PlacedSpikes
from ..spiking.populations import Populations
from ..weights import Initial
from .folder import RunFolder
from .vision import images_of

SHARINGS: tuple[Sharing, ...] = ("shared", "local")


@description(frozen=True, config=DESCRIPTION)
class Rates:
    """Learning rates by layer, of ``w_ff`` and of ``w_pred`` and ``w_retro``."""

    eta: tuple[PositiveFloat, ...]
    eta_pred: tuple[PositiveFloat, ...]


@description(frozen=True, config=DESCRIPTION)
class Learning:
    """The rates where kernels are shared, and where each place has its own."""

    shared: Rates
    local: Rates


@description(frozen=True, config=DESCRIPTION, kw_only=True)
class PlacedExperiment:
    """All that a run needs to know; ``labels``, ``validation`` and ``test`` count images of the readouts."""

    title: str
    kind: str
    model: str
    seeds: tuple[NonNegativeInt, ...]
    presentations: PositiveInt
    data: ImageData
    learning: Learning
    gaze: Gaze = field(default_factory=Gaze)
    labels: PositiveInt = 1000
    validation: PositiveInt = 500
    test: PositiveInt = 2000
    initial: Initial = field(default_factory=Initial)
    spiking: Spiking = field(default_factory=Spiking)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)} must be one or more different numbers")


class PlacedRun(RunFolder):
    """The run of such an experiment."""

    products = {  # noqa: RUF012
        "train": ("learned/*-rate-*",),
        "simulate": ("learned/*-spiking-*",),
        "compare": ("scores", "results.json"),
        "plot": ("figures", "report.html"),
    }

    @classmethod
    def resolve(cls, reference: str, settings: Mapping[str, str], source: Path) -> tuple[str, dict[str, Any]]:
        experiment, table = load_placed(reference, settings)
        check(experiment, source)
        images_of(experiment.data)
        return experiment.title, table

    @cached_property
    def experiment(self) -> PlacedExperiment:
        return catalog.describe(catalog.read_toml(self.file), PlacedExperiment, self.file)

    @cached_property
    def network(self) -> Network:
        return load_network(self.experiment.model)

    @cached_property
    def images(self) -> ImageSet:
        return images_of(self.experiment.data)

    @cached_property
    def eye(self) -> Eye:
        return Eye.used_to(self.images.unlabelled, self.experiment.gaze)

    def check(self) -> None:
        """Raise where the experiment's parts do not exist or do not fit together."""
        check(self.experiment, self.folder / "experiment.toml")

    def seen(self, part: str) -> Images:
        """Return the images of a readout's part, spread evenly, labels included."""
        images: Images = getattr(self.images, part)
        wanted = self.experiment.labels if part == "training" else getattr(self.experiment, part)
        return images[np.linspace(0, len(images) - 1, min(wanted, len(images))).round().astype(np.int64)]

    def stream(self, seed: int) -> Presentations:
        draw = generator(seed, "stream")
        return self.eye.fixations(self.images.unlabelled, self.experiment.presentations, draw)

    def start(self, sharing: Sharing, seed: int) -> Arrays:
        """Return the weights before learning."""
        return drawn(self.network, sharing, self.experiment.initial, generator(seed, "weights"))

    def rates(self, sharing: Sharing) -> Rates:
        found: Rates = getattr(self.experiment.learning, sharing)
        return found

    def populations(self, sharing: Sharing, seed: int) -> Populations:
        """Return the spiking populations of one place of each layer."""
        rates = self.rates(sharing)
        return populations(
            as_dense(self.network),
            self.experiment.spiking,
            rates.eta,
            rates.eta_pred,
            generator(seed, "modulators"),
        )

    def world(self, kind: str, sharing: Sharing, seed: int) -> World:
        """Return a world at rest, ``"rate"`` or ``"spiking"``."""
        if kind == "rate":
            return PlacedRates(self.network)
        return PlacedSpikes(self.network, self.populations(sharing, seed))

    def learned(self, kind: str, sharing: Sharing, seed: int, ending: str = "npz") -> Path:
        return self.folder / "learned" / f"{sharing}-{kind}-seed{seed}.{ending}"


def load_placed(
    reference: str, settings: Mapping[str, str] | None = None
) -> tuple[PlacedExperiment, dict[str, Any]]:
    """Read an experiment by name or path, with ``--set`` values applied; also return the resolved table."""
    path = catalog.find("experiments", reference)
    table = catalog.with_settings(catalog.read_toml(path), settings or {})
    return catalog.describe(table, PlacedExperiment, path), table


def check(experiment: PlacedExperiment, source: Path) -> None:
    """Raise InputError where the parts of an experiment do not exist or do not fit together."""
    network, gaze = load_network(experiment.model), experiment.gaze
    places_of(network)
    shape = (2, gaze.crop, gaze.crop)
    if network.input != shape:
        raise InputError(source, "gaze.crop", gaze.crop, f"the model's input is {list(network.input)}")
    coarse = experiment.data.crop // gaze.shrink
    if gaze.crop + 2 * gaze.shift > coarse:
        allowed = f"with crop = {gaze.crop} and {coarse} coarse pixels at most {(coarse - gaze.crop) // 2}"
        raise InputError(source, "gaze.shift", gaze.shift, allowed)
    if experiment.data.colour:
        raise InputError(source, "data.colour", True, "the eye is blind to colours: false")
    for sharing in SHARINGS:
        rates: Rates = getattr(experiment.learning, sharing)
        populations(
            as_dense(network), experiment.spiking, rates.eta, rates.eta_pred, np.random.default_rng(0)
        )

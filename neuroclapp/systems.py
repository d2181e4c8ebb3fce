"""An experiment of systems that see or hear: a table of systems x data x recipe x seeds, at a scale."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, ValidationError
from pydantic.dataclasses import dataclass

from .catalog import DESCRIPTION
from .data.images import ImageData
from .data.speech import SpeechData
from .data.utterances import FRAME
from .data.views import Augmentation
from .network import Network, load_network
from .objective import Contrast, InTime, System
from .recipe import Recipe

Figure = Literal["accuracy", "layers", "modules", "training", "loss"]
#: One name, or several.
Names = str | tuple[str, ...]


@dataclass(frozen=True, config=DESCRIPTION)
class Probe:
    """The linear readout of frozen features: means over an image's places, or those of each frame of speech.

    ``"logistic"`` is multinomial logistic regression on standardised features, its penalty chosen on the
    validation images, and fixed for frames, of which there are thousands for each feature; ``"adam"`` is the
    paper's: a linear map trained by Adam on cross-entropy.
    """

    kind: Literal["logistic", "adam"] = "logistic"
    epochs: PositiveInt = 300
    batch: PositiveInt = 32
    learning_rate: PositiveFloat = 1e-3


@dataclass(frozen=True, config=DESCRIPTION)
class Row:
    """One system of the experiment, with the paper's figures [%] where it has them, by layer below the top.

    ``features`` other than the encoder's are spectra of sound, which nothing learns. ``against`` names the
    systems that this one is compared with, where they are not the experiment's.
    """

    name: str
    title: str
    recipe: Recipe
    contrast: Contrast
    in_time: InTime = field(default_factory=InTime)
    features: Literal["encoder", "mfcc", "log_mel"] = "encoder"
    learns: Literal["nothing", "labels", "contrast"] = "contrast"
    modules: tuple[PositiveInt, ...] = ()
    model: str = ""
    width: PositiveFloat | None = None
    published: float | None = None
    published_layers: Mapping[str, float] = field(default_factory=dict)
    seeds: tuple[NonNegativeInt, ...] = ()
    against: Names | None = None

    @property
    def system(self) -> System:
        return System(self.title, self.learns, self.modules, self.contrast)


@dataclass(frozen=True, config=DESCRIPTION, kw_only=True)
class TableOfSystems(ABC):
    """What experiments of systems have in common.

    ``figures`` names what is drawn. ``against`` names one system or several that others are compared with,
    seed by seed; left out, it is the one that is named "random", if there is one.
    """

    title: str
    scale: str
    model: str
    seeds: tuple[NonNegativeInt, ...]
    systems: tuple[Row, ...] = ()
    figures: tuple[Figure, ...] = ("accuracy",)
    against: Names | None = None
    width: PositiveFloat = 1.0
    probe: Probe = field(default_factory=Probe)

    def __post_init__(self) -> None:
        names = [row.name for row in self.systems]
        if len(set(names)) < len(names):
            raise ValueError(f"the systems' names must differ: {', '.join(names)}")
        for row in self.systems:
            seeds = self.seeds_of(row)
            if not seeds or len(set(seeds)) < len(seeds):
                raise ValueError(f"seeds = {list(seeds)} must be one or more different numbers")
            try:
                self._check(row)
                names = [layer.name for layer in row.system.cut(self.network(row)).scaled_layers]
                unknown = sorted(set(row.published_layers).difference(names))
                if unknown:
                    raise ValueError(f"published_layers.{unknown[0]}: must be one of {', '.join(names)}")
            except ValueError as error:
                raise ValueError(f"system {row.name!r}: {reason(error)}") from None
        self._check_against()

    def _check_against(self) -> None:
        """Raise ValueError where a system is named that is not there, or that one cannot be compared with."""
        known = {row.name: row for row in self.systems}
        named = [("", self.against), *((f"system {row.name!r}: ", row.against) for row in self.systems)]
        for where, against in named:
            for name in _names(against):
                if name not in known:
                    allowed = f"must be one of {', '.join(known)}" if known else "there are no systems"
                    raise ValueError(f"{where}against = {name!r}: {allowed}")
        for row in self.systems:
            for name in _names(row.against):
                why = "this is the system itself" if name == row.name else self.apart(row, known[name])
                if why:
                    raise ValueError(f"system {row.name!r}: against = {name!r}: {why}")

    @property
    def references(self) -> tuple[str, ...]:
        """The names of what systems are compared with that do not say so themselves."""
        if self.against is None:
            return ("random",) if any(row.name == "random" for row in self.systems) else ()
        return _names(self.against)

    def references_of(self, row: Row) -> dict[str, str]:
        """Return the names of what a system is compared with, and why it cannot be; empty where it can."""
        found = {}
        names, seeds = self.references if row.against is None else _names(row.against), self.seeds_of(row)
        for other in (other for other in self.systems if other.name in names and other is not row):
            paired = set(seeds).intersection(self.seeds_of(other))
            found[other.name] = self.apart(row, other) or ("" if paired else "they have no seed in common")
        return found

    def apart(self, row: Row, other: Row) -> str:
        """Return why the layers of two systems cannot be subtracted from each other; empty where they can."""
        mine, its = self.network(row), self.network(other)
        if (row.features == "encoder") != (other.features == "encoder"):
            return "their layers differ"
        if row.features == "encoder":
            if mine.input != its.input:
                return f"they see {_size(mine.input)} and {_size(its.input)} pixels at once"
            if [layer.name for layer in mine.layers] != [layer.name for layer in its.layers]:
                return "their layers differ"
            if other.learns == "nothing" and mine.scaled_layers != its.scaled_layers:
                return "that random encoder has another width"
        return ""

    @abstractmethod
    def _check(self, row: Row) -> None:
        """Raise ValueError where a system does not belong to such an experiment."""

    @abstractmethod
    def network(self, row: Row) -> Network:
        """Return the encoder of a system, at its width, for the shape of the data."""

    @abstractmethod
    def trained_on(self, row: Row) -> dict[str, Any]:
        """Return everything that the trained weights of a system depend on, but the seed."""

    def read_out_by(self) -> dict[str, Any]:
        """Return what a score depends on besides the trained weights."""
        return asdict(self.probe)

    def seeds_of(self, row: Row) -> tuple[int, ...]:
        return row.seeds or self.seeds

    def _scaled(self, row: Row, shape: tuple[int, ...]) -> Network:
        network = load_network(row.model or self.model)
        return replace(network, width=row.width or self.width, input=shape)

    def _depends_on(self, row: Row, data: dict[str, Any]) -> dict[str, Any]:
        system = asdict(row.system)
        system.pop("title")
        recipe = asdict(row.recipe)
        recipe.pop("checkpoint")
        if row.learns != "contrast":
            system.pop("contrast")
        if row.learns == "nothing":
            recipe = {"gain": row.recipe.gain}
        network = asdict(self.network(row))
        network.pop("title")
        return {"system": system, "network": network, "data": data, "recipe": recipe}


@dataclass(frozen=True, config=DESCRIPTION, kw_only=True)
class SystemsExperiment(TableOfSystems):
    """All that a run of image systems needs to know."""

    kind: Literal["systems"]
    data: ImageData
    augmentation: Augmentation = field(default_factory=Augmentation)

    def _check(self, row: Row) -> None:
        if row.features != "encoder" or row.in_time != InTime():
            raise ValueError("features and in_time are for sound (kind = 'speech')")

    def network(self, row: Row) -> Network:
        channels = 3 if self.data.colour else 1
        side = self.data.crop if row.contrast.task == "views" else self.data.patch
        return self._scaled(row, (channels, side, side))

    def trained_on(self, row: Row) -> dict[str, Any]:
        data = asdict(self.data)
        if self.data.fold is None or row.learns != "labels":  # folds divide labels alone
            data.pop("fold")
        if row.contrast.task == "views":
            data["augmentation"] = asdict(self.augmentation)
        return self._depends_on(row, data)

    def read_out_by(self) -> dict[str, Any]:
        fold = {} if self.data.fold is None else {"fold": self.data.fold}
        return {**super().read_out_by(), **fold}


@dataclass(frozen=True, config=DESCRIPTION, kw_only=True)
class SpeechExperiment(TableOfSystems):
    """All that a run of audio systems needs to know."""

    kind: Literal["speech"]
    data: SpeechData

    def _check(self, row: Row) -> None:
        if row.features != "encoder" and row.learns != "nothing":
            raise ValueError(f"features = {row.features!r} are not learned: learns = 'nothing'")
        if self.data.excerpt % FRAME:
            raise ValueError(f"data.excerpt = {self.data.excerpt} must be a multiple of {FRAME}, a frame")

    def network(self, row: Row) -> Network:
        return self._scaled(row, (1, self.data.excerpt))

    def trained_on(self, row: Row) -> dict[str, Any]:
        found = {**self._depends_on(row, asdict(self.data)), "features": row.features}
        in_time = {} if row.learns == "nothing" else {"in_time": asdict(row.in_time)}
        if in_time and row.in_time.chunk == InTime().chunk:  # it came later
            in_time["in_time"].pop("chunk")
        return {**found, **in_time}


def _names(against: Names | None) -> tuple[str, ...]:
    """Return what ``against`` names."""
    return () if against is None else (against,) if isinstance(against, str) else against


def _size(shape: tuple[int, ...]) -> str:
    """Return the sides of what an encoder sees at once."""
    return "x".join(map(str, shape[1:]))


def reason(error: ValueError) -> str:
    """Return in one line what is wrong, also where pydantic says it in several."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in first["loc"] if isinstance(part, str))
        return place + str(first["msg"]).removeprefix("Value error, ")
    return str(error)


def digest(values: Mapping[str, Any], seed: int) -> str:
    """Return a short name for a trained system: the same values and seed, the same name."""
    text = json.dumps({**values, "seed": seed}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

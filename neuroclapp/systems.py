"""An experiment of image systems: a table of systems x data x recipe x seeds, at a scale.

In a TOML file ``recipe`` and ``contrast`` stand once for all systems, and each system may replace single
values; ``scales.NAME`` replaces values of the whole experiment, ``scales.NAME.rows.SYSTEM`` of one system.
``like`` names another experiment, from which everything is taken that the file leaves out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, ValidationError
from pydantic.dataclasses import dataclass

from . import catalog
from .catalog import DESCRIPTION
from .data.images import ImageData
from .data.views import Augmentation
from .errors import InputError
from .network import Network, load_network
from .objective import Contrast, System
from .recipe import Recipe

Figure = Literal["accuracy", "layers", "modules", "training", "loss"]


@dataclass(frozen=True, config=DESCRIPTION)
class Probe:
    """The linear readout of frozen features, means over an image's places.

    ``"logistic"`` is multinomial logistic regression on standardised features, its penalty chosen on the
    validation images; ``"adam"`` is the paper's: a linear map trained by Adam on cross-entropy.
    """

    kind: Literal["logistic", "adam"] = "logistic"
    epochs: PositiveInt = 300
    batch: PositiveInt = 32
    learning_rate: PositiveFloat = 1e-3


@dataclass(frozen=True, config=DESCRIPTION)
class Row:
    """One system of the experiment, with the paper's figure [%] where it has one."""

    name: str
    title: str
    recipe: Recipe
    contrast: Contrast
    learns: Literal["nothing", "labels", "contrast"] = "contrast"
    modules: tuple[PositiveInt, ...] = ()
    model: str = ""
    width: PositiveFloat | None = None
    published: float | None = None
    seeds: tuple[NonNegativeInt, ...] = ()

    @property
    def system(self) -> System:
        return System(self.title, self.learns, self.modules, self.contrast)


@dataclass(frozen=True, config=DESCRIPTION)
class SystemsExperiment:
    """All that a run of image systems needs to know.

    ``figures`` names what is drawn. ``against`` names the system that others are compared with, seed by seed.
    """

    title: str
    kind: Literal["systems"]
    scale: str
    model: str
    seeds: tuple[NonNegativeInt, ...]
    data: ImageData
    systems: tuple[Row, ...] = ()
    figures: tuple[Figure, ...] = ("accuracy",)
    against: str = "random"
    width: PositiveFloat = 1.0
    probe: Probe = field(default_factory=Probe)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        names = [row.name for row in self.systems]
        if len(set(names)) < len(names):
            raise ValueError(f"the systems' names must differ: {', '.join(names)}")
        for row in self.systems:
            seeds = self.seeds_of(row)
            if not seeds or len(set(seeds)) < len(seeds):
                raise ValueError(f"seeds = {list(seeds)} must be one or more different numbers")
            try:
                row.system.cut(self.network(row))
            except ValueError as error:
                raise ValueError(f"system {row.name!r}: {reason(error)}") from None

    def network(self, row: Row) -> Network:
        """Return the encoder of a system, at its width, for the channels of the data."""
        network = load_network(row.model or self.model)
        channels = 3 if self.data.colour else 1
        side = self.data.crop if row.contrast.task == "views" else self.data.patch
        return replace(network, width=row.width or self.width, input=(channels, side, side))

    def seeds_of(self, row: Row) -> tuple[int, ...]:
        return row.seeds or self.seeds

    def trained_on(self, row: Row) -> dict[str, Any]:
        """Return everything that the trained weights of a system depend on, but the seed."""
        system = asdict(row.system)
        system.pop("title")
        data = asdict(self.data)
        if row.contrast.task == "views":
            data["augmentation"] = asdict(self.augmentation)
        recipe = asdict(row.recipe)
        recipe.pop("checkpoint")
        if row.learns != "contrast":
            system.pop("contrast")
        if row.learns == "nothing":
            recipe = {"gain": row.recipe.gain}
        network = asdict(self.network(row))
        network.pop("title")
        return {"system": system, "network": network, "data": data, "recipe": recipe}


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


def resolve(table: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Apply the chosen scale, and fill each system's recipe and contrast from the common ones."""
    resolved = json.loads(json.dumps(table))
    scales, rows = _table(resolved, "scales", source), {}
    resolved.pop("scales", None)
    if scales:
        chosen = resolved.get("scale")
        if chosen not in scales:
            raise InputError(source, "scale", chosen, f"must be one of {', '.join(scales)}")
        changes = _table(scales, chosen, source)
        rows = _table(changes, "rows", source)
        changes.pop("rows", None)
        resolved = _merged(resolved, changes)
    recipe, contrast = _table(resolved, "recipe", source), _table(resolved, "contrast", source)
    for key in ("recipe", "contrast"):
        resolved.pop(key, None)
    known = [row.get("name") for row in _systems(resolved, source)]
    for name in rows:
        if name not in known:
            allowed = f"no such system; known: {', '.join(map(str, known))}"
            raise InputError(source, f"rows.{name}", name, allowed)
    for index, row in enumerate(_systems(resolved, source)):
        row = _merged(row, _table(rows, row.get("name"), source))
        row["recipe"] = _merged(recipe, _table(row, "recipe", source))
        row["contrast"] = _merged(contrast, _table(row, "contrast", source))
        resolved["systems"][index] = row
    return resolved


def inherit(table: Mapping[str, Any], source: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Fill what an experiment leaves out from the one that it names with ``like``: values, scales, systems.

    Only the systems that it lists are taken, by name; title and figures are its own. ``below`` are the files
    that lead here.
    """
    if "like" not in table:
        return dict(table)
    if not isinstance(table["like"], str):
        raise InputError(source, "like", table["like"], "must be the name of an experiment, or a path")
    path = catalog.find("experiments", table["like"])
    chain = (*below, source.resolve())
    if path.resolve() in chain:
        raise InputError(source, "like", table["like"], "leads back to where it started")
    base = inherit(catalog.read_toml(path), path, chain)
    known = {row.get("name"): row for row in _systems(base, path)}
    base.pop("systems", None)
    own = json.loads(json.dumps({key: value for key, value in table.items() if key != "like"}))
    own["systems"] = [_merged(known.get(row.get("name"), {}), row) for row in _systems(own, source)]
    listed = {row.get("name") for row in own["systems"]}
    scales = _table(base, "scales", path)
    for scale in (_table(scales, name, path) for name in scales):
        scale["rows"] = {name: row for name, row in _table(scale, "rows", path).items() if name in listed}
    return _merged({key: value for key, value in base.items() if key not in ("title", "figures")}, own)


def load_systems(
    reference: str, settings: Mapping[str, str] | None = None
) -> tuple[SystemsExperiment, dict[str, Any]]:
    """Read an experiment by name or path, with ``--set`` values applied; also return the resolved table.

    A setting applies after the scale's values: ``--set scale=small --set recipe.updates=100`` holds for all
    systems, ``--set systems.clapp.recipe.updates=100`` for one.
    """
    path = catalog.find("experiments", reference)
    table = inherit(catalog.read_toml(path), path)
    settings = dict(settings or {})
    if "scale" in settings:
        table = catalog.with_settings(table, {"scale": settings.pop("scale")})
    chosen = _table(table, "scales", path).get(str(table.get("scale")))
    base = table if chosen is None else {**table, "scales": {table["scale"]: chosen}}
    resolved = _with_settings(base, settings, path)
    return catalog.describe(resolved, SystemsExperiment, path), resolved


def read_systems(path: Path) -> SystemsExperiment:
    """Read the resolved experiment of a run directory."""
    return catalog.describe(catalog.read_toml(path), SystemsExperiment, path)


def _with_settings(table: Mapping[str, Any], settings: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Apply settings: those of all systems over the scale's, those of one system over everything."""
    single = {key: text for key, text in settings.items() if key.startswith("systems.")}
    common = {key: text for key, text in settings.items() if key not in single}
    resolved = resolve(table, path)
    everywhere = {key: text for key, text in common.items() if key.split(".")[0] in ("recipe", "contrast")}
    resolved = catalog.with_settings(resolved, {k: v for k, v in common.items() if k not in everywhere})
    for index, row in enumerate(_systems(resolved, path)):
        mine = {
            key.split(".", 2)[2]: text
            for key, text in single.items()
            if key.count(".") > 1 and key.split(".")[1] == row.get("name")
        }
        resolved["systems"][index] = catalog.with_settings(row, {**everywhere, **mine})
    names = [str(row.get("name")) for row in _systems(resolved, path)]
    for key, text in single.items():
        if key.count(".") < 2 or key.split(".")[1] not in names:
            raise InputError("--set", key, text, f"must be systems.NAME.KEY, NAME one of {', '.join(names)}")
    return resolved


def _systems(table: Mapping[str, Any], source: object) -> list[dict[str, Any]]:
    rows = table.get("systems", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(source, "systems", rows, "must be tables, each under [[systems]]")
    return rows


def _table(table: Mapping[str, Any], key: Any, source: object) -> dict[str, Any]:
    inner = table.get(key, {}) if isinstance(key, str) else {}
    if not isinstance(inner, dict):
        raise InputError(source, key, inner, "must be a table")
    return inner


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        inner = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if inner else value
    return result

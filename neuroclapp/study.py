"""A study: one experiment under many conditions, and pictures with the conditions as their points.

The file's tables ``data``, ``order``, ``learning``, ``initial``, ``spiking``, ``control`` and ``chip`` and
the values ``model``, ``seeds``, ``context``, ``feedback`` and ``gate`` hold for all conditions; each
condition replaces single values of them, in tables of the same names. A table with another ``kind`` than the
one it replaces is taken whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt
from pydantic.dataclasses import dataclass as description

from . import __version__, catalog
from .catalog import DESCRIPTION
from .errors import InputError
from .settings import Settings

#: What a condition may replace.
REPLACED = (
    "model",
    "seeds",
    "data",
    "order",
    "learning",
    "initial",
    "spiking",
    "context",
    "feedback",
    "gate",
    "control",
    "chip",
)


@description(frozen=True, config=DESCRIPTION)
class Point:
    """Where a condition stands: in which picture, on which of its curves, and at which x.

    An x of text is a place of its own, in the order of the file. Where x is the layer it is left out.
    """

    picture: str
    curve: str = ""
    x: float | str | None = None


@description(frozen=True, config=DESCRIPTION)
class Picture:
    """A picture: ``measures`` against ``x``, or accuracy ``by`` layer, a panel for each condition.

    ``logarithmic``: the axis of x. Measures are keys of ``results.json``; left out, the usual ones.
    """

    name: str
    title: str
    x: str = ""
    by: Literal["x", "layer"] = "x"
    logarithmic: bool = False
    measures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Condition:
    """One condition, its values resolved."""

    name: str
    title: str
    points: tuple[Point, ...]
    settings: Settings

    @property
    def folder(self) -> str:
        """Return a name that changes with everything that its runs depend on, but the seeds."""
        return f"{self.name}-{_digest(self.settings.all)}"

    @property
    def rates(self) -> str:
        """Return the name of its rate worlds, which conditions share that differ in spikes only."""
        return _digest(self.settings.rates)


@dataclass(frozen=True)
class Study:
    """Conditions and the pictures that show them."""

    title: str
    conditions: tuple[Condition, ...]
    pictures: tuple[Picture, ...]

    def condition(self, name: str) -> Condition:
        """Return a condition by name; raise KeyError where there is none."""
        for condition in self.conditions:
            if condition.name == name:
                return condition
        raise KeyError(name)


@description(frozen=True, config=DESCRIPTION)
class _Named:
    """A condition in a file: its name, and what it replaces."""

    name: str
    title: str
    points: tuple[Point, ...] = ()
    model: str = ""
    seeds: tuple[NonNegativeInt, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    learning: dict[str, Any] = field(default_factory=dict)
    initial: dict[str, Any] = field(default_factory=dict)
    spiking: dict[str, Any] = field(default_factory=dict)
    context: str = ""
    feedback: str = ""
    gate: str = ""
    order: dict[str, Any] = field(default_factory=dict)
    control: dict[str, Any] = field(default_factory=dict)
    chip: dict[str, Any] = field(default_factory=dict)


@description(frozen=True, config=DESCRIPTION)
class _File:
    """A study's file; the values that conditions share are checked with each of them."""

    kind: Literal["study"]
    title: str
    model: str
    seeds: tuple[NonNegativeInt, ...]
    data: dict[str, Any]
    learning: dict[str, Any]
    initial: dict[str, Any] = field(default_factory=dict)
    spiking: dict[str, Any] = field(default_factory=dict)
    context: str = ""
    feedback: str = ""
    gate: str = ""
    order: dict[str, Any] = field(default_factory=dict)
    control: dict[str, Any] = field(default_factory=dict)
    chip: dict[str, Any] = field(default_factory=dict)
    conditions: tuple[_Named, ...] = ()
    pictures: tuple[Picture, ...] = ()


def load_study(reference: str, settings: Mapping[str, str] | None = None) -> tuple[Study, dict[str, Any]]:
    """Read a study by name or path, with ``--set`` values applied to what conditions share.

    Also return its table.
    """
    path = catalog.find("experiments", reference)
    table = catalog.with_settings(catalog.read_toml(path), settings or {})
    return described(table, path), table


def read_study(path: Path) -> Study:
    """Read the study of a run directory."""
    return described(catalog.read_toml(path), path)


def described(table: Mapping[str, Any], source: object) -> Study:
    """Build the study of a table; raise InputError that names ``source``, condition, key and value."""
    try:
        file = catalog.describe(table, _File, source)
    except InputError as error:
        raise InputError(source, _by_name(error.key, table), error.value, error.allowed) from None
    names = [each.name for each in file.conditions]
    if not names or len(set(names)) < len(names):
        raise InputError(source, "conditions", names, "must be one or more, with different names")
    pictures = [picture.name for picture in file.pictures]
    base = {key: value for key, value in table.items() if key in REPLACED}
    conditions = []
    for each, own in zip(file.conditions, table["conditions"], strict=True):
        if not each.name.replace("_", "").isalnum():
            raise InputError(source, "conditions.name", each.name, "may hold letters, digits and _ only")
        for point in each.points:
            if point.picture not in pictures:
                allowed = f"no such picture; known: {', '.join(pictures) or 'none'}"
                raise InputError(source, f"conditions.{each.name}.points", point.picture, allowed)
        replaced = merged(base, {key: value for key, value in own.items() if key in REPLACED})
        try:
            settings = catalog.describe(replaced, Settings, source)
        except InputError as error:
            key = f"conditions.{each.name}.{error.key}" if error.key else f"conditions.{each.name}"
            raise InputError(source, key, error.value, error.allowed) from None
        conditions.append(Condition(each.name, each.title, each.points, settings))
    return Study(file.title, tuple(conditions), file.pictures)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with single values replaced; a table of another ``kind`` is replaced as a whole."""
    found = dict(base)
    for key, value in changes.items():
        old = found.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            kind = old.get("kind")
            value = merged(old, value) if value.get("kind", kind) == kind else value
        found[key] = value
    return found


def _by_name(key: str | None, table: Mapping[str, Any]) -> str | None:
    """Return a key in which a condition has its name in the place of its number."""
    parts = (key or "").split(".")
    if parts[0] == "conditions" and len(parts) > 2:
        parts[1] = str(table["conditions"][int(parts[1])].get("name", parts[1]))
    return ".".join(parts) or None


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps({**values, "version": __version__}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

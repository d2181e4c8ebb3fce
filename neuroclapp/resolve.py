"""Experiments of systems as TOML files: what a file leaves out is taken from elsewhere.

``recipe``, ``contrast`` and ``in_time`` stand once for all systems, and each system may replace single
values; ``scales.NAME`` replaces values of the whole experiment, ``scales.NAME.rows.SYSTEM`` of one system.
``like`` names another experiment, from which everything is taken that the file leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import catalog
from .errors import InputError
from .systems import SpeechExperiment, SystemsExperiment

#: The tables that systems share.
COMMON = ("recipe", "contrast", "in_time")


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
    common = {key: _table(resolved, key, source) for key in COMMON if key in resolved}
    for key in common:
        resolved.pop(key)
    known = [row.get("name") for row in _systems(resolved, source)]
    for name in rows:
        if name not in known:
            allowed = f"no such system; known: {', '.join(map(str, known))}"
            raise InputError(source, f"rows.{name}", name, allowed)
    for index, row in enumerate(_systems(resolved, source)):
        row = _merged(row, _table(rows, row.get("name"), source))
        for key in ("recipe", "contrast", *common):
            row[key] = _merged(common.get(key, {}), _table(row, key, source))
        resolved["systems"][index] = row
    return resolved


def inherit(table: Mapping[str, Any], source: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Fill what an experiment leaves out from the one that it names with ``like``: values, scales, systems.

    Only the systems that it lists are taken, by name; title and figures are its own. What they are compared
    with is taken where it is listed. ``below`` are the files that lead here.
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
    listed = [row.get("name") for row in _systems(own, source)]
    for taken in (base, *known.values()):
        _keep_listed(taken, listed)
    own["systems"] = [_merged(known.get(row.get("name"), {}), row) for row in _systems(own, source)]
    scales = _table(base, "scales", path)
    for scale in (_table(scales, name, path) for name in scales):
        scale["rows"] = {name: row for name, row in _table(scale, "rows", path).items() if name in listed}
    return _merged({key: value for key, value in base.items() if key not in ("title", "figures")}, own)


def _keep_listed(table: dict[str, Any], listed: list[Any]) -> None:
    """Leave in ``against`` of an experiment or a system only what is listed."""
    against = table.get("against")
    names = [against] if isinstance(against, str) else against if isinstance(against, list) else []
    found = [name for name in names if name in listed]
    if len(found) < len(names):
        del table["against"]
        table |= {"against": found} if found else {}


def load_systems(
    reference: str, settings: Mapping[str, str] | None = None
) -> tuple[SystemsExperiment | SpeechExperiment, dict[str, Any]]:
    """Read an experiment by name or path, with ``--set`` values applied; also return the resolved table.

    A setting applies after the scale's values: ``--set scale=small --set recipe.updates=100`` holds for all
    systems, ``--set systems.clapp.recipe.updates=100`` for one.
    """
    path = catalog.find("experiments", reference)
    resolved = settled(path, settings or {})
    return described(resolved, path), resolved


def settled(path: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    """Return the resolved table of an experiment's file, with ``--set`` values applied."""
    table = inherit(catalog.read_toml(path), path)
    settings = dict(settings)
    if "scale" in settings:
        table = catalog.with_settings(table, {"scale": settings.pop("scale")})
    chosen = _table(table, "scales", path).get(str(table.get("scale")))
    base = table if chosen is None else {**table, "scales": {table["scale"]: chosen}}
    return _with_settings(base, settings, path)


def read_systems(path: Path) -> SystemsExperiment | SpeechExperiment:
    """Read the resolved experiment of a run directory."""
    return described(catalog.read_toml(path), path)


def described(table: Mapping[str, Any], source: Path) -> SystemsExperiment | SpeechExperiment:
    """Build the experiment of a resolved table: of images, or of speech."""
    if table.get("kind") == "speech":
        return catalog.describe(table, SpeechExperiment, source)
    return catalog.describe(table, SystemsExperiment, source)


def _with_settings(table: Mapping[str, Any], settings: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Apply settings: those of all systems over the scale's, those of one system over everything."""
    single = {key: text for key, text in settings.items() if key.startswith("systems.")}
    common = {key: text for key, text in settings.items() if key not in single}
    resolved = resolve(table, path)
    everywhere = {key: text for key, text in common.items() if key.split(".")[0] in COMMON}
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

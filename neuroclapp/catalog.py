"""The catalogue: TOML files in models/, hardware/ and experiments/ read into frozen dataclasses.

A name is looked up in the catalogue's folders, which a wheel carries inside the package and a source
checkout has beside it; a path to a TOML file is taken as it is.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from .errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Kind = Literal["models", "hardware", "experiments"]
T = TypeVar("T")

#: Settings of every description: unknown keys and numbers that are not finite are refused, and values are
#: never changed.
DESCRIPTION = ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


def folder(kind: Kind) -> Path:
    """Return the catalogue's folder of this kind."""
    package = Path(__file__).resolve().parent
    packed = package / "_catalog" / kind
    return packed if packed.is_dir() else package.parent / kind


def names(kind: Kind) -> list[str]:
    """Return the names of all entries of this kind, sorted."""
    return sorted(path.stem for path in folder(kind).glob("*.toml"))


def find(kind: Kind, reference: str) -> Path:
    """Return the file that a catalogue name or a path to a TOML file stands for."""
    if reference.endswith(".toml"):
        path = Path(reference)
        if not path.is_file():
            raise InputError(reference, None, None, "no such file")
        return path
    path = folder(kind) / f"{reference}.toml"
    if "/" not in reference and path.is_file():
        return path
    close = difflib.get_close_matches(reference, names(kind), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names(kind)) or 'none'}"
    raise InputError(kind, "name", reference, f"no such entry and no path to a .toml file; {hint}")


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; raise InputError with the line at fault."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(path, None, None, "no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, None, None, f"not a TOML file: {error}") from None


def describe(data: Mapping[str, Any], description: type[T], source: object) -> T:
    """Check ``data`` against a description (a pydantic dataclass) and build it.

    Raises InputError that names the source, the key and the value of the first thing at fault.
    """
    try:
        text = json.dumps(data, default=str)
        return TypeAdapter(description).validate_json(text, strict=True, context={"file": str(source)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or None
        raise InputError(source, key, first["input"], _say(first, description)) from None


def load(kind: Kind, reference: str, description: type[T]) -> T:
    """Read one catalogue entry."""
    path = find(kind, reference)
    return describe(read_toml(path), description, path)


def settings_of(texts: Sequence[str]) -> dict[str, str]:
    """Return what ``--set KEY=VALUE`` says, value by dotted key."""
    settings = {}
    for setting in texts:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise InputError("--set", "KEY=VALUE", setting, "must be a dotted key, '=', and a value")
        settings[key] = value
    return settings


def with_settings(data: dict[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """Return ``data`` with dotted keys replaced, as in ``--set spiking.duration='"50 ms"'``.

    A value is read as TOML if it parses as TOML, else it is a plain string.
    """
    changed = json.loads(json.dumps(data))
    for dotted, text in settings.items():
        *parents, last = dotted.split(".")
        node = changed
        for key in parents:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise InputError("--set", dotted, text, f"{key!r} is a value, not a table")
        node[last] = _toml_value(text)
    return changed


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _say(first: Any, description: type) -> str:
    message = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "missing":
        return "this key is missing"
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        close = difflib.get_close_matches(str(first["loc"][-1]), _keys(first["loc"][:-1], description), n=1)
        return "unknown key" + (f"; did you mean {close[0]!r}?" if close else "")
    return message


def _keys(tables: Sequence[int | str], description: Any) -> list[str]:
    """Return the keys of a table in a description; none where its place is not a description by itself."""
    for table in tables:
        fields = getattr(description, "__pydantic_fields__", {})
        description = fields[table].annotation if table in fields else None
    return list(getattr(description, "__pydantic_fields__", {}))

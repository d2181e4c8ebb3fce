"""Checkpoints: the weights and the state of a simulation between two presentations, in a safetensors file.

With them, what the simulation depends on, value by value. Nothing random is part of the state: what is drawn
for a presentation is data, or depends on its number alone (`neuroclapp.spiking.noise`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..errors import RunError
from ..files import written_aside
from ..weights import Weights
from .state import State


@dataclass(frozen=True)
class Checkpoint:
    """A simulation after ``done`` presentations, and what it ``depends`` on."""

    done: int
    weights: Weights
    state: State
    depends: Mapping[str, str]

    def save(self, path: Path) -> None:
        """Write a file, whole or not at all."""
        arrays = {f"weights/{name}": array for name, array in self.weights.items()}
        arrays |= _arrays(self.state, "state")
        about = {"done": str(self.done), "depends": json.dumps(self.depends)}
        with written_aside(path) as aside:
            save_file({name: np.ascontiguousarray(each) for name, each in arrays.items()}, aside, about)


def load(path: Path, weights: Weights, state: State) -> Checkpoint:
    """Read a checkpoint of a simulation with weights and state of this form; raise RunError if it is none."""
    try:
        with safe_open(path, framework="np") as file:
            about = file.metadata() or {}
            done, depends = int(about["done"]), json.loads(about["depends"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        kept = Weights({name: arrays.pop(f"weights/{name}") for name in weights})
        found = _like(state, "state", arrays)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise RunError(f"{path}: not a checkpoint of this simulation ({error})") from None
    if arrays:
        raise RunError(f"{path}: not a checkpoint of this simulation (it has {', '.join(arrays)})")
    return Checkpoint(done, kept, found, depends)


def dependencies(path: Path) -> dict[str, str]:
    """Return what the simulation of a checkpoint depends on; raise RunError if the file is none."""
    try:
        with safe_open(path, framework="np") as file:
            return json.loads((file.metadata() or {})["depends"])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise RunError(f"{path}: not a checkpoint ({error})") from None


def _arrays(value: Any, name: str) -> dict[str, NDArray]:
    """Return all arrays of nested dataclasses and lists by their names."""
    if isinstance(value, np.ndarray):
        return {name: value}
    found: dict[str, NDArray] = {}
    for key, part in _parts(value):
        found |= _arrays(part, f"{name}/{key}")
    return found


def _like(form: Any, name: str, arrays: dict[str, NDArray]) -> Any:
    """Return a value of the form of another one, taking its arrays out of ``arrays``."""
    if isinstance(form, np.ndarray):
        return arrays.pop(name)
    parts = {key: _like(part, f"{name}/{key}", arrays) for key, part in _parts(form)}
    if is_dataclass(form):
        return type(form)(**parts)  # type: ignore[misc]
    return None if form is None else type(form)(parts.values())


def _parts(value: Any) -> list[tuple[Any, Any]]:
    if is_dataclass(value):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if value is None:
        return []
    raise TypeError(f"a state cannot hold {type(value).__name__}")

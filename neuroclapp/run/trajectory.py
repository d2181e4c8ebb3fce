"""A spiking run on disk: stretch by stretch while it goes, one HDF5 file when it is done.

A stretch's file holds what its presentations left and the weights and state at its end, so it is a
checkpoint too. ``spiking.h5`` holds, with N presentations and S snapshots of the weights:

    at (S,)  weights/LAYER.TARGET (S, ...)     snapshots; at[0] = 0 is where the run started
    input_count (N, inputs)
    N/count  N/charge (N, units)   N/gamma  N/score (N,)   N/total (N, 2)     by layer N = 0, 1, ...
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import RunError
from ..files import written_aside
from ..presentations import Presentations
from ..spiking.populations import Populations
from ..spiking.simulation import Stretch
from ..spiking.state import LayerRecord, LayerState, Record, State, scores
from ..weights import Weights

_TYPES = {"count": np.uint16, "charge": np.float32, "gamma": np.int8, "total": np.int32}


def keep(folder: Path, first: int, stretch: Stretch, populations: Populations, shown: Presentations) -> None:
    """Write one stretch that began at presentation ``first``."""
    record, state = stretch.record, stretch.state
    arrays: dict[str, Any] = {f"weights/{name}": array for name, array in stretch.weights.items()}
    arrays["state/input"] = state.input_count
    arrays["input_count"] = record.input_count.astype(np.uint16)
    for n, (layer, held) in enumerate(zip(record.layers, state.layers, strict=True)):
        arrays |= {f"state/{n}/{key}": value for key, value in vars(held).items()}
        arrays |= {f"{n}/{key}": getattr(layer, key).astype(kind) for key, kind in _TYPES.items()}
        arrays[f"{n}/score"] = scores(layer, populations, n, shown.sign)
    with written_aside(folder / f"{first:09d}.npz") as aside, aside.open("wb") as file:
        np.savez(file, **arrays)


def resume(folder: Path, weights: Weights, state: State) -> tuple[Weights, State, int]:
    """Return weights, state and presentations done, from the last of an unbroken row of stretches."""
    done = 0
    while (path := folder / f"{done:09d}.npz").is_file():
        with np.load(path, allow_pickle=False) as kept:
            weights = Weights({name: kept[f"weights/{name}"] for name in weights})
            layers = [
                LayerState(*(kept[f"state/{n}/{key}"] for key in ("count", "v", "next_held")))
                for n in range(len(state.layers))
            ]
            state = State(kept["state/input"], layers)
            done += len(kept["input_count"])
    return weights, state, done


def join(folder: Path, path: Path, initial: Weights) -> None:
    """Join all stretches of a finished run into one HDF5 file."""
    parts = sorted(folder.glob("*.npz"))
    with written_aside(path) as aside, h5py.File(aside, "w") as file:
        columns: dict[str, list[Any]] = {f"weights/{name}": [array[None]] for name, array in initial.items()}
        at = [0]
        for part in parts:
            with np.load(part, allow_pickle=False) as kept:
                for name in kept.files:
                    if name.startswith("weights/"):
                        columns[name].append(kept[name][None])
                    elif not name.startswith("state/"):
                        columns.setdefault(name, []).append(kept[name])
                at.append(at[-1] + len(kept["input_count"]))
        file["at"] = np.array(at)
        for name, pieces in columns.items():
            file.create_dataset(
                name, data=np.concatenate(pieces), compression="gzip", compression_opts=4, shuffle=True
            )


def walk(path: Path) -> Iterator[tuple[int, Record, Weights]]:
    """Yield each stretch of ``spiking.h5``: its first presentation, its record, the weights at its end."""
    with open_trajectory(path) as file:
        at = file["at"][:]
        layers = sum(1 for name in file if name.isdigit())
        for index, (first, last) in enumerate(pairwise(at)):
            part = slice(int(first), int(last))
            records = [
                LayerRecord(
                    *(
                        file[f"{n}/{key}"][part].astype(np.float64)
                        for key in ("count", "charge", "gamma", "total")
                    )
                )
                for n in range(layers)
            ]
            weights = Weights({name: file["weights"][name][index + 1] for name in file["weights"]})
            yield int(first), Record(file["input_count"][part].astype(np.float64), records), weights


def open_trajectory(path: Path) -> h5py.File:
    """Open a trajectory for reading; raise RunError that names it when it is absent or broken."""
    if not path.is_file():
        raise RunError(f"{path}: no such file; the step that writes it has not been run")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise RunError(f"{path}: not an HDF5 file ({error})") from None

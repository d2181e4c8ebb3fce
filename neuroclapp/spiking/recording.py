"""Recording a long simulation as it goes, within a stated memory.

A recording is a folder of HDF5 files, one for each part of the simulation between two checkpoints, written
aside and moved into place. With N presentations and S snapshots of the weights, the datasets are

    at (S,)  weights/LAYER.TARGET (S, ...)     snapshots; at[0] = 0 is where the simulation started
    input_count (N, inputs)
    N/count  N/charge (N, units)   N/gamma  N/score (N,)   N/total (N, 2)     by layer N = 0, 1, ...

A layer with two gates has N/gamma_retro, N/score_retro and N/total_retro beside those of the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files import remove_aside, written_aside
from ..units import parse_quantity
from ..weights import Weights
from .populations import Populations
from .recorded import parts
from .state import Record, scores

Array = NDArray[Any]
#: What can be recorded of each presentation.
Activity = Literal["input_count", "count", "charge", "gamma", "total", "score"]
ALL: tuple[Activity, ...] = get_args(Activity)

_TYPES = {
    "input_count": np.uint16,
    "count": np.uint16,
    "charge": np.float32,
    "gamma": np.int8,
    "total": np.int32,
    "score": np.float64,
}
#: What each gate of a layer has.
_GATED = ("gamma", "total", "score")
#: What HDF5 needs for itself, of the stated memory: its tables, and a chunk while it is compressed.
HDF5 = 4 * 2**20
#: The largest chunk of a dataset [bytes].
CHUNK = 2**18


@dataclass(frozen=True)
class Recording:
    """What is recorded, how often, and within how much memory.

    ``weights``: arrays by name, each with the flat indices of the synapses to record, None for all of them
    (`synapses` draws some). They are recorded after every ``every`` presentations, before the first and
    after the last one. ``activity`` is recorded of every presentation. ``memory``, like "64 MB", bounds what
    the recording itself holds, however long the simulation is.
    """

    weights: Mapping[str, NDArray[np.int64] | None] = field(default_factory=dict)
    every: int = 500
    activity: tuple[Activity, ...] = ()
    memory: str | float = "64 MB"

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError("Recording", "every", self.every, "must be at least 1 presentation")
        for name in self.activity:
            if name not in ALL:
                raise InputError("Recording", "activity", name, f"must be of {', '.join(ALL)}")
        try:
            _ = self.bytes
        except ValueError as error:
            raise InputError("Recording", "memory", self.memory, str(error)) from None

    @property
    def bytes(self) -> int:
        """The stated memory [bytes]."""
        return int(parse_quantity(self.memory, "byte") if isinstance(self.memory, str) else self.memory)

    @property
    def depends(self) -> dict[str, Any]:
        """What the files depend on; the memory is not of it."""
        return {"weights": self.weights, "every": self.every, "activity": self.activity}


def synapses(array: Array, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the flat indices of ``count`` different synapses of a weight array, in their order."""
    if not 0 < count <= array.size:
        raise InputError("synapses", "count", count, f"must be from 1 to {array.size}, the array's size")
    return np.sort(generator.choice(array.size, count, replace=False))


class Recorder:
    """Writes a recording of one simulation into a folder."""

    def __init__(
        self, recording: Recording, populations: Populations, weights: Weights, folder: Path
    ) -> None:
        self.recording, self.populations, self.folder = recording, populations, folder
        for name, chosen in recording.weights.items():
            if name not in weights:
                raise InputError("Recording", "weights", name, f"must be one of {', '.join(weights)}")
            last = weights[name].size - 1
            if chosen is not None and (chosen.size == 0 or chosen.min() < 0 or chosen.max() > last):
                raise InputError(
                    "Recording", f"weights.{name}", chosen, f"must be synapses from 0 to {last}, at least one"
                )
        self._snapshot = {"at": (np.dtype(np.int64), ())} | {
            f"weights/{name}": (np.dtype(np.float64), weights[name].shape if chosen is None else chosen.shape)
            for name, chosen in recording.weights.items()
        }
        self._presentation = _columns(recording, populations)
        self._least = [sum(map(_size, each.values())) for each in (self._snapshot, self._presentation)]
        if sum(self._least) + HDF5 > recording.bytes:
            raise InputError(
                "Recording",
                "memory",
                recording.memory,
                f"must be at least {(sum(self._least) + HDF5) / 1e6:.1f} MB for one row of what is recorded",
            )

    def take_up(self, done: int) -> None:
        """Keep what was recorded of the first ``done`` presentations; remove what a killed run left else."""
        remove_aside(self.folder / "*.h5")
        for first, _, path in parts(self.folder):
            if first >= done:
                path.unlink()
        if done:
            parts(self.folder, done)

    @contextmanager
    def part(self, first: int, last: int) -> Iterator[Part]:
        """Yield what records presentations from ``first`` to before ``last``; it is kept if all went well."""
        free = self.recording.bytes - HDF5 - sum(self._least)
        rows = [last // self.recording.every - first // self.recording.every + 2, last - first]
        wanted = [row * (count - 1) for row, count in zip(self._least, rows, strict=True)]
        share = min(1.0, free / max(1, sum(wanted)))
        rows = [1 + int(share * (count - 1)) for count in rows]
        path = self.folder / f"{first:09d}.h5"
        with written_aside(path) as aside, h5py.File(aside, "w", rdcc_nbytes=0) as file:
            file.attrs["first"], file.attrs["last"] = first, last
            for name, chosen in self.recording.weights.items():
                if chosen is not None:
                    file[f"synapses/{name}"] = chosen
            part = Part(
                self.recording,
                self.populations,
                _Buffer(file, self._snapshot, rows[0]),
                _Buffer(file, self._presentation, rows[1]),
            )
            yield part
            part.close()


class Part:
    """The recording of some presentations, while it is written."""

    def __init__(
        self, recording: Recording, populations: Populations, snapshots: _Buffer, presentations: _Buffer
    ) -> None:
        self._recording, self._populations = recording, populations
        self._snapshots, self._presentations = snapshots, presentations

    def weights(self, at: int, weights: Weights) -> None:
        """Record the weights as they stand after ``at`` presentations."""
        row: dict[str, Any] = {"at": np.array([at])}
        for name, chosen in self._recording.weights.items():
            array = weights[name]
            row[f"weights/{name}"] = (array if chosen is None else array.reshape(-1)[chosen])[None]
        self._snapshots.add(row)

    def activity(self, record: Record, sign: NDArray[np.int8]) -> None:
        """Record what presentations left."""
        columns: dict[str, Any] = {}
        for key in self._recording.activity:
            if key == "input_count":
                columns[key] = record.input_count
                continue
            for n, layer in enumerate(record.layers):
                for gate in self._populations.layers[n].gates if key in _GATED else ("gamma",):
                    suffix = gate.removeprefix("gamma")
                    columns[f"{n}/{key}{suffix}"] = (
                        scores(layer, self._populations, n, sign, gate)
                        if key == "score"
                        else getattr(layer, key + suffix)
                    )
        if columns:
            self._presentations.add(columns)

    def close(self) -> None:
        """Write what is left, and give the memory back: the next part takes as much."""
        for buffer in (self._snapshots, self._presentations):
            buffer.flush()
            buffer.free()


class _Buffer:
    """Rows of some datasets, written when there are ``rows`` of them."""

    def __init__(self, file: h5py.File, columns: Mapping[str, tuple[np.dtype, Any]], rows: int) -> None:
        self._filled, self._rows = 0, rows
        self._arrays = {name: np.empty((rows, *shape), kind) for name, (kind, shape) in columns.items()}
        self._datasets = {
            name: file.create_dataset(
                name,
                (0, *array.shape[1:]),
                array.dtype,
                maxshape=(None, *array.shape[1:]),
                chunks=_chunk(array),
                compression="gzip",
                compression_opts=4,
                shuffle=True,
            )
            for name, array in self._arrays.items()
        }

    def add(self, columns: Mapping[str, Array]) -> None:
        count, taken = len(next(iter(columns.values()))), 0
        while taken < count:
            step = min(count - taken, self._rows - self._filled)
            for name, array in self._arrays.items():
                array[self._filled : self._filled + step] = columns[name][taken : taken + step]
            self._filled, taken = self._filled + step, taken + step
            if self._filled == self._rows:
                self.flush()

    def flush(self) -> None:
        for name, dataset in self._datasets.items():
            written = len(dataset)
            dataset.resize(written + self._filled, axis=0)
            dataset[written:] = self._arrays[name][: self._filled]
        self._filled = 0

    def free(self) -> None:
        self._arrays.clear()


def _columns(recording: Recording, populations: Populations) -> dict[str, tuple[np.dtype, Any]]:
    found: dict[str, tuple[np.dtype, Any]] = {}
    for key in recording.activity:
        kind = np.dtype(_TYPES[key])
        if key == "input_count":
            found[key] = (kind, (populations.input.units,))
            continue
        for n, layer in enumerate(populations.layers):
            units = layer.soma.units
            shapes: dict[str, Any] = {"count": (units,), "charge": (units,), "total": (2,)}
            for gate in layer.gates if key in _GATED else ("gamma",):
                found[f"{n}/{key}{gate.removeprefix('gamma')}"] = (kind, shapes.get(key, ()))
    return found


def _size(column: tuple[np.dtype, Any]) -> int:
    kind, shape = column
    return kind.itemsize * int(np.prod(shape, dtype=np.int64))


def _chunk(array: Array) -> tuple[int, ...]:
    """Return the shape of a dataset's chunks: some rows, or where one row is too large a part of it."""
    row = array[:1].nbytes
    if row <= CHUNK or array.ndim == 1:
        return (max(1, min(len(array), CHUNK // max(1, row))), *array.shape[1:])
    return (1, max(1, CHUNK * array.shape[1] // row), *array.shape[2:])

"""Reading what `neuroclapp.spiking.recording` wrote, part by part, and joining the parts to one file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import RunError
from ..files import written_aside

Array = NDArray[Any]
#: What is read or copied at once [bytes].
AT_ONCE = 2**22


def parts(folder: Path, last: int | None = None) -> list[tuple[int, int, Path]]:
    """Return the parts of a recording: first presentation, the one after the last, and the file.

    With ``last`` they must be an unbroken row up to there; else RunError says what is missing.
    """
    found = []
    for path in sorted(folder.glob("[0-9]*.h5")):
        try:
            with h5py.File(path, "r") as file:
                found.append((int(file.attrs["first"]), int(file.attrs["last"]), path))
        except (OSError, KeyError) as error:
            raise RunError(f"{path}: not a part of a recording ({error})") from None
    if last is not None:
        row = [0, *(edge for first, end, _ in found for edge in (first, end)), last]
        for end, first in list(pairwise(row))[::2]:
            if end != first:
                raise RunError(f"{folder}: the recording lacks the presentations from {end} to {first}")
    return found


class Recorded:
    """A recording in a ``folder``, read part by part."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.parts = folder, parts(folder)
        if not self.parts:
            raise RunError(f"{folder}: no recording; it holds no part")
        parts(folder, self.parts[-1][1])

    @property
    def presentations(self) -> int:
        """How many presentations were recorded."""
        return self.parts[-1][1]

    @property
    def synapses(self) -> dict[str, NDArray[np.int64]]:
        """The flat indices of the synapses of each array of which only some were recorded."""
        with h5py.File(self.parts[0][2], "r") as file:
            return {name: each[:] for name, each in file.get("synapses", {}).items()}

    def snapshots(self) -> Iterator[tuple[int, dict[str, Array]]]:
        """Yield each snapshot: the presentations before it, and the weights by name."""
        for _, _, path in self.parts:
            with h5py.File(path, "r") as file:
                for row, at in enumerate(file["at"][:]):
                    yield int(at), {name: each[row] for name, each in file.get("weights", {}).items()}

    def weights(self) -> tuple[NDArray[np.int64], dict[str, Array]]:
        """Return all snapshots at once: ``at`` (snapshots,), and by name (snapshots, ...)."""
        rows = list(self.snapshots())
        names = rows[0][1] if rows else {}
        return np.array([at for at, _ in rows]), {
            name: np.stack([row[name] for _, row in rows]) for name in names
        }

    def activity(self) -> Iterator[tuple[int, dict[str, Array]]]:
        """Yield the parts: the first presentation, and what was recorded of all of them by name."""
        for first, _, path in self.parts:
            with h5py.File(path, "r") as file:
                names = [name for name in datasets(file) if not _of_weights(name)]
                yield first, {name: file[name][:] for name in names}

    def join(self, path: Path) -> None:
        """Copy all parts into one HDF5 file of the same datasets, some rows at a time."""
        with written_aside(path) as aside, h5py.File(aside, "w") as whole:
            for _, _, part in self.parts:
                with h5py.File(part, "r") as file:
                    for name in datasets(file):
                        if not name.startswith("synapses/"):
                            _append(whole, name, file[name])
                        elif name not in whole:
                            whole[name] = file[name][:]


def datasets(file: h5py.File) -> list[str]:
    """Return the names of all datasets of a file."""
    found: list[str] = []
    file.visititems(lambda name, each: found.append(name) if isinstance(each, h5py.Dataset) else None)
    return found


def _of_weights(name: str) -> bool:
    return name == "at" or name.startswith(("weights/", "synapses/"))


def _append(whole: h5py.File, name: str, part: h5py.Dataset) -> None:
    if name not in whole:
        whole.create_dataset(
            name,
            (0, *part.shape[1:]),
            part.dtype,
            maxshape=(None, *part.shape[1:]),
            chunks=part.chunks,
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )
    dataset, written = whole[name], len(whole[name])
    dataset.resize(written + len(part), axis=0)
    rows = max(1, AT_ONCE // max(1, part.dtype.itemsize * int(np.prod(part.shape[1:], dtype=np.int64))))
    for first in range(0, len(part), rows):
        block = part[first : first + rows]
        dataset[written + first : written + first + len(block)] = block

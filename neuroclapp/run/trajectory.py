"""Reading ``spiking.h5``: what a spiking world left, all its weights after each stretch.

Its datasets are those of a recording, `neuroclapp.spiking.recording`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from ..errors import RunError
from ..spiking.state import LayerRecord, Record
from ..weights import Weights


def walk(path: Path) -> Iterator[tuple[int, Record, Weights]]:
    """Yield each stretch of ``spiking.h5``: its first presentation, its record, the weights at its end."""
    with open_trajectory(path) as file:
        at = file["at"][:]
        layers = sum(1 for name in file if name.isdigit())
        for index, (first, last) in enumerate(pairwise(at)):
            part = slice(int(first), int(last))
            records = [
                LayerRecord(
                    **{
                        key: file[f"{n}/{key}"][part].astype(np.float64)
                        for key in (field.name for field in fields(LayerRecord))
                        if f"{n}/{key}" in file
                    }
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

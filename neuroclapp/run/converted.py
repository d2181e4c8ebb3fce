"""The directory of a run that puts trained systems into spikes; what is simulated is the subclass's.

experiment.toml            the experiment, resolved: that of the systems, and a table ``spikes``
spikes/SYSTEM-seedN.npz    features in rates and in spikes, and labels
spikes/SYSTEM-seedN.json   how closely each layer's spikes follow its rates
brian2.json                spikes that Brian2 counts otherwise than the plain simulator
scores/SYSTEM-seedN.json   accuracy of the readouts
results.json figures/ report.html
../trained/                trained systems, shared with the runs that train them
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import catalog
from ..resolve import settled
from ..systems import Row
from .systems import SystemsRun

#: How features are read out: by the readout of rates as it is, and by one fitted to spikes.
READOUTS = ("unchanged", "refitted")

Experiment = TypeVar("Experiment")
InSpikes = TypeVar("InSpikes")


class ConvertedRun(SystemsRun):
    """The run of trained systems in spikes."""

    products = {  # noqa: RUF012
        "train": (),
        "simulate": ("spikes", "brian2.json"),
        "compare": ("scores", "results.json"),
        "plot": ("figures", "report.html"),
    }

    @cached_property
    def table(self) -> dict[str, Any]:
        return catalog.read_toml(self.file)

    def of(self, row: Row, seed: int, name: str, folder: str = "spikes") -> Path:
        """Return a file of one system with one seed, ``name`` its ending."""
        return self.folder / folder / f"{row.name}-seed{seed}.{name}"

    def weights(self, row: Row, seed: int) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of a trained system by name."""
        learner = self.learner(row, seed)
        learner.load(self.kept(row, seed))
        return {name: array.detach().float().cpu().numpy() for name, array in learner.network.named_arrays()}


def load_converted(reference: str, settings: Mapping[str, str] | None) -> tuple[dict[str, Any], Path]:
    """Return the resolved table of an experiment, by name or path, with ``--set`` values applied."""
    path = catalog.find("experiments", reference)
    return settled(path, settings or {}), path


def described_as(
    table: Mapping[str, Any], source: Path, kind: str, systems: type[Experiment], spikes: type[InSpikes]
) -> tuple[Experiment, InSpikes]:
    """Build the experiment of a resolved table: the systems, of ``kind``, and what runs in spikes."""
    own = {key: value for key, value in table.items() if key == "spikes"}
    rest = {key: value for key, value in table.items() if key != "spikes"}
    return catalog.describe({**rest, "kind": kind}, systems, source), catalog.describe(own, spikes, source)

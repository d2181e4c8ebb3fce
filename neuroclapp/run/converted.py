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
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import catalog
from ..errors import InputError
from ..resolve import settled
from ..systems import Row, SpeechExperiment, SystemsExperiment
from .systems import SystemsRun, check, material

#: How features are read out: by the readout of rates as it is, and by one fitted to spikes.
READOUTS = ("unchanged", "refitted")

Experiment = TypeVar("Experiment", bound=SystemsExperiment | SpeechExperiment)
InSpikes = TypeVar("InSpikes")


class ConvertedRun(SystemsRun, Generic[Experiment, InSpikes]):
    """The run of trained systems in spikes; subclasses say which systems, and what of them runs in spikes."""

    #: The kind of the systems, their class, and the class that holds the table ``spikes``.
    described_by: ClassVar[tuple[str, type[Any], type[Any]]]

    products = {  # noqa: RUF012
        "train": (),
        "simulate": ("spikes", "brian2.json"),
        "compare": ("scores", "results.json"),
        "plot": ("figures", "report.html"),
    }

    @classmethod
    def load(
        cls, reference: str, settings: Mapping[str, str] | None = None
    ) -> tuple[Experiment, InSpikes, dict[str, Any]]:
        """Read an experiment by name or path, ``--set`` values applied; also return the resolved table."""
        path = catalog.find("experiments", reference)
        table = settled(path, settings or {})
        return *cls.described(table, path), table

    @classmethod
    def described(cls, table: Mapping[str, Any], source: Path) -> tuple[Experiment, InSpikes]:
        """Build the experiment of a resolved table: the systems, and what runs in spikes."""
        kind, systems, spikes = cls.described_by
        own = {key: value for key, value in table.items() if key == "spikes"}
        rest = {key: value for key, value in table.items() if key != "spikes"}
        experiment = catalog.describe({**rest, "kind": kind}, systems, source)
        return experiment, catalog.describe(own, spikes, source).spikes

    @classmethod
    def resolve(cls, reference: str, settings: Mapping[str, str], source: Path) -> tuple[str, dict[str, Any]]:
        experiment, spikes, table = cls.load(reference, settings)
        cls.fits(experiment, spikes, source)
        material(experiment).load()
        return experiment.title, table

    @classmethod
    def fits(cls, experiment: Experiment, spikes: InSpikes, source: Path) -> None:
        """Raise InputError where the parts of an experiment do not exist or do not fit together."""
        check(experiment, source)
        if not experiment.systems:
            raise InputError(source, "systems", [], "needs at least one system")
        if experiment.probe.kind != "logistic":
            raise InputError(source, "probe.kind", experiment.probe.kind, "must be 'logistic' here")

    @cached_property
    def experiment(self) -> Experiment:
        return self.described(catalog.read_toml(self.file), self.file)[0]

    @cached_property
    def spikes(self) -> InSpikes:
        return self.described(catalog.read_toml(self.file), self.file)[1]

    def check(self) -> None:
        """Raise where the experiment's parts do not exist or do not fit together."""
        self.fits(self.experiment, self.spikes, self.file)

    def of(self, row: Row, seed: int, name: str, folder: str = "spikes") -> Path:
        """Return a file of one system with one seed, ``name`` its ending."""
        return self.folder / folder / f"{row.name}-seed{seed}.{name}"

    def weights(self, row: Row, seed: int) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of a trained system by name."""
        learner = self.learner(row, seed)
        learner.load(self.kept(row, seed))
        return {name: array.detach().float().cpu().numpy() for name, array in learner.network.named_arrays()}

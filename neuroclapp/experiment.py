"""An experiment: model x data x rule x worlds x seeds, as one description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from . import catalog
from .catalog import DESCRIPTION
from .presentations import Glimpse
from .spiking.mapping import Spiking
from .weights import Initial


@dataclass(frozen=True, config=DESCRIPTION)
class Data:
    """What is seen: a data set, how many presentations of it are learned from, and how it is glimpsed.

    ``few_labels`` is the number of labelled images of the second readout; every test image is glimpsed
    ``test_glimpses`` times, every training and validation image once.
    """

    name: Literal["digits"]
    presentations: PositiveInt
    few_labels: PositiveInt = 150
    test_glimpses: PositiveInt = 1
    glimpse: Glimpse = field(default_factory=Glimpse)


@dataclass(frozen=True, config=DESCRIPTION)
class Learning:
    """Learning rates by layer, of ``w_ff`` and of ``w_pred`` and ``w_retro``; see `neuroclapp.plasticity`.

    ``bound`` is the largest weight in the control where gamma is always on.
    """

    eta: tuple[PositiveFloat, ...]
    eta_pred: tuple[PositiveFloat, ...]
    bound: PositiveFloat = 1.0


@dataclass(frozen=True, config=DESCRIPTION)
class Lava:
    """How much Lava runs: test images for inference, presentations for learning (0: none)."""

    samples: NonNegativeInt = 100
    presentations: NonNegativeInt = 60


@dataclass(frozen=True, config=DESCRIPTION)
class Experiment:
    """Everything that a run needs to know; ``model`` and ``chip`` are catalogue names or paths."""

    title: str
    model: str
    chip: str
    seeds: tuple[NonNegativeInt, ...]
    data: Data
    learning: Learning
    initial: Initial = field(default_factory=Initial)
    spiking: Spiking = field(default_factory=Spiking)
    lava: Lava = field(default_factory=Lava)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)} must be one or more different numbers")


def load_experiment(
    reference: str, settings: Mapping[str, str] | None = None
) -> tuple[Experiment, dict[str, Any]]:
    """Read an experiment by name or path, with ``--set`` values applied; also return the resolved table."""
    path = catalog.find("experiments", reference)
    table = catalog.with_settings(catalog.read_toml(path), settings or {})
    return catalog.describe(table, Experiment, path), table


def read_experiment(path: Path) -> Experiment:
    """Read the resolved experiment of a run directory."""
    return catalog.describe(catalog.read_toml(path), Experiment, path)

"""The kinds of runs: the directory of each, which reads its experiment, and its steps.

A world's packages are imported only when its step is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .. import catalog
from ..errors import InputError
from .folder import RunFolder

Step = Callable[[Any], object]


@dataclass(frozen=True, eq=False)
class Kind:
    """The directory's class and each step's function, by ``module.name`` in this package."""

    directory: str
    functions: Mapping[str, str]

    @property
    def folder(self) -> type[RunFolder]:
        """The class of its directory."""
        found: type[RunFolder] = _named(self.directory)
        return found

    @property
    def steps(self) -> dict[str, Step]:
        """Its steps in their order; the module of each is imported when it is run."""
        return {step: _later(place) for step, place in self.functions.items()}


def kind_of(path: Path) -> Kind:
    """Return the kind of the experiment in a TOML file; one without ``kind`` compares worlds."""
    table = catalog.read_toml(path)
    name = table.get("kind", "systems" if "like" in table else "worlds")
    if name not in KINDS:
        raise InputError(path, "kind", name, f"must be one of {', '.join(KINDS)}")
    return KINDS[name]


def _named(place: str) -> Any:
    module, name = place.split(".")
    return getattr(import_module(f".{module}", __package__), name)


def _later(place: str) -> Step:
    def step(run: Any) -> object:
        return _named(place)(run)

    return step


_SYSTEMS = Kind(
    "systems.SystemsRun",
    {
        "train": "systems.train_systems",
        "compare": "systems_table.show_systems",
        "plot": "systems_plot.plot_systems",
    },
)

#: A world's run compares rates, spikes and chip, a study rates and spikes under many conditions; the others
#: compare systems of encoders that see or hear, the last of them in rates and in spikes.
KINDS: dict[str, Kind] = {
    "worlds": Kind(
        "directory.RunDirectory",
        {
            "train": "train.train",
            "simulate": "simulate.simulate",
            "export": "export.export",
            "lava": "lava.lava",
            "compare": "table.show",
            "plot": "plot.plot",
        },
    ),
    "study": Kind(
        "study.StudyRun",
        {
            "train": "study.train_study",
            "simulate": "study_simulate.simulate_study",
            "compare": "study_table.show_study",
            "plot": "study_plot.plot_study",
        },
    ),
    "systems": _SYSTEMS,
    "speech": _SYSTEMS,
    "speech_in_spikes": Kind(
        "spoken_spikes.SpokenSpikesRun",
        {
            "train": "systems.train_systems",
            "simulate": "spoken_spikes_simulate.simulate_spoken",
            "compare": "spoken_spikes_compare.show_spoken",
            "plot": "spoken_spikes_plot.plot_spoken",
        },
    ),
    "images_in_spikes": Kind(
        "image_spikes.ImageSpikesRun",
        {
            "train": "systems.train_systems",
            "simulate": "image_spikes_simulate.simulate_images",
            "compare": "image_spikes_compare.show_images",
            "plot": "image_spikes_plot.plot_images",
        },
    ),
    "places": Kind(
        "placed.PlacedRun",
        {
            "train": "placed_learn.train_placed",
            "simulate": "placed_learn.simulate_placed",
            "compare": "placed_compare.show_placed",
            "plot": "placed_compare.plot_placed",
        },
    ),
}

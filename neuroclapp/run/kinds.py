"""The kinds of runs: how the experiment of each is read, its directory, and its steps.

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
    """``load(reference, settings, path)`` returns title and resolved table, ``folder()`` its class."""

    load: Callable[[str, Mapping[str, str], Path], tuple[str, dict[str, Any]]]
    folder: Callable[[], type[RunFolder]]
    steps: Mapping[str, Step]


def kind_of(path: Path) -> Kind:
    """Return the kind of the experiment in a TOML file; one without ``kind`` compares worlds."""
    table = catalog.read_toml(path)
    name = table.get("kind", "systems" if "like" in table else "worlds")
    if name not in KINDS:
        raise InputError(path, "kind", name, f"must be one of {', '.join(KINDS)}")
    return KINDS[name]


def _load_worlds(reference: str, settings: Mapping[str, str], path: Path) -> tuple[str, dict[str, Any]]:
    from ..experiment import load_experiment
    from .directory import check

    experiment, table = load_experiment(reference, settings)
    check(experiment, path)
    return experiment.title, table


def _worlds() -> type[RunFolder]:
    from .directory import RunDirectory

    return RunDirectory


def _load_systems(reference: str, settings: Mapping[str, str], path: Path) -> tuple[str, dict[str, Any]]:
    from ..resolve import load_systems
    from .systems import check, material

    experiment, table = load_systems(reference, settings)
    check(experiment, path)
    found = material(experiment)
    if experiment.systems:
        found.load()
    for row in experiment.systems:
        if row.learns != "nothing":
            found.batches(row, experiment.seeds_of(row)[0])
    return experiment.title, table


def _systems() -> type[RunFolder]:
    from .systems import SystemsRun

    return SystemsRun


def _load_spoken(reference: str, settings: Mapping[str, str], path: Path) -> tuple[str, dict[str, Any]]:
    from .hearing import Hearing
    from .spoken_spikes import check, load_spoken_spikes

    experiment, spikes, table = load_spoken_spikes(reference, settings)
    check(experiment, spikes, path)
    Hearing(experiment).load()
    return experiment.title, table


def _spoken() -> type[RunFolder]:
    from .spoken_spikes import SpokenSpikesRun

    return SpokenSpikesRun


def _load_study(reference: str, settings: Mapping[str, str], path: Path) -> tuple[str, dict[str, Any]]:
    from ..study import load_study
    from .study_worlds import check

    study, table = load_study(reference, settings)
    check(study, path)
    return study.title, table


def _study() -> type[RunFolder]:
    from .study import StudyRun

    return StudyRun


def _load_images(reference: str, settings: Mapping[str, str], path: Path) -> tuple[str, dict[str, Any]]:
    from .image_spikes import check, load_image_spikes
    from .vision import Vision

    experiment, spikes, table = load_image_spikes(reference, settings)
    check(experiment, spikes, path)
    Vision(experiment).load()
    return experiment.title, table


def _images() -> type[RunFolder]:
    from .image_spikes import ImageSpikesRun

    return ImageSpikesRun


def _load_placed(reference: str, settings: Mapping[str, str], path: Path) -> tuple[str, dict[str, Any]]:
    from .placed import check, load_placed
    from .vision import images_of

    experiment, table = load_placed(reference, settings)
    check(experiment, path)
    images_of(experiment.data)
    return experiment.title, table


def _placed() -> type[RunFolder]:
    from .placed import PlacedRun

    return PlacedRun


def _later(module: str, name: str) -> Step:
    """Return a step whose module is imported when it is run."""

    def step(run: Any) -> object:
        return getattr(import_module(f".{module}", __package__), name)(run)

    return step


def _compare(run: Any) -> None:
    from .compare import compare
    from .table import table

    print(table(compare(run)))


def _compare_systems(run: Any) -> None:
    from .systems import compare_systems
    from .systems_table import table

    results = compare_systems(run)
    if results["systems"]:
        print(table(results))


def _compare_study(run: Any) -> None:
    from .study_compare import compare_study
    from .study_table import table

    print(table(compare_study(run)))


_SYSTEMS = Kind(
    _load_systems,
    _systems,
    {
        "train": _later("systems", "train_systems"),
        "compare": _compare_systems,
        "plot": _later("systems_plot", "plot_systems"),
    },
)

#: A world's run compares rates, spikes and chip, a study rates and spikes under many conditions; the others
#: compare systems of encoders that see or hear, the last of them in rates and in spikes.
KINDS: dict[str, Kind] = {
    "worlds": Kind(
        _load_worlds,
        _worlds,
        {
            "train": _later("train", "train"),
            "simulate": _later("simulate", "simulate"),
            "export": _later("export", "export"),
            "lava": _later("lava", "lava"),
            "compare": _compare,
            "plot": _later("plot", "plot"),
        },
    ),
    "study": Kind(
        _load_study,
        _study,
        {
            "train": _later("study", "train_study"),
            "simulate": _later("study_simulate", "simulate_study"),
            "compare": _compare_study,
            "plot": _later("study_plot", "plot_study"),
        },
    ),
    "systems": _SYSTEMS,
    "speech": _SYSTEMS,
    "speech_in_spikes": Kind(
        _load_spoken,
        _spoken,
        {
            "train": _later("systems", "train_systems"),
            "simulate": _later("spoken_spikes_simulate", "simulate_spoken"),
            "compare": _later("spoken_spikes_compare", "show_spoken"),
            "plot": _later("spoken_spikes_plot", "plot_spoken"),
        },
    ),
    "images_in_spikes": Kind(
        _load_images,
        _images,
        {
            "train": _later("systems", "train_systems"),
            "simulate": _later("image_spikes_simulate", "simulate_images"),
            "compare": _later("image_spikes_compare", "show_images"),
            "plot": _later("image_spikes_plot", "plot_images"),
        },
    ),
    "places": Kind(
        _load_placed,
        _placed,
        {
            "train": _later("placed_learn", "train_placed"),
            "simulate": _later("placed_learn", "simulate_placed"),
            "compare": _later("placed_compare", "show_placed"),
            "plot": _later("placed_compare", "plot_placed"),
        },
    ),
}

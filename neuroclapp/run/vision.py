"""Image systems of a run: what they see, what they learn from, and their readout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

from ..analysis.probe import probe
from ..data.images import ImageData, ImageSet, load
from ..data.patches import Batches, survey
from ..data.views import Views
from ..objective import head, parameters
from ..rate.modular import initial
from ..rate.pairs import groups
from ..rate.patchnet import PatchNetwork
from ..rate.training import Batched, Learner, features
from ..systems import Row, SystemsExperiment
from .precision import TYPES

#: Images whose features are computed at once.
SURVEY = 32

PARTS = ("training", "validation", "test")


class Vision:
    """The systems of an experiment of images; the data are read when first asked for."""

    def __init__(self, experiment: SystemsExperiment) -> None:
        self.experiment = experiment

    @cached_property
    def images(self) -> ImageSet:
        return images_of(self.experiment.data)

    def load(self) -> None:
        """Read the data, or raise InputError that says what is missing."""
        _ = self.images

    def check(self, row: Row) -> None:
        """Raise ValueError where a system does not fit its encoder or the data."""
        parameters(self.experiment.network(row), row.system, classes=2)
        _check_blocks(self.experiment, row)
        _check_places(self.experiment, row)

    def layers(self, row: Row) -> list[str]:
        """Return the names of what is read out."""
        return [layer.name for layer in row.system.cut(self.experiment.network(row)).scaled_layers]

    def learner(self, row: Row, seed: int) -> Learner:
        """Return a system as it is before training."""
        network, classes = self.experiment.network(row), len(self.images.classes)
        arrays = initial(network, row.system, classes, seed, row.recipe.gain)
        types = TYPES[row.recipe.precision]
        return Learner(PatchNetwork(network, row.system, arrays, classes, *types), row.recipe)

    def batches(self, row: Row, seed: int) -> Batched:
        """Return what a system learns from: labelled images where it needs labels, else the unlabelled."""
        images, data, recipe = self.images, seen(self.experiment, row), row.recipe
        part = images.training if row.learns == "labels" else images.unlabelled
        views = row.contrast.task == "views"
        if row.learns == "contrast" and views:
            augmentation = self.experiment.augmentation
            return Views(part, data, images.statistics, recipe.batch, seed, augmentation)
        columns = None if views else recipe.columns or None
        return Batches(part, data, images.statistics, recipe.batch, seed, columns)

    def notes(self) -> dict[str, Any]:
        """Return what a reader of the results must know about the data."""
        parts = ("unlabelled", *PARTS)
        return {"images": {part: len(getattr(self.images, part)) for part in parts}}

    @property
    def work(self) -> int:
        """What `read_out` has to do, in the units that it reports."""
        return sum(len(getattr(self.images, part)) for part in PARTS)

    def read_out(
        self, row: Row, seed: int, learner: Learner, report: Callable[[int], None]
    ) -> dict[str, Any]:
        """Return accuracy [%] by layer on validation and on test images."""
        found, labels, done = {}, {}, 0
        for part in PARTS:
            images = getattr(self.images, part)
            shown = survey(images, seen(self.experiment, row), self.images.statistics, SURVEY)
            found[part] = features(learner.network, shown, _from(done, report))
            labels[part] = images.labels
            done += len(images)
        names = self.layers(row)
        by_layer = {part: dict(zip(names, each, strict=True)) for part, each in found.items()}
        accuracy = {}
        for name in names:
            seen_here = {part: by_layer[part][name] for part in by_layer}
            accuracy[name] = probe(seen_here, labels, self.experiment.probe, seed)
        return {part: [accuracy[name][part] for name in names] for part in ("validation", "test")}


def _from(start: int, report: Callable[[int], None]) -> Callable[[int], None]:
    return lambda count: report(start + count)


def seen(experiment: SystemsExperiment, row: Row) -> ImageData:
    """Return the data as a system's encoder takes them: whole crops where it is one for views."""
    data = experiment.data
    return replace(data, patch=data.crop) if row.contrast.task == "views" else data


@lru_cache(maxsize=1)
def images_of(data: ImageData) -> ImageSet:
    """Read a data set once for all that ask for it."""
    return load(data)


def _check_blocks(experiment: SystemsExperiment, row: Row) -> None:
    network = row.system.cut(experiment.network(row))
    maps = {
        layer.name: shape[1:] for layer, shape in zip(network.scaled_layers, network.shapes[1:], strict=True)
    }
    for index, module in enumerate(network.split()):
        name, blocks = head(module).name, row.system.blocks(index)
        if any(side % blocks for side in maps[name]):
            size = " x ".join(map(str, maps[name]))
            raise ValueError(f"contrast.blocks = {blocks} does not divide the map of {name!r}, {size}")


def _check_places(experiment: SystemsExperiment, row: Row) -> None:
    contrast, recipe, (rows, columns) = row.contrast, row.recipe, experiment.data.grid
    views = contrast.task == "views"
    if row.learns != "nothing" and not views and recipe.columns > columns:
        raise ValueError(f"recipe.columns = {recipe.columns}: the grid of patches has {columns}")
    if row.learns == "contrast":
        if contrast.task == "around" and recipe.columns:
            raise ValueError("task = 'around' needs all columns of patches: recipe.columns = 0")
        if contrast.source in ("same_place", "one_image") and recipe.batch < 2:
            raise ValueError(f"recipe.batch = {recipe.batch}: source = {contrast.source!r} needs two images")
        groups(contrast, *((2, 1) if views else (rows, recipe.columns or columns)))

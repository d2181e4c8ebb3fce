"""The step ``export``: the converted network of the first seed as ``network.nir`` and ``plasticity.json``."""

from __future__ import annotations

from .. import catalog
from ..onchip.chip import Chip
from ..onchip.export import export as write
from .directory import RunDirectory
from .simulate import on_grid


def export(run: RunDirectory) -> None:
    """Write the exchange files of the rate-trained network, weights on the same grid as the simulation's."""
    chip = catalog.load("hardware", run.experiment.chip, Chip)
    weights = on_grid(run.weights(run.experiment.seeds[0], "rate"))
    with run.step("export"):
        write(run.populations, weights, chip, run.folder)

"""A run's directory: what each step reads and writes, and which steps are done.

experiment.toml            the experiment, resolved
seedN/initial.safetensors  where every world starts
seedN/rate.*               the rate world: weights, trajectory, and a run with 0.1 % input noise
seedN/spiking.*            the spiking world: weights, trajectory
seedN/features.npz         spike counts of every image in every spiking world
network.nir plasticity.json lava.json
results.json figures/ report.html
steps/NAME.json            a step that is done, its cost, and the experiment it was done for
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import catalog
from ..analysis.readout import few
from ..data import digits
from ..errors import InputError
from ..experiment import Experiment, load_experiment, read_experiment
from ..network import Network, load_network
from ..onchip.chip import Chip
from ..onchip.export import check as check_export
from ..presentations import Presentations, fixations, generator, survey
from ..spiking.mapping import populations
from ..spiking.populations import Populations
from ..weights import Weights, load_weights
from .folder import RunFolder

#: The steps in their order, and the files that each writes.
PRODUCTS: dict[str, tuple[str, ...]] = {
    "train": ("seed*/initial.safetensors", "seed*/rate*"),
    "simulate": (
        *(
            f"seed*/{name}"
            for name in ("spiking.*", "permuted_dendrite.*", "gamma_always_on.*", "stretches-*")
        ),
        "seed*/features.npz",
        "seed*/steps.npz",
        "seed*/converted_packets.npz",
    ),
    "export": ("network.nir", "plasticity.json", "fixed.json", "fit.json"),
    "lava": ("lava.json", "lava.npz"),
    "compare": ("seed*/comparison.json", "seed*/scores.npz", "results.json"),
    "plot": ("figures", "report.html"),
}


class RunDirectory(RunFolder):
    """One run; ``experiment``, ``network`` and the data are read when first asked for."""

    products = PRODUCTS

    @classmethod
    def resolve(cls, reference: str, settings: Mapping[str, str], source: Path) -> tuple[str, dict[str, Any]]:
        experiment, table = load_experiment(reference, settings)
        check(experiment, source)
        return experiment.title, table

    @cached_property
    def experiment(self) -> Experiment:
        return read_experiment(self.file)

    @cached_property
    def network(self) -> Network:
        return load_network(self.experiment.model)

    @cached_property
    def data(self) -> digits.Split:
        return digits.load()

    def seed(self, seed: int) -> Path:
        return self.folder / f"seed{seed}"

    def stream(self, seed: int) -> Presentations:
        """The presentations that every world of this seed learns from."""
        data = self.experiment.data
        images = self.data.training.images
        return fixations(images, self.data.mean, data.presentations, data.glimpse, generator(seed, "stream"))

    def surveys(self, seed: int) -> dict[str, Presentations]:
        """Glimpses of every training, validation and test image, the same for every world of this seed."""
        draw, data = generator(seed, "survey"), self.experiment.data
        rounds = {"training": 1, "validation": 1, "test": data.test_glimpses}
        return {
            name: survey(getattr(self.data, name).images, self.data.mean, data.glimpse, draw, times)
            for name, times in rounds.items()
        }

    @cached_property
    def populations(self) -> Populations:
        """The spiking network; its modulators are wired alike in all seeds, so that one build serves all."""
        return populations_of(self.experiment, self.network, self.folder / "experiment.toml")

    def weights(self, seed: int, name: str) -> Weights:
        return load_weights(self.seed(seed) / f"{name}.safetensors", self.network)

    def check(self) -> None:
        """Raise where this is not a run's directory, or where its experiment does not fit."""
        _ = self.populations


def populations_of(experiment: Experiment, network: Network, source: Path) -> Populations:
    """Map an experiment's network to spikes; what does not fit is an error that names ``source``."""
    learning = experiment.learning
    try:
        return populations(
            network, experiment.spiking, learning.eta, learning.eta_pred, generator(0, "wiring")
        )
    except InputError as error:
        raise InputError(source, error.key, error.value, error.allowed) from None


def check(experiment: Experiment, source: Path) -> None:
    """Raise InputError where the parts of an experiment do not exist or do not fit together."""
    network = load_network(experiment.model)
    catalog.load("hardware", experiment.chip, Chip)
    mapped = populations_of(experiment, network, source)
    try:
        check_export(mapped)
        few(digits.load().training.labels, experiment.data.few_labels, generator(0, "few"))
    except InputError as error:
        raise InputError(source, error.key, error.value, error.allowed) from None
    if int(np.prod(network.input)) != 2 * digits.PIXELS:
        raise InputError(
            source, "model", experiment.model, f"the data have {2 * digits.PIXELS} inputs, ON and OFF"
        )

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

import hashlib
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import catalog
from ..data import digits
from ..errors import InputError, RunError
from ..experiment import Experiment, read_experiment
from ..files import read_json, write_json, write_text
from ..network import Network, load_network
from ..onchip.chip import Chip
from ..presentations import Presentations, fixations, generator, survey
from ..spiking.mapping import populations
from ..spiking.populations import Populations
from ..weights import Weights, load_weights

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
    "export": ("network.nir", "plasticity.json"),
    "lava": ("lava.json", "lava.npz"),
    "compare": ("seed*/comparison.json", "seed*/scores.npz", "results.json"),
    "plot": ("figures", "report.html"),
}


class RunDirectory:
    """One run; ``experiment``, ``network`` and the data are read when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, text: str, resume: bool) -> RunDirectory:
        """Start a run with this experiment (TOML text), or take up the one that is there."""
        run, path = cls(folder), folder / "experiment.toml"
        if resume and path.is_file():
            if path.read_text(encoding="utf-8") != text:
                raise RunError(
                    f"{path}: holds another experiment; run without --resume, or with another --out"
                )
            return run
        if path.is_file():
            run.clear("train")
        elif folder.exists() and any(folder.iterdir()):
            raise InputError(
                "--out", "DIR", str(folder), "holds files that are not a run's; choose another directory"
            )
        write_text(path, text)
        return run

    @cached_property
    def experiment(self) -> Experiment:
        if not (self.folder / "experiment.toml").is_file():
            raise RunError(
                f"{self.folder}: not a run's directory (no experiment.toml); make one with neuroclapp run"
            )
        return read_experiment(self.folder / "experiment.toml")

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

    def arrays(self, path: Path) -> dict[str, Any]:
        """Read an .npz file of this run; raise RunError that names it when it is absent."""
        if not path.is_file():
            raise RunError(f"{path}: no such file; the step that writes it has not been run")
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)

    def check(self) -> None:
        """Raise where this is not a run's directory, or where its experiment does not fit."""
        _ = self.populations

    def clear(self, step: str) -> None:
        """Remove what this step and all later ones have written."""
        names = list(PRODUCTS)
        for name in names[names.index(step) :]:
            for pattern in (f"steps/{name}.json", *PRODUCTS[name]):
                for path in self.folder.glob(pattern):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    @property
    def digest(self) -> str:
        return hashlib.sha256((self.folder / "experiment.toml").read_bytes()).hexdigest()[:16]

    def done(self, step: str) -> bool:
        """Return whether a step was finished for this very experiment."""
        path = self.folder / "steps" / f"{step}.json"
        return path.is_file() and read_json(path).get("experiment") == self.digest

    def cost(self) -> dict[str, Any]:
        """Return wall and CPU time of the steps that are done [s]."""
        found = {path.stem: read_json(path) for path in sorted((self.folder / "steps").glob("*.json"))}
        return {name: {k: v for k, v in stamp.items() if k != "experiment"} for name, stamp in found.items()}

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Mark a step as done when its block succeeds; what the block puts into the yielded dict is kept."""
        if not (self.folder / "experiment.toml").is_file():
            raise RunError(
                f"{self.folder}: not a run's directory (no experiment.toml); make one with neuroclapp run"
            )
        stamp = self.folder / "steps" / f"{name}.json"
        start, used = time.monotonic(), _cpu()
        notes: dict[str, Any] = {}
        yield notes
        cost = {"wall_s": round(time.monotonic() - start, 2), "cpu_s": round(_cpu() - used, 2)}
        write_json(stamp, {"experiment": self.digest, **cost, **notes})


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
    populations_of(experiment, network, source)
    if int(np.prod(network.input)) != 2 * digits.PIXELS:
        raise InputError(
            source, "model", experiment.model, f"the data have {2 * digits.PIXELS} inputs, ON and OFF"
        )


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

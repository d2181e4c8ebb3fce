"""Systems whose modules are shared by processes, each of which learns with its own; checkpoints are whole.

All processes write their part of a checkpoint to one folder, and the first joins them to the file that a
single process would have written. So training may go on with other processes, or alone.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..data.patches import Batch
from ..errors import InputError
from ..files import written_aside
from .exchange import ALONE, Exchange
from .modular import Learned, Randomness
from .patchnet import PatchNetwork
from .pipeline import Given, Receiver, Sender, stage
from .training import ROWS, Learner


def shares(modules: int, count: int) -> list[range]:
    """Return which modules each of ``count`` processes holds: as many each, where they can, lowest first."""
    ends = [-(-modules * rank // count) for rank in range(count + 1)]
    return [range(first, last) for first, last in pairwise(ends)]


class StagedLearner(Learner):
    """One process's modules of a system. ``grid``: images, rows and columns of a batch.

    Only the lowest process uses the batches that `update` is called with; the others are given what the
    process below sends. Raises InputError where the system's modules cannot be shared by so many.
    """

    def __init__(
        self, whole: Learner, rank: int, count: int, grid: tuple[int, int, int], updates: int
    ) -> None:
        network = whole.network
        if not isinstance(network, PatchNetwork):
            allowed = "processes can share the modules of a system of images"
            raise InputError(network.network.title, "layers", type(network).__name__, allowed)
        total = len(network.modules_of)
        if count > total:
            raise InputError(network.network.title, "processes", count, f"there are {total} modules to share")
        self.rank, self.count, self.modules = rank, count, shares(total, count)[rank]
        arrays = {name: array.detach().numpy() for name, array in network.named_arrays()}
        classes = next((len(each) for name, each in arrays.items() if name.endswith(".w_head")), 2)
        part = stage(network.network, network.system, self.modules)
        self._stage = PatchNetwork(*part, arrays, classes, network.dtype, network.activity)
        super().__init__(self._stage, whole.recipe)
        self._grid, self._updates = grid, updates
        self._below: Receiver | None = None
        self._above = Sender(rank + 1) if rank + 1 < count else None

    def update(self, batch: Batch, seed: int, updates: int, exchange: Exchange = ALONE) -> list[Learned]:
        """Learn from one batch with this process's modules, and pass its maps on."""
        if self.rank and self._below is None:
            self._below = Receiver(self._stage, self._grid, self._updates - self.done, self.rank - 1)
        given = Given(*self.tensors(batch)) if self._below is None else next(self._below)
        labels = given.labels if self._stage.system.learns == "labels" else None

        def pass_on(maps: Tensor) -> None:
            if self._above is not None:
                self._above.send(maps, labels)

        self.pace(updates)
        randomness = Randomness(seed, self.done)
        learned = self._stage.learn(given.x, randomness, labels, self.apply, onward=pass_on)
        self.done += 1
        return learned

    def save(self, path: Path) -> None:
        """Write this process's part; the first one joins all parts to the whole file, or leaves none."""
        if self._above is not None:
            self._above.finish()
        parts = [path.with_name(f"{path.name}.part{rank}") for rank in range(self.count)]
        super().save(parts[self.rank])
        dist.barrier()
        if self.rank == 0:
            join(parts, path)
            for part in path.parent.glob(f"{path.name}.part*"):  # and those of a killed run of more processes
                part.unlink()
        dist.barrier()

    def load(self, path: Path) -> None:
        """Go back to where a checkpoint was written, by however many processes; its cost counts once."""
        super().load(path)
        if self.rank:
            self.history.cpu = self.history.wall = self.history.waited = 0.0
        own = slice(self.modules.start, self.modules.stop)
        for key in ROWS:
            rows = getattr(self.history, key)
            setattr(self.history, key, [row[own] for row in rows])


def join(parts: list[Path], path: Path) -> None:
    """Write the checkpoint whose modules stand in ``parts``, lowest first, whole or not at all.

    CPU times are added up; the time that has passed, and that was waited for data, is the first process's.
    """
    joined: dict[str, Tensor] = {}
    history: dict[str, list[Tensor]] = {}
    updates = ""
    for part in parts:
        with safe_open(part, framework="pt") as file:
            updates = (file.metadata() or {})["updates"]
            for name in file.keys():  # noqa: SIM118
                if name.startswith("history/"):
                    history.setdefault(name, []).append(file.get_tensor(name))
                else:
                    joined[name] = file.get_tensor(name)
    for name, each in history.items():
        if name == "history/cost":
            joined[name] = torch.stack([torch.stack(each)[:, 0].sum(), *each[0][1:]])
        else:
            joined[name] = torch.cat(each, -1)
    with written_aside(path) as aside:
        save_file(joined, aside, metadata={"updates": updates})

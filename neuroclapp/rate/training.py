"""Training of image systems: the loop, its optimiser, and checkpoints that resume to the same bits.

Everything random is a function of the seed and the number of the update, so a checkpoint is the weights, the
optimiser's moments and a number; nothing else has a state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..data.ahead import Ahead
from ..data.patches import Batch
from ..errors import RunError
from ..files import written_aside
from ..recipe import Recipe
from .exchange import ALONE, Exchange, share_of_batch
from .memory import keep_freed_memory
from .modular import Learned, ModularNetwork, Randomness

#: Updates over which losses are averaged before they are noted.
NOTE = 50
#: What a history has rows of, one value for each module.
ROWS = ("loss", "share", "pending_loss", "pending_share")


class Batched(Protocol):
    """Batches by number, the same for the same number whenever they are asked for."""

    @property
    def per_epoch(self) -> int: ...

    def __getitem__(self, step: int) -> Batch: ...


@dataclass
class History:
    """What training noted: mean ``loss`` and ``share`` of open gates, (notes, modules), and its cost [s].

    A note is of `NOTE` updates, the last one of those that are left. Pending are losses and shares of single
    updates since the last note, (updates, modules). ``waited`` is the time that training waited for data.
    """

    loss: list[list[float]] = field(default_factory=list)
    share: list[list[float]] = field(default_factory=list)
    pending_loss: list[list[float]] = field(default_factory=list)
    pending_share: list[list[float]] = field(default_factory=list)
    cpu: float = 0.0
    wall: float = 0.0
    waited: float = 0.0

    def add(self, learned: list[list[Learned]]) -> None:
        """Add updates to what is pending; their losses leave the device on which they are."""
        self.pending_loss += [[float(one.loss) for one in modules] for modules in learned]
        self.pending_share += [[float(one.share) for one in modules] for modules in learned]

    def note(self) -> None:
        """Make one note of what is pending."""
        self.loss.append(np.mean(self.pending_loss, axis=0).tolist())
        self.share.append(np.mean(self.pending_share, axis=0).tolist())
        self.pending_loss, self.pending_share = [], []


def before_forks() -> None:
    """Let torch import, once, what its optimisers need; processes that are forked later find it there.

    Each would else take a second for it.
    """
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])


class Learner:
    """A network, one Adam for each of its modules, and how far training has come."""

    def __init__(self, network: ModularNetwork, recipe: Recipe) -> None:
        self.network, self.recipe, self.done, self.history = network, recipe, 0, History()
        self.optimisers = [self._adam(module) for module in range(len(network.modules_of))]

    def _adam(self, module: int) -> torch.optim.Adam:
        groups: dict[float, list[Tensor]] = {}
        for name, array in self.network.of(module).items():
            predicts = name.rsplit(".", 1)[1] in ("w_pred", "w_retro", "w_top", "w_head", "b_head")
            factor = self.recipe.prediction_rate if predicts else self.network.pace(name)
            groups.setdefault(factor, []).append(array)
        found: list[dict[str, Any]] = [{"params": each, "factor": factor} for factor, each in groups.items()]
        return torch.optim.Adam(found, lr=self.recipe.learning_rate, fused=True)

    def update(self, batch: Batch, seed: int, updates: int, exchange: Exchange = ALONE) -> list[Learned]:
        """Learn from one batch; each module's weights change, and its gradients go, as soon as they can.

        With ``exchange``, ``batch`` is the joint batch of all processes, and this one learns from its share.
        """
        places, labels = self.tensors(share_of_batch(batch, exchange.rank, exchange.count))
        self.pace(updates)
        learned = self.network.learn(places, Randomness(seed, self.done), labels, self.apply, exchange)
        self.done += 1
        return learned

    def tensors(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return a batch's places and labels where the lowest module is."""
        first = next(self.network.parameters())
        labels = None if batch.labels is None else torch.from_numpy(batch.labels).to(first.device)
        return torch.from_numpy(batch.patches).to(first), labels

    def pace(self, updates: int) -> None:
        """Set the learning rates of the update that comes, of so many."""
        rate = self.recipe.rate(self.done, updates)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * group["factor"]

    def apply(self, learned: Learned) -> None:
        """Change a module's weights by its gradients, and let these go."""
        with _in_order_of_memory(self.network.of(learned.module).values()):
            self.optimisers[learned.module].step()
        self.optimisers[learned.module].zero_grad(set_to_none=True)

    def save(self, path: Path) -> None:
        """Write weights, moments and history, whole or not at all."""
        tensors = {name: array.detach().contiguous() for name, array in self.network.named_arrays()}
        for name, array in self.network.named_arrays():
            for key, value in self._state(array).items():
                tensors[f"{name}/{key}"] = value.contiguous()
        for key in ROWS:
            tensors[f"history/{key}"] = torch.tensor(getattr(self.history, key), dtype=torch.float64)
        tensors["history/cost"] = torch.tensor(
            [self.history.cpu, self.history.wall, self.history.waited], dtype=torch.float64
        )
        with written_aside(path) as aside:
            save_file(tensors, aside, metadata={"updates": str(self.done)})

    def load(self, path: Path) -> None:
        """Go back to where `save` was called; raise RunError where the file is broken or does not fit."""
        try:
            with safe_open(path, framework="pt") as file:
                kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                done = int((file.metadata() or {})["updates"])
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise RunError(f"{path}: not a checkpoint ({error})") from None
        needed: dict[str, tuple[int, ...]] = {"history/cost": (3,)}
        for name, array in self.network.named_arrays():
            moments = {"step": (), "exp_avg": array.shape, "exp_avg_sq": array.shape} if done else {}
            needed |= {name: array.shape, **{f"{name}/{key}": shape for key, shape in moments.items()}}
        for name, shape in needed.items():
            if name not in kept or kept[name].shape != shape:
                raise RunError(f"{path}: {name}: not the array of shape {tuple(shape)} that is needed")
        if not {"history/loss", "history/share"} <= set(kept):
            raise RunError(f"{path}: not a checkpoint (no history of losses)")
        for name, array in self.network.named_arrays():
            array.data.copy_(kept[name])
        self._restore(kept)
        self.done = done
        cpu, wall, waited = kept["history/cost"].tolist()
        # A checkpoint that holds nothing pending is of a version that noted losses at each.
        rows = {key: kept[f"history/{key}"].tolist() for key in ROWS if f"history/{key}" in kept}
        self.history = History(**rows, cpu=cpu, wall=wall, waited=waited)

    def _state(self, array: Tensor) -> dict[str, Tensor]:
        for optimiser in self.optimisers:
            if array in optimiser.state:
                return {
                    key: value.permute(0, 3, 1, 2) if _channels_last(array) and value.dim() == 4 else value
                    for key, value in optimiser.state[array].items()
                }
        return {}

    def _restore(self, kept: dict[str, Tensor]) -> None:
        names = {id(array): name for name, array in self.network.named_arrays()}
        for optimiser in self.optimisers:
            optimiser.state.clear()
            for group in optimiser.param_groups:
                for array in group["params"]:
                    state: dict[str, Any] = {}
                    for key in ("step", "exp_avg", "exp_avg_sq"):
                        value = kept.get(f"{names[id(array)]}/{key}")
                        if value is not None:
                            alike = torch.empty_like(value if key == "step" else array, device=array.device)
                            alike.copy_(value)
                            state[key] = alike.permute(0, 2, 3, 1) if _channels_last(alike) else alike
                    if state:
                        optimiser.state[array] = state


def train(
    learner: Learner,
    batches: Batched,
    seed: int,
    kept: Path | None = None,
    report: Callable[[int], object] = lambda done: None,
    exchange: Exchange = ALONE,
) -> History:
    """Train up to the recipe's last update; checkpoints go to ``kept``, from which a killed run goes on.

    With ``exchange``, all its processes call this alike, and the first of them writes the checkpoints.
    """
    keep_freed_memory()
    recipe, updates = learner.recipe, learner.recipe.length(batches.per_epoch)
    if kept is not None and kept.is_file():
        learner.load(kept)
    learned: list[list[Learned]] = []  # of the last updates, not yet taken from their device
    clock = _Clock(learner.history)
    with Ahead(batches.__getitem__, learner.done, updates) as items:
        for batch in items:
            learned.append(learner.update(batch, seed, updates, exchange))
            keeps = learner.done % recipe.checkpoint == 0 or learner.done == updates
            notes = learner.done % NOTE == 0 or learner.done == updates
            if keeps or notes:
                learner.history.add(learned)
                learned.clear()
                losses = learner.history.pending_loss
                wrong = [place for place, each in enumerate(losses) if not all(map(isfinite, each))]
                if wrong:
                    where = f"{kept}: " if kept is not None else ""
                    update = learner.done + 1 - len(losses) + wrong[0]
                    raise RunError(f"{where}losses {losses[wrong[0]]} of update {update} are not finite; "
                                   f"learning_rate = {recipe.learning_rate} may be too large")  # fmt: skip
            if notes:
                learner.history.note()
            if kept is not None and keeps:
                clock.stop(items.waited)
                if exchange.rank == 0:
                    learner.save(kept)
            report(learner.done)
        clock.stop(items.waited)
    return learner.history


def _channels_last(array: Tensor) -> bool:
    return array.dim() == 4 and not array.is_contiguous()


@contextmanager
def _in_order_of_memory(arrays: Iterable[Tensor]) -> Iterator[None]:
    """Let the axes of channels-last arrays and of their gradients be in the order of memory.

    Of arrays with other axes torch's fused Adam makes a copy and copies it back, in each step; their moments
    stay as it first sees them.
    """
    turned = [array for array in arrays if _channels_last(array)]
    _turn(turned, (0, 2, 3, 1))
    try:
        yield
    finally:
        _turn(turned, (0, 3, 1, 2))


def _turn(arrays: Iterable[Tensor], axes: tuple[int, ...]) -> None:
    for array in arrays:
        grad, array.grad = array.grad, None
        array.data = array.data.permute(axes)
        array.grad = None if grad is None else grad.permute(axes)


class _Clock:
    """Adds what training costs to its history."""

    def __init__(self, history: History) -> None:
        self.history, self.start = history, (history.cpu, history.wall, history.waited)
        self.cpu, self.wall = time.process_time(), time.monotonic()

    def stop(self, waited: float) -> None:
        cpu, wall, before = self.start
        self.history.cpu = cpu + time.process_time() - self.cpu
        self.history.wall = wall + time.monotonic() - self.wall
        self.history.waited = before + waited


@torch.no_grad()
def features(
    network: ModularNetwork, batches: Any, report: Callable[[int], object] = lambda done: None
) -> Any:
    """Return every layer's mean features of all images, each (images, units), from batches of places."""
    found: list[list[NDArray[np.float32]]] = []
    done = 0
    first = next(network.parameters())
    for batch in batches:
        # A survey's places are a view that must not be written to, which torch cannot hold.
        places = torch.from_numpy(np.require(batch.patches, requirements="W")).to(first)
        found.append([layer.float().cpu().numpy() for layer in network.features(places)])
        done += len(batch.patches)
        report(done)
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]

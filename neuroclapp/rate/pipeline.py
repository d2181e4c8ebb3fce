"""Modules on several processes: maps go up from each to the next, and nothing ever comes back.

A module learns from its own features as soon as it has them. So a process that holds some of the modules
passes its top layer's maps on, learns, and takes the next batch, while the process above still works on the
last one. No process waits for an update of another, and every weight is the one that a single process finds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import InputError
from ..network import Network
from ..objective import System
from .modular import Learned, Randomness
from .patchnet import PatchNetwork


@dataclass(frozen=True)
class Given:
    """A stage's batch: ``x`` (images, rows, columns, channels, height, width), ``labels`` (images,)."""

    x: Tensor
    labels: Tensor | None = None


def stage(network: Network, system: System, modules: range) -> tuple[Network, System]:
    """Return consecutive modules as a network of its own, whose input is what the module below puts out.

    Its arrays have the same names, a part of the whole network's. Raises InputError if a module would need
    more than its own features, or if there are no such modules.
    """
    whole = system.cut(network)
    if system.learns == "contrast" and system.contrast.context != "own":
        allowed = "modules in several processes need 'own': nothing comes back from the top layer"
        raise InputError(system.title, "contrast.context", system.contrast.context, allowed)
    counts = whole.modules or (1,) * len(whole.layers)
    first, last = modules.start, modules.stop
    if not 0 <= first < last <= len(counts) or modules.step != 1:
        allowed = f"must be consecutive modules of 0 to {len(counts) - 1}"
        raise InputError(network.title, "modules", modules, allowed)
    below, above = sum(counts[:first]), sum(counts[:last])
    contrast = replace(system.contrast, blocks=system.contrast.blocks[first:last])
    part = replace(
        whole, input=whole.shapes[below], layers=whole.layers[below:above], modules=counts[first:last]
    )
    return part, replace(system, modules=counts[first:last], contrast=contrast)


class Sender:
    """Sends maps, and labels where there are any, to the process above, at most ``ahead`` batches early."""

    def __init__(self, to: int, ahead: int = 2, group: dist.ProcessGroup | None = None) -> None:
        self.to, self.ahead, self.group = to, ahead, group
        self._sending: deque[list[tuple[dist.Work, Tensor]]] = deque()

    def send(self, maps: Tensor, labels: Tensor | None) -> None:
        """Start to send maps (places, channels, height, width); wait where ``ahead`` batches lie untaken."""
        while len(self._sending) >= self.ahead:
            _arrived(self._sending.popleft())
        tensors = [maps.permute(0, 2, 3, 1).contiguous(), *([] if labels is None else [labels.contiguous()])]
        self._sending.append([(_started(dist.isend(each, self.to, self.group)), each) for each in tensors])

    def finish(self) -> None:
        """Wait until everything has been taken."""
        while self._sending:
            _arrived(self._sending.popleft())


class Receiver(Iterator[Given]):
    """Yields ``batches`` of what the process below sends to ``network``; the next ``ahead`` arrive meanwhile.

    ``grid`` is (images, rows, columns) of a batch.
    """

    def __init__(
        self,
        network: PatchNetwork,
        grid: tuple[int, int, int],
        batches: int,
        source: int,
        ahead: int = 2,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        channels, height, width = network.network.input
        self.grid, self.shape = grid, (prod(grid), height, width, channels)
        self.like, self.labels = next(network.parameters()), network.system.learns == "labels"
        self.source, self.group = source, group
        self._left, self._coming = batches, deque[list[tuple[dist.Work, Tensor]]]()
        for _ in range(ahead):
            self._post()

    def __next__(self) -> Given:
        if not self._coming:
            raise StopIteration
        maps, *labels = _arrived(self._coming.popleft())
        self._post()
        return Given(maps.permute(0, 3, 1, 2).unflatten(0, self.grid), labels[0] if labels else None)

    def _post(self) -> None:
        if not self._left:
            return
        self._left -= 1
        buffers = [self.like.new_empty(self.shape)]
        if self.labels:
            buffers.append(self.like.new_empty(self.grid[0], dtype=torch.int64))
        self._coming.append([(_started(dist.irecv(each, self.source, self.group)), each) for each in buffers])


def run_stage(
    network: PatchNetwork,
    given: Iterable[Given],
    randomness: Callable[[int], Randomness],
    after: Callable[[Learned], object],
    sender: Sender | None = None,
    first: int = 0,
) -> None:
    """Learn from batch after batch, ``given`` by a `Receiver` or, at the bottom, by the data.

    ``network`` is built from what `stage` returns. ``randomness`` is that of a step, counted from ``first``,
    the same in all processes; ``after`` applies a module's gradients. The top stage has no ``sender``.
    """
    for step, batch in enumerate(given, first):
        labels = batch.labels if network.system.learns == "labels" else None

        def pass_on(maps: Tensor, labels: Tensor | None = labels) -> None:
            if sender is not None:
                sender.send(maps, labels)

        network.learn(batch.x, randomness(step), labels, after, onward=pass_on)
    if sender is not None:
        sender.finish()


def _started(work: dist.Work | None) -> dist.Work:
    if work is None:
        raise InputError("torch.distributed", None, None, "this process is not in the group")
    return work


def _arrived(transfer: list[tuple[dist.Work, Tensor]]) -> list[Tensor]:
    """Wait for one batch; return its tensors."""
    for work, _ in transfer:
        work.wait()
    return [tensor for _, tensor in transfer]

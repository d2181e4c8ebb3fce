"""One joint batch on several processes: features are gathered, changes of the encoder are added up.

Each process holds an equal share of the images. What a module's loss needs of the others is small: averaged
features (places, n), and labels or the top layer's features where it learns from those. Every process
compares all places of the joint batch, with the same negatives, and carries its own rows of ``delta`` down.
So ``w_pred`` and the like change alike everywhere, and only the encoder's changes must be added. Nothing
above or below a module is needed for that: its sum is formed while the next module computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import InputError

Changes = Mapping[str, Tensor]
Item = TypeVar("Item")


class Exchange(Protocol):
    """What a module needs from the processes that hold the other images of its batch.

    This process is number ``rank`` of ``count``.
    """

    rank: int
    count: int

    def join(self, x: Tensor) -> Tensor:
        """Return the rows of all processes in the order of the joint batch."""

    def own(self, x: Tensor) -> Tensor:
        """Return this process's rows of the joint batch."""

    def total(self, changes: Changes, then: Callable[[Changes], object]) -> None:
        """Call ``then`` with sums over all processes, at the latest in `finish`, in the order of calls."""

    def finish(self) -> None:
        """Wait for every sum."""


class Alone:
    """The whole batch is here."""

    rank, count = 0, 1

    def join(self, x: Tensor) -> Tensor:
        return x

    def own(self, x: Tensor) -> Tensor:
        return x

    def total(self, changes: Changes, then: Callable[[Changes], object]) -> None:
        then(changes)

    def finish(self) -> None:
        pass


#: How long a process waits for others, which may train a system of their own meanwhile.
_LONG = timedelta(days=30)
#: The exchange of a process that has no others.
ALONE = Alone()


class Ranks:
    """All processes of a `torch.distributed` group, each with an equal share of the images; see `share`.

    Their networks must start from the same arrays. A module's sums are formed while the next one computes,
    so changes of two modules are held at once.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        if not dist.is_initialized():
            raise InputError("torch.distributed", None, None, "call init_process_group first, or use `ranks`")
        self.group = group
        self.rank, self.count = dist.get_rank(group), dist.get_world_size(group)
        self._pending: Callable[[], object] | None = None

    def join(self, x: Tensor) -> Tensor:
        joint = x.new_empty((self.count * len(x), *x.shape[1:]))
        dist.all_gather(list(joint.split(len(x))), x.contiguous(), self.group)
        return joint

    def own(self, x: Tensor) -> Tensor:
        return share(x, self.rank, self.count)

    def total(self, changes: Changes, then: Callable[[Changes], object]) -> None:
        sums, buffer = flattened(changes)
        work = dist.all_reduce(buffer, group=self.group, async_op=True)
        self.finish()

        def arrived() -> None:
            work.wait()
            then(sums)

        self._pending = arrived

    def finish(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending()


def flattened(changes: Changes) -> tuple[dict[str, Tensor], Tensor]:
    """Return copies that lie side by side in one buffer, each in its own order of memory, and the buffer."""
    first = next(iter(changes.values()))
    buffer, start = first.new_empty(sum(change.numel() for change in changes.values())), 0
    copies = {}
    for name, change in changes.items():
        strides = torch.empty_like(change, device="meta").stride()
        copies[name] = buffer.as_strided(change.shape, strides, start).copy_(change)
        start += change.numel()
    return copies, buffer


def share(joint: Tensor, rank: int, count: int) -> Tensor:
    """Return the rows of one of ``count`` processes: images ``rank * b`` to ``(rank + 1) * b``.

    Works on arrays as well. Raises InputError if the shares are not equal.
    """
    rows, left = divmod(len(joint), count)
    if left:
        raise InputError("joint batch", "images", len(joint), f"must be a multiple of {count}, the processes")
    return joint[rank * rows : (rank + 1) * rows]


def share_of_batch(batch: Item, rank: int, count: int) -> Item:
    """Return the share of one process of a batch, whose every field is an array with a row for each image."""
    parts: dict[str, Any] = {each.name: getattr(batch, each.name) for each in fields(batch)}  # type: ignore[arg-type]
    parts = {name: None if part is None else share(part, rank, count) for name, part in parts.items()}
    return replace(batch, **parts)  # type: ignore[type-var]


@contextmanager
def ranks(device: str = "cpu") -> Iterator[Exchange]:
    """Join the processes that torchrun started; without torchrun be alone.

    ``device``: the type of what their arrays lie on. NCCL joins GPUs, and gloo the rest. With "cuda" the
    current device is then this process's own, by its local rank.
    """
    if not dist.is_torchelastic_launched():
        yield ALONE
        return
    if device == "cuda":
        torch.cuda.set_device(dist.get_node_local_rank())
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=_LONG)
    try:
        yield Ranks()
    finally:
        dist.destroy_process_group()

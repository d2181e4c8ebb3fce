"""What a block of pooled units sends on in a time step: a function for each pooling.

Poolings are those of `neuroclapp.spiking.maps`. Each function maps (packets, counts, state) to (sent, state),
the first call with None. Packets of this step, and counts so far with it included, are lists of the block's
units, each (patches, height, width, units) of the pooled map.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from .maps import Pooling

Step = Callable[[list[Tensor], list[Tensor], Any], tuple[Tensor, Any]]


def corners(maps: Tensor, pool: int) -> list[Tensor]:
    """Return each unit of all blocks, (patches, height, width, units); what fills no block is left out."""
    height, width = (side // pool * pool for side in maps.shape[1:3])
    return [maps[:, y:height:pool, x:width:pool] for y in range(pool) for x in range(pool)]


def lead(packets: list[Tensor], counts: list[Tensor], best: Tensor | None) -> tuple[Tensor, Tensor]:
    """Send what takes the largest count beyond the largest so far."""
    now = reduce(torch.maximum, counts)
    return now if best is None else now - best, now


def most(packets: list[Tensor], counts: list[Tensor], state: None) -> tuple[Tensor, None]:
    """Send the packet of the first unit that has the largest count."""
    best, sent = counts[0], packets[0]
    for packet, count in zip(packets[1:], counts[1:], strict=True):
        sent, best = torch.where(count > best, packet, sent), torch.maximum(count, best)
    return sent, None


def first(packets: list[Tensor], counts: list[Tensor], chosen: Tensor | None) -> tuple[Tensor, Tensor]:
    """Send the packet of the unit that fired first; ``chosen`` is its place, -1 before it fires."""
    if chosen is None:
        chosen = torch.full(packets[0].shape, -1, dtype=torch.int8)
    open_, best, winner = chosen < 0, torch.zeros_like(packets[0]), chosen
    for place, packet in enumerate(packets):
        better = open_ & (packet > best)
        winner, best = torch.where(better, place, winner), torch.where(better, packet, best)
    sent = sum((packet * (winner == place) for place, packet in enumerate(packets)), torch.zeros_like(best))
    return sent, winner


def mean(packets: list[Tensor], counts: list[Tensor], state: None) -> tuple[Tensor, None]:
    """Send the mean of the packets."""
    return reduce(torch.add, packets) / len(packets), None


STEPS: dict[Pooling, Step] = {"lead": lead, "most": most, "first": first, "mean": mean}

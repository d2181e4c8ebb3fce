"""Spike counts of maps for many patches at once, without Brian2: layer by layer, with all its time steps.

Charges add up in single precision, exactly (`neuroclapp.spiking.maps.exact_step`), membranes in double. The
equations are those of `neuroclapp.spiking.maps`, to the same counts as Brian2's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .counting import Counted
from .maps import LayerOfMaps, Maps
from .maps_pooling import STEPS, corners
from .unrolled import Array

#: Somata whose time steps are worked on at once: their membranes stay in the processor's cache.
CHUNK = 2**16


@dataclass(frozen=True)
class CountedMaps:
    """Spikes of a layer in a presentation: of its somata (patches, units, height, width), with their charge,
    and ``sent``, what the layer above hears, after pooling.
    """

    soma: Counted
    sent: Array


@torch.no_grad()
def count_maps(maps: Maps, patches: NDArray[np.floating]) -> tuple[Array, list[CountedMaps]]:
    """Return the spikes of the input (patches, channels, height, width, 2) and of every layer.

    ``patches`` (patches, channels, height, width).
    """
    packets, source = _input(maps, patches)
    found = []
    for each in maps.layers:
        packets, counted = _layer(maps, each, packets)
        found.append(counted)
    return source, found


def _input(maps: Maps, patches: NDArray[np.floating]) -> tuple[Tensor, Array]:
    """Return ON less OFF packets (steps, patches, height, width, channels), and the counts of both."""
    timing = maps.timing
    charge = torch.from_numpy(maps.charges(patches))
    v, count = torch.full_like(charge, 0.5), torch.zeros_like(charge)
    count_, channels, height, width, _ = charge.shape
    packets = torch.empty((timing.steps - 1, count_, height, width, channels), dtype=torch.float32)
    for step in range(timing.steps):
        if step < timing.steps_on:
            v += charge
        packet = v.floor().clamp_(0, maps.input.neurons)
        v -= packet
        count += packet
        if step < timing.steps - 1:
            packets[step] = (packet[..., 0] - packet[..., 1]).permute(0, 2, 3, 1)
    return packets, count.numpy()


def _layer(maps: Maps, each: LayerOfMaps, packets: Tensor) -> tuple[Tensor, CountedMaps]:
    """Return the packets that the layer above hears (steps, patches, height, width, units), and the counts.

    ``packets`` are those of what the layer hears, its first step first: one that the layer has not yet heard
    when the presentation ends is left out.
    """
    steps, patches = maps.timing.steps - each.late, packets.shape[1]
    w = torch.from_numpy(each.w.astype(np.float32)).contiguous(memory_format=torch.channels_last)
    count = np.empty((patches, *each.shape))
    charge, sent = np.empty_like(count), np.empty((patches, *each.sends))
    units, tall, wide = each.sends
    onward = torch.empty((steps, patches, tall, wide, units), dtype=torch.float32)
    for part in _parts(patches, each):
        heard = packets[:steps, part].flatten(0, 1).permute(0, 3, 1, 2)
        drive = torch.conv2d(heard, w, None, each.layer.stride, each.layer.padding).permute(0, 2, 3, 1)
        v, total, passed = _fire(maps, each, drive.unflatten(0, (steps, -1)), onward[:, part])
        count[part] = total.permute(0, 3, 1, 2).numpy()
        charge[part] = (total + v - 0.5).permute(0, 3, 1, 2).numpy()
        sent[part] = passed.permute(0, 3, 1, 2).numpy()
    return onward, CountedMaps(Counted(count, charge), sent)


def _fire(maps: Maps, each: LayerOfMaps, drive: Tensor, onward: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Put what a layer sends on into ``onward`` (steps, patches, height, width, units).

    ``drive`` (steps, ...) is the charge that arrives in each step. Returns membranes and counts of the somata
    at the end, and the sum of what was sent on.
    """
    bias, pool = torch.from_numpy(each.bias), each.layer.pool
    v = torch.full(drive.shape[1:], 0.5, dtype=torch.float64)
    total, packet = torch.zeros_like(v), torch.empty_like(v)
    passed = torch.zeros(onward.shape[1:], dtype=torch.float64)
    # A relay has no step left for what somata send in the last one.
    last, state = len(drive) - (1 if pool > 1 and maps.pooling != "mean" else 0), None
    for step, (arriving, here) in enumerate(zip(drive, onward, strict=True)):
        v += arriving
        if step < maps.timing.steps_on:
            v += bias
        torch.floor(v, out=packet)
        packet.clamp_(0, each.soma.neurons)
        v -= packet
        total += packet
        sent = packet
        if pool > 1:
            sent, state = STEPS[maps.pooling](corners(packet, pool), corners(total, pool), state)
        here.copy_(sent)
        if step < last:
            passed += sent
    return v, total, passed


def _parts(patches: int, each: LayerOfMaps) -> Iterator[slice]:
    size = max(1, CHUNK // int(np.prod(each.shape)))
    return (slice(first, min(first + size, patches)) for first in range(0, patches, size))

"""Frames of 10 ms: what a layer did in each, whatever its steps are.

Labels, readouts and heads are by frame. A layer whose steps are shorter gives the mean of those in a frame;
one whose steps are longer gives the step that a frame lies in.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from ..data.utterances import FRAME
from ..network import Layer, Network


def strides(network: Network) -> tuple[int, ...]:
    """Return the samples from one step to the next in each layer's output; raise ValueError if none fits."""
    found = []
    for index, layer in enumerate(network.scaled_layers):
        stride = prod(_stride(each) for each in network.scaled_layers[: index + 1])
        if FRAME % stride and stride % FRAME:
            raise ValueError(
                f"layer {layer.name!r} has steps of {stride} samples, which neither divide a frame "
                f"of {FRAME} nor are multiples of it"
            )
        found.append(stride)
    return tuple(found)


def framed(z: Tensor, stride: int, frames: int) -> Tensor:
    """Return means over the steps of each frame, (sounds, frames, units), of ``z`` (sounds, steps, units).

    Missing steps at the end are like the last one.
    """
    sounds, steps, units = z.shape
    if stride > FRAME:
        return z.index_select(1, _lying_in(z, stride, frames))
    each = FRAME // stride
    full = min(frames, steps // each)
    mean = z[:, : full * each].reshape(sounds, full, each, units).mean(2)
    if full == frames:
        return mean
    rest = z[:, full * each :]
    missing = frames - full
    last = z[:, -1:].expand(sounds, missing * each - rest.shape[1], units)
    tail = torch.cat([rest, last], 1).view(sounds, missing, each, units).mean(2)
    return torch.cat([mean, tail], 1)


def unframed(delta: Tensor, stride: int, steps: int) -> Tensor:
    """Return what each step receives, (sounds, steps, units), of what frames receive: `framed` transposed."""
    sounds, frames, units = delta.shape
    total = delta.new_zeros(sounds, steps, units)
    if stride > FRAME:
        return total.index_add_(1, _lying_in(delta, stride, frames), delta)
    each = FRAME // stride
    spread = (delta / each).repeat_interleave(each, 1)
    seen = min(steps, spread.shape[1])
    total[:, :seen] = spread[:, :seen]
    total[:, -1] += spread[:, seen:].sum(1)
    return total


def _lying_in(like: Tensor, stride: int, frames: int) -> Tensor:
    return torch.arange(frames, device=like.device) * FRAME // stride


def _stride(layer: Layer) -> int:
    return layer.stride if layer.kind == "conv1d" else 1

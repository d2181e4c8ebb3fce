"""A convolution in time: its response, the change of its kernel, and what its input receives.

Activity is kept as (sounds, steps, units), so that the inputs of a step lie side by side. Where the kernel
is ``m`` strides long, the input is cut into pieces of one stride, and the convolution is ``m`` matrix
products of successive pieces, for all sounds at once: nothing is copied out of the overlapping windows.

    z_t = rho(sum_i W_i p_(t+i) + b)      dW_i = sum_t delta_t p_(t+i)^T      p_(t+i) receives W_i^T delta_t

A change may come from a part of the steps only (`Reach`), as the loss sees a window of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..network import Layer
from .matmul import matmul

#: Numbers in a piece from which on products of pieces are faster than copying windows.
LONG = 16


@dataclass(frozen=True)
class Heard:
    """What a layer keeps of its response.

    ``pieces`` (sounds, n, length) of the padded input, ``z`` (sounds, steps, units), the input's ``steps``.
    """

    pieces: Tensor
    z: Tensor
    steps: int


@dataclass(frozen=True)
class Reach:
    """``delta`` (sounds, w, units) of the steps ``start`` to ``start + w``; all others receive nothing."""

    delta: Tensor
    start: int = 0

    @property
    def stop(self) -> int:
        """The step after the last."""
        return self.start + self.delta.shape[1]

    def whole(self, steps: int) -> Tensor:
        """Return ``delta`` of all steps, (sounds, steps, units)."""
        if self.delta.shape[1] == steps:
            return self.delta
        whole = self.delta.new_zeros(len(self.delta), steps, self.delta.shape[2])
        whole[:, self.start : self.stop] = self.delta
        return whole


def together(one: Reach, other: Reach) -> Reach:
    """Return the sum of what two paths bring."""
    if (one.start, one.stop) == (other.start, other.stop):
        return Reach(one.delta + other.delta, one.start)
    start, stop = min(one.start, other.start), max(one.stop, other.stop)
    total = one.delta.new_zeros(len(one.delta), stop - start, one.delta.shape[2])
    for part in (one, other):
        total[:, part.start - start : part.stop - start] += part.delta
    return Reach(total, start)


def respond(layer: Layer, x: Tensor, w: Tensor, bias: Tensor | None) -> Heard:
    """Return the response to ``x`` (sounds, steps, channels), with ``w`` (units, channels, kernel)."""
    sounds, steps = x.shape[:2]
    kernels = _pieces_of(layer, w)
    pieces = _pieces(layer, x)
    rows, after = pieces.view(-1, pieces.shape[2]), len(kernels) - 1
    # Across the border between two sounds the products mean nothing; their rows are not looked at.
    a = matmul(rows, kernels[0], bias)
    counted = len(rows) - after
    for shift, kernel in enumerate(kernels[1:], 1):
        a[:counted] += matmul(rows[shift : shift + counted], kernel)
    z = a.relu_().view(sounds, -1, len(w))[:, : pieces.shape[1] - after]
    return Heard(pieces, z, steps)


def gated(heard: Heard, reach: Reach) -> Reach:
    """Return ``rho'(a) delta``."""
    return Reach(reach.delta * (heard.z[:, reach.start : reach.stop] > 0), reach.start)


def kernel_change(layer: Layer, heard: Heard, reached: Reach, w: Tensor) -> tuple[Tensor, Tensor]:
    """Return the changes of ``w`` and of the bias from `gated` dendrites."""
    delta = reached.delta.reshape(-1, len(w))
    count = _count(layer, w.shape[1])
    found = []
    for shift in range(count):
        pre = heard.pieces[:, reached.start + shift : reached.stop + shift].reshape(len(delta), -1)
        found.append(matmul(delta.T, pre.T))
    change = torch.stack(found, 1).view(len(w), layer.kernel, -1).transpose(1, 2)
    return change, delta.sum(0)


def input_change(layer: Layer, heard: Heard, reached: Reach, w: Tensor) -> Reach:
    """Return what the layer's input receives through ``w`` from `gated` dendrites."""
    sounds, steps, units = reached.delta.shape
    delta = reached.delta.reshape(-1, units)
    channels, length = w.shape[1], (steps - 1) * layer.stride + layer.kernel
    kernels = _pieces_of(layer, w)
    if len(kernels) > 1:
        total = delta.new_zeros(sounds, steps + len(kernels) - 1, layer.stride * channels)
        for shift, kernel in enumerate(kernels):
            total[:, shift : shift + steps] += matmul(delta, kernel.T).view(sounds, steps, -1)
        total = total.view(sounds, length, channels)
    else:
        total = delta.new_zeros(sounds, length, channels)
        windows = matmul(delta, kernels[0].T).view(sounds, steps, layer.kernel, channels)
        for tap in range(layer.kernel):
            total[:, tap : tap + (steps - 1) * layer.stride + 1 : layer.stride] += windows[:, :, tap]
    start = reached.start * layer.stride - layer.padding
    first, last = max(0, -start), min(length, heard.steps - start)
    return Reach(total[:, first:last], start + first)


def _count(layer: Layer, channels: int) -> int:
    """Return in how many pieces a window is seen; 1 where windows are copied."""
    whole = layer.kernel % layer.stride == 0 and layer.stride * channels >= LONG
    return layer.kernel // layer.stride if whole else 1


def _pieces_of(layer: Layer, w: Tensor) -> tuple[Tensor, ...]:
    """Return the kernel's part (units, numbers) for each piece of a window."""
    return w.transpose(1, 2).reshape(len(w), -1).chunk(_count(layer, w.shape[1]), 1)


def _pieces(layer: Layer, x: Tensor) -> Tensor:
    sounds, steps, channels = x.shape
    count = _count(layer, channels)
    positions = (steps + 2 * layer.padding - layer.kernel) // layer.stride + 1
    if positions < 1:
        raise ValueError(f"layer {layer.name!r}: {steps} steps are too few for a kernel of {layer.kernel}")
    length = (positions - 1) * layer.stride + layer.kernel
    seen = min(steps, length - layer.padding)
    padded = x.new_empty(sounds, length, channels)
    padded[:, : layer.padding] = 0
    padded[:, layer.padding : layer.padding + seen] = x[:, :seen]
    padded[:, layer.padding + seen :] = 0
    if count > 1:
        return padded.view(sounds, -1, layer.stride * channels)
    windows = padded.unfold(1, layer.kernel, layer.stride)
    return windows.transpose(2, 3).reshape(sounds, positions, -1).contiguous()

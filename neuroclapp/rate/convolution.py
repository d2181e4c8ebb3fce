"""Convolution and its two gradients, as plain functions, each by the fastest way at hand.

Maps are (images, channels, height, width) in channels-last order, kernels (units, channels, kernel, kernel).
Where a map is hardly larger than the kernel many taps fall into the padding: there a convolution is a sum
over the taps that do not, each a matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..network import Layer
from .matmul import matmul

CHANNELS_LAST = torch.channels_last


def channels_last(x: Tensor) -> Tensor:
    """Return ``x`` (images, channels, height, width) with channels-last strides, copied only if it must be.

    With one channel the order of memory is the same, but only explicit strides make torch see it.
    """
    channels, height, width = x.shape[1:]
    if channels == 1 and x.is_contiguous():
        return x.as_strided(x.shape, (height * width, 1, width, 1))
    return x.contiguous(memory_format=CHANNELS_LAST)


def convolve(layer: Layer, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``a = W * x + b``."""
    if not _small(layer, x):
        return torch.conv2d(x, w, bias, stride=layer.stride, padding=layer.padding)
    images, channels, height, width = x.shape
    units, rows = len(w), x.permute(0, 2, 3, 1)
    a = torch.zeros((images, height, width, units), dtype=x.dtype, device=x.device)
    for kernel_y, kernel_x, y, x_, from_y, from_x in _taps(layer, height, width):
        seen = rows[:, from_y, from_x].reshape(-1, channels)
        a[:, y, x_] += matmul(seen, w[:, :, kernel_y, kernel_x].contiguous()).view(
            images, y.stop - y.start, x_.stop - x_.start, units
        )
    if bias is not None:
        a += bias
    return a.permute(0, 3, 1, 2)


def kernel_change(layer: Layer, delta: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums over images and places of ``delta_j x_i`` (like ``w``) and of ``delta_j`` (units,)."""
    if not _small(layer, x):
        _, kernel, bias = torch.ops.aten.convolution_backward(
            delta, x, w, [len(w)], _pair(layer.stride), _pair(layer.padding), [1, 1], False, [0, 0], 1,
            [False, True, True],
        )  # fmt: skip
        return kernel, bias
    channels, units = x.shape[1], len(w)
    post, pre = delta.permute(0, 2, 3, 1), x.permute(0, 2, 3, 1)
    size = w.shape[2:]
    change = torch.zeros((units, *size, channels), dtype=x.dtype, device=x.device)
    for kernel_y, kernel_x, y, x_, from_y, from_x in _taps(layer, *x.shape[2:]):
        changed = post[:, y, x_].reshape(-1, units)
        change[:, kernel_y, kernel_x] = matmul(changed.T, pre[:, from_y, from_x].reshape(-1, channels).T)
    return change.permute(0, 3, 1, 2), delta.sum((0, 2, 3))


def input_change(layer: Layer, delta: Tensor, x: Tensor, w: Tensor) -> Tensor:
    """Return ``delta`` carried back through the kernel, (images, channels, height, width)."""
    if _small(layer, x):
        images, channels, height, width = x.shape
        post = delta.permute(0, 2, 3, 1)
        reach = torch.zeros((images, height, width, channels), dtype=x.dtype, device=x.device)
        for kernel_y, kernel_x, y, x_, from_y, from_x in _taps(layer, height, width):
            sent = post[:, y, x_].reshape(-1, len(w))
            reach[:, from_y, from_x] += matmul(sent, w[:, :, kernel_y, kernel_x].contiguous().T).view(
                images, y.stop - y.start, x_.stop - x_.start, channels
            )
        return reach.permute(0, 3, 1, 2)
    result, _, _ = torch.ops.aten.convolution_backward(
        delta, x, w, None, _pair(layer.stride), _pair(layer.padding), [1, 1], False, [0, 0], 1,
        [True, False, False],
    )  # fmt: skip
    return result


def _pair(value: int) -> list[int]:
    return [value, value]


def _small(layer: Layer, x: Tensor) -> bool:
    """Return whether so many taps fall into the padding that products of the others are faster.

    There must be channels enough to multiply.
    """
    same = layer.kernel > 1 and layer.stride == 1 and 2 * layer.padding == layer.kernel - 1
    few = max(x.shape[2:]) <= layer.kernel + 1 and x.shape[1] >= 256
    return same and few and x.dtype != torch.bfloat16 and x.device.type == "cpu"


def _taps(layer: Layer, height: int, width: int) -> Iterator[tuple[int, int, slice, slice, slice, slice]]:
    """Yield each tap of the kernel with the places it acts on, and the places it reads from."""
    for kernel_y in range(layer.kernel):
        for kernel_x in range(layer.kernel):
            y, from_y = _reach(kernel_y - layer.padding, height)
            x, from_x = _reach(kernel_x - layer.padding, width)
            if y.start < y.stop and x.start < x.stop:
                yield kernel_y, kernel_x, y, x, from_y, from_x


def _reach(shift: int, side: int) -> tuple[slice, slice]:
    here = slice(max(0, -shift), min(side, side - shift))
    return here, slice(here.start + shift, here.stop + shift)

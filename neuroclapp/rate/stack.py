"""A gradient-isolated module of plain layers: its response, and what its dendrites make of it.

A single layer (CLAPP) is the local rule: ``dW_ji = sum delta_j rho'(a_j) x_i``. In a module of several layers
``delta`` is carried down through the layers of the module, and no further. Work goes in chunks of images, so
that a pooled layer never holds its whole unpooled map. A dense layer is a 1 x 1 convolution of a map with one
place, whose channels are all of its input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..network import Layer, Module
from .convolution import CHANNELS_LAST, channels_last, convolve, input_change, kernel_change

#: Largest activity of a layer before pooling that is held at once [numbers], unless its kernel is larger.
#: More would not stay in the processor's cache.
CHUNK = 2**19


@dataclass(frozen=True)
class Held:
    """What a layer keeps of its response: input ``x``, activity ``z`` after pooling, and which place won."""

    x: Tensor
    z: Tensor
    winner: Tensor | None
    unpooled: tuple[int, ...]


@dataclass(frozen=True)
class Response:
    """A module's response: ``features`` (images, n) for the loss, and what its layers keep."""

    features: Tensor
    held: tuple[Held, ...]

    @property
    def output(self) -> Tensor:
        """The activity of the top layer, (images, units, height, width), for the module above."""
        return self.held[-1].z


Arrays = Mapping[str, Tensor]


def respond(module: Module, arrays: Arrays, x: Tensor, blocks: int = 1, keep: bool = True) -> Response:
    """Return the response to maps ``x`` (images, channels, height, width), or vectors (images, inputs).

    ``arrays`` holds ``LAYER.w_ff`` and ``LAYER.bias``; with ``keep=False`` only what the module above needs
    is kept.
    """
    held: list[Held] = []
    x = channels_last(x) if x.dim() == 4 else x
    for layer in module.layers:
        w, bias = arrays[f"{layer.name}.w_ff"], arrays.get(f"{layer.name}.bias")
        one = _respond(_plain(layer), _input(layer, x), _kernel(w), bias, keep)
        held = [*held, one] if keep else [one]
        x = one.z
    return Response(averages(x, blocks), tuple(held))


def learn(
    module: Module, arrays: Arrays, response: Response, delta: Tensor, blocks: int = 1
) -> dict[str, Tensor]:
    """Return the change of each array per unit of learning rate, from ``delta`` (images, features)."""
    changes: dict[str, Tensor] = {}
    reach = spread(delta, response.output, blocks)
    for index in reversed(range(len(module.layers))):
        layer, held = _plain(module.layers[index]), response.held[index]
        array = arrays[f"{layer.name}.w_ff"]
        w = _kernel(array)
        change: tuple[Tensor, Tensor] | None = None
        below: list[Tensor] = []
        for part in parts(len(held.x), held.unpooled, w.numel()):
            reached = _before(layer, held, part, reach[part])
            kernel, bias = kernel_change(layer, reached, held.x[part], w)
            change = (kernel, bias) if change is None else (change[0].add_(kernel), change[1].add_(bias))
            if index:
                below.append(input_change(layer, reached, held.x[part], w))
        if change is None:
            raise ValueError("a batch needs at least one image")
        changes[f"{layer.name}.w_ff"] = change[0].view_as(array)
        if f"{layer.name}.bias" in arrays:
            changes[f"{layer.name}.bias"] = change[1]
        if index:
            reach = joined(below).reshape(response.held[index - 1].z.shape)
    return changes


def _plain(layer: Layer) -> Layer:
    return replace(layer, kind="conv", kernel=1, stride=1, padding=0) if layer.kind == "dense" else layer


def _input(layer: Layer, x: Tensor) -> Tensor:
    return x.flatten(1)[:, :, None, None] if layer.kind == "dense" else x


def _kernel(w: Tensor) -> Tensor:
    return w if w.dim() == 4 else w[:, :, None, None]


def _respond(layer: Layer, x: Tensor, w: Tensor, bias: Tensor | None, keep: bool) -> Held:
    if layer.pool == 1:
        z = _rho(layer, convolve(layer, x, w, bias))
        return Held(x, z, None, tuple(z.shape))
    shape = (len(x), *layer.output(tuple(x.shape[1:])))
    unpooled = (*shape[:2], *_sides(layer, x))
    z = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=CHANNELS_LAST)
    small = unpooled[2] * unpooled[3] <= 256
    winner = torch.empty_like(z, dtype=torch.uint8 if small else torch.int32) if keep else None
    for part in parts(len(x), unpooled, w.numel()):
        a = convolve(layer, x[part], w, bias)
        if winner is None:
            z[part] = torch.max_pool2d(a, layer.pool)
        else:
            z[part], winner[part] = torch.nn.functional.max_pool2d(a, layer.pool, return_indices=True)
    return Held(x, _rho(layer, z), winner, unpooled)


def _rho(layer: Layer, a: Tensor) -> Tensor:
    return a.relu_() if layer.rectified else a


def _sides(layer: Layer, x: Tensor) -> tuple[int, ...]:
    return tuple((side + 2 * layer.padding - layer.kernel) // layer.stride + 1 for side in x.shape[2:])


def _before(layer: Layer, held: Held, part: slice, delta: Tensor) -> Tensor:
    """Return ``rho'(a) delta`` at every place before pooling; where pooled, at the place that won."""
    gated = torch.ops.aten.threshold_backward(delta, held.z[part], 0) if layer.rectified else delta
    if held.winner is None:
        return gated
    shape = (len(gated), *held.unpooled[1:])
    like = torch.empty(shape, dtype=gated.dtype, device=gated.device, memory_format=CHANNELS_LAST)
    pool = [layer.pool, layer.pool]
    return torch.ops.aten.max_pool2d_with_indices_backward(
        gated, like, pool, pool, [0, 0], [1, 1], False, held.winner[part].long()
    )


def averages(z: Tensor, blocks: int) -> Tensor:
    """Return averages over ``blocks`` x ``blocks`` parts of each map, (images, units * blocks * blocks)."""
    if blocks == 1:
        return z.mean((2, 3))
    return torch.nn.functional.avg_pool2d(z, _block(z, blocks)).flatten(1)


def spread(delta: Tensor, z: Tensor, blocks: int) -> Tensor:
    """Return ``delta`` (images, features) at every place whose average it is of, shaped like ``z``."""
    images, units, height, width = z.shape
    if blocks == 1:
        return (delta / (height * width)).view(images, units, 1, 1).expand(z.shape)
    tall, wide = _block(z, blocks)
    each = (delta / (tall * wide)).view(images, units, blocks, 1, blocks, 1)
    each = each.expand(images, units, blocks, tall, blocks, wide).reshape(z.shape)
    return each.contiguous(memory_format=CHANNELS_LAST)


def _block(z: Tensor, blocks: int) -> tuple[int, int]:
    height, width = z.shape[2:]
    if height % blocks or width % blocks:
        raise ValueError(f"a map of {height} x {width} cannot be cut into {blocks} x {blocks} equal blocks")
    return height // blocks, width // blocks


def parts(count: int, shape: tuple[int, ...], kernel: int) -> Iterator[slice]:
    """Yield nearly equal chunks of ``count`` images, by the ``shape`` of their largest map (images first).

    A chunk may be larger than ``kernel``, the count of a layer's weights, which each chunk reads and changes.
    """
    step = max(1, max(CHUNK, 2 * kernel) // max(1, shape[1] * shape[2] * shape[3]))
    pieces = -(-count // step)
    step = -(-count // pieces)
    return (slice(first, min(first + step, count)) for first in range(0, count, step))


def joined(pieces: list[Tensor]) -> Tensor:
    """Return the results of all chunks one after another."""
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

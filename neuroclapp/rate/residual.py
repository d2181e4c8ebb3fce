"""A gradient-isolated module with residual blocks: its response, and what its dendrites make of it.

The counterpart of `neuroclapp.rate.stack` for the ResNet of Table 4. Only each layer's input is held. On the
way down a layer's response is made again, a chunk of images at a time, and torch's autograd carries ``delta``
through this one layer, so that no more than one block's inner activity is ever alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import linear

from ..network import Layer, Module
from .convolution import CHANNELS_LAST, channels_last
from .stack import Arrays, Held, Response, averages, joined, parts, spread


def respond(module: Module, arrays: Arrays, x: Tensor, blocks: int = 1, keep: bool = True) -> Response:
    """Return the response to maps ``x`` (images, channels, height, width).

    ``arrays`` holds those of `Layer.arrays` as ``LAYER.NAME``; with ``keep=False`` only what the module above
    needs is kept. No graph is built in either case.
    """
    held: list[Held] = []
    x = channels_last(x)
    with torch.no_grad():
        for layer in module.layers:
            own, largest = _own(layer, arrays, x), _largest(layer, x)
            pieces = parts(len(x), largest, _numbers(own))
            z = joined([_forward(layer, own, x[part]) for part in pieces])
            one = Held(x, z, None, largest)
            held = [*held, one] if keep else [one]
            x = z
    return Response(averages(x, blocks), tuple(held))


def learn(
    module: Module, arrays: Arrays, response: Response, delta: Tensor, blocks: int = 1
) -> dict[str, Tensor]:
    """Return the change of each array per unit of learning rate, from ``delta`` (images, features)."""
    changes: dict[str, Tensor] = {}
    reach = spread(delta, response.output, blocks)
    for index in reversed(range(len(module.layers))):
        layer, held = module.layers[index], response.held[index]
        own, below = _own(layer, arrays, held.x), []
        for part in parts(len(held.x), held.unpooled, _numbers(own)):
            found, lower = _backward(layer, own, held.x[part], reach[part], further=index > 0)
            for target, change in found.items():
                name = f"{layer.name}.{target}"
                changes[name] = changes[name].add_(change) if name in changes else change
            below.append(lower)
        if not below:
            raise ValueError("a batch needs at least one image")
        if index:
            reach = joined(below)
    return changes


def _backward(
    layer: Layer, own: Mapping[str, Tensor], x: Tensor, delta: Tensor, further: bool
) -> tuple[dict[str, Tensor], Tensor]:
    """Return ``delta`` carried to each of the layer's arrays, and to its input where it goes ``further``."""
    x = x.detach().requires_grad_(further)
    leaves = {target: array.detach().requires_grad_() for target, array in own.items()}
    with torch.enable_grad():
        z = _forward(layer, leaves, x)
    wanted = [*leaves.values(), x] if further else [*leaves.values()]
    found = torch.autograd.grad(z, wanted, delta.contiguous(memory_format=CHANNELS_LAST))
    return dict(zip(leaves, found, strict=False)), found[-1]


def _forward(layer: Layer, own: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return a layer's activity; what happens in place, happens to nothing that autograd holds."""
    if layer.kind == "dense":
        return linear(x.flatten(1), own["w_ff"], own.get("bias")).relu_()[:, :, None, None]
    if layer.kind == "conv":
        a = torch.conv2d(x, own["w_ff"], own.get("bias"), layer.stride, layer.padding)
        z = a.relu_() if layer.rectified else a
        return z if layer.pool == 1 else torch.max_pool2d(z, layer.pool)
    rho = torch.relu(x)
    inner = torch.conv2d(rho, own["w1"], own.get("b1")).relu_()
    inner = torch.conv2d(inner, own["w2"], own.get("b2"), layer.stride, layer.padding).relu_()
    skip = torch.conv2d(rho, own["w_skip"], own.get("b_skip"), layer.stride) if "w_skip" in own else x
    return torch.conv2d(inner, own["w3"], own.get("b3")).add_(skip)


def _own(layer: Layer, arrays: Arrays, x: Tensor) -> dict[str, Tensor]:
    """Return a layer's arrays by their names in the layer, for maps ``x`` below it."""
    return {target: arrays[f"{layer.name}.{target}"] for target in layer.arrays(tuple(x.shape[1:]))}


def _numbers(own: Mapping[str, Tensor]) -> int:
    return sum(array.numel() for array in own.values())


def _largest(layer: Layer, x: Tensor) -> tuple[int, ...]:
    """Return the shape of the larger one of a layer's input and its output before pooling, as of a map."""
    shape = tuple(x.shape[1:])
    size = max(prod(shape), prod(replace(layer, pool=1).output(shape)))
    return (len(x), size, 1, 1)

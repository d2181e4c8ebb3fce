"""Named weight arrays that cross between worlds, shape-checked, in safetensors files.

Names are ``LAYER.TARGET``: ``layer1.w_ff`` (post, pre), ``layer1.bias`` (post,), ``layer1.w_pred`` and
``layer1.w_retro`` (post, post); with direct feedback ``w_pred`` is (post, units of the top layer).
All values are in rate units; each world scales them itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat
from pydantic.dataclasses import dataclass as description

from .catalog import DESCRIPTION
from .errors import InputError
from .files import written_aside
from .network import Network
from .plasticity import Context

Array = NDArray[np.float64]


class Weights(Mapping[str, Array]):
    """An immutable mapping of names to float64 arrays."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = {name: np.array(array, dtype=np.float64) for name, array in arrays.items()}
        for array in self._arrays.values():
            array.setflags(write=False)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def replace(self, arrays: Mapping[str, Array]) -> Weights:
        """Return a copy with some arrays replaced."""
        return Weights({**self._arrays, **arrays})

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all."""
        from safetensors.numpy import save_file

        with written_aside(path) as aside:
            save_file({name: np.ascontiguousarray(array) for name, array in self.items()}, aside)


def load_weights(path: Path, network: Network | None = None, context: Context = "own") -> Weights:
    """Read a safetensors file; with ``network``, check every name and shape against it."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise InputError(path, None, None, "no such file")
    try:
        weights = Weights(load_file(path))
    except SafetensorError as error:
        raise InputError(path, None, None, f"not a safetensors file: {error}") from None
    if network is not None:
        check(weights, network, path, context)
    return weights


def check(weights: Weights, network: Network, source: object, context: Context = "own") -> None:
    """Raise InputError unless ``weights`` has exactly the arrays that ``network`` needs."""
    expected = shapes(network, context)
    for name, shape in expected.items():
        if name not in weights:
            raise InputError(source, name, None, f"this array of shape {shape} is missing")
        if weights[name].shape != shape:
            raise InputError(source, name, weights[name].shape, f"its shape must be {shape}")
        if not np.isfinite(weights[name]).all():
            raise InputError(source, name, "not finite", "every weight must be a finite number")
    for name in weights:
        if name not in expected:
            raise InputError(
                source, name, weights[name].shape, f"unknown array; known: {', '.join(expected)}"
            )


def shapes(network: Network, context: Context = "own") -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every array of a layer-wise network, in a fixed order.

    With direct feedback (``context = "top"``) every layer is predicted from the top one, and only that one
    has ``w_retro``; see `neuroclapp.plasticity`.
    """
    result: dict[str, tuple[int, ...]] = {}
    top = network.scaled_layers[-1]
    for layer, shape in zip(network.scaled_layers, network.shapes, strict=False):
        result[f"{layer.name}.w_ff"] = layer.weight_shape(shape)
        if layer.bias:
            result[f"{layer.name}.bias"] = (layer.units,)
        result[f"{layer.name}.w_pred"] = (layer.units, top.units if context == "top" else layer.units)
        if network.prediction.feedback == "split" and (context == "own" or layer is top):
            result[f"{layer.name}.w_retro"] = (layer.units, layer.units)
    return result


@description(frozen=True, config=DESCRIPTION)
class Initial:
    """Standard deviations of the initial weights, all normal with mean 0; a bias starts at 0.

    ``w_ff`` is in units of ``1 / sqrt(fan-in)``; ``w_pred`` and ``w_retro``, drawn independently of each
    other, in units of ``1 / units``: ``w_pred`` of the units that predict.
    """

    w_ff: NonNegativeFloat = 1.0
    w_pred: NonNegativeFloat = 1.0
    w_retro: NonNegativeFloat = 1.0

    def draw(self, network: Network, generator: np.random.Generator, context: Context = "own") -> Weights:
        """Draw the arrays of a network one after the other; what both contexts have is alike in both."""
        arrays: dict[str, Array] = {}
        wanted = shapes(network, context)
        for name, own in shapes(network).items():
            shape = wanted.get(name, own)
            target = name.rsplit(".", 1)[1]
            fan_in = int(np.prod(shape[1:]))
            scale = {
                "w_ff": self.w_ff / np.sqrt(fan_in),
                "bias": 0.0,
                "w_pred": self.w_pred / fan_in,
                "w_retro": self.w_retro / shape[0],
            }[target]
            arrays[name] = scale * generator.standard_normal(shape)
        return Weights({name: arrays[name] for name in wanted})

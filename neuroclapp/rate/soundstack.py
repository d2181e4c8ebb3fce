"""A gradient-isolated module of layers in time: its response, and what its convolutions make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..network import Layer
from . import recurrent
from .convolution1d import Heard, Reach, gated, input_change, kernel_change, respond


@dataclass(frozen=True)
class Response:
    """A module's response: samples ``z``, the recurrent units' ``c`` where it has them, what layers keep."""

    z: Tensor
    c: Tensor | None
    held: tuple[Heard, ...]
    gates: Tensor | None = None

    @property
    def output(self) -> Tensor:
        """The activity of the top layer."""
        return self.z if self.c is None else self.c


def sound(
    layers: tuple[Layer, ...], arrays: Mapping[str, Tensor], x: Tensor, gates: bool = False
) -> Response:
    """Return a module's response; what recurrent units' ``gates`` did is kept if asked for."""
    held: list[Heard] = []
    for layer in layers:
        if layer.kind == "gru":
            own = {name: arrays[f"{layer.name}.{name}"] for name in recurrent.ARRAYS}
            if not gates:
                return Response(x, recurrent.respond(own, x), tuple(held))
            steps, states = recurrent.follow(own, x)
            return Response(x, states, tuple(held), steps.gates)
        heard = respond(layer, x, arrays[f"{layer.name}.w_ff"], arrays.get(f"{layer.name}.bias"))
        held.append(heard)
        x = heard.z
    return Response(x, None, tuple(held))


def learn_convolutions(
    layers: list[Layer], arrays: Mapping[str, Tensor], held: tuple[Heard, ...], reach: Reach
) -> dict[str, Tensor]:
    """Return the changes of a module's convolutions, carrying ``reach`` down through them and no further."""
    changes: dict[str, Tensor] = {}
    for index in reversed(range(len(layers))):
        layer, heard = layers[index], held[index]
        w = arrays[f"{layer.name}.w_ff"]
        reached = gated(heard, reach)
        kernel, bias = kernel_change(layer, heard, reached, w)
        changes[f"{layer.name}.w_ff"] = kernel
        if f"{layer.name}.bias" in arrays:
            changes[f"{layer.name}.bias"] = bias
        if index:
            reach = input_change(layer, heard, reached, w)
    return changes

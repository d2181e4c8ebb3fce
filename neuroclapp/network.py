"""The rate-level description of a network: layers, gradient-isolated modules and their prediction.

A description has no behaviour and no weights. Shapes are settled once, when it is built.
"""

from __future__ import annotations

from dataclasses import field, replace
from math import prod
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from . import catalog
from .catalog import DESCRIPTION

Shape = tuple[int, ...]


@dataclass(frozen=True, config=DESCRIPTION)
class Layer:
    """One trainable layer, ``z = rho(W x + b)`` with ``rho`` the rectifier, then an optional max-pool.

    ``kind = "dense"`` takes the whole input as a vector; ``"conv"`` is a 2-D convolution with square
    ``kernel``, ``stride`` and ``padding`` [pixels]. ``pool`` is the side of the max-pool after it. A
    convolution with ``rectified = False`` has no ``rho``.

    ``"residual"`` is a pre-activation bottleneck without normalisation (Greedy InfoMax's ResNet-50),

        z = W3 rho(W2 rho(W1 rho(x) + b1) + b2) + b3 + skip

    whose sum is not rectified. ``W1`` and ``W3`` have kernels of 1x1, ``W2`` has ``kernel``, ``stride`` and
    ``padding``; a quarter of ``units`` lies between. ``skip`` is ``x`` where shapes allow it, otherwise
    ``W_skip rho(x) + b_skip`` with a kernel of 1x1 and the ``stride``.

    In time, with an input of (channels, steps): ``"conv1d"`` is a convolution with ``kernel``, ``stride`` and
    ``padding`` [steps], and ``"gru"`` a layer of gated recurrent units (Eqs. 15-18) that starts from rest.
    """

    name: str
    units: PositiveInt
    kind: Literal["dense", "conv", "residual", "conv1d", "gru"] = "dense"
    bias: bool = True
    kernel: PositiveInt = 3
    stride: PositiveInt = 1
    padding: NonNegativeInt = 1
    pool: PositiveInt = 1
    rectified: bool = True

    def output(self, shape: Shape) -> Shape:
        """Return the shape of this layer's output, pooling included, for an input of ``shape``."""
        if self.kind != "conv" and self.pool != 1:
            raise ValueError(
                f"layer {self.name!r}: a {self.kind} layer cannot be pooled (pool = {self.pool})"
            )
        if self.kind != "conv" and not self.rectified:
            raise ValueError(
                f"layer {self.name!r}: only a conv layer may be left unrectified, not a {self.kind} one"
            )
        if self.kind == "dense":
            return (self.units,)
        if self.kind in ("conv1d", "gru"):
            return self._in_time(shape)
        if len(shape) != 3:
            raise ValueError(
                f"layer {self.name!r}: a convolution needs (channels, height, width), got {shape}"
            )
        if self.kind == "residual" and 2 * self.padding != self.kernel - 1:
            raise ValueError(
                f"layer {self.name!r}: padding = {self.padding} with kernel = {self.kernel} does not keep "
                "the map's size, as a residual block must (padding = (kernel - 1) / 2)"
            )
        sides = [(side + 2 * self.padding - self.kernel) // self.stride + 1 for side in shape[1:]]
        pooled = tuple(side // self.pool for side in sides)
        if min(pooled) < 1:
            raise ValueError(f"layer {self.name!r}: an input of {shape} leaves an output of {pooled}")
        return (self.units, *pooled)

    def _in_time(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise ValueError(f"layer {self.name!r}: a {self.kind} layer needs (channels, steps), got {shape}")
        if self.kind == "gru":
            if not self.bias:
                raise ValueError(f"layer {self.name!r}: a gru layer has biases (bias = true)")
            return (self.units, shape[1])
        steps = (shape[1] + 2 * self.padding - self.kernel) // self.stride + 1
        if steps < 1:
            raise ValueError(f"layer {self.name!r}: an input of {shape} leaves an output of {steps} steps")
        return (self.units, steps)

    def weight_shape(self, shape: Shape) -> Shape:
        """Return the shape of ``w_ff`` (post first, pre second) for an input of ``shape``."""
        if self.kind in ("residual", "gru"):
            raise ValueError(f"layer {self.name!r}: a {self.kind} layer has several kernels and no w_ff")
        if self.kind == "conv1d":
            return (self.units, shape[0], self.kernel)
        if self.kind == "dense":
            return (self.units, prod(shape))
        return (self.units, shape[0], self.kernel, self.kernel)

    def arrays(self, shape: Shape) -> dict[str, Shape]:
        """Return name and shape of each of this layer's arrays for an input of ``shape``.

        ``w_ff`` and ``bias``; of a residual block ``w1``, ``b1`` ... ``w3``, ``b3``, and ``w_skip`` and
        ``b_skip`` where its input is projected; of gated recurrent units ``w_ih``, ``b_ih`` from the input
        and ``w_hh``, ``b_hh`` from the layer itself, rows of reset, update and new gate below one another.
        """
        if self.kind == "gru":
            three = 3 * self.units
            return {
                "w_ih": (three, shape[0]),
                "w_hh": (three, self.units),
                "b_ih": (three,),
                "b_hh": (three,),
            }
        if self.kind != "residual":
            arrays = {"w_ff": self.weight_shape(shape)}
            return {**arrays, "bias": (self.units,)} if self.bias else arrays
        between = max(1, round(self.units / 4))
        kernels: dict[str, Shape] = {
            "1": (between, shape[0], 1, 1),
            "2": (between, between, self.kernel, self.kernel),
            "3": (self.units, between, 1, 1),
        }
        if self.stride != 1 or shape[0] != self.units:
            kernels["_skip"] = (self.units, shape[0], 1, 1)
        arrays = {}
        for name, kernel in kernels.items():
            arrays[f"w{name}"] = kernel
            if self.bias:
                arrays[f"b{name}"] = kernel[:1]
        return arrays


@dataclass(frozen=True, config=DESCRIPTION)
class Prediction:
    """How a module predicts: the path of ``c`` and ``z`` through ``W_pred``, and the gate.

    ``feedback``: ``"symmetric"`` uses ``W_pred`` and its transpose (Eq. 4); ``"blocked"`` drops the
    retrodictive term (Eq. 9); ``"split"`` gives it independent weights ``W_retro`` (Eqs. 10-14).
    ``gate``: one third factor for both halves of a split (``"shared"``), or the gradient of Eq. 10 with
    a gate of its own for each half (``"separate"``).
    """

    feedback: Literal["symmetric", "blocked", "split"] = "symmetric"
    gate: Literal["shared", "separate"] = "shared"

    def __post_init__(self) -> None:
        if self.gate == "separate" and self.feedback != "split":
            raise ValueError(f"gate = 'separate' needs feedback = 'split', not {self.feedback!r}")


@dataclass(frozen=True, config=DESCRIPTION)
class Module:
    """Layers that share one loss; no gradient crosses a module's boundary."""

    layers: tuple[Layer, ...]
    prediction: Prediction


@dataclass(frozen=True, config=DESCRIPTION)
class Network:
    """A feed-forward encoder cut into gradient-isolated modules (Tables 2 to 4).

    ``modules`` counts the layers of each module; left out, every layer is a module of its own (CLAPP).
    ``width`` multiplies the number of units of every layer.
    """

    title: str
    input: tuple[PositiveInt, ...]
    layers: tuple[Layer, ...]
    modules: tuple[PositiveInt, ...] = ()
    width: PositiveFloat = 1.0
    prediction: Prediction = field(default_factory=Prediction)

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("a network needs at least one layer")
        layer_names = [layer.name for layer in self.layers]
        if len(set(layer_names)) < len(layer_names) or any("." in name for name in layer_names):
            raise ValueError(f"layer names must differ and hold no dot: {', '.join(layer_names)}")
        if self.modules and sum(self.modules) != len(self.layers):
            raise ValueError(
                f"modules = {list(self.modules)} count {sum(self.modules)} layers of {len(self.layers)}"
            )
        _ = self.shapes  # raises where a layer does not fit its input

    @property
    def scaled_layers(self) -> tuple[Layer, ...]:
        """The layers with ``width`` applied."""
        if self.width == 1.0:
            return self.layers
        return tuple(replace(layer, units=max(1, round(layer.units * self.width))) for layer in self.layers)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shapes of the input and of each layer's output, ``len(layers) + 1`` of them."""
        shapes: list[Shape] = [tuple(self.input)]
        for layer in self.scaled_layers:
            shapes.append(layer.output(shapes[-1]))
        return tuple(shapes)

    def split(self) -> tuple[Module, ...]:
        """Return the gradient-isolated modules, lowest first."""
        layers = iter(self.scaled_layers)
        counts = self.modules or (1,) * len(self.layers)
        return tuple(Module(tuple(next(layers) for _ in range(count)), self.prediction) for count in counts)

    @property
    def parameters(self) -> int:
        """Number of encoder parameters, weights and biases."""
        pairs = zip(self.scaled_layers, self.shapes, strict=False)
        return sum(prod(array) for layer, shape in pairs for array in layer.arrays(shape).values())


def load_network(reference: str) -> Network:
    """Read a network from the catalogue by name, or from the TOML file at a path."""
    return catalog.load("models", reference, Network)

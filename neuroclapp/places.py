"""Populations at places of a map, each with receptive field, context, score and gate of its own.

A layer of `neuroclapp.network` with ``kind = "conv"`` and without padding has one population of ``units`` at
each place of its output. It hears ``kernel`` x ``kernel`` pixels of all channels below, predicts itself from
the presentation before, and learns by the rules of `neuroclapp.plasticity` at its place:

    z_p = rho(W_p x_p + b_p),  d_p = W_pred,p c_p,  u_p = z_p . d_p,  gamma_p = sign [sign u_p < 1]
    local:    dW_p = eta gamma_p (d_p rho'(a_p^tau) x_p^tau + r_p rho'(a_p^t) x_p^t)
    shared:   dW   = mean over places of the same

Arrays are (places, post, pre), biases (places, post). Where kernels are shared the first axis has length 1:
one array for all places. In neurons that is an assumption and no mechanism: every change at a place must
reach the equivalent synapses of all others, by a signal that is not local to any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .network import Layer, Network
from .plasticity import Factor, Gate, Plasticity
from .presentations import Presentations
from .weights import Initial

Array = NDArray[np.float64]
Arrays = dict[str, Array]
Sharing = Literal["local", "shared"]


@dataclass(frozen=True)
class Places:
    """A layer at its places: ``hears`` (places, inputs of a place) are units of the map below.

    Units of a map count channel by channel, row by row.
    """

    layer: Layer
    hears: NDArray[np.int64]

    @property
    def count(self) -> int:
        return len(self.hears)


@dataclass(frozen=True)
class Presented:
    """What one presentation does: ``changes`` by array per unit of learning rate; of each layer the score and
    gamma at every place (places,), and its activity ``z`` (places, units).

    Where gates are separate, those of the second halves follow those of the first: (2 * places,).
    """

    changes: Arrays
    score: list[Array]
    gamma: list[Array]
    z: list[Array]


class World(Protocol):
    """A world in which populations at places respond and learn, one presentation after the other."""

    def present(self, weights: Mapping[str, Array], inputs: Array, sign: float) -> Presented: ...

    def activities(self, weights: Mapping[str, Array], inputs: Array) -> list[Array]: ...


def places_of(network: Network) -> list[Places]:
    """Return the places of each layer; raise InputError where a layer is no convolution without padding."""
    found = []
    for layer, shape in zip(network.scaled_layers, network.shapes, strict=False):
        plain = layer.kind == "conv" and layer.padding == 0 and layer.pool == 1 and layer.rectified
        if not plain:
            allowed = "populations at places need kind = 'conv', padding = 0, no pool, and a rectifier"
            raise InputError(network.title, f"layers.{layer.name}", layer.kind, allowed)
        channels, height, width = shape
        _, rows, columns = layer.output(shape)
        row, column, channel, y, x = np.indices((rows, columns, channels, layer.kernel, layer.kernel))
        unit = (channel * height + row * layer.stride + y) * width + column * layer.stride + x
        found.append(Places(layer, unit.reshape(rows * columns, -1)))
    return found


def drawn(network: Network, sharing: Sharing, initial: Initial, generator: np.random.Generator) -> Arrays:
    """Draw the weights of one place of each layer, and copy them to all: both kinds start alike."""
    arrays: Arrays = {}
    for places in places_of(network):
        layer = places.layer
        one = Network(layer.name, (places.hears.shape[1],), (_dense(layer),), prediction=network.prediction)
        for name, array in initial.draw(one, generator).items():
            copies = places.count if sharing == "local" else 1
            arrays[name] = np.repeat(array[None], copies, axis=0)
    return arrays


def as_dense(network: Network) -> Network:
    """Return the populations of one place of each layer, as dense layers on the whole input."""
    layers = tuple(_dense(places.layer) for places in places_of(network))
    return Network(network.title, (int(np.prod(network.input)),), layers, prediction=network.prediction)


def _dense(layer: Layer) -> Layer:
    return Layer(layer.name, layer.units, bias=layer.bias)


def product(w: Array, x: Array) -> Array:
    """Return ``W_p x_p`` (places, n, post) for ``x`` (places, n, pre)."""
    return np.matmul(x, w.swapaxes(1, 2))


def onward(z: Array) -> Array:
    """Return activities (places, n, units) as the map that the layer above hears, (n, units * places)."""
    return z.transpose(1, 2, 0).reshape(z.shape[1], -1)


def changes(
    plasticity: Plasticity,
    name: str,
    weights: Mapping[str, Array],
    factors: Mapping[Factor, Array],
    gates: Mapping[Gate, Array],
) -> Arrays:
    """Return the changes of a layer's arrays per unit of learning rate, from factors (places, units).

    Where an array is shared they are the mean over places. ``gates`` (places,).
    """
    found: Arrays = {}
    for rule in plasticity.rules:
        array = weights.get(f"{name}.{rule.target}")
        if array is None:
            continue
        total = np.zeros_like(array)
        for term in rule.products:
            post = term.coefficient * gates[term.gate][:, None]
            for factor in term.post:
                post = post * factors[factor]
            pres = [factors[factor] for factor in term.pre]
            if len(array) == len(post):
                total += post[:, :, None] * pres[0][:, None] if pres else post
            else:
                total += (post.T @ pres[0] if pres else post.sum(0)) / len(post)
        found[f"{name}.{rule.target}"] = total
    return found


def learn(
    world: World,
    weights: Arrays,
    stream: Presentations,
    eta: Sequence[float],
    eta_pred: Sequence[float],
    beside: World | None = None,
) -> Iterator[tuple[Presented, Presented | None]]:
    """Present a stream, and change ``weights`` themselves after each presentation.

    ``beside`` is shown the same with the same weights, and changes nothing. ``eta`` (of ``w_ff`` and
    ``bias``) and ``eta_pred`` (of ``w_pred`` and ``w_retro``) hold one rate per layer.
    """
    names = list(dict.fromkeys(name.split(".")[0] for name in weights))
    pace: dict[str, Any] = {}
    for name in weights:
        layer, target = name.split(".")
        pace[name] = (eta if target in ("w_ff", "bias") else eta_pred)[names.index(layer)]
    for inputs, sign in zip(stream.inputs, stream.sign.astype(np.float64), strict=True):
        found = world.present(weights, inputs, float(sign))
        other = None if beside is None else beside.present(weights, inputs, float(sign))
        for name, change in found.changes.items():
            weights[name] += pace[name] * change
        yield found, other

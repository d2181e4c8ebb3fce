"""Rate networks of dense layers that learn side by side, each from its own stream, in numpy and float64.

The same order and rules as `neuroclapp.rate.online`, which trains one network at a time; here presentation n
of all of them is one batch, and each has its own weights (networks, post, pre).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..network import Network
from ..plasticity import (
    APICAL,
    C_CONTEXT,
    RETRO,
    SLOPE_CONTEXT,
    SLOPE_SAMPLE,
    X_CONTEXT,
    X_SAMPLE,
    Z_SAMPLE,
    Context,
    Factor,
    Gate,
    Plasticity,
    Rule,
    clapp,
    third_factor,
)
from ..presentations import Presentations
from ..weights import Weights

Array = NDArray[np.float64]


@dataclass
class Layer:
    """A layer in a presentation: ``x``, slope ``rho``, ``z``, and after `hold` c and W_pred c, by network."""

    x: Array
    rho: Array
    z: Array
    c: Array
    held: Array


def train_side_by_side(
    network: Network,
    weights: Sequence[Weights],
    streams: Sequence[Presentations],
    eta: Sequence[float],
    eta_pred: Sequence[float],
    context: Context = "own",
    progress: Callable[[int], object] = lambda done: None,
) -> list[Weights]:
    """Train one network for each of ``weights`` on its stream; return their weights.

    ``eta`` and ``eta_pred`` hold one rate per layer. Raises ValueError unless streams are of one length.
    """
    lengths = sorted({len(stream) for stream in streams})
    if len(lengths) != 1:
        raise ValueError(f"networks side by side need streams of one length, not {lengths}")
    names, rules = [layer.name for layer in network.layers], clapp(network.prediction, context)
    top = len(names) - 1
    w = {name: np.stack([each[name] for each in weights]) for name in weights[0]}
    inputs = np.stack([stream.inputs for stream in streams], axis=1)
    signs = np.stack([stream.sign for stream in streams], axis=1).astype(np.float64)
    before: list[Layer] | None = None
    for n in range(lengths[0]):
        if n % 100 == 0:
            progress(n)
        now = respond(w, names, inputs[n])
        hold(w, names, now, top if context == "top" else None)
        if before is not None:
            changes: list[tuple[str, Array]] = []
            for index, name in enumerate(names):
                plasticity = rules.of_layer(index == top)
                gamma = third_factor(np.sum(now[index].z * before[index].held, axis=1), signs[n])
                if gamma.any() or len(plasticity.gates) > 1:
                    present = factors(plasticity, w, name, now[index], before[index])
                    gates = {
                        gate: third_factor(score, signs[n])
                        for gate, score in scores(plasticity, present).items()
                    }
                    rates = {"w_ff": eta[index], "bias": eta[index]}
                    for rule in plasticity.rules:
                        if (key := f"{name}.{rule.target}") in w:
                            rate = rates.get(rule.target, eta_pred[index])
                            scales = {gate: each * rate for gate, each in gates.items()}
                            changes.append((key, _change(rule, present, scales)))
            for key, change in changes:
                w[key] += change
        before = now
    progress(lengths[0])
    return [Weights({name: array[number] for name, array in w.items()}) for number in range(len(weights))]


def respond(w: Mapping[str, Array], names: Sequence[str], x: Array) -> list[Layer]:
    """Return every layer's response to inputs (networks, inputs)."""
    found = []
    for name in names:
        a = product(w[f"{name}.w_ff"], x) + w.get(f"{name}.bias", 0.0)
        z = np.maximum(a, 0.0)
        found.append(Layer(x, (a > 0).astype(np.float64), z, z, np.zeros_like(z)))
        x = z
    return found


def hold(w: Mapping[str, Array], names: Sequence[str], now: Sequence[Layer], top: int | None) -> None:
    """Let every dendrite take ``W_pred c`` for the next one; c is the layer's z, or that of ``top``."""
    for name, layer in zip(names, now, strict=True):
        layer.c = layer.z if top is None else now[top].z
        layer.held = product(w[f"{name}.w_pred"], layer.c)


def factors(
    plasticity: Plasticity, w: Mapping[str, Array], name: str, now: Layer, context: Layer
) -> dict[Factor, Array]:
    """Return a layer's local factors, each (networks, units)."""
    present = {
        X_SAMPLE: now.x,
        SLOPE_SAMPLE: now.rho,
        Z_SAMPLE: now.z,
        APICAL: context.held,
        X_CONTEXT: context.x,
        SLOPE_CONTEXT: context.rho,
        C_CONTEXT: context.c,
    }
    if plasticity.retrodicts:
        split = plasticity.prediction.feedback == "split"
        matrix = w[f"{name}.w_retro"] if split else w[f"{name}.w_pred"].swapaxes(1, 2)
        present[RETRO] = product(matrix, now.z)
    return present


def scores(plasticity: Plasticity, present: Mapping[Factor, Array]) -> dict[Gate, Array]:
    """Return the score of each gate, (networks,): z . d, and where gates are separate c . r."""
    found = {"gamma": (Z_SAMPLE, APICAL), "gamma_retro": (C_CONTEXT, RETRO)}
    pairs = {gate: [present[factor] for factor in found[gate]] for gate in plasticity.gates}
    return {gate: np.sum(one * other, axis=1) for gate, (one, other) in pairs.items()}


def sides(rule: Rule, present: Mapping[Factor, Array]) -> tuple[list[Array], list[Array]]:
    """Return both sides of each product of a rule, (networks, post) and (networks, pre); 1 for a bias."""
    posts, pres = [], []
    for one in rule.products:
        post = one.coefficient * present[one.post[0]]
        for factor in one.post[1:]:
            post = post * present[factor]
        posts.append(post)
        pres.append(present[one.pre[0]] if one.pre else np.ones((len(post), 1)))
    return posts, pres


def product(w: Array, x: Array) -> Array:
    """Return ``W x`` of each network."""
    return (w @ x[:, :, None])[:, :, 0]


def _change(rule: Rule, present: Mapping[Factor, Array], scales: Mapping[Gate, Array]) -> Array:
    posts, pres = sides(rule, present)
    parts = zip((scales[one.gate] for one in rule.products), posts, pres, strict=True)
    total: Any = sum((scale[:, None] * post)[:, :, None] * pre[:, None] for scale, post, pre in parts)
    return total[:, :, 0] if rule.target == "bias" else total

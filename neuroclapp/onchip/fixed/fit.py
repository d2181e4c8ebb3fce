"""Scales from a float run: how wide weights, traces and updates are says where the bits go.

For each matrix, with w, x, y and x y the quantiles (99.9 %) of what float runs hold at their end:

    exponent   the finest with   2^-exponent 2^bits >= w
    replay     the finest with   x in at most ``levels`` of x1 (``carry``), or in all that a trace has
               (x1 y is a whole number of tag steps, so that finer x1 leave y fewer levels)
    carry      the finest tag that holds x y on top of the half step that may rest in it, and whose y fits a
               trace; of ``batch``, the finest of which a whole range is not less than x y
    product    of ``weight`` and ``batch``: the finest e with which y fits a trace

A bias is the synapse of an axon that is always on, and the neuron shows it the y of ``w_ff``: its carry is
the finest tag that holds its largest change in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...plasticity import Factor, Gate, third_factor
from ...presentations import Presentations
from ...spiking.populations import LayerPopulations, Populations
from ...weights import Weights
from ..interpreter import LAVA_WORDS, Words
from ..products import rules as rate_rules
from .scales import MatrixScale, Scales
from .schemes import Scheme, exponents, per_product

Array = NDArray[np.float64]

QUANTILE = 0.999
#: Presentations whose updates are looked at.
LOOKED_AT = 400


@dataclass(frozen=True)
class Ranges:
    """Quantiles of float runs in rate units: of |w|, |y|, |x y| by matrix, of activity by population."""

    weight: dict[str, float]
    post: dict[str, float]
    change: dict[str, float]
    activity: dict[str, float]


def ranges(populations: Populations, runs: Sequence[tuple[Weights, Presentations]]) -> Ranges:
    """Return the widest quantiles of several float runs, each its last weights and its stream."""
    found = [_ranges(populations, weights, stream) for weights, stream in runs]
    return Ranges(
        *(
            {name: max(getattr(one, part)[name] for one in found) for name in getattr(found[0], part)}
            for part in ("weight", "post", "change", "activity")
        )
    )


def fitted(populations: Populations, wide: Ranges, scheme: Scheme, words: Words = LAVA_WORDS) -> Scales:
    """Return the scales that these ranges ask for."""
    most_traces = 2.0 ** (words.trace - 1) - 1
    units = {one.name: one for one in (populations.input, *(layer.soma for layer in populations.layers))}
    levels = 2**words.trace - 1
    if scheme.accumulate == "carry":
        levels = min(scheme.levels, levels)
    replay = {
        name: max(0, int(np.ceil(np.log2(wide.activity[name] / (unit.quantum * levels)))))
        for name, unit in units.items()
    }
    matrices: dict[str, MatrixScale] = {}
    below = [populations.input.name, *(layer.name for layer in populations.layers)]
    sources = dict(zip(below[1:], below, strict=False))
    for name, widest in wide.weight.items():
        layer, target = name.split(".")
        source = sources[layer] if target == "w_ff" else layer
        exponent = int(np.floor(np.log2(2.0**words.weight / widest)))
        if target == "bias":
            room = _room(scheme, words, wide.change[name] * 2.0**exponent)
            carry = 2 ** int(np.clip(np.floor(np.log2(room)), 1, words.tag - 2))
            carry = 1 if scheme.accumulate == "weight" else carry
            matrices[name] = MatrixScale(exponent, carry, matrices[f"{layer}.w_ff"].product)
            continue
        pre = units[source].quantum * 2.0 ** replay[source]
        carry = 1
        if scheme.accumulate != "weight":
            room = _room(scheme, words, wide.change[name] * 2.0**exponent)
            if scheme.accumulate == "carry":
                traced = wide.post[name] * pre * 2.0**exponent / per_product(scheme, 0, words)
                room = min(room, most_traces / traced)
            carry = 2 ** int(np.clip(np.floor(np.log2(room)), 1, words.tag - 2))
        unit = 2.0**-exponent / carry
        needed = {
            e: wide.post[name] * pre / (unit * per_product(scheme, e, words)) for e in exponents(scheme)
        }
        product = next((e for e, y in needed.items() if y <= most_traces), exponents(scheme)[-1])
        matrices[name] = MatrixScale(exponent, carry, product)
    return Scales(matrices, replay, scheme, words)


def _room(scheme: Scheme, words: Words, change: float) -> float:
    """Return of how many tag steps a weight's step may be, for the largest ``change`` [weight steps]."""
    rests = 0.5 if scheme.accumulate == "carry" else 0.0
    return float(2.0**words.tag / (change + rests))


def _ranges(populations: Populations, weights: Weights, stream: Presentations) -> Ranges:
    wide = Ranges({}, {}, {}, {populations.input.name: _quantile(stream.inputs)})
    x = stream.inputs
    for layer in populations.layers:
        x = _layer(populations, layer, weights, x, stream.sign, wide)
        wide.activity[layer.name] = _quantile(x)
    return wide


def _layer(
    populations: Populations,
    layer: LayerPopulations,
    weights: Weights,
    x: Array,
    sign: NDArray[np.int8],
    wide: Ranges,
) -> Array:
    """Add a layer's ranges to ``wide``; return its activity (presentations, units)."""
    name = layer.name
    a = x @ weights[f"{name}.w_ff"].T + weights.get(f"{name}.bias", np.zeros(1))
    z = np.maximum(a, 0.0)
    w_pred = weights[f"{name}.w_pred"]
    w_retro = weights.get(f"{name}.w_retro", w_pred.T)
    d, r = z[:-1] @ w_pred.T, z[1:] @ w_retro.T
    scores: dict[Gate, Array] = {"gamma": (z[1:] * d).sum(1), "gamma_retro": (z[:-1] * r).sum(1)}
    known = sign[1:].astype(np.float64)
    learned = {g: np.flatnonzero(third_factor(u, known))[-LOOKED_AT:] for g, u in scores.items()}
    values = {
        Factor("x", "sample"): x[1:],
        Factor("x", "context"): x[:-1],
        Factor("z", "sample"): z[1:],
        Factor("z", "context"): z[:-1],
        Factor("rho", "sample"): (a[1:] > 0) * 1.0,
        Factor("rho", "context"): (a[:-1] > 0) * 1.0,
        Factor("d", "sample"): d,
        Factor("r", "sample"): r,
    }
    for rule in rate_rules(populations.plasticity):
        if rule.target == "bias" and not layer.bias:
            continue
        eta = layer.eta if rule.target in ("w_ff", "bias") else layer.eta_pred
        posts, changes = [], []
        for product in rule.products:
            chosen = learned[product.gate]
            post = (
                np.prod([values[factor][chosen] for factor in product.post], axis=0)
                * product.coefficient
                * eta
            )
            posts.append(post)
            changes.append(
                post[:, :, None] * values[product.pre[0]][chosen][:, None] if product.pre else post
            )
        full = f"{name}.{rule.target}"
        wide.weight[full] = _quantile(w_retro if rule.target == "w_retro" else weights[full])
        wide.post[full] = max(map(_quantile, posts))
        wide.change[full] = max(map(_quantile, changes))
    return z


def _quantile(values: Array) -> float:
    """Return the quantile of the magnitudes that are not 0."""
    found = np.abs(values[values != 0])
    return float(np.quantile(found, QUANTILE)) if found.size else 1.0

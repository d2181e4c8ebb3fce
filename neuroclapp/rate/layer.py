"""One CLAPP layer in rates: pure step functions on tensors of shape (batch, units)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..plasticity import (
    APICAL,
    C_CONTEXT,
    RETRO,
    SLOPE_CONTEXT,
    SLOPE_SAMPLE,
    X_CONTEXT,
    X_SAMPLE,
    Z_SAMPLE,
    Factor,
    Gate,
    Plasticity,
    Target,
    third_factor,
)
from .rule import slope, update

Arrays = Mapping[Target, Tensor]


class Activity(NamedTuple):
    """A layer's response to one presentation: input, slope rho'(a), activity, each (batch, units)."""

    x: Tensor
    rho: Tensor
    z: Tensor


@dataclass(frozen=True)
class Pair:
    """A context and a sample side by side: the rule's local factors, and the score of each half (batch,)."""

    factors: dict[Factor, Tensor]
    score: Tensor
    score_retro: Tensor | None


@dataclass(frozen=True)
class Change:
    """What one pair of presentations does: the changes per unit of learning rate, score and gates."""

    weights: dict[Target, Tensor]
    score: Tensor
    gates: dict[Gate, Tensor]


def respond(weights: Arrays, x: Tensor) -> Activity:
    """Return the layer's response to input ``x`` (batch, inputs): ``z = max(W x + b, 0)``."""
    a = x @ weights["w_ff"].T
    if "bias" in weights:
        a = a + weights["bias"]
    return Activity(x, slope(a), torch.relu(a))


def predict(weights: Arrays, c: Tensor) -> Tensor:
    """Return the apical dendrite's input ``d = W_pred c`` (batch, units)."""
    return c @ weights["w_pred"].T


def retrodict(plasticity: Plasticity, weights: Arrays, z: Tensor) -> Tensor | None:
    """Return the retro dendrite's input ``r = W_retro z`` (``W_pred^T z`` if symmetric), None if blocked."""
    if not plasticity.retrodicts:
        return None
    backward = weights["w_retro"] if plasticity.prediction.feedback == "split" else weights["w_pred"].T
    return z @ backward.T


def compare(
    plasticity: Plasticity,
    weights: Arrays,
    context: Activity,
    sample: Activity,
    d: Tensor,
    found: Callable[[Tensor], Tensor] = lambda charge: charge,
) -> Pair:
    """Bring context and sample together; ``d`` (batch, units) is the apical dendrite since the context.

    ``found(charge)`` is what the rule finds in the dendrites of all units, where a control changes it.
    """
    d = found(d)
    factors = {
        X_SAMPLE: sample.x,
        SLOPE_SAMPLE: sample.rho,
        Z_SAMPLE: sample.z,
        APICAL: d,
        X_CONTEXT: context.x,
        SLOPE_CONTEXT: context.rho,
        C_CONTEXT: context.z,
    }
    r = retrodict(plasticity, weights, sample.z)
    if r is not None:
        factors[RETRO] = r = found(r)
    return Pair(factors, (sample.z * d).sum(1), None if r is None else (context.z * r).sum(1))


def gates_of(
    pair: Pair, sign: Tensor, gate: Callable[[Tensor, Tensor], Tensor] = third_factor
) -> dict[Gate, Tensor]:
    """Return the third factor of each half, (batch,), from ``sign`` (+1 fixation, -1 saccade, 0 no pair)."""
    gates: dict[Gate, Tensor] = {"gamma": gate(pair.score, sign)}
    if pair.score_retro is not None:
        gates["gamma_retro"] = gate(pair.score_retro, sign)
    return gates


def changes(
    plasticity: Plasticity, weights: Arrays, pair: Pair, gates: Mapping[Gate, Tensor]
) -> dict[Target, Tensor]:
    """Return the weight changes per unit of learning rate, averaged over the batch (Eqs. 3, 4, 13, 14)."""
    return {
        rule.target: update(rule, pair.factors, gates) for rule in plasticity.rules if rule.target in weights
    }


def learn(
    plasticity: Plasticity, weights: Arrays, context: Activity, sample: Activity, d: Tensor, sign: Tensor
) -> Change:
    """Compare context and sample, and return how the layer's weights change."""
    pair = compare(plasticity, weights, context, sample, d)
    gates = gates_of(pair, sign)
    return Change(changes(plasticity, weights, pair, gates), pair.score, gates)

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


def learn(
    plasticity: Plasticity,
    weights: Arrays,
    context: Activity,
    sample: Activity,
    d: Tensor,
    sign: Tensor,
    gate: Callable[[Tensor, Tensor], Tensor] = third_factor,
) -> Change:
    """Compare context and sample, and return how the layer's weights change (Eqs. 3, 4, 13, 14).

    ``d`` (batch, units) is the apical dendrite, held since the context; ``sign`` (batch,) is +1 for a
    fixation, -1 for a saccade, 0 for no pair; ``gate`` makes gamma of score and sign.
    """
    r = retrodict(plasticity, weights, sample.z)
    score = (sample.z * d).sum(1)
    gates: dict[Gate, Tensor] = {"gamma": gate(score, sign)}
    factors = {
        X_SAMPLE: sample.x,
        SLOPE_SAMPLE: sample.rho,
        Z_SAMPLE: sample.z,
        APICAL: d,
        X_CONTEXT: context.x,
        SLOPE_CONTEXT: context.rho,
        C_CONTEXT: context.z,
    }
    if r is not None:
        factors[RETRO] = r
        gates["gamma_retro"] = gate((context.z * r).sum(1), sign)
    changes = {
        rule.target: update(rule, factors, gates) for rule in plasticity.rules if rule.target in weights
    }
    return Change(changes, score, gates)

"""CLAPP's plasticity as data: sums of signed products of local factors, each with its time tag.

Written once here and rendered for each world: ``rate.rule`` (torch), ``spiking.equations`` (Brian2) and
``onchip.products`` (Loihi). Times: the context ``t`` is the earlier presentation of a pair, the sample
``tau`` the later one, at whose end all weights change.

    a = W x + b,  z = rho(a),  c^t = z^t
    d = W_pred c^t       held by the apical dendrite from the context through the sample
    r = W_retro z^tau    held by the retro dendrite (W_retro = W_pred^T if feedback is symmetric)
    u = z^tau . d,       gamma = sign * [sign * u < 1]        (the negative slope of Eq. 2)
    dW      = eta   gamma (d rho'(a^tau) x^tau + r rho'(a^t) x^t)          Eq. 4; 13 and 14
    dW_pred = eta_p gamma z^tau c^t,   dW_retro = eta_p gamma c^t z^tau    Eq. 3

A split ``W_pred`` carries the factor 1/2 of Eq. 10 in every product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .network import Prediction

Time = Literal["context", "sample"]
Symbol = Literal["x", "z", "rho", "d", "r"]
Gate = Literal["gamma", "gamma_retro"]
Target = Literal["w_ff", "bias", "w_pred", "w_retro"]


@dataclass(frozen=True)
class Factor:
    """A quantity that is present at the synapse: ``symbol`` as it stood at ``time``.

    ``x`` basal input, ``z`` activity (``z`` at the context is ``c``), ``rho`` the slope rho'(a),
    ``d`` the apical and ``r`` the retro dendrite.
    """

    symbol: Symbol
    time: Time


@dataclass(frozen=True)
class Product:
    """``coefficient * gate * (product of post factors)_j * (product of pre factors)_i``."""

    coefficient: float
    gate: Gate
    post: tuple[Factor, ...]
    pre: tuple[Factor, ...]


@dataclass(frozen=True)
class Rule:
    """The change of one weight matrix per presentation, in units of its learning rate."""

    target: Target
    products: tuple[Product, ...]


@dataclass(frozen=True)
class Plasticity:
    """All rules of a layer, in the order in which they are usually written."""

    prediction: Prediction
    rules: tuple[Rule, ...]

    def rule(self, target: Target) -> Rule:
        """Return the rule of one weight matrix; raise KeyError if it is not plastic in this variant."""
        for rule in self.rules:
            if rule.target == target:
                return rule
        raise KeyError(f"{target} has no rule with feedback = {self.prediction.feedback!r}")

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(rule.target for rule in self.rules)

    @property
    def retrodicts(self) -> bool:
        """Whether the second half of Eq. 4 is there."""
        return self.prediction.feedback != "blocked"


X_SAMPLE, X_CONTEXT = Factor("x", "sample"), Factor("x", "context")
Z_SAMPLE, C_CONTEXT = Factor("z", "sample"), Factor("z", "context")
SLOPE_SAMPLE, SLOPE_CONTEXT = Factor("rho", "sample"), Factor("rho", "context")
APICAL, RETRO = Factor("d", "sample"), Factor("r", "sample")


def clapp(prediction: Prediction) -> Plasticity:
    """Return the rules of one CLAPP layer: Eqs. 3 and 4, Eq. 9 (blocked), or Eqs. 10-14 (split)."""
    split = prediction.feedback == "split"
    half = 0.5 if split else 1.0
    retro_gate: Gate = "gamma_retro" if prediction.gate == "separate" else "gamma"

    forward = [Product(half, "gamma", (APICAL, SLOPE_SAMPLE), (X_SAMPLE,))]
    if prediction.feedback != "blocked":
        forward.append(Product(half, retro_gate, (RETRO, SLOPE_CONTEXT), (X_CONTEXT,)))
    bias = [Product(p.coefficient, p.gate, p.post, ()) for p in forward]

    rules = [
        Rule("w_ff", tuple(forward)),
        Rule("bias", tuple(bias)),
        Rule("w_pred", (Product(half, "gamma", (Z_SAMPLE,), (C_CONTEXT,)),)),
    ]
    if split:
        rules.append(Rule("w_retro", (Product(half, retro_gate, (C_CONTEXT,), (Z_SAMPLE,)),)))
    return Plasticity(prediction, tuple(rules))


def third_factor(score: Any, sign: Any) -> Any:
    """Return gamma = sign where sign * score < 1, else 0: the negative slope of the hinge loss, Eq. 2.

    ``score`` u and ``sign`` (+1 fixation, -1 saccade, 0 no pair) are numbers, numpy arrays or tensors
    of one shape. The gate is closed at equality.
    """
    return sign * (sign * score < 1)


@dataclass(frozen=True)
class Control:
    """What a control experiment does to the rule; the default does nothing.

    ``permutations`` (presentations, layers, units): both dendrites of unit j are replaced by those of unit
    ``permutations[n, layer, j]`` in presentation n. ``always_open``: gamma is the sign, whatever the score.
    ``bound``: weights are clipped to ``[-bound, bound]``.
    """

    permutations: NDArray[np.int64] | None = None
    always_open: bool = False
    bound: float = np.inf


def permuted_dendrites(
    presentations: int, layers: int, units: int, generator: np.random.Generator
) -> Control:
    """Return the control in which dendrites are permuted afresh at each presentation."""
    identity = np.broadcast_to(np.arange(units), (presentations, layers, units))
    return Control(permutations=generator.permuted(identity, axis=2))

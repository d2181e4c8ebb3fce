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

A split ``W_pred`` carries the factor 1/2 of Eq. 10 in every product. With separate gates its second half, the
products with r and ``dW_retro``, has a gate of its own, of the retrodiction's score u' = c^t . r.

With direct feedback (``context = "top"``) c is the activity of the top layer, in every layer:
``d = W_pred c_top^t``, W_pred (units, units of the top layer). No gradient goes into c_top from below, so
that the layers under the top have no second half and no ``W_retro``; a split keeps its 1/2 there, which
leaves the learning rates' meaning alone. The top layer is its own context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat
from pydantic.dataclasses import dataclass as description

from .catalog import DESCRIPTION
from .errors import InputError
from .network import Prediction

Time = Literal["context", "sample"]
Symbol = Literal["x", "z", "rho", "d", "r"]
Gate = Literal["gamma", "gamma_retro"]
#: All of them: the gate of the score z . W_pred c, and where gates are separate that of c . W_retro z.
GATES: tuple[Gate, ...] = get_args(Gate)
Target = Literal["w_ff", "bias", "w_pred", "w_retro"]
#: Whose activity predicts: a layer's own, or the top layer's (direct feedback).
Context = Literal["own", "top"]


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
    context: Context = "own"

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
    def gates(self) -> tuple[Gate, ...]:
        """The third factors that these rules have: the shared one, or one for each half."""
        found = {product.gate for rule in self.rules for product in rule.products}
        return tuple(gate for gate in GATES if gate in found)

    @property
    def retrodicts(self) -> bool:
        """Whether the second half of Eq. 4 is there."""
        return self.prediction.feedback != "blocked"

    def of_layer(self, is_top: bool) -> Plasticity:
        """Return the rules of one layer: under direct feedback, those below the top have no second half."""
        if is_top or self.context == "own":
            return self
        rules = tuple(
            Rule(rule.target, tuple(product for product in rule.products if RETRO not in product.post))
            for rule in self.rules
            if rule.target != "w_retro"
        )
        return Plasticity(replace(self.prediction, feedback="blocked", gate="shared"), rules, self.context)


X_SAMPLE, X_CONTEXT = Factor("x", "sample"), Factor("x", "context")
Z_SAMPLE, C_CONTEXT = Factor("z", "sample"), Factor("z", "context")
SLOPE_SAMPLE, SLOPE_CONTEXT = Factor("rho", "sample"), Factor("rho", "context")
APICAL, RETRO = Factor("d", "sample"), Factor("r", "sample")


def clapp(prediction: Prediction, context: Context = "own") -> Plasticity:
    """Return the rules of CLAPP's layers: Eqs. 3 and 4, Eq. 9 (blocked), or Eqs. 10-14 (split)."""
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
    return Plasticity(prediction, tuple(rules), context)


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
    ``permutations[n, layer, j]`` in presentation n. ``dendrite``: what rule and modulator find in both
    dendrites of every unit: its own charge (``"intact"``), the ``"mean"`` over the layer's units, a
    ``"constant"`` ``level``, or nothing (``"absent"``: W stands still, a random encoder). ``always_open``:
    gamma is the sign, whatever the score. ``bound``: weights are clipped to ``[-bound, bound]``. ``delay``:
    gamma acts so many presentations late, on the traces that it finds then.
    """

    permutations: NDArray[np.int64] | None = None
    always_open: bool = False
    bound: float = np.inf
    dendrite: Literal["intact", "mean", "constant", "absent"] = "intact"
    level: float = 1.0
    delay: int = 0

    def __getitem__(self, part: slice) -> Control:
        """Return what is done in these presentations."""
        if self.permutations is None:
            return self
        return replace(self, permutations=self.permutations[part])


@description(frozen=True, config=DESCRIPTION)
class Treatment:
    """What an experiment does to the rule, as values; see `Control`.

    ``dendrite = "permuted"``: permuted afresh at each presentation. ``level`` is that of a constant one
    [rate units]. ``gate``: the hinge's (``"hinge"``), or ``"always_open"``. ``bound``: the largest weight;
    left out, none. ``delay`` [presentations]: shorter delays change nothing, since traces are held until the
    release.
    """

    dendrite: Literal["intact", "permuted", "mean", "constant", "absent"] = "intact"
    level: float = 1.0
    gate: Literal["hinge", "always_open"] = "hinge"
    bound: PositiveFloat | None = None
    delay: NonNegativeInt = 0

    def control(self, presentations: int, units: Sequence[int], generator: np.random.Generator) -> Control:
        """Return the control for a stream and layers of so many units; permutations are drawn.

        Raises InputError where dendrites are to be permuted in layers of different sizes.
        """
        permutations = None
        if self.dendrite == "permuted":
            if len(set(units)) > 1:
                raise InputError(
                    "control", "dendrite", "permuted", f"needs layers of one size, not {list(units)}"
                )
            permutations = permuted_dendrites(presentations, len(units), units[0], generator).permutations
        return Control(
            permutations,
            self.gate == "always_open",
            np.inf if self.bound is None else self.bound,
            "intact" if self.dendrite == "permuted" else self.dendrite,
            self.level,
            self.delay,
        )


def permuted_dendrites(
    presentations: int, layers: int, units: int, generator: np.random.Generator
) -> Control:
    """Return the control in which dendrites are permuted afresh at each presentation."""
    identity = np.broadcast_to(np.arange(units), (presentations, layers, units))
    return Control(permutations=generator.permuted(identity, axis=2))

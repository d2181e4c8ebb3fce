"""The Loihi rendering of a plasticity rule: one product of the rule becomes one product of a series.

    coefficient * gate * post_j * pre_i    ->    2^k * x0 * x1 * y1

The chip's postsynaptic neuron folds all that is postsynaptic into a trace, ``y1 = scale * gate * post``, and
shows it during one learn window only. In that window the presynaptic units replay their counts of the
presentation that the product's time tag names; the trace x1 takes them, and x0 holds where a count is not 0.

    window "sample":   x1 = x^tau (or z^tau),  e.g. y1 = scale gamma d rho'(a^tau)       Eq. 13
    window "context":  x1 = x^t (or c^t),      e.g. y2 = scale gamma r rho'(a^t)         Eq. 14

The learning rate is ``2^k * scale``: k is the chip's exponent, -7 .. 8, and the rest, in (1/2, 1] while k
is inside that range, is folded by the neuron.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..plasticity import Factor, Gate, Plasticity, Product, Rule, Target
from . import series
from .clock import WINDOWS, Window
from .series import EXPONENT, POST_TRACES, Operand, Term

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fold:
    """What the neuron shows in ``trace`` during ``window``: ``scale * gate * (product of post)``."""

    trace: str
    window: Window
    scale: float
    gate: Gate
    post: tuple[Factor, ...]

    def value(self, factors: Mapping[Factor, ArrayLike], gates: Mapping[Gate, float]) -> Array:
        """Return the trace (post,) from the neuron's own quantities, each (post,) in rate units."""
        result = np.asarray(self.scale * gates[self.gate], dtype=np.float64)
        for factor in self.post:
            result = result * np.asarray(factors[factor], dtype=np.float64)
        return result


@dataclass(frozen=True)
class Series:
    """A rule on the chip: one term and one fold for each of its products, in order."""

    target: Target
    terms: tuple[Term, ...]
    folds: tuple[Fold, ...]

    @property
    def text(self) -> str:
        return series.text(self.terms)


def render(rule: Rule, rate: float) -> Series:
    """Return the series of ``rule``, its learning rate in units of the chip's weight per spike.

    ``rate`` is eta times the chip's weight per rate unit, times the activity that one presynaptic spike
    stands for (a bias has no presynaptic unit). Raises InputError for a product that does not fit.
    """
    terms, folds = [], []
    if len(rule.products) > len(POST_TRACES):
        count = len(rule.products)
        allowed = f"a neuron has {len(POST_TRACES)} traces, one for each product"
        raise InputError(rule.target, "products", count, allowed)
    for trace, product in zip(POST_TRACES, rule.products, strict=False):
        window = _window(rule, product)
        exponent, scale = split(abs(product.coefficient) * rate)
        sign = -1 if product.coefficient < 0 else 1
        pre = (Operand("x1"),) if product.pre else ()
        terms.append(Term(sign, exponent, "x0" if product.pre else "u0", (*pre, Operand(trace))))
        folds.append(Fold(trace, window, scale, product.gate, product.post))
    return Series(rule.target, tuple(terms), tuple(folds))


def split(rate: float) -> tuple[int, float]:
    """Write a learning rate >= 0 as ``2^k * scale``; ``scale`` is in (1/2, 1] unless k is at its limit."""
    if not (np.isfinite(rate) and rate >= 0):
        raise ValueError(f"a learning rate must be finite and not negative, not {rate}")
    mantissa, exponent = np.frexp(rate)
    exponent = int(exponent) - int(mantissa == 0.5)
    exponent = min(max(exponent, EXPONENT[0]), EXPONENT[1])
    return exponent, float(np.ldexp(rate, -exponent))


def rules(plasticity: Plasticity) -> tuple[Rule, ...]:
    """Return the rules of all matrices that a chip holds, in the order of ``plasticity``.

    A chip cannot read a synapse backwards: symmetric feedback needs a second matrix, the transpose of W_pred,
    and the mirrored rule keeps the two transposes of each other.
    """
    if plasticity.prediction.feedback != "symmetric":
        return plasticity.rules
    forward = plasticity.rule("w_pred")
    mirrored = tuple(Product(p.coefficient, p.gate, p.pre, p.post) for p in forward.products)
    return (*plasticity.rules, Rule("w_retro", mirrored))


def _window(rule: Rule, product: Product) -> Window:
    """Return the learn window of a product: the time at which its presynaptic factor stood."""
    if not product.pre:
        return WINDOWS[0]
    if len(product.pre) > 1 or product.pre[0].symbol not in ("x", "z"):
        names = " * ".join(f"{factor.symbol}({factor.time})" for factor in product.pre)
        raise InputError(rule.target, "pre", names, "a presynaptic unit can replay one count, of x or z")
    return product.pre[0].time

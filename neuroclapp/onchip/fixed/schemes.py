"""How an update reaches an 8-bit weight: the rules of each scheme.

The rate rule changes a weight by less than one of its steps at a time. What is done about it:

``weight``  the product goes into the weight itself, rounded at random in every window: the plain rendering.

    dw = m 2^e x0 x1 (y1-64)

``batch``   the product goes into the tag, whose steps are finer; after ``every`` presentations the tag is
added to the weight, rounded at random, and cleared: neurons then show y3. What that rounding drops is lost.

    dt = m 2^e x0 x1 (y1-64) - 2^-1 u0 y3 t        dw = 2^-c-1 u0 y3 t

``carry``   the product is an even number of tag steps, so that nothing is rounded; where the tag has passed
half a weight step, one weight step is carried over and exactly that is taken from the tag. Nothing is lost.

    dt = -2^(c-2) x0 y3 (sgn(t-h) + sgn(t+h)) + 4 2^1 x0 x1 (y1-64)
    dw = 2^-2 x0 y3 (sgn(t-h) + sgn(t+h))    h = 2^(c-1): 2^c tag steps are one weight step

y1 - 64 is even there, since a chip shifts the product right by three: 2 (4 x1 2y >> 3) = 2 x1 y. Tags start
odd and stay odd, so that t never equals h, where half a step would be carried and rounded. y3 is 64 in the
windows of an open gate. With more pairs of signs, at h, 3h, 5h ..., as many steps can be carried at once.

With ``synapses`` = k a weight is the sum of k synapses between the same two neurons, each with a k-th of the
range in steps k times as fine. All see the same spikes and traces and have one rule, so that they differ in
their rounding alone: in ``weight`` and ``batch`` where each has a random number of its own; with ``carry``
they start a k-th of a step apart, and carry in turn.

With ``low`` (of ``carry``) a second synapse, whose steps are the tag's, shows as its weight what the tag
holds, so that neurons hear all of it. It has the tag's rule, t replaced by w, and needs no tag; as initial
weights are even, so are tags, and signs change at odd numbers, h + 1.

A rule's text means what it means in Lava's fixed point: the exponents above include its shifts, see
`neuroclapp.onchip.interpreter.rate`. With other word widths 64 is half a trace's range, and so on.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from ...catalog import DESCRIPTION
from ...errors import InputError
from ..interpreter import LAVA_WORDS, Words, rate
from ..series import EXPONENT, Operand, Term

Accumulate = Literal["weight", "batch", "carry"]


@dataclass(frozen=True, config=DESCRIPTION)
class Scheme:
    """One way to learn in integers.

    ``mantissa`` of the product, 1 or 4, in ``weight`` and ``batch``: with 4 a chip's shift drops two bits
    fewer. ``every``: presentations of ``batch``. ``pairs``: pairs of signs of ``carry``. ``keeps``: neurons
    keep the rest of rounding a trace for the next one. ``remainder``: tags start with what rounding the
    initial weights dropped. ``synapses`` share a weight; ``low``: a second synapse shows the tag.
    ``levels`` of x1 that `neuroclapp.onchip.fixed.fit` gives the widest count with ``carry``, at most.
    """

    accumulate: Accumulate = "carry"
    mantissa: Literal[1, 4] = 4
    every: PositiveInt = 64
    pairs: PositiveInt = 4
    keeps: bool = True
    remainder: bool = True
    synapses: Literal[1, 2, 4, 8] = 1
    low: bool = False
    levels: PositiveInt = 16

    def __post_init__(self) -> None:
        if self.low and (self.accumulate != "carry" or self.synapses > 1):
            raise ValueError(
                "low = true needs accumulate = 'carry' and synapses = 1: it shows the tag of one"
            )


def neutral(words: Words = LAVA_WORDS) -> int:
    """Return what y1 shows where nothing is to be learned: half a trace's range, so that it carries a sign.

    y3 shows as much in a window whose gate is open, and 0 elsewhere.
    """
    return 2 ** (words.trace - 1)


def stride(scheme: Scheme, words: Words = LAVA_WORDS) -> int:
    """Return the multiples of which traces are, so that ``carry`` loses nothing in a product's shift."""
    if scheme.accumulate != "carry":
        return 1
    return max(1, 2 ** _shift(words) // 4)


def product(scheme: Scheme, exponent: int, words: Words = LAVA_WORDS) -> Term:
    """Return the term ``m 2^e x0 x1 (y1-64)``; with ``carry`` it is two tag steps for each stride."""
    operands = (Operand("x1"), Operand("y1", -neutral(words)))
    if scheme.accumulate != "carry":
        return Term(scheme.mantissa, exponent, "x0", operands)
    mantissa = 2 ** _shift(words) // stride(scheme, words)
    one = Term(mantissa, 0, "x0", operands)
    return Term(mantissa, _exponent(one, words, "t", 2 / stride(scheme, words)), "x0", operands)


def exponents(scheme: Scheme) -> range:
    """Return the exponents that `product` may take, finest first; ``carry`` has no choice."""
    return range(1) if scheme.accumulate == "carry" else range(EXPONENT[0], EXPONENT[1] + 1)


def per_product(scheme: Scheme, exponent: int, words: Words = LAVA_WORDS) -> float:
    """Return how many steps of the weight (or tag) one unit of ``x1 (y1-64)`` is worth."""
    target = "w" if scheme.accumulate == "weight" else "t"
    return rate(product(scheme, exponent, words), words, target)


def rules(
    scheme: Scheme, exponent: int, carry: int, words: Words = LAVA_WORDS
) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """Return ``dw`` and ``dt``; ``carry`` tag steps, a power of 2, are one weight step.

    Raises InputError where an exponent is out of a chip's range.
    """
    learned = product(scheme, exponent, words)
    if scheme.accumulate == "weight":
        return (learned,), ()
    half = 1 / (2 * neutral(words))
    if scheme.accumulate == "batch":
        tag = (Operand("y3"), Operand("t"))
        moved = Term(1, 0, "u0", tag)
        to_weight = Term(1, _exponent(moved, words, "w", 2 * half / carry), "u0", tag)
        return (to_weight,), (learned, Term(-1, _exponent(moved, words, "t", 2 * half), "u0", tag))
    signs = [
        Operand("t", side * ((2 * pair + 1) * carry // 2 + scheme.low), sign=True)
        for pair in range(scheme.pairs)
        for side in (-1, 1)
    ]
    one = Term(1, 0, "x0", (Operand("y3"), signs[0]))
    up, down = _exponent(one, words, "w", half), _exponent(one, words, "t", carry * half)
    dw = tuple(Term(1, up, "x0", (Operand("y3"), sign)) for sign in signs)
    dt = tuple(Term(-1, down, "x0", (Operand("y3"), sign)) for sign in signs)
    return dw, (*dt, learned)  # the carry first: the accumulator's range is cut after each term


def low_rule(dt: tuple[Term, ...]) -> tuple[Term, ...]:
    """Return the rule of a low synapse's weight: that of the tag, which it equals."""
    return tuple(
        replace(term, operands=tuple(replace(o, name="w") if o.name == "t" else o for o in term.operands))
        for term in dt
    )


def _shift(words: Words) -> int:
    """Return how far a chip shifts the product of two traces to the right."""
    return words.shift(Term(1, 0, "x0", (Operand("x1"), Operand("y1"))))


def _exponent(term: Term, words: Words, target: str, wanted: float) -> int:
    """Return the exponent with which ``term``, given with 0, changes its target by ``wanted`` a unit."""
    exponent = round(math.log2(wanted / rate(term, words, target)))
    if not EXPONENT[0] <= exponent <= EXPONENT[1]:
        allowed = f"a rule's exponents are {EXPONENT[0]} .. {EXPONENT[1]}"
        raise InputError("fixed point", f"exponent of {term}", exponent, allowed)
    return exponent

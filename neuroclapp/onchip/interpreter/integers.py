"""A series in integers: what the products of a rule add to the accumulator of each synapse.

    product  = mantissa * dependency * clip(factor + constant) * ...        each factor clipped to its width
    addend   = clip((product >> shift) << (exponent + 7))
    result   = clip(result + addend)                                        one product after the other

The last two are clipped to -2^15 - 1 .. 2^15 - 1 where an accumulator has Lava's 15 bits; the lower end is
Lava's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..series import EXPONENT, MANTISSA, Term, text
from .words import EXPONENT_OFFSET, LAVA_WORDS, Mode, Words

Integers = NDArray[np.signedinteger[Any]]
#: What a rule's products see, by dependency ("x0", "y0", "u") and then by name, shaped to be multiplied.
Placed = Mapping[str, Mapping[str, Integers]]


_LARGE = 2048


@dataclass(frozen=True)
class Factor:
    """``clip(name + constant, low, high)``; with ``sign`` the sign of that sum, -1, 0 or 1."""

    name: str
    constant: int
    low: int
    high: int
    sign: bool = False


@dataclass(frozen=True)
class Step:
    """A term made ready: ``clip((mantissa * dependency * factors + half >> shift) << left)``.

    ``clipped`` says whether the clip can matter; ``dtype`` is that of the product, at most ``longest``.
    """

    dependency: str
    mantissa: int
    factors: tuple[Factor, ...]
    half: int
    shift: int
    left: int
    clipped: bool
    longest: int
    dtype: type[np.signedinteger[Any]]


@lru_cache(maxsize=1024)
def steps(terms: tuple[Term, ...], words: Words, mode: Mode) -> tuple[Step, ...]:
    """Return the steps of a series; raise InputError for a product of more than 62 bits that may not wrap."""
    return tuple(_step(term, words, mode) for term in terms)


def accumulate(summed: Integers, ready: tuple[Step, ...], placed: Placed, words: Words) -> None:
    """Add all steps to ``summed`` (..., post, pre), in place; it starts as ``variable << fraction``.

    ``placed[dependency]`` holds the dependency, 0 or 1, under its own name (absent: 1), and the factors as
    that dependency sees them; all broadcast with ``summed``.
    """
    most = 2**words.accumulator - 1
    least = -most - 2
    for step in ready:
        added = addend(step, placed[step.dependency])
        if added is not None:
            if step.clipped:
                confine(added, least, most)
            np.add(summed, added, out=summed, casting="same_kind")
        confine(summed, least, most)


def change(step: Step, placed: Placed, fraction: int, upwards: Any, words: Words) -> Integers | None:
    """Return by how much a step alone changes a variable; None where the dependency holds nowhere.

    As `accumulate` and the rounding by ``upwards`` do it, with fewer operations: an accumulator's fraction is
    empty before the step, and floors after floors are one floor,

        (((p + half >> s) << l) + c >> f) = (p + half + ((c >> l) << s)) >> (s + f - l)        for l <= f

    and clipping commutes with what grows.
    """
    product = _product(step, placed[step.dependency])
    if product is None:
        return None
    if isinstance(upwards, int):
        product += step.half + (upwards >> step.left << step.shift)
    else:
        shifted = upwards.astype(step.dtype, copy=False) >> step.left
        shifted <<= step.shift
        shifted += step.half
        whole = np.broadcast(product, shifted).shape == product.shape
        product = np.add(product, shifted, out=product if whole else None)
    product >>= step.shift + fraction - step.left
    most = 2**words.accumulator - 1
    if step.clipped and product.size and _reaches(product, most >> fraction):
        np.maximum(product, -most - 2 + upwards >> fraction, out=product)
        np.minimum(product, most + upwards >> fraction, out=product)
    return product


def _reaches(array: Integers, size: int) -> bool:
    return bool(array.max() >= size or array.min() <= -size)


def confine(array: Integers, low: int, high: int) -> None:
    """Clip an array in place; a large one is looked through first, which is far cheaper than clipping it."""
    if array.size > _LARGE:
        if array.min() < low or array.max() > high:
            kind = array.dtype.type  # plain integers would be held against the type's range in each call
            np.clip(array, kind(low), kind(high), out=array)
    else:
        np.maximum(array, low, out=array)
        np.minimum(array, high, out=array)


def addend(step: Step, values: Mapping[str, Integers]) -> Integers | None:
    """Return a step's addend before it is clipped; None where the dependency holds nowhere."""
    product = _product(step, values)
    if product is not None:
        kind = step.dtype
        if step.half:
            product += kind(step.half)
        if step.shift:
            product >>= kind(step.shift)
        product <<= kind(step.left)
    return product


def _product(step: Step, values: Mapping[str, Integers]) -> Integers | None:
    """Return mantissa times dependency times factors; None where the dependency holds nowhere."""
    gate, kind = values.get(step.dependency), step.dtype
    parts: dict[tuple[int, ...], Integers] = {}
    if gate is not None:
        if not np.count_nonzero(gate):
            return None
        parts[gate.shape] = gate.astype(kind)
    # Factors of one shape are multiplied first: vectors before matrices. Wrapping is arithmetic modulo 2^32,
    # in which no order matters.
    for one in step.factors:
        value = values[one.name]
        if one.constant:
            value = value + one.constant
        value = np.sign(value) if one.sign else np.minimum(np.maximum(value, one.low), one.high)
        if value.dtype != kind:
            value = value.astype(kind)
        known = parts.get(value.shape)
        parts[value.shape] = value if known is None else known * value
    product, *others = sorted(parts.values(), key=_size) if parts else [np.ones((1, 1), kind)]
    if step.mantissa != 1:
        product = product * kind(step.mantissa)
    for part in others:
        product = product * part
    return product


def _size(part: Integers) -> int:
    return part.size


def _step(term: Term, words: Words, mode: Mode) -> Step:
    mantissa, exponent = term.mantissa, term.exponent
    while abs(mantissa) > MANTISSA[1] and mantissa % 2 == 0 and exponent < EXPONENT[1]:
        mantissa, exponent = mantissa // 2, exponent + 1  # as Lava does: -8*2^e becomes -4*2^(e+1)
    widths = [words.bits(operand.name) for operand in term.operands]
    longest = max(abs(mantissa), 1) << sum(widths)
    shift, left = words.shift(term), exponent + EXPONENT_OFFSET
    largest = (longest >> shift) + 1 << left
    wraps = mode == "lava" and words.no_wider_than(LAVA_WORDS)
    if longest >= 2**62 and not wraps:
        raise InputError("rule", "product", text((term,)), "more than 62 bits; take fewer factors")
    long = max(longest + (1 << shift), largest) >= 2**31 and not wraps
    return Step(
        term.dependency[0] if term.dependency[0] == "u" else term.dependency,
        mantissa,
        tuple(
            Factor(operand.name, operand.constant, -(2**bits), 2**bits - 1, operand.sign)
            for operand, bits in zip(term.operands, widths, strict=True)
        ),
        1 << shift - 1 if mode == "corrected" and shift else 0,
        shift,
        left,
        largest > 2**words.accumulator - 1,
        longest,
        np.int64 if long else np.int32,
    )

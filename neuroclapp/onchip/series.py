"""Loihi learning rules as data: a sum of products ``m*2^e * dependency * factors``, and its text.

    2^-7*x0*x1*y1 - 3*2^2*x0*(x1-64)*y2

A dependency says when a product acts: ``x0`` the presynaptic unit spiked in this learning epoch, ``y0`` the
postsynaptic one did, ``uk`` always, in every 2^k-th epoch. Factors are the traces x1 x2 y1 y2 y3 and the
synaptic variables w d t, each possibly with an integer constant, and the signs of the latter, ``sgn(t-32)``.
Everything that Lava's own parser would take wrongly or refuse without a name is refused here, with the
product at fault: whatever is accepted, Lava accepts and computes the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

PRE_TRACES = ("x1", "x2")
POST_TRACES = ("y1", "y2", "y3")
SYNAPTIC = ("w", "d", "t")
VARIABLES = (*PRE_TRACES, *POST_TRACES, *SYNAPTIC)
MANTISSA, EXPONENT = (-8, 7), (-7, 8)
#: What may be added to a variable: as wide as the engine's accumulator, and inside Lava's 32-bit integers.
CONSTANT = (-(2**15), 2**15 - 1)
# Lava reads numbers as Python does: no leading zero. Nine digits are beyond every limit above.
_NUMBER = "(?:0|[1-9][0-9]{0,8})"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Operand:
    """A trace or synaptic variable plus an integer constant, ``(name + constant)``.

    With ``sign`` it is the sign of that sum, ``sgn(name + constant)``: of a synaptic variable only.
    """

    name: str
    constant: int = 0
    sign: bool = False

    def __str__(self) -> str:
        inner = f"{self.name}{self.constant:+d}" if self.constant else self.name
        return f"sgn({inner})" if self.sign else f"({inner})" if self.constant else inner


@dataclass(frozen=True)
class Term:
    """One product: ``mantissa * 2^exponent * dependency * operands``."""

    mantissa: int
    exponent: int
    dependency: str
    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        power = [f"2^{self.exponent}"] if self.exponent else []
        size = [str(abs(self.mantissa))] if abs(self.mantissa) != 1 else []
        return "*".join([*size, *power, self.dependency, *map(str, self.operands)])


def text(terms: tuple[Term, ...]) -> str:
    """Return the series as Lava reads it; `parse` gives the terms back."""
    signed = "".join(f" {'-' if term.mantissa < 0 else '+'} {term}" for term in terms).strip()
    return signed.removeprefix("+ ") if signed[0] == "+" else "-" + signed.removeprefix("- ")


def evaluate(terms: tuple[Term, ...], values: Mapping[str, ArrayLike]) -> Array:
    """Return the change of a synaptic variable in one learning epoch, (post, pre).

    ``values`` holds x0 x1 x2 as (pre,), y0 y1 y2 y3 as (post,), w d t as (post, pre); ``u0`` and so on
    are 1 if absent. Raises KeyError for a name that a term needs and ``values`` lacks.
    """
    total: Array = np.zeros(())
    for term in terms:
        product: Array = np.asarray(np.ldexp(float(term.mantissa), term.exponent))
        default = {term.dependency: 1.0} if term.dependency[0] == "u" else {}
        product = product * _placed(term.dependency, {**default, **values})
        for operand in term.operands:
            factor = _placed(operand.name, values) + operand.constant
            product = product * (np.sign(factor) if operand.sign else factor)
        total = total + product
    return total


def parse(rule: str, source: object = "rule", key: str | None = None) -> tuple[Term, ...]:
    """Read a series; raise InputError that names the product at fault and what is allowed instead."""

    def refuse(product: str, why: str) -> InputError:
        return InputError(source, key, rule, f"product {product!r}: {why}")

    if not rule.strip(" "):
        raise InputError(source, key, rule, "an empty rule; write at least one product")
    terms: list[Term] = []
    clock = None
    for sign, written in _products(rule):
        product = written.replace(" ", "")
        if re.search(r"[\w.] +[\w.]", written):
            raise refuse(written.strip(" "), "a space parts a name or a number")
        term = _term(sign, product, refuse)
        if term.dependency[0] == "u":
            clock = clock or term.dependency
            if term.dependency != clock:
                raise refuse(product, f"{clock} and {term.dependency} are mixed; one rule has one k")
        terms.append(term)
    return tuple(terms)


def _placed(name: str, values: Mapping[str, ArrayLike]) -> Array:
    value = np.asarray(values[name], dtype=np.float64)
    return value[:, None] if name[0] == "y" and value.ndim == 1 else value


def _products(rule: str) -> Iterator[tuple[int, str]]:
    """Split at each + and - that stands neither in brackets nor after ``^`` or ``*``: sign and product."""
    depth, start, sign, before = 0, 0, 1, ""
    for place, letter in enumerate(rule):
        depth += (letter == "(") - (letter == ")")
        if letter in "+-" and depth == 0 and before not in ("^", "*"):
            if before:
                yield sign, rule[start:place]
            start, sign = place + 1, -1 if letter == "-" else 1
        before = letter if letter != " " else before
    yield sign, rule[start:]


def _term(sign: int, product: str, refuse: Callable[[str, str], InputError]) -> Term:
    mantissa, exponent = sign, 0
    dependencies: list[str] = []
    operands: list[Operand] = []
    if not product:
        raise refuse(product, "is empty; + and - stand between products")
    for part in product.split("*"):
        if re.fullmatch(_NUMBER, part):
            mantissa *= int(part)
        elif power := re.fullmatch(rf"2\^([+-]?{_NUMBER})", part):
            exponent += int(power[1])
        elif part in ("x0", "y0") or re.fullmatch("u[0-9]", part):
            dependencies.append(part)
        elif part in VARIABLES:
            operands.append(Operand(part))
        elif signed := re.fullmatch(rf"sgn\((\w+)([+-]{_NUMBER})?\)", part):
            if signed[1] not in SYNAPTIC:
                raise refuse(
                    product, f"sgn takes a synaptic variable, {' '.join(SYNAPTIC)}, not {signed[1]!r}"
                )
            operands.append(Operand(signed[1], int(signed[2] or 0), sign=True))
        elif shifted := re.fullmatch(rf"\((\w+)([+-]{_NUMBER})\)", part):
            if shifted[1] not in VARIABLES:
                raise refuse(
                    product, f"{shifted[1]!r} cannot carry a constant; one of {', '.join(VARIABLES)} can"
                )
            operands.append(Operand(shifted[1], int(shifted[2])))
        else:
            raise refuse(product, _why(part))
    for operand in operands:
        if not CONSTANT[0] <= operand.constant <= CONSTANT[1]:
            raise refuse(product, f"constant of {str(operand)!r} is outside {CONSTANT[0]} .. {CONSTANT[1]}")
    if len(dependencies) != 1:
        found = " and ".join(dependencies) or "none"
        raise refuse(product, f"needs exactly one dependency of x0, y0, u0 .. u9; it has {found}")
    if not MANTISSA[0] <= mantissa <= MANTISSA[1]:
        raise refuse(
            product, f"mantissa {mantissa} is outside {MANTISSA[0]} .. {MANTISSA[1]}; use a power 2^e"
        )
    if not EXPONENT[0] <= exponent <= EXPONENT[1]:
        raise refuse(product, f"exponent {exponent} is outside {EXPONENT[0]} .. {EXPONENT[1]}")
    return Term(mantissa, exponent, dependencies[0], tuple(operands))


def _why(part: str) -> str:
    """Return why a factor of a product is none."""
    if not part:
        return "a factor is missing beside '*'"
    if part.count("(") != part.count(")"):
        return f"a bracket is not closed in {part!r}"
    if part[0] in "+-":
        return f"{part!r} has a sign; signs stand before products, in exponents and in brackets"
    if number := re.search("(?<![0-9.])(0[0-9]|[0-9]{10})", part):
        return f"number {number[0]!r} .. in {part!r} has a leading zero or more than nine digits"
    if re.match(r"[\d.]", part):
        return f"coefficient {part!r} is not an integer; write an integer times a power of 2, like 3*2^-5"
    if re.fullmatch("u[0-9]{2,}", part):
        return (
            f"{part!r} is no dependency: k is one digit, u0 .. u9 (Lava would read {part[:2]} * {part[2:]})"
        )
    if part.startswith("exp"):
        return (
            f"function {part!r} is not allowed; a product holds only constants, traces and synaptic variables"
        )
    return (
        f"unknown factor {part!r}; allowed are x0 y0 u0 .. u9, {' '.join(VARIABLES)}, integers, 2^e, (y1-64) "
        "and sgn(t-32)"
    )

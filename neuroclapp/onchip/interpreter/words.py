"""Bits of each word in the learning engine, and the two ways to shift a product into the accumulator.

    words of w, t, d    sign and `weight`, `tag`, `delay` bits
    accumulator         sign and `accumulator` bits; the lowest accumulator - weight are a weight's fraction
    traces              `trace` bits

A term ``m*2^e * dependency * factors`` adds ``((m * factors) >> shift) << (e + 7)`` to the accumulator, with
shift = max(0, sum of factor widths + 4 - accumulator). So its learning rate in steps of an 8-bit weight is
m 2^(e - shift), not m 2^e: see `rate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...errors import InputError
from ..chip import Chip
from ..series import Term

Sign = Literal["mixed", "excitatory", "inhibitory"]
SIGNS: tuple[Sign, ...] = ("mixed", "excitatory", "inhibitory")

#: Bits of a coefficient's mantissa, with sign (W_S_MANT).
MANTISSA_BITS = 4
#: What Lava adds to a coefficient's exponent, so that -7 .. 8 becomes 0 .. 15.
EXPONENT_OFFSET = 7


@dataclass(frozen=True)
class Words:
    """Bits of each word without its sign; the defaults are Lava's (lava/magma/core/learning/constants.py).

    ``accumulator`` is one for w, t and d. Raises InputError where it is narrower than one of them.
    """

    weight: int = 8
    tag: int = 8
    delay: int = 8
    trace: int = 7
    accumulator: int = 15

    def __post_init__(self) -> None:
        for key, value, low, high in (
            ("weight", self.weight, 1, 16),
            ("tag", self.tag, 1, 16),
            ("delay", self.delay, 1, 16),
            ("trace", self.trace, 1, 16),
            ("accumulator", self.accumulator, max(self.weight, self.tag, self.delay), 30),
        ):
            if not low <= value <= high:
                raise InputError("words", key, value, f"must be {low} .. {high} bits")

    @classmethod
    def of(cls, weight: int = 8, trace: int = 7) -> Words:
        """Return words for weights and traces of so many bits; the accumulator has 15, or weight + 7."""
        return cls(weight=weight, trace=trace, accumulator=max(weight, 8) + 7)

    @classmethod
    def of_chip(cls, chip: Chip) -> Words:
        """Return a chip's words; raise InputError that names the one that it leaves out (floating point)."""
        found = {name: getattr(chip.widths, name) for name in ("weight", "tag", "trace", "accumulator")}
        for name, bits in found.items():
            if bits is None:
                raise InputError(f"hardware {chip.name!r}", f"widths.{name}", bits, "integers need a width")
        return cls(delay=found["tag"], **found)

    def bits(self, name: str) -> int:
        """Return the bits that a factor counts for: a trace's, or those of w, d or t with their sign."""
        return {"w": self.weight + 1, "d": self.delay + 1, "t": self.tag + 1}.get(name, self.trace)

    def magnitude(self, name: str) -> int:
        """Return the bits of w, d or t without its sign."""
        return {"w": self.weight, "d": self.delay, "t": self.tag}[name]

    def no_wider_than(self, other: Words) -> bool:
        """Say whether each word has at most as many bits as the other's."""
        return all(bits <= getattr(other, name) for name, bits in vars(self).items())

    def shift(self, term: Term) -> int:
        """Return how far a term's product is shifted right to fit the accumulator."""
        total = sum(self.bits(operand.name) for operand in term.operands) + MANTISSA_BITS
        return max(0, total - self.accumulator)

    def range(self, name: str, sign: Sign = "mixed") -> tuple[int, int]:
        """Return the least and greatest value of w, d or t after learning, Lava's odd ones included."""
        if name == "d":
            return 0, 2**self.delay - 1
        if name == "t":
            return -(2**self.tag) - 1, 2**self.tag - 1
        most = 2**self.weight - 1
        return {"mixed": (-(2**self.weight), most), "excitatory": (0, most), "inhibitory": (-most, 0)}[sign]


LAVA_WORDS = Words()

#: "lava": a product is shifted right by ``>>``, whose bias is half a step of the accumulator downwards for
#: every product of either sign, and is taken modulo 2^32, which a product of five traces exceeds.
#: "corrected": the shift rounds to the nearest, halves upwards, and no product wraps.
Mode = Literal["lava", "corrected"]
MODES: tuple[Mode, ...] = ("lava", "corrected")


def rate(term: Term, words: Words = LAVA_WORDS, target: str = "w") -> float:
    """Return by how many steps of w (or d, t) a term changes it for each unit of its product of factors."""
    fraction = words.accumulator - words.magnitude(target)
    return float(term.mantissa) * 2.0 ** (term.exponent + EXPONENT_OFFSET - words.shift(term) - fraction)

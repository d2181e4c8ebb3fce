"""One learning epoch: rules for w, d and t applied to all synapses at once, and rounded stochastically.

    accumulator = variable << fraction, then `neuroclapp.onchip.interpreter.integers`
    variable    = clip(floor(accumulator / 2^fraction) + (random < what that floor dropped))

All rules read w, d and t as they were before the epoch. What ``random`` is decides how synapses are rounded:

    a number in [0, 1)         for all synapses: Lava draws one for each epoch, from a generator of seed 2
    an array of them           anything that broadcasts with (..., post, pre)
    a numpy Generator          one number for each synapse; or a list of them, one for each network
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from .. import series
from ..series import POST_TRACES, PRE_TRACES, Term
from .integers import Integers, Placed, Step, accumulate, change, confine, steps
from .words import LAVA_WORDS, Mode, Sign, Words

TARGETS = ("w", "d", "t")
Random = float | NDArray[np.float64] | np.random.Generator | Sequence[np.random.Generator]


@dataclass(frozen=True)
class Rule:
    """The series of a connection's synaptic variables: dw, dd and dt; an empty one changes nothing."""

    w: tuple[Term, ...] = ()
    d: tuple[Term, ...] = ()
    t: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        clocks = sorted({one.dependency for one in self.terms if one.dependency[0] == "u"})
        if not self.terms:
            raise InputError("rule", None, "", "it has no product for w, d or t")
        if len(clocks) > 1:
            raise InputError("rule", "dependency", clocks, "one connection has one k in all its rules")

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.w, self.d, self.t))

    @classmethod
    def parse(cls, dw: str | None = None, dd: str | None = None, dt: str | None = None) -> Rule:
        """Read the rules from text; raise InputError that names the product at fault."""
        texts = {"dw": dw, "dd": dd, "dt": dt}
        return cls(*(series.parse(text, key=key) if text else () for key, text in texts.items()))

    @property
    def terms(self) -> tuple[Term, ...]:
        return (*self.w, *self.d, *self.t)

    @cached_property
    def period(self) -> int:
        """Return the learning epochs from one in which uk holds to the next, 2^k; 1 without a uk."""
        return next((2 ** int(one.dependency[1:]) for one in self.terms if one.dependency[0] == "u"), 1)

    def without_clock(self) -> Rule | None:
        """Return what is left where uk does not hold, None if nothing is."""
        kept = {
            name: tuple(one for one in terms if one.dependency[0] != "u")
            for name, terms in self.series().items()
        }
        return Rule(**kept) if any(kept.values()) else None

    def series(self) -> dict[str, tuple[Term, ...]]:
        """Return the series that are not empty by their variable."""
        return {name: getattr(self, name) for name in TARGETS if getattr(self, name)}


def apply(
    rule: Rule,
    values: Mapping[str, ArrayLike],
    random: Random,
    words: Words = LAVA_WORDS,
    mode: Mode = "lava",
    sign: Sign = "mixed",
) -> dict[str, Integers]:
    """Return the variables that ``rule`` changes, after one learning epoch, by name.

    ``values`` holds integers: x0 x1 x2 (..., pre), y0 y1 y2 y3 (..., post) and w d t (..., post, pre), those
    that the rule needs; x0 and y0 are 1 where a spike came, u is 1 if absent. Traces are what the rule sees:
    one that decays has decayed. In front may stand axes of networks that learn side by side. Raises KeyError
    for a name that is missing, InputError for a product or a sign that does not fit.
    """
    placed: dict[str, Integers] = {"u": np.ones((1, 1), dtype=np.int32)}
    for name, value in values.items():
        array = _integers(name, value)
        if name in ("x0", "y0", "u"):
            array = (array != 0).astype(np.int32)
        if name in ("x0", *PRE_TRACES):
            array = array[..., None, :]
        elif name in ("y0", *POST_TRACES):
            array = array[..., :, None]
        placed[name] = array.reshape(1, 1) if array.ndim == 0 else array
    by_dependency = dict.fromkeys(("x0", "y0", "u"), placed)
    changed: dict[str, Integers] = {}
    live = targets(rule, words, mode, sign)
    if not np.count_nonzero(placed["u"]) and all(one.settled(placed[one.name]) for one in live):
        rest = rule.without_clock()
        changed = {one.name: placed[one.name] for one in live}
        live = targets(rest, words, mode, sign) if rest else ()
    for one in live:
        before = placed[one.name]
        upwards = ceilings(random, one.fraction, before.shape)
        changed[one.name] = one.learned(before, by_dependency, upwards, words)
    return changed


@dataclass(frozen=True)
class Target:
    """A synaptic variable that a rule changes: its steps, the bits of its fraction, and its range."""

    name: str
    steps: tuple[Step, ...]
    fraction: int
    low: int
    high: int

    def learned(self, before: Integers, placed: Placed, upwards: Any, words: Words) -> Integers:
        """Return the variable after one epoch; ``upwards`` comes from `ceilings`."""
        if self.single:
            return self._changed(before, placed, upwards, words)
        summed = before << self.fraction
        accumulate(summed, self.steps, placed, words)
        if self.low == 0:
            np.maximum(summed, 0, out=summed)
        elif self.high == 0:
            np.minimum(summed, 0, out=summed)
        summed += upwards
        summed >>= self.fraction
        confine(summed, self.low, self.high)
        return summed

    def _changed(self, before: Integers, placed: Placed, upwards: Any, words: Words) -> Integers:
        """Do the same where one product is all there is."""
        by = change(self.steps[0], placed, self.fraction, upwards, words)
        if by is None:
            changed = before.copy("K")
        else:
            fits = by.shape == before.shape and by.dtype == before.dtype
            changed = np.add(before, by, out=by if fits else None, dtype=before.dtype, casting="same_kind")
        confine(changed, self.low, self.high)
        if self.name == "t":  # the accumulator's lowest value, of which only tags see what rounding makes
            np.maximum(changed, -(2**words.accumulator) - 1 + upwards >> self.fraction, out=changed)
        return changed

    @cached_property
    def single(self) -> bool:
        """Whether `change` will do: one product that does not wrap and is not shifted beyond the fraction."""
        (step,) = self.steps if len(self.steps) == 1 else (None,)
        bits = 31 if step is not None and step.dtype is np.int32 else 63
        return (
            step is not None
            and step.left <= self.fraction
            and step.longest + (2 << step.shift + self.fraction) < 1 << bits
        )

    def settled(self, variable: Integers) -> bool:
        """Say whether an epoch in which no product holds leaves all values as they are.

        Not so beyond the range, nor at Lava's lowest tag, whose accumulator is below the least there is.
        """
        low = self.low + (self.name == "t")
        return bool(variable.min() >= low and variable.max() <= self.high)


@lru_cache(maxsize=256)
def targets(rule: Rule, words: Words, mode: Mode, sign: Sign) -> tuple[Target, ...]:
    """Return what ``rule`` changes, in Lava's order."""
    return tuple(
        Target(
            name,
            steps(terms, words, mode),
            words.accumulator - words.magnitude(name),
            *words.range(name, sign),
        )
        for name, terms in rule.series().items()
    )


def ceilings(random: Random, fraction: int, shape: tuple[int, ...]) -> Any:
    """Return what to add before ``>> fraction``, so that a number below the fraction rounds up.

    A fraction f / 2^n goes up where random < f / 2^n, which is f >= floor(2^n random) + 1. A generator's bits
    are taken as they come.
    """
    unity = 1 << fraction
    if isinstance(random, (int, float)):
        return unity - 1 - int(random * unity)
    if isinstance(random, np.ndarray):
        return unity - 1 - np.floor(random * unity).astype(np.int32)
    generators = [random] if isinstance(random, np.random.Generator) else random
    if len(generators) > 1 and (len(shape) != 3 or len(generators) != shape[0]):
        raise InputError("random", "generators", len(generators), f"one for each network of {shape}")
    width = np.dtype("u1" if fraction <= 8 else "<u2")
    size = math.prod(shape) // len(generators) * width.itemsize
    drawn = np.frombuffer(b"".join(one.bytes(size) for one in generators), width).reshape(shape)
    found = drawn.astype(np.int32)
    found &= unity - 1
    return found


def _integers(name: str, value: ArrayLike) -> Integers:
    array = np.asarray(value)
    if array.dtype.kind not in "iub":
        raise InputError("values", name, array.dtype, "must be integers")
    return array.astype(np.int32) if array.dtype.kind in "bu" else array

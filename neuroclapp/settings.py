"""The values of one condition of a study: network, data, learning, spikes, control, chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass as description

from .catalog import DESCRIPTION
from .errors import InputError
from .experiment import Data, Learning
from .network import load_network
from .onchip.chip import load_chip
from .onchip.fixed.schemes import Scheme
from .onchip.interpreter import Words
from .plasticity import Context, Treatment
from .presentations import Order
from .spiking.mapping import Spiking
from .weights import Initial

#: Bits up to which an accumulator grows with traces: a step of what is wider is beyond a rule's exponents.
WIDEST = 22


@description(frozen=True, config=DESCRIPTION)
class OnChip:
    """The network in a chip's integers, instead of spikes in floating point.

    ``chip`` is a catalogue name, or a path; ``scheme`` says how an update reaches a weight, ``weight``,
    ``tag`` and ``trace`` the bits of words without sign, where they are not the chip's. ``rounding``: "lava"
    draws one number for all synapses in each epoch, "synapse" one for each, without Lava's bias. Scales come
    from float runs with ``fit_seeds``; ``carry`` replaces a matrix's tag steps in a weight step, by name.
    Raises InputError where neither the chip nor a value says how wide a word is.
    """

    chip: str = "loihi2"
    scheme: Scheme = field(default_factory=Scheme)
    weight: PositiveInt | None = None
    tag: PositiveInt | None = None
    trace: PositiveInt | None = None
    rounding: Literal["lava", "synapse"] = "lava"
    fit_seeds: tuple[NonNegativeInt, ...] = (100, 101)
    carry: Mapping[str, PositiveInt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _ = self.words

    @property
    def words(self) -> Words:
        """Return the words.

        Where they are not the chip's, the accumulator keeps a weight's seven fractional bits and grows with
        traces, up to `WIDEST`.
        """
        chip = load_chip(self.chip)
        own = {"weight": self.weight, "tag": self.tag, "trace": self.trace}
        found = {name: bits or getattr(chip.widths, name) for name, bits in own.items()}
        for name, bits in found.items():
            if bits is None:
                allowed = f"integers need a width: take another chip, or in a study give chip.{name}"
                raise InputError(f"hardware {chip.name!r}", f"widths.{name}", bits, allowed)
        wide = max(found["weight"], found["tag"]) + 7
        wide = max(wide, min(wide + 2 * max(0, found["trace"] - 7), WIDEST))
        if not any(own.values()) and chip.widths.accumulator:
            wide = chip.widths.accumulator
        return Words(**found, accumulator=wide)


@description(frozen=True, config=DESCRIPTION)
class Settings:
    """All that the runs of one condition depend on.

    ``order``: that of the pairs. ``context``: whose activity predicts a layer's. ``feedback``, ``gate``: in
    place of the model's. ``control``: what is done to the rule in spikes; the rate world beside it keeps the
    rule as it is. ``chip``: the network in a chip's integers, in place of spikes in floating point.
    """

    model: str
    seeds: tuple[NonNegativeInt, ...]
    data: Data
    learning: Learning
    initial: Initial = field(default_factory=Initial)
    spiking: Spiking = field(default_factory=Spiking)
    context: Context = "own"
    feedback: Literal["symmetric", "blocked", "split"] | None = None
    gate: Literal["shared", "separate"] | None = None
    order: Order = field(default_factory=Order)
    control: Treatment = field(default_factory=Treatment)
    chip: OnChip | None = None

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)} must be one or more different numbers")
        if self.gate == "separate" and self.feedback not in (None, "split"):
            raise ValueError(f"gate = 'separate' needs feedback = 'split', not {self.feedback!r}")

    @property
    def presentations(self) -> int:
        """Presentations that are learned from."""
        return self.order.presentations(self.data.presentations)

    @property
    def on_chip(self) -> OnChip:
        """The values of a network in integers; raise InputError where the condition has none."""
        if self.chip is None:
            raise InputError(
                "study", "chip", None, "this condition is not in integers: give it a table 'chip'"
            )
        return self.chip

    @property
    def rates(self) -> dict[str, Any]:
        """What the rate worlds depend on, but the seed."""
        return {key: value for key, value in self.all.items() if key not in ("spiking", "control", "chip")}

    @property
    def all(self) -> dict[str, Any]:
        """What all worlds depend on, but the seed."""
        values = asdict(self)
        values.pop("seeds")
        values["model"] = {**asdict(load_network(self.model)), "title": ""}
        if values["spiking"]["code"].get("once") is False:  # it came later
            values["spiking"]["code"].pop("once")
        if self.chip is None:
            values.pop("chip")
        else:
            values["chip"] |= {name: getattr(self.chip.words, name) for name in ("weight", "tag", "trace")}
            # These came later: what was kept without them, when they meant this, stays found.
            scheme = values["chip"]["scheme"]
            meant = {"synapses": 1, "low": False, "levels": 32}
            if scheme["accumulate"] != "carry":  # nothing else has levels
                meant["levels"] = scheme["levels"]
            for key, value in meant.items():
                if scheme[key] == value:
                    scheme.pop(key)
        if self.feedback is None:
            values.pop("feedback")
        if self.gate is None:
            values.pop("gate")
        if self.order == Order():
            values.pop("order")
        return values

"""Does a network fit a chip, what does it take, what would make it fit: the plan of `neuroclapp plan`.

A plan is for inference or for learning. Learning is that of `neuroclapp.onchip.program`: dense layers, each
with a neuromodulator population. On a chip without graded spikes a unit's neurons are neurons of their own in
inference, and learning does not fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from ..errors import InputError
from ..network import Network
from ..plasticity import clapp
from ..spiking.populations import Modulator, Timing
from . import plan_cost
from .chip import Chip
from .clock import Clock
from .demand import Demand, Wiring, demand, payload_bits
from .export import EPOCH
from .plan_cost import Activity, Energies, Operations, Traffic
from .plan_placement import Placement, fewest_cores, limits, place
from .plan_wiring import Pooling, Refused, Unrolled, unroll, unroll_learning
from .products import render, rules
from .series import Term

Mode = Literal["inference", "learning"]
#: Widths that are tried, as parts of the given one, for one that fits.
WIDTHS = (0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0625)


@dataclass(frozen=True)
class Coding:
    """How rates become spikes: ``neurons`` per unit, ``gain`` by layer (the last for all above).

    A unit's ``activity`` is assumed, unless ``measured`` holds spikes and messages of a unit in a
    presentation by population. ``said`` tells where the coding is from.
    """

    timing: Timing
    neurons: int
    input_gain: float
    gain: tuple[float, ...]
    modulator: Modulator
    said: str
    activity: float = 1.0
    measured: Mapping[str, tuple[float, float]] | None = None
    measured_in: str = ""


@dataclass(frozen=True)
class Plan:
    """What a network takes of a chip. Where ``refused`` is not empty it does not fit.

    ``wiring``, ``placement`` and all counts hold what could be counted; ``unchecked`` names the limits that
    no source states. ``steps`` of one presentation, ``seconds`` and ``energies`` as far as sources go.
    """

    title: str
    chip: Chip
    mode: Mode
    coding: Coding
    wiring: Wiring
    demand: Demand | None
    placement: Placement
    fewest_cores: int
    weights: int
    steps: int
    activity: Activity | None
    operations: Operations | None
    traffic: Traffic | None
    energies: Energies | None
    seconds: float | None
    refused: tuple[Refused, ...]
    unchecked: tuple[str, ...]
    assumed: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not self.refused


def plan(
    network: Network, chip: Chip, coding: Coding, mode: Mode, chips: int = 1, pooling: Pooling = "relay"
) -> Plan:
    """Place a network on at most ``chips`` chips; what does not fit is named with what would."""
    found = _unrolled(network, chip, coding, mode, pooling)
    refused = [*found.refused, *_terms(network, chip, coding, mode, found)]
    placement = place(found.wiring, chip)
    refused.extend(_unplaced(network, chip, coding, mode, chips, pooling, placement))
    steps = _steps(coding, found.depth, mode)
    counted = bool(found.wiring.populations)
    activity = _activity(found.wiring, coding, mode == "learning" or chip.graded_spikes) if counted else None
    operations = traffic = energies = seconds = None
    if activity is not None:
        compartments = chip.neurons.compartments
        operations = plan_cost.operations(found.wiring, activity, steps, compartments)
        energies = plan_cost.energies(operations, chip)
        if not placement.refused:
            traffic = plan_cost.traffic(found.wiring, placement, activity)
            if mode == "inference":
                seconds = plan_cost.seconds(found.wiring, placement, activity, chip, steps)
    return Plan(
        network.title,
        chip,
        mode,
        coding,
        found.wiring,
        demand(found.wiring) if counted else None,
        placement,
        fewest_cores(found.wiring, chip),
        network.parameters,
        steps,
        activity,
        operations,
        traffic,
        energies,
        seconds,
        tuple(refused),
        _unchecked(chip),
        (*_assumed(chip, coding, mode), *found.assumed) if counted else (),
    )


def _unrolled(network: Network, chip: Chip, coding: Coding, mode: Mode, pooling: Pooling) -> Unrolled:
    if mode == "learning":
        return unroll_learning(network, coding.modulator.units, coding.modulator.fan_in)
    return unroll(network, 1 if chip.graded_spikes else coding.neurons, pooling)


def _steps(coding: Coding, depth: int, mode: Mode) -> int:
    """Return the time steps of a presentation; the flush lasts at least a step for each population passed."""
    timing = coding.timing
    steps = max(timing.steps, timing.steps_on + depth)
    return Clock(timing.dt, steps, timing.steps_on, EPOCH).period if mode == "learning" else steps


def _terms(network: Network, chip: Chip, coding: Coding, mode: Mode, found: Unrolled) -> Iterator[Refused]:
    """Yield what the chip's neurons, spikes and learning engine cannot do."""
    if not chip.neurons.programmable:
        for one in found.wiring.populations:
            if one.role == "relay":
                why = f"a relay compares the counts of its block; {chip.name}'s neuron runs no program"
                yield Refused(one.layer, "max-pool", why, "--pooling mean")
    payload = chip.widths.payload
    if chip.graded_spikes and payload is not None and math.ceil(math.log2(coding.neurons + 1)) > payload:
        why = f"a packet of {coding.neurons} spikes is more than {payload} bits (widths.payload)"
        yield Refused("all layers", "packets", why, f"--neurons {2**payload - 1}")
    if mode == "learning":
        yield from _learning_terms(network, chip, coding)


def _learning_terms(network: Network, chip: Chip, coding: Coding) -> Iterator[Refused]:
    if not chip.graded_spikes:
        why = "packets, replayed counts and coincidences are graded spikes (graded_spikes = false)"
        yield Refused("all layers", "graded spikes", why, "a chip with graded spikes, or --inference")
    if not chip.three_factor:
        why = "gamma, d and r are folded by each neuron into its traces y (three_factor = false"
        if chip.engine is not None and chip.engine.third_factor == "reward":
            why += "; its reward is one signal for all synapses of a core"
        yield Refused(
            "all layers", "third factor", why + ")", "a chip whose neurons write traces, or --inference"
        )
    epoch, payload = chip.limits.epoch, chip.widths.payload
    if epoch is not None and epoch < EPOCH:
        yield Refused("all layers", "epoch", f"a learn window has {EPOCH} steps, an epoch {epoch}", "")
    bits = payload_bits(coding.neurons, coding.timing.steps)
    if payload is not None and bits > payload:
        why = f"a replay of twice a count takes {bits} bits, a payload {payload} (widths.payload)"
        yield Refused("all layers", "replay", why, "fewer --neurons")
    for rule in rules(clapp(network.prediction)):
        try:
            series = render(rule, 1.0)
        except InputError as error:
            yield Refused("all layers", rule.target, str(error), "")
            continue
        for term in series.terms:
            yield from _engine_lacks(chip, rule.target, term)
        most = None if chip.engine is None else chip.engine.products
        if most is not None and len(series.terms) > most:
            why = f"{len(series.terms)} products, a rule has {most} (engine.products)"
            yield Refused("all layers", rule.target, why, "feedback = 'blocked'")


def _engine_lacks(chip: Chip, target: str, term: Term) -> Iterator[Refused]:
    engine = chip.engine
    if engine is None:
        return
    names = {*engine.pre_traces, *engine.post_traces, *engine.variables}
    dependency = "u" if term.dependency[0] == "u" else term.dependency
    if dependency not in engine.dependencies:
        why = f"dependency {term.dependency} is not one of {', '.join(engine.dependencies)}"
        yield Refused("all layers", f"{target}: {term}", why, "")
    for operand in term.operands:
        if operand.name not in names:
            why = f"{operand.name} is not one of the engine's traces and variables"
            yield Refused("all layers", f"{target}: {term}", why, "")


def _unplaced(
    network: Network,
    chip: Chip,
    coding: Coding,
    mode: Mode,
    chips: int,
    pooling: Pooling,
    placement: Placement,
) -> Iterator[Refused]:
    """Yield what fits no core or not so few chips, with what was tried and would fit."""

    def with_chips(changed: str, network: Network, coding: Coding) -> str | None:
        """Say that a change lets all neurons find a core, and on how many chips; None if it does not."""
        placed = place(_unrolled(network, chip, coding, mode, pooling).wiring, chip)
        if placed.refused or placed.chips_needed > (chip.limits.chips or placed.chips_needed):
            return None
        needed = placed.chips_needed
        return changed if needed <= chips else f"{changed} on --chips {needed}"

    def tried() -> str:
        found: list[str] = []
        changes: list[list[tuple[str, Network, Coding]]] = [
            [
                (f"--width {network.width * part:g}", replace(network, width=network.width * part), coding)
                for part in WIDTHS
            ]
        ]
        if mode == "inference" and not chip.graded_spikes and coding.neurons > 1:
            fewer = [coding.neurons >> shift for shift in range(1, coding.neurons.bit_length())]
            changes.insert(0, [(f"--neurons {k}", network, replace(coding, neurons=k)) for k in fewer])
        for kind in changes:
            said = (with_chips(*change) for change in kind)
            one = next((text for text in said if text is not None), None)
            if one is not None and placement.refused:
                found.append(one)
            elif not placement.refused:
                found.extend(islice((text for text in (one, *said) if text and "--chips" not in text), 1))
        return ", or ".join(found)

    needed = placement.chips_needed
    if placement.refused:
        instead = tried() or "nothing that was tried: widths down to 1/16 of this one"
        for each in placement.refused:
            yield replace(each, instead=instead)
    elif chip.limits.cores is not None and needed > chips:
        many = f"--chips {needed}" if needed <= (chip.limits.chips or needed) else ""
        why = f"{len(placement.cores)} cores are {needed} chips of {chip.limits.cores}, --chips is {chips}"
        yield Refused("all layers", "chips", why, ", or ".join(filter(None, (many, tried()))))


def _activity(wiring: Wiring, coding: Coding, packets: bool) -> Activity:
    """Return spikes and messages of one neuron by population; modulators and release sites fire once."""
    separate = 1 if packets else coding.neurons
    steps_on = coding.timing.steps_on
    layers = list(dict.fromkeys(one.layer for one in wiring.populations if one.role != "input"))
    spikes, messages = dict[str, float](), dict[str, float]()
    for one in wiring.populations:
        if one.role in ("modulator", "site"):
            messages[one.name] = 1.0
            continue
        if coding.measured is not None and one.layer in coding.measured:
            fired, sent = coding.measured[one.layer]
        else:
            gain = coding.input_gain
            if one.role != "input":
                gain = coding.gain[min(layers.index(one.layer), len(coding.gain) - 1)]
            fired = min(gain * coding.activity, steps_on) * coding.neurons
            sent = min(fired, steps_on)
        spikes[one.name] = fired / separate
        messages[one.name] = sent if packets else fired / separate
    return Activity(spikes, messages, _activity_said(coding))


def _activity_said(coding: Coding) -> str:
    if coding.measured is not None:
        return f"spikes: measured in {coding.measured_in}"
    return f"spikes: every unit at an activity of {coding.activity:g} (--rates): a guess, not measured"


def _unchecked(chip: Chip) -> tuple[str, ...]:
    memory = chip.limits.synaptic_memory_per_core
    names = [
        f"{one.unit} of a core ({one.key})"
        for one in limits(chip)
        if one.held is None and not (one.use == "synapses" and memory is not None)
    ]
    return (*names, *([] if chip.limits.cores is not None else ["cores of a chip (limits.cores)"]))


def _assumed(chip: Chip, coding: Coding, mode: Mode) -> tuple[str, ...]:
    said = [coding.said]
    if chip.limits.synapses is not None and chip.limits.cores is not None:
        share = chip.limits.synapses // chip.limits.cores
        said.append(
            f"a core holds {share} synapses, an even share of the chip's {chip.limits.synapses}: no source "
            "states a core's"
        )
    if chip.synapses is None and chip.widths.weight is not None:
        said.append(
            f"synaptic memory is that of the weights alone, {chip.widths.weight} bits each: no source states "
            "how synapses lie in it"
        )
    if chip.neurons.compartments > 1:
        said.append(
            f"a neuron with subtractive reset takes {chip.neurons.compartments} compartments "
            f"({chip.neurons.source})"
        )
    if mode == "inference" and not chip.graded_spikes and coding.neurons > 1:
        said.append(
            f"without graded spikes a unit is {coding.neurons} neurons, each with synapses of its own"
        )
    return tuple(said)

"""Does a network fit a chip, what does it take, what would make it fit: the plan of `neuroclapp plan`.

A plan is for inference or for learning. Learning is that of `neuroclapp.onchip.program`: dense layers, each
with a neuromodulator population. On a chip without graded spikes a unit's neurons are neurons of their own in
inference, and learning does not fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..network import Network
from . import plan_cost
from .chip import Chip
from .clock import Clock
from .demand import Demand, Wiring, demand
from .export import EPOCH
from .plan_case import Case, Coding, Mode
from .plan_cores import limits
from .plan_cost import Activity, Energies, Operations, Traffic
from .plan_placement import Placement, fewest_cores, place
from .plan_search import would_fit
from .plan_terms import lacks_relays, terms
from .plan_wiring import Pooling, Refused, Unrolled


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
    case = Case(network, chip, coding, mode, pooling)
    found = case.unrolled()
    placement = place(found.wiring, chip)
    needed, chips = placement.chips_needed, min(chips, chip.limits.chips or chips)
    too_many = needed > chips
    relays = lacks_relays(chip) and any(one.role == "relay" for one in found.wiring.populations)
    instead = ""
    if placement.refused or too_many or relays:
        instead = would_fit(case, chips) or "nothing that was tried: widths down to 1/16 of this one"
    refused = [*found.refused, *terms(case, found, instead)]
    refused.extend(replace(one, instead=instead) for one in placement.refused)
    if too_many:
        each = "" if chip.limits.cores is None else f" of {chip.limits.cores}"
        why = f"{len(placement.cores)} cores are {needed} chips{each}, and there are {chips}"
        refused.append(Refused("all layers", "chips", why, instead))
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
        _weights(network, found),
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


def _steps(coding: Coding, depth: int, mode: Mode) -> int:
    """Return the time steps of a presentation; the flush lasts at least a step for each population passed."""
    timing = coding.timing
    steps = max(timing.steps, timing.steps_on + depth)
    return Clock(timing.dt, steps, timing.steps_on, EPOCH).period if mode == "learning" else steps


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


def _weights(network: Network, found: Unrolled) -> int:
    """Return the weights and biases of the layers that are mapped."""
    mapped = {one.layer for one in found.wiring.populations}
    layers = zip(network.scaled_layers, network.shapes, strict=False)
    return sum(
        math.prod(array)
        for layer, shape in layers
        if layer.name in mapped
        for array in layer.arrays(shape).values()
    )


def _unchecked(chip: Chip) -> tuple[str, ...]:
    if chip.unlimited:
        return ()
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

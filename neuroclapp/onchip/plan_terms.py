"""What a chip's neurons, spikes and learning engine lack for a network, by the name of the term."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..errors import InputError
from ..network import Network
from ..plasticity import clapp
from .chip import Chip
from .demand import payload_bits
from .export import EPOCH
from .plan_case import Case, Coding
from .plan_wiring import Refused, Unrolled
from .products import render, rules
from .series import Term


def lacks_relays(chip: Chip) -> bool:
    """Return whether the chip has no neuron that compares the counts of a block, as a max-pool needs."""
    return not chip.neurons.programmable


def terms(case: Case, found: Unrolled, instead: str) -> Iterator[Refused]:
    """Yield what the chip's neurons, spikes and learning engine cannot do.

    ``instead`` is what would fit in place of a relay.
    """
    chip, coding = case.chip, case.coding
    for one in found.wiring.populations if lacks_relays(chip) else ():
        if one.role == "relay":
            why = f"a relay compares the counts of its block; {chip.name}'s neuron runs no program"
            yield Refused(one.layer, "max-pool", why, instead)
    payload = chip.widths.payload
    if chip.graded_spikes and payload is not None and math.ceil(math.log2(coding.neurons + 1)) > payload:
        why = f"a packet of {coding.neurons} spikes is more than {payload} bits (widths.payload)"
        yield Refused("all layers", "packets", why, f"--neurons {2**payload - 1}")
    if case.mode == "learning":
        yield from _learning_terms(case.network, chip, coding)


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

"""What would fit where a network does not: fewer neurons, smaller widths, more chips, each one tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .plan_case import Case
from .plan_placement import Placement, place
from .plan_terms import lacks_relays

#: Widths that are tried, as parts of the given one.
WIDTHS = (0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0625)


def placed(case: Case) -> Placement:
    """Return the placement of a case."""
    return place(case.unrolled().wiring, case.chip)


def would_fit(case: Case, chips: int) -> str:
    """Return the options of `neuroclapp plan` with which all neurons find a core, empty if none was found.

    Of each kind of change the smallest that fits, with the number of chips where it takes more than
    ``chips``; two kinds at once where none does alone.
    """
    said: tuple[str, ...] = ()
    pools = case.mode == "inference" and any(layer.pool > 1 for layer in case.network.layers)
    if pools and case.pooling == "relay" and lacks_relays(case.chip):
        case, said = replace(case, pooling="mean"), ("--pooling mean",)
    base = placed(case)
    if not base.refused and base.chips_needed <= chips:
        return " ".join(said)
    found = []
    if not base.refused and _exist(case, base.chips_needed):
        found.append(" ".join((*said, f"--chips {base.chips_needed}")))
    singly, neurons = _narrower(case), _fewer_neurons(case)
    for kind in (neurons, singly):
        found.extend(_first(said, kind, chips, bool(base.refused)))
    if not found and neurons:
        option, single = neurons[-1]
        found.extend(_first((*said, option), _narrower(single), chips, True))
    return ", or ".join(found)


def _first(
    said: tuple[str, ...], kind: list[tuple[str, Case]], chips: int, more_chips: bool
) -> Iterator[str]:
    """Yield the first change that fits, on more than ``chips`` chips only if ``more_chips``."""
    for option, changed in kind:
        trial = placed(changed)
        if trial.refused or not _exist(changed, trial.chips_needed):
            continue
        if trial.chips_needed <= chips or more_chips:
            needed = () if trial.chips_needed <= chips else (f"--chips {trial.chips_needed}",)
            yield " ".join((*said, option, *needed))
            return


def _exist(case: Case, chips: int) -> bool:
    """Return whether a system may have so many chips, as far as that is stated."""
    most = case.chip.limits.chips
    return most is None or chips <= most


def _fewer_neurons(case: Case) -> list[tuple[str, Case]]:
    neurons = case.coding.neurons
    if case.mode == "learning" or case.chip.graded_spikes:
        return []
    fewer = [neurons >> shift for shift in range(1, neurons.bit_length())]
    return [(f"--neurons {k}", replace(case, coding=replace(case.coding, neurons=k))) for k in fewer]


def _narrower(case: Case) -> list[tuple[str, Case]]:
    widths = [case.network.width * part for part in WIDTHS]
    return [(f"--width {w:g}", replace(case, network=replace(case.network, width=w))) for w in widths]

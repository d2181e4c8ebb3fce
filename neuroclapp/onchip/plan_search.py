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
    ``chips``.
    """
    said: tuple[str, ...] = ()
    pools = case.mode == "inference" and any(layer.pool > 1 for layer in case.network.layers)
    if pools and case.pooling == "relay" and lacks_relays(case.chip):
        case, said = replace(case, pooling="mean"), ("--pooling mean",)
    base = placed(case)
    most = case.chip.limits.chips or max(base.chips_needed, chips)
    if not base.refused and base.chips_needed <= chips:
        return " ".join(said)
    found = []
    if not base.refused and base.chips_needed <= most:
        found.append(" ".join((*said, f"--chips {base.chips_needed}")))
    for kind in _changes(case):
        for option, changed in kind:
            trial = placed(changed)
            if trial.refused or trial.chips_needed > (most if base.refused else chips):
                continue
            needed = () if trial.chips_needed <= chips else (f"--chips {trial.chips_needed}",)
            found.append(" ".join((*said, option, *needed)))
            break
    return ", or ".join(found)


def _changes(case: Case) -> Iterator[list[tuple[str, Case]]]:
    """Yield kinds of changes, the smallest change of each first."""
    neurons, width = case.coding.neurons, case.network.width
    if case.mode == "inference" and not case.chip.graded_spikes and neurons > 1:
        fewer = [neurons >> shift for shift in range(1, neurons.bit_length())]
        yield [(f"--neurons {k}", replace(case, coding=replace(case.coding, neurons=k))) for k in fewer]
    narrower = [width * part for part in WIDTHS]
    yield [(f"--width {w:g}", replace(case, network=replace(case.network, width=w))) for w in narrower]

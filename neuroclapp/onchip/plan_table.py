"""A plan as text: the verdict, a table by population, what a presentation takes, what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .demand import Population
from .plan import Plan
from .plan_cores import Core, limits


def text(plan: Plan) -> str:
    """Return the plan as lines for a terminal."""
    parts = [_head(plan), *_table(plan), *_presentation(plan)]
    if plan.refused:
        parts.append("does not fit:")
        for instead, said in _together(plan).items():
            for (term, why), layers in said.items():
                parts.append(f"  {', '.join(layers)}, {term}: {why}")
            if instead:
                parts.append(f"    would fit: {instead}")
    if plan.unchecked:
        parts.append(f"not checked, as no source states it: {', '.join(plan.unchecked)}")
    if plan.assumed:
        parts.append("assumed:")
        parts.extend(f"  {one}" for one in plan.assumed)
    return "\n".join(parts)


def table(plan: Plan) -> dict[str, Any]:
    """Return the plan as a JSON object."""
    counted, placement = plan.demand, plan.placement
    return {
        "title": plan.title,
        "chip": plan.chip.name,
        "mode": plan.mode,
        "fits": plan.fits,
        "chips": None if placement.refused else placement.chips_needed,
        "cores": None if placement.refused else len(placement.cores),
        "fewest_cores": plan.fewest_cores,
        "neurons": counted and counted.neurons,
        "synapses": counted and counted.synapses,
        "fan_in": counted and counted.fan_in,
        "weights": plan.weights,
        "synaptic_memory_bits": _memory(plan, placement.cores),
        "populations": [_row(plan, one) for one in plan.wiring.populations],
        "steps": plan.steps,
        "seconds": plan.seconds,
        "operations": plan.operations and vars(plan.operations),
        "traffic": plan.traffic and vars(plan.traffic),
        "energies": plan.energies and vars(plan.energies),
        "refused": [vars(one) for one in plan.refused],
        "not_checked": list(plan.unchecked),
        "assumed": [*plan.assumed, *([] if plan.activity is None else [plan.activity.said])],
        "sources": list(plan.chip.sources),
    }


def _head(plan: Plan) -> str:
    stated = ", as far as its limits are stated" if plan.unchecked else ""
    if plan.chip.unlimited:
        stated = ", as by definition this chip has no limits"
    verdict = f"fits{stated}" if plan.fits else "does not fit"
    return f"{plan.title}\n{plan.mode} on {plan.chip.title}: {verdict}"


def _together(plan: Plan) -> dict[str, dict[tuple[str, str], list[str]]]:
    """Return what does not fit by what would: the layers of each term and reason."""
    found: dict[str, dict[tuple[str, str], list[str]]] = {}
    for one in plan.refused:
        found.setdefault(one.instead, {}).setdefault((one.term, one.why), []).append(one.layer)
    return found


def _row(plan: Plan, one: Population) -> dict[str, Any]:
    into, cores = plan.wiring.into(one), plan.placement.of(one)
    heard = sum((projection.fan_in for projection in into), np.zeros(one.positions, np.int64))
    row: dict[str, Any] = {
        "name": one.name,
        "role": one.role,
        "neurons": one.neurons,
        "synapses": sum(projection.synapses for projection in into),
        "fan_in": int(heard.max()),
        "synaptic_memory_bits": _memory(plan, cores),
        "cores": None if plan.placement.refused else len(cores),
        "fullest": None,
    }
    full = [
        (max(getattr(core, limit.use) for core in cores) / limit.held, limit.use)
        for limit in limits(plan.chip)
        if limit.held is not None and cores
    ]
    if full:
        part, use = max(full)
        row["fullest"] = {"of": _USES[use], "part": part}
    if plan.activity is not None:
        row["messages"] = plan.activity.messages[one.name]
        row["spikes"] = plan.activity.spikes.get(one.name)
        row["synaptic_operations"] = sum(
            plan.activity.messages[projection.pre.name] * projection.synapses for projection in into
        )
    return row


_USES = {
    "compartments": "neurons",
    "lists": "lists",
    "bits": "memory",
    "synapses": "synapses",
    "edges": "edges",
}


def _table(plan: Plan) -> list[str]:
    if plan.demand is None:
        return []
    head = (
        "population",
        "neurons",
        "synapses",
        "fan-in",
        "memory",
        "cores",
        "fullest core",
        "messages",
        "operations",
    )
    rows: list[Sequence[str]] = [head]
    for one in plan.wiring.populations:
        row = _row(plan, one)
        full = row["fullest"]
        rows.append(
            (
                one.name,
                _count(row["neurons"]),
                _count(row["synapses"]),
                _count(row["fan_in"]),
                _bytes(row["synaptic_memory_bits"]),
                "" if row["cores"] is None else _count(row["cores"]),
                "" if full is None else f"{full['of']} {100 * full['part']:.0f} %",
                f"{row['messages']:.3g}",
                _large(row["synaptic_operations"]),
            )
        )
    cores = plan.placement.cores
    total = ("all", _count(plan.demand.neurons), _count(plan.demand.synapses), _count(plan.demand.fan_in))
    operations = "" if plan.operations is None else _large(plan.operations.synaptic_operations)
    number = "" if plan.placement.refused else _count(len(cores))
    rows.append((*total, _bytes(_memory(plan, cores)), number, "", "", operations))
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(head))]
    lines = []
    for cells in rows:
        right = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        lines.append("  ".join(("  " + cells[0].ljust(widths[0]), *right)).rstrip())
    fewest = f"no placement takes fewer than {_count(plan.fewest_cores)} cores"
    if plan.placement.refused:
        lines.append(f"not placed, as some neurons fit no core; {fewest}")
    else:
        needed = plan.placement.chips_needed
        lines.append(f"{_count(len(cores))} cores on {needed} chip{'' if needed == 1 else 's'}; {fewest}")
    if plan.mode == "inference" and any(one.positions > 1 for one in plan.wiring.populations):
        lines.append(f"{_count(plan.weights)} weights and biases are written out as these synapses")
    return lines


def _presentation(plan: Plan) -> list[str]:
    operations, traffic, energies = plan.operations, plan.traffic, plan.energies
    if operations is None or plan.activity is None:
        return []
    time = "time: not stated"
    if plan.seconds is not None:
        time = f"about {1e6 * plan.seconds:.3g} us (estimated: each core does one thing after another)"
    elif plan.chip.times:
        time = "time: stated for inference on one chip alone"
    lines = [
        f"one presentation: {plan.steps} steps, {time}",
        f"  {plan.activity.said}",
        f"  operations: {_large(operations.synaptic_operations)} synaptic, "
        f"{_large(operations.neuron_updates)} neuron updates",
    ]
    if traffic is not None:
        lines.append(
            f"  messages: {_large(operations.messages)} sent; received in their own core "
            f"{_large(traffic.within_cores)}, in others {_large(traffic.between_cores)}, on other chips "
            f"{_large(traffic.between_chips)}"
        )
    if energies is None:
        lines.append("  energy: no source states one")
    else:
        lines.append(
            f"  energy: {_joules(energies.least)} (all neurons idle) to {_joules(energies.most)} (all "
            "active), estimated, without hops between tiles and leakage"
        )
    if plan.mode == "learning":
        update = "no source states its energy"
        if energies is not None and energies.update is not None:
            update = f"{_joules(energies.update)} estimated"
        lines.append(
            f"one update, where the gate is open: {_large(operations.synaptic_updates)} synaptic updates, "
            f"{_large(operations.replayed)} more synaptic operations to replay counts; {update}"
        )
    stated = {one.source for one in plan.chip.energies if energies is not None}
    lines.extend(
        f"  source: {one}, before silicon" if "Micro" in one else f"  source: {one}" for one in stated
    )
    return lines


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _large(number: float) -> str:
    return f"{number:.0f}" if number < 1e4 else f"{number:.3g}"


def _memory(plan: Plan, cores: Sequence[Core]) -> int | None:
    """Return the bits of synaptic memory of cores, None where nothing is placed."""
    return None if plan.placement.refused else sum(core.bits for core in cores)


def _bytes(bits: int | None) -> str:
    if bits is None:
        return ""
    size = bits / 8 / 1024
    return f"{size:.1f} KiB" if size < 1024 else f"{size / 1024:.1f} MiB"


def _joules(energy: float) -> str:
    for unit, scale in (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6), ("nJ", 1e-9)):
        if energy >= scale:
            return f"{energy / scale:.3g} {unit}"
    return f"{energy / 1e-12:.3g} pJ"

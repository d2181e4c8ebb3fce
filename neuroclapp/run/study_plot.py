"""The step ``plot`` of a study: its pictures and ``report.html`` from its results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..report.bits import bits, traces
from ..report.document import Shown
from ..report.study import breaks, curves, layers, page
from ..report.text import cell
from ..weights import load_weights
from .draw import plot_report, results_of
from .study import StudyRun
from .study_traces import COMPARED, scales_in
from .study_traces import traces as traces_of


def plot_study(run: StudyRun) -> None:
    """Draw every picture that has points, and write the report."""
    results = results_of(run)
    plot_report(run, results, _figures(run, results), len(results["pictures"]), page)


_BITS = (
    "Blue: from a weight's (or tag's) step to its range; orange: what 99.9 % of weights and of updates need, "
    "in float runs with seeds of their own. Right: weights at the end, all seeds."
)


def _figures(run: StudyRun, results: dict[str, Any]) -> Iterator[Shown]:
    used = {point["picture"] for one in results["conditions"].values() for point in one["points"]}
    for picture in results["pictures"]:
        if picture["name"] not in used:
            continue
        if picture["by"] == "layer":
            yield Shown(picture["name"], picture["title"], layers(picture, results), _depth(picture, results))
            for name, one in results["conditions"].items():
                if "chip" in one and any(point["picture"] == picture["name"] for point in one["points"]):
                    yield Shown(f"bits_{name}", f"{one['title']}: where the bits go", bits(one), _BITS)
                    yield from _traces(run, name, one)
        else:
            several = any(len(one["seeds"]) > 1 for one in results["conditions"].values())
            bars = " Bars are 95 % intervals over seeds." if several else ""
            sentence = breaks(picture, results) + bars
            yield Shown(picture["name"], picture["title"], curves(picture, results), sentence)


_TRACES = (
    "x1 is the count that a presynaptic unit replays, y1 what the neuron shows in the window of the sample: "
    "its neutral value and, where the gate is open, gamma d rho'. Lines are what the chip's trace holds; "
    "circles are the rate network's values, with the same learned weights and in steps of the trace. The "
    "unit is the one whose values vary most; cosines are over all units and {} presentations without "
    "learning. Where only one of the two worlds opens its gate, y1 differs."
)


def _traces(run: StudyRun, name: str, one: dict[str, Any]) -> Iterator[Shown]:
    """Draw traces of a condition on a chip, where the weights are still there that it learned."""
    condition, seed = run.study.condition(name), one["seeds"][0]
    worlds, path = run.worlds(condition), run.of(condition, f"seed{seed}.safetensors")
    if path.is_file():
        chip = condition.settings.on_chip
        held = traces_of(
            worlds.populations,
            chip.chip,
            scales_in(one["chip"], chip),
            load_weights(path, worlds.network),
            worlds.stream(seed)[-COMPARED:],
        )
        title = f"{one['title']}: quantised traces beside float (seed {seed})"
        yield Shown(f"traces_{name}", title, traces(held), _TRACES.format(COMPARED))


def _depth(picture: dict[str, Any], results: dict[str, Any]) -> str:
    """Say, condition by condition, what spikes have over rates in the top layer."""
    said = []
    for one in results["conditions"].values():
        if any(point["picture"] == picture["name"] for point in one["points"]):
            difference = one["paired_difference"]["spiking_minus_rate"]
            said.append(f"{one['title']}, {one['layers'][-1]}: {cell(difference, '+.2f', -1)} points")
    return f"Learning in spikes minus learning in rates, seed by seed: {'; '.join(said)}. Dots are seeds."

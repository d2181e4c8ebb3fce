"""The step ``plot`` of a run of image systems: figures and ``report.html`` from its results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..report.document import Shown
from ..report.modules import modules
from ..report.references import minus
from ..report.systems import accuracy, layers
from ..report.systems_page import figure_of, page
from ..report.training import loss, training
from ..systems import Row, TableOfSystems
from .draw import plot_report, results_of
from .systems import SystemsRun

_LOSSES = {"hinge": "hinge loss", "cross_entropy": "binary cross-entropy", "info_nce": "InfoNCE"}


def plot_systems(run: SystemsRun) -> None:
    """Draw every figure that the experiment names, and write the report."""
    results, experiment = results_of(run), run.experiment
    figures, count = _figures(experiment, results), len(experiment.figures)
    plot_report(run, results, figures, count, page)


def alike(experiment: TableOfSystems) -> dict[str, list[str]]:
    """Return the systems that learn from the same thing in the same encoder, by what that is.

    Groups whose modules are all cut in one way say nothing about cuts and are left out, unless all are so.
    """
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in experiment.systems:
        if row.learns != "nothing":
            contrast = replace(row.contrast, blocks=()) if row.learns == "contrast" else None
            key = (row.learns, contrast, row.model or experiment.model, row.width or experiment.width)
            found.setdefault(key, []).append(row)
    several = [rows for rows in found.values() if len({row.modules for row in rows}) > 1]
    groups: dict[str, list[str]] = {}
    for rows in several or found.values():
        name = "labels" if rows[0].learns == "labels" else _LOSSES[rows[0].contrast.loss]
        name = f"{name} ({rows[0].title})" if name in groups else name
        groups[name] = [row.name for row in rows]
    return groups


def _figures(experiment: TableOfSystems, results: dict[str, Any]) -> Iterator[Shown]:
    for name in experiment.figures:
        if name == "accuracy":
            yield Shown(name, "What a linear readout finds", accuracy(results), _best(results))
        elif name == "layers":
            yield Shown(name, "Accuracy by layer", layers(results), _depth(results))
        elif name == "modules":
            groups = alike(experiment)
            yield Shown(
                name, "Accuracy by number of modules", modules(results, groups), _cuts(results, groups)
            )
        elif name == "training":
            yield Shown(
                name,
                "Training losses",
                training(results),
                "Each line is the loss of one module, averaged over seeds, dark for the lowest layers and "
                "light for the highest; no gradient passes from one module to the next.",
            )
        else:
            yield Shown(
                name,
                "The CLAPP loss and its gate",
                loss(),
                "The loss is linear where the score is on the wrong side of its margin, so its slope, the "
                "gate gamma, only says whether and in which direction the whole layer learns.",
            )


def _best(results: dict[str, Any]) -> str:
    """Say which of the trained systems is best, and how far above what it is compared with."""
    systems = results["systems"]
    trained = [one for one in systems.values() if one["learns"] != "nothing"]
    if not trained:
        return "No system is trained; dots are seeds."
    best = max(trained, key=lambda one: one["test"]["mean"][-1])
    text = f"{best['title']} is the highest with {figure_of(best['test'], -1)} %"
    found = [
        f"{figure_of(values, -1, '+')} points from {systems[name]['title']}"
        for name, values in minus(results, best).items()
    ]
    if found:
        text += f", {' and '.join(found)} (dashed), seed by seed"
    return f"{text}; dots are seeds."


def _depth(results: dict[str, Any]) -> str:
    """Say which trained system gains most between its first layer and its top."""
    trained = [one for one in results["systems"].values() if one["learns"] != "nothing"]
    text = "A line that rises to the right stands for layers that build on those below"
    if not trained:
        return f"{text}."
    gains = [(one["test"]["mean"][-1] - one["test"]["mean"][0], one) for one in trained]
    gain, one = max(gains, key=lambda pair: pair[0])
    ends = f"{one['layers'][0]} to {one['layers'][-1]}"
    return f"{text}; from {ends} the largest change is {gain:+.1f} points, of {one['title']}."


def _cuts(results: dict[str, Any], groups: dict[str, list[str]]) -> str:
    """Say, group by group, what the finest cut has over the coarsest."""
    systems, found = results["systems"], []
    for group, names in groups.items():
        order = sorted((systems[name] for name in names), key=lambda one: len(one["modules"]))
        fine, coarse = order[-1], order[0]
        if len(fine["modules"]) > len(coarse["modules"]):
            change = fine["test"]["mean"][-1] - coarse["test"]["mean"][-1]
            found.append(f"{change:+.1f} points with {group} ({len(fine['modules'])} instead of "
                         f"{len(coarse['modules'])})")  # fmt: skip
    text = "More modules mean that gradients reach less far"
    return f"{text}; the finest cut against the coarsest: {', '.join(found)}." if found else f"{text}."

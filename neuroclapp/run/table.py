"""``results.json`` as a table for the terminal."""

from __future__ import annotations

from typing import Any

from ..report.text import cells
from .compare import compare
from .directory import RunDirectory

_AGREEMENT = (
    ("update_cosine", "update cosine"),
    ("accumulated_cosine", "accumulated cosine"),
    ("norm_ratio", "norm ratio"),
    ("shuffled_gamma_cosine", "shuffled gamma (floor)"),
)
_GATES = (
    ("trajectory_cosine", "trajectory cosine of w_ff"),
    ("trajectory_ceiling", "  its ceiling"),
    ("gate_agreement", "gate agreement"),
    ("gate_kappa", "gate kappa"),
    ("gate_agreement_near_margin", "gate agreement near margin"),
    ("gate_open_fraction", "gate open"),
    ("score_rmse", "score RMSE"),
    ("excess_spikes", "excess spikes per unit"),
)


def show(run: RunDirectory) -> None:
    """Compare, and print the table."""
    print(table(compare(run)))


def table(results: dict[str, Any]) -> str:
    """Return the figures of a run as text, by layer: means, of several seeds with the 95 % interval."""
    layers = results["layers"]
    count = len(results["seeds"])
    said = f"{count} seeds, mean +- 95 % interval" if count > 1 else f"seed {results['seeds'][0]} alone"
    lines = [f"{results['experiment']}: {said}", ""]
    for key, title in (
        ("accuracy", "accuracy [%], all labels"),
        ("accuracy_few_labels", "accuracy [%], few labels"),
    ):
        lines.append(_row(title, layers))
        lines += [_row("  " + world, _figures(figure, "6.2f")) for world, figure in results[key].items()]
        lines.append("")
    for key, title in (
        ("paired_difference", "paired difference [points], all labels"),
        ("paired_difference_few_labels", "paired difference [points], few labels"),
    ):
        lines.append(_row(title, layers))
        lines += [_row("  " + name, _figures(figure, "+6.2f")) for name, figure in results[key].items()]
        lines.append("")
    agreement = results["agreement"]
    lines.append(_row("agreement of spikes and rates", layers))
    for key, title in _AGREEMENT:
        for target, figure in agreement[key].items():
            lines.append(_row(f"  {title}, {target}", _figures(figure, "7.4f")))
    lines += [_row("  " + title, _figures(agreement[key], "7.4f")) for key, title in _GATES]
    for key, title in (("gate_agreement", "gate agreement"), ("gate_open_fraction", "gate open")):
        for gate, figure in agreement.get(f"{key}_by_gate", {}).items():
            lines.append(_row(f"  {title}, {gate}", _figures(figure, "7.4f")))
    if "lava" in results:
        lines += ["", "Lava"]
        lines += [f"  {name.replace('_', ' ')}: {value}" for name, value in results["lava"].items()]
    cost = sum(step["wall_s"] for step in results["cost"].values())
    lines += ["", f"wall time of all steps: {cost:.0f} s"]
    return "\n".join(lines)


def _figures(figure: dict[str, Any], form: str) -> list[str]:
    return cells(figure, form, between=" +- ")


def _row(title: str, cells: list[str]) -> str:
    return f"{title:44s}" + "".join(f"{cell:>20s}" for cell in cells)

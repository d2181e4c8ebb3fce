"""``neuroclapp export --fit``: a run's network in a chip's integers, with scales chosen on float runs.

Writes ``fixed.json``, from the initial weights of the first seed, and ``fit.json``: the float runs' ranges,
what was tried, and the scales. The float runs have seeds of their own, which no figure uses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..data import digits
from ..files import read_json
from ..onchip.chip import load_chip
from ..onchip.fixed import file
from ..onchip.fixed.scaling import fixed_program
from ..report.text import aligned
from ..settings import OnChip, Settings
from .directory import RunDirectory
from .study_chip import scales_of
from .study_worlds import Worlds


def fit(folder: Path) -> str:
    """Choose scales, write ``fixed.json`` and ``fit.json``, and return a table of where the bits go."""
    run = RunDirectory(folder)
    experiment = run.experiment
    settings = Settings(
        model=experiment.model,
        seeds=experiment.seeds,
        data=experiment.data,
        learning=experiment.learning,
        initial=experiment.initial,
        spiking=experiment.spiking,
        chip=OnChip(chip=experiment.chip),
    )
    report = run.folder / "fit.json"
    report.unlink(missing_ok=True)
    scales = scales_of(Worlds(settings, digits.load()), report)
    weights = run.weights(experiment.seeds[0], "initial")
    file.write(fixed_program(run.populations, weights, load_chip(experiment.chip), scales), run.folder)
    return table(read_json(report))


def table(report: dict[str, Any]) -> str:
    """Return the table of a fit: by matrix its range and steps, and how well tags of several steps did."""
    heads = (
        "matrix",
        "|w|",
        "weight step",
        "|dw| [steps]",
        "tag steps in one",
        "tried: cosine with the rate rule",
    )
    rows = [heads]
    for name, scale in report["scales"].items():
        tried = report["tried"].get(name, {})
        change = report["ranges"]["change"][name] * 2.0 ** scale["exponent"]
        rows.append(
            (
                name,
                f"{report['ranges']['weight'][name]:.3f}",
                f"2^-{scale['exponent']}",
                f"{change:.1f}",
                str(report["carry"].get(name, scale["carry"])),
                ", ".join(f"{steps}: {cosine:.3f}" for steps, cosine in tried.items()),
            )
        )
    return "\n".join(["widest of 99.9 %, in rate units or steps", *aligned(rows, left=len(rows[0]))])

"""``neuroclapp export --fit``: a run's network in a chip's integers, with what is chosen on float runs.

Chosen are how an update reaches a weight (`SCHEMES`) and all scales: the ones whose changes follow the rate
rule best, in the matrix that follows it worst, where float runs go on with validation images. Writes
``fixed.json``, from the initial weights of the first seed, and ``fit.json``: the float runs' ranges, what was
tried, and what each choice bought. The float runs have seeds of their own, which no figure uses.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..data import digits
from ..files import read_json, write_json
from ..onchip.chip import load_chip
from ..onchip.fixed import file
from ..onchip.fixed.scaling import fixed_program
from ..onchip.fixed.schemes import Scheme
from ..report.text import aligned
from ..settings import OnChip, Settings
from .directory import RunDirectory
from .study_scales import Choice, choose, float_runs
from .study_worlds import Worlds

SCHEMES = {
    "carried, 16 levels": Scheme(),
    "carried, 32 levels": Scheme(levels=32),
    "64 presentations in a tag": Scheme("batch"),
    "into the weight, rests kept": Scheme("weight"),
    "into the weight": Scheme("weight", mantissa=1, keeps=False, remainder=False),
}


def fit(folder: Path) -> str:
    """Choose, write ``fixed.json`` and ``fit.json``, and return tables of what each choice bought."""
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
    worlds = Worlds(settings, digits.load())
    runs = float_runs(worlds)
    choices = {title: choose(worlds, scheme, runs) for title, scheme in SCHEMES.items()}
    best = max(choices, key=lambda title: min(_cosines(choices[title]).values()))
    weights = run.weights(experiment.seeds[0], "initial")
    program = fixed_program(run.populations, weights, load_chip(experiment.chip), choices[best].scales)
    schemes = {
        title: {"scheme": asdict(SCHEMES[title]), "cosine": _cosines(choice)}
        for title, choice in choices.items()
    }
    report = {"chosen": best, "schemes": schemes, **choices[best].document(runs)}
    write_json(run.folder / "fit.json", report)
    file.write(program, run.folder)
    return table(read_json(run.folder / "fit.json"))


def _cosines(choice: Choice) -> dict[str, float]:
    return {matrix: choice.cosine(matrix) for matrix in choice.tried}


def table(report: dict[str, Any]) -> str:
    """Return the tables of a fit: schemes by matrix, and the ranges and steps of the one that was chosen."""
    matrices = list(report["tried"])
    bought = [("cosine with the rate rule", *matrices)]
    for title, one in report["schemes"].items():
        chosen = " (chosen)" if title == report["chosen"] else ""
        bought.append((title + chosen, *(f"{one['cosine'][name]:.3f}" for name in matrices)))
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
                str(scale["carry"]),
                ", ".join(f"{steps}: {cosine:.3f}" for steps, cosine in tried.items()),
            )
        )
    where = ["", "widest of 99.9 %, in rate units or steps", *aligned(rows, left=len(rows[0]))]
    return "\n".join([*aligned(bought), *where])

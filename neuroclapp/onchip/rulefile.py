"""`plasticity.json`: the learning half of an export, beside `network.nir`. Its writer; `rulereader` reads it.

NIR has no place for plasticity, so this file carries it: rule strings, what the neuron folds into which
trace, learn windows, scales, modulators and the matrices that only learning needs. docs/plasticity-format.md
describes every field. Numbers are written so that they read back to the last bit.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..files import write_text
from .clock import WINDOWS
from .program import Connection, LayerProgram, Program

FILE = "plasticity.json"
FORMAT, VERSIONS = "neuroclapp-plasticity", (1, 2)
MEMBRANE = {"threshold": 1.0, "start": 0.5, "reset": "subtract"}
X1 = {"update": "overwrite", "gain": 0.5, "decay": "none"}
Y = {"update": "neuron", "decay": "none"}


def write(program: Program, folder: Path) -> None:
    """Write ``folder/plasticity.json``, whole or not at all."""
    clock = program.clock
    document = {
        "format": FORMAT,
        "version": version(program),
        "chip": program.chip,
        "feedback": program.prediction.feedback,
        "gate": program.prediction.gate,
        "clock": {
            "dt": clock.dt,
            "steps": clock.steps,
            "steps_on": clock.steps_on,
            "epoch": clock.epoch,
            "release": clock.release,
            "windows": {name: list(clock.window(name)) for name in WINDOWS},
            "period": clock.period,
        },
        "membrane": MEMBRANE,
        "traces": {"x1": X1, "y": Y},
        "input": vars(program.input),
        "layers": [_layer(layer) for layer in program.layers],
    }
    text = json.dumps(document, indent=2, allow_nan=False)
    rows = re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text)
    write_text(folder / FILE, rows + "\n")


def version(program: Program) -> int:
    """Return the lowest version that holds a program: 2 where gates are separate."""
    return 1 if program.prediction.gate == "shared" else 2


def _layer(layer: LayerProgram) -> dict[str, Any]:
    modulators = {
        f"modulator{gate.removeprefix('gamma')}": {**vars(one), "listens": one.listens.tolist()}
        for gate, one in layer.modulators.items()
    }
    return {
        **vars(layer.soma),
        "source": layer.source,
        "connections": [_connection(one) for one in layer.connections],
        **modulators,
    }


def _connection(one: Connection) -> dict[str, Any]:
    folds = [
        {
            "trace": fold.trace,
            "window": fold.window,
            "scale": fold.scale,
            "gate": fold.gate,
            "post": [f"{factor.symbol}({factor.time})" for factor in fold.post],
        }
        for fold in one.series.folds
    ]
    result = {
        "target": one.target,
        "dw": one.series.text,
        "folds": folds,
        "scale": one.scale,
        "learning_rate": one.learning_rate,
    }
    return result if one.weights is None else {**result, "weights": one.weights.tolist()}

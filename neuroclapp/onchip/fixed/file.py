"""``fixed.json``: a fixed-point program as a file, which Lava and the integer simulator read alike."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from ...files import read_json, write_text
from ...plasticity import GATES, Factor
from .. import series
from ..checked import Table
from ..clock import WINDOWS, Clock
from ..interpreter import LAVA_WORDS, Words
from .program import (
    FixedAxon,
    FixedConnection,
    FixedFold,
    FixedLayer,
    FixedModulator,
    FixedProgram,
    FixedUnits,
    Integers,
)

FILE = "fixed.json"
#: Version 2 has two gates; a program with one is written as version 1.
FORMAT, VERSIONS = "neuroclapp-fixed-point", (1, 2)
_TARGETS = ("w_ff", "bias", "w_pred", "w_retro")
_FACTORS = [Factor(symbol, time) for symbol in ("z", "rho", "d", "r") for time in WINDOWS]  # type: ignore[arg-type]
_POST = {f"{factor.symbol}({factor.time})": factor for factor in _FACTORS}


def write(program: FixedProgram, folder: Path) -> None:
    """Write ``folder/fixed.json``, whole or not at all."""
    clock = program.clock
    document = {
        "format": FORMAT,
        "version": max(len(layer.modulators) for layer in program.layers),
        "chip": program.chip,
        "clock": {"dt": clock.dt, "steps": clock.steps, "steps_on": clock.steps_on, "epoch": clock.epoch},
        "input": vars(program.input),
        **({} if program.words == LAVA_WORDS else {"words": vars(program.words)}),
        "layers": [_layer(layer) for layer in program.layers],
    }
    text = json.dumps(document, indent=2, allow_nan=False)
    rows = re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text)
    write_text(folder / FILE, rows + "\n")


def read(folder: Path) -> FixedProgram:
    """Read ``folder/fixed.json``; raise InputError that names the file, the key and the value at fault."""
    path = folder / FILE
    table = Table(read_json(path), path)
    table.only("format", FORMAT)
    version = table.only("version", *VERSIONS)
    part = table.table("clock")
    steps = part.integer("steps", 4)
    clock = Clock(
        part.number("dt", 0, above=True),
        steps,
        part.integer("steps_on", 1, steps - 1),
        part.integer("epoch", 1),
    )
    part.done()
    below = _read_units(table.table("input"))
    source, layers = below, []
    words = _read_words(table.table("words")) if table.has("words") else LAVA_WORDS
    for one in table.tables("layers"):
        layer = _read_layer(one, below, path, version)
        layers.append(layer)
        below = layer.soma
    program = FixedProgram(table.text("chip"), clock, source, tuple(layers), words)
    table.done()
    return program


def _read_words(table: Table) -> Words:
    bits = {name: table.integer(name, 1, 30) for name in vars(LAVA_WORDS)}
    table.done()
    return Words(**bits)


def _layer(layer: FixedLayer) -> dict[str, Any]:
    second = layer.modulator_retro
    axon = {} if layer.axon is None else {"axon": vars(layer.axon)}
    return {
        **axon,
        "soma": vars(layer.soma),
        "connections": [_connection(one) for one in layer.connections],
        "modulator": _modulator(layer.modulator),
        **({} if second is None else {"modulator_retro": _modulator(second)}),
    }


def _modulator(of: FixedModulator) -> dict[str, Any]:
    return {
        key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in vars(of).items()
    }


def _connection(one: FixedConnection) -> dict[str, Any]:
    folds = [_fold(fold) for fold in one.folds]
    part = {"part": one.part} if one.part else {}
    return {
        "target": one.target,
        **part,
        "exponent": one.exponent,
        "carry": one.carry,
        "every": one.every,
        "dw": series.text(one.dw),
        "dt": series.text(one.dt) if one.dt else "",
        "folds": folds,
        "weights": one.weights.tolist(),
        "tags": one.tags.tolist(),
    }


def _fold(one: FixedFold) -> dict[str, Any]:
    values = {**vars(one), "post": [f"{factor.symbol}({factor.time})" for factor in one.post]}
    if one.gate == "gamma":
        del values["gate"]
    return values


def _read_units(table: Table) -> FixedUnits:
    units = FixedUnits(
        table.text("name"),
        table.integer("units", 1),
        table.integer("neurons", 1),
        table.number("quantum", 0, above=True),
        table.integer("threshold", 2),
        table.integer("replay", 0),
    )
    table.done()
    return units


def _read_layer(table: Table, below: FixedUnits, path: Path, version: int) -> FixedLayer:
    soma = _read_units(table.table("soma"))
    connections = tuple(
        _read_connection(one, soma, below, path, version) for one in table.tables("connections")
    )
    targets = [one.key for one in connections]
    needed = ("w_ff", "w_pred", "w_retro")[: version + 1]
    if len(set(targets)) < len(targets) or not set(needed) <= set(targets):
        raise table.refuse("connections", f"need {', '.join(needed)}, and each target and part once")
    axon = _read_axon(table.table("axon")) if "bias" in targets else None
    modulator = _read_modulator(table.table("modulator"), soma)
    second = _read_modulator(table.table("modulator_retro"), soma) if version > 1 else None
    table.done()
    return FixedLayer(soma, connections, modulator, axon, second)


def _read_modulator(part: Table, soma: FixedUnits) -> FixedModulator:
    rest = part.get("rest")
    modulators = len(rest) if isinstance(rest, list) else 0
    modulator = FixedModulator(
        _integers(part, "listens", (modulators, soma.units)),
        part.integer("coincidence", 0),
        _integers(part, "rest", (modulators,)),
        part.integer("resolution", 0),
        part.integer("multiplier", 1),
        part.integer("shift", 0),
        part.integer("burst", 1),
        part.integer("baseline", 0),
    )
    part.done()
    return modulator


def _read_axon(table: Table) -> FixedAxon:
    axon = FixedAxon(
        table.integer("payload", 1), table.integer("replay", 1), table.number("activity", 0, above=True)
    )
    table.done()
    return axon


def _read_connection(
    table: Table, soma: FixedUnits, below: FixedUnits, path: Path, version: int
) -> FixedConnection:
    target = table.only("target", *_TARGETS)
    shape = (soma.units, {"w_ff": below.units, "bias": 1}.get(target, soma.units))
    tagged = table.get("dt") != ""
    connection = FixedConnection(
        target,
        table.integer("exponent", -16),
        table.integer("carry", 1),
        series.parse(table.text("dw"), path, table.key("dw")),
        series.parse(table.text("dt"), path, table.key("dt")) if tagged else (),
        tuple(_read_fold(one, version) for one in table.tables("folds")),
        _integers(table, "weights", shape),
        _integers(table, "tags", shape),
        table.integer("every", 0),
        table.integer("part", 1) if table.has("part") else 0,
    )
    table.done()
    return connection


def _read_fold(table: Table, version: int) -> FixedFold:
    names = table.get("post")
    if not isinstance(names, list) or not names or any(name not in _POST for name in names):
        raise table.refuse("post", f"must be a list of {', '.join(_POST)}")
    fold = FixedFold(
        table.only("window", *WINDOWS),
        tuple(_POST[name] for name in names),
        table.integer("multiplier", 1),
        table.integer("shift", 0),
        table.integer("stride", 1),
        table.integer("most", 1),
        table.only("keeps", True, False),
        table.only("gate", *GATES) if version > 1 and table.has("gate") else "gamma",
    )
    table.done()
    return fold


def _integers(table: Table, key: str, shape: tuple[int, ...]) -> Integers:
    array = table.array(key, shape)
    if not np.array_equal(array, np.round(array)):
        raise table.refuse(key, "must be integers")
    return array.astype(np.int64)

"""Reading `plasticity.json`: every field is checked, and each error names the file, the key and the value."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import InputError
from ..files import read_json
from ..network import Prediction
from ..plasticity import Factor, Gate, clapp
from . import series
from .checked import Table
from .clock import WINDOWS, Clock
from .products import Fold, Series
from .program import Connection, LayerProgram, ModulatorProgram, Program, Units
from .rulefile import FILE, FORMAT, MEMBRANE, VERSIONS, X1, Y
from .series import POST_TRACES, Operand, Term

_TARGETS = ("w_ff", "bias", "w_pred", "w_retro")


def read(folder: Path) -> Program:
    """Read ``folder/plasticity.json``; raise InputError that names file, key and value at fault."""
    path = folder / FILE
    table = Table(read_json(path), path)
    table.only("format", FORMAT)
    version = table.only("version", *VERSIONS)
    feedback = table.only("feedback", "symmetric", "blocked", "split")
    may_be_separate = version > 1 and feedback == "split"
    gate = table.only("gate", "shared", *(["separate"] if may_be_separate else []))
    prediction = Prediction(feedback, gate)
    membrane, traces = table.table("membrane"), table.table("traces")
    for part, expected in ((membrane, MEMBRANE), (traces.table("x1"), X1), (traces.table("y"), Y)):
        for key, value in expected.items():
            part.only(key, value)
        part.done()
    traces.done()
    below = _read_units(table.table("input"))
    program_input, layers = below, []
    for one in table.tables("layers"):
        layer = _read_layer(one, below, path, clapp(prediction).gates)
        layers.append(layer)
        below = layer.soma
    names = [program_input.name, *(layer.soma.name for layer in layers)]
    if len(set(names)) < len(names):
        raise InputError(path, "layers", names, "names of populations must differ")
    program = Program(
        table.text("chip"), prediction, _read_clock(table.table("clock")), program_input, tuple(layers)
    )
    table.done()
    return program


def _read_clock(table: Table) -> Clock:
    steps = table.integer("steps", 2)
    clock = Clock(
        table.number("dt", 0, above=True),
        steps,
        table.integer("steps_on", 1, steps - 1),
        table.integer("epoch", 1),
    )
    windows = table.table("windows")
    for name in WINDOWS:
        windows.only(name, list(clock.window(name)))
    windows.done()
    table.only("release", clock.release)
    table.only("period", clock.period)
    table.done()
    return clock


def _read_units(table: Table, done: bool = True) -> Units:
    units = Units(
        table.text("name"),
        table.integer("units", 1),
        table.integer("neurons", 1),
        table.number("quantum", 0, above=True),
    )
    if done:
        table.done()
    return units


def _read_layer(table: Table, below: Units, path: Path, gates: tuple[Gate, ...]) -> LayerProgram:
    soma = _read_units(table, done=False)
    source = table.only("source", below.name)
    connections = tuple(_read_connection(one, soma.units, path, gates) for one in table.tables("connections"))
    targets = [one.target for one in connections]
    if len(set(targets)) < len(targets) or "w_ff" not in targets or "w_pred" not in targets:
        raise table.refuse("connections", "need w_ff and w_pred, and each target once")
    modulators = []
    for gate in gates:
        part = table.table(f"modulator{gate.removeprefix('gamma')}")
        units = part.integer("units", 1)
        modulators.append(
            ModulatorProgram(
                units,
                part.number("tonic", 0),
                part.number("resolution", 0, above=True),
                part.number("burst", 1),
                part.array("listens", (2 * units, soma.units)),
            )
        )
        part.done()
    table.done()
    return LayerProgram(soma, source, connections, *modulators)


def _read_connection(table: Table, units: int, path: Path, gates: tuple[Gate, ...]) -> Connection:
    target = table.only("target", *_TARGETS)
    terms = series.parse(table.text("dw"), path, table.key("dw"))
    folds = tuple(_read_fold(one, gates) for one in table.tables("folds"))
    _check(table, terms, folds, bias=target == "bias")
    square = target in ("w_pred", "w_retro")
    weights = table.array("weights", (units, units)) if square else None
    connection = Connection(
        Series(target, terms, folds),
        table.number("scale", 0, above=True),
        table.number("learning_rate", 0),
        weights,
    )
    table.done()
    return connection


def _read_fold(table: Table, gates: tuple[Gate, ...]) -> Fold:
    post = []
    names = table.get("post")
    for name in names if isinstance(names, list) and names else [None]:
        found = re.fullmatch(r"(z|rho|d|r)\((context|sample)\)", name) if isinstance(name, str) else None
        if found is None:
            raise table.refuse("post", "must be a list of z(..), rho(..), d(..), r(..) at context or sample")
        post.append(Factor(found[1], found[2]))  # type: ignore[arg-type]
    fold = Fold(
        table.only("trace", *POST_TRACES),
        table.only("window", *WINDOWS),
        table.number("scale", 0),
        table.only("gate", *gates),
        tuple(post),
    )
    table.done()
    return fold


def _check(table: Table, terms: tuple[Term, ...], folds: tuple[Fold, ...], bias: bool) -> None:
    """Refuse a rule that needs more than this format provides: one x1 and one folded y in each product."""
    traces = [fold.trace for fold in folds]
    if len(set(traces)) < len(traces) or len(traces) != len(terms):
        raise table.refuse("folds", "need one fold for each product of 'dw', each with its own trace")
    for term, trace in zip(terms, traces, strict=True):
        operands = (Operand(trace),) if bias else (Operand("x1"), Operand(trace))
        form = f"u0*{trace}" if bias else f"x0*x1*{trace}"
        if term.dependency != form[:2] or term.operands != operands:
            raise table.refuse("dw", f"product {str(term)!r}: must be m*2^e*{form}, in the order of 'folds'")

"""Read ``plasticity.json`` and evaluate its rules, with numpy and the standard library only.

Copy this file into a project of your own; docs/plasticity-format.md describes the format. It refuses what the
format forbids, with the key and its value, gives arrays and rules, and computes one learning step in floats,
from spike counts:

    for each product of a rule ``dw``, in its window ("sample" or "context"):
        x1_i = count of the presynaptic unit in the presentation that the window names, x0_i = 1 if not 0
        y_j  = scale * gate * product of the factors ``post``_j, in rate units
        dW_ji = m * 2^e * x0_i * x1_i * y_j                       a bias has no x: db_j = m * 2^e * y_j

    python plasticity_reader.py FOLDER/plasticity.json            say what a file holds
"""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VERSIONS = (1, 2)
TARGETS = ("w_ff", "bias", "w_pred", "w_retro")
TRACES = ("y1", "y2", "y3")
MEMBRANE = {"threshold": 1.0, "start": 0.5, "reset": "subtract"}
X1 = {"update": "overwrite", "gain": 0.5, "decay": "none"}
Y = {"update": "neuron", "decay": "none"}
_NUMBER = "(?:0|[1-9][0-9]{0,8})"


@dataclass(frozen=True)
class Product:
    """One product: ``size = m * 2^e``, and what the postsynaptic neuron folds into its trace."""

    size: float
    window: str
    scale: float
    post: tuple[tuple[str, str], ...]  # (symbol, time): ("d", "sample"), ("rho", "context") ...
    gate: str = "gamma"


@dataclass(frozen=True)
class Rule:
    """The rule of one matrix; ``weights`` (post, pre) to start from, None where `network.nir` holds them."""

    target: str
    products: tuple[Product, ...]
    unit: float  # the chip's weight for a weight of 1 in the rate network
    weights: np.ndarray | None


@dataclass(frozen=True)
class Modulator:
    """A modulator of a layer; ``listens`` (2 * units, the layer's units), fixation half first."""

    units: int
    tonic: float
    resolution: float
    burst: float
    listens: np.ndarray


@dataclass(frozen=True)
class Layer:
    """A layer. ``quantum``: activity of a spike; ``modulators`` by the gate that they release.

    "gamma" is that of the score z . d, and where gates are separate "gamma_retro" that of c . r.
    """

    name: str
    source: str
    units: int
    neurons: int
    quantum: float
    rules: dict[str, Rule]
    modulators: dict[str, Modulator]


@dataclass(frozen=True)
class Plasticity:
    """All of a file."""

    version: int
    chip: str
    feedback: str
    gate: str
    clock: dict
    input: dict
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Seen:
    """What a layer has seen in one presentation.

    ``pre`` (inputs,) spikes of the presynaptic units, ``count`` (units,) the layer's own, ``charge`` (units,)
    the net charge of its somata, of which only the sign matters.
    """

    pre: np.ndarray
    count: np.ndarray
    charge: np.ndarray


class Table:
    """One JSON object. Methods take a key, and raise ValueError with key and value where they refuse."""

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            raise _fault(path.rstrip("."), value, "must be an object {...}")
        self._values, self._path, self._read = value, path, set()

    def fault(self, key: str, allowed: str) -> ValueError:
        return _fault(self._path + key, self._values.get(key), allowed)

    def get(self, key: str) -> object:
        if key not in self._values:
            raise ValueError(f"{self._path}{key}: this key is missing")
        self._read.add(key)
        return self._values[key]

    def only(self, key: str, *allowed: object) -> object:
        """Return a value that is one of these, of the same type; 1 may stand for 1.0."""
        value = self.get(key)
        for one in allowed:
            same = type(value) is type(one) or (type(value) is int and type(one) is float)
            if same and value == one:
                return one
        raise self.fault(key, f"must be {' or '.join(map(repr, allowed))}")

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not value:
            raise self.fault(key, "must be a text that is not empty")
        return value

    def integer(self, key: str, low: int, high: float = math.inf) -> int:
        value = self.get(key)
        if type(value) is not int or not low <= value <= high:
            raise self.fault(
                key, f"must be an integer >= {low}{'' if high == math.inf else f' and <= {high}'}"
            )
        return value

    def number(self, key: str, low: float, above: bool = False) -> float:
        """Return a finite number at least ``low``, or above it."""
        value = self.get(key)
        if not _finite(value) or value < low or (above and value == low):
            raise self.fault(key, f"must be a finite number {'>' if above else '>='} {low}")
        return float(value)

    def array(self, key: str, shape: tuple[int, int]) -> np.ndarray:
        """Return a table of finite numbers."""
        rows, (height, width) = self.get(key), shape
        full = isinstance(rows, list) and len(rows) == height
        full = full and all(isinstance(row, list) and len(row) == width for row in rows)
        if not full or not all(_finite(one) for row in rows for one in row):
            raise self.fault(key, f"must be a table of {shape} finite numbers")
        return np.array(rows, dtype=np.float64)

    def table(self, key: str) -> Table:
        return Table(self.get(key), f"{self._path}{key}.")

    def tables(self, key: str) -> list[Table]:
        value = self.get(key)
        if not isinstance(value, list) or not value:
            raise self.fault(key, "must be a list of at least one object")
        return [Table(one, f"{self._path}{key}.{number}.") for number, one in enumerate(value)]

    def done(self) -> None:
        """Refuse the keys that nobody has read: of another version, or misspelt."""
        unknown = sorted(set(self._values) - self._read)
        if unknown:
            raise self.fault(unknown[0], f"unknown key; known: {', '.join(sorted(self._read))}")


def _fault(key: str, value: object, allowed: str) -> ValueError:
    text = repr(value)
    return ValueError(f"{key or 'the file'} = {text if len(text) <= 80 else text[:77] + '...'}: {allowed}")


def _finite(value: object) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def read(path: str | Path) -> Plasticity:
    """Read a file; raise ValueError that names the file, and the key and the value at fault."""
    try:
        return _plasticity(Table(json.loads(Path(path).read_text(encoding="utf-8"))))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _plasticity(table: Table) -> Plasticity:
    table.only("format", "neuroclapp-plasticity")
    version = table.only("version", *VERSIONS)
    feedback = table.only("feedback", "symmetric", "blocked", "split")
    gate = table.only("gate", "shared", *(["separate"] if version > 1 and feedback == "split" else []))
    _exactly(table.table("membrane"), MEMBRANE)
    traces = table.table("traces")
    _exactly(traces.table("x1"), X1)
    _exactly(traces.table("y"), Y)
    traces.done()
    chip, clock, below = table.text("chip"), _clock(table.table("clock")), table.table("input")
    held = _population(below)
    below.done()
    gates = ("gamma",) if gate == "shared" else ("gamma", "gamma_retro")
    layers, names = [], [held["name"]]
    for one in table.tables("layers"):
        layers.append(_layer(one, names[-1], gates))
        if layers[-1].name in names:
            raise one.fault("name", f"must differ from other populations: {names}")
        names.append(layers[-1].name)
    table.done()
    return Plasticity(version, chip, feedback, gate, clock, held, tuple(layers))


def _exactly(table: Table, values: dict) -> None:
    """Check an object that a version leaves no choice in."""
    for key, value in values.items():
        table.only(key, value)
    table.done()


def _clock(table: Table) -> dict:
    """Check the clock: windows are the first two whole epochs after the release."""
    steps, epoch = table.integer("steps", 2), table.integer("epoch", 1)
    clock = {"dt": table.number("dt", 0, above=True), "steps": steps}
    clock |= {"steps_on": table.integer("steps_on", 1, steps - 1), "epoch": epoch}
    first = -(-(steps + 1) // epoch) * epoch
    windows = {"sample": [first, first + epoch], "context": [first + epoch, first + 2 * epoch]}
    _exactly(table.table("windows"), windows)
    table.only("release", steps)
    table.only("period", first + 2 * epoch)
    table.done()
    return {**clock, "release": steps, "windows": windows, "period": first + 2 * epoch}


def _population(table: Table) -> dict:
    return {
        "name": table.text("name"),
        "units": table.integer("units", 1),
        "neurons": table.integer("neurons", 1),
        "quantum": table.number("quantum", 0, above=True),
    }


def _layer(table: Table, below: str, gates: tuple[str, ...]) -> Layer:
    own, rules = _population(table), {}
    source = table.only("source", below)
    for connection in table.tables("connections"):
        rule = _rule(connection, own["units"], gates)
        if rule.target in rules:
            raise connection.fault("target", "comes twice")
        rules[rule.target] = rule
    if "w_ff" not in rules or "w_pred" not in rules:
        raise _fault(f"{own['name']}, connections", list(rules), "w_ff and w_pred are needed")
    modulators = {}
    for gate in gates:
        part = table.table(gate.replace("gamma", "modulator"))
        units = part.integer("units", 1)
        modulators[gate] = Modulator(
            units,
            part.number("tonic", 0),
            part.number("resolution", 0, above=True),
            part.number("burst", 1),
            part.array("listens", (2 * units, own["units"])),
        )
        part.done()
    table.done()
    return Layer(own["name"], source, own["units"], own["neurons"], own["quantum"], rules, modulators)


def _rule(table: Table, units: int, gates: tuple[str, ...]) -> Rule:
    target = table.only("target", *TARGETS)
    sizes, folds = _sizes(table, "u0" if target == "bias" else "x0*x1"), table.tables("folds")
    products, traces = [], [trace for _, trace in sizes]
    if len(folds) != len(sizes) or len(set(traces)) < len(traces):
        raise table.fault(
            "dw", f"must have one product for each of {len(folds)} folds, and each its own trace"
        )
    for fold, (size, trace) in zip(folds, sizes, strict=True):
        fold.only("trace", trace)
        post = [_FACTOR.fullmatch(one) if isinstance(one, str) else None for one in _listed(fold)]
        if not post or None in post:
            raise fold.fault("post", "must be a list of z(..), rho(..), d(..), r(..) at context or sample")
        window, scale = fold.only("window", "sample", "context"), fold.number("scale", 0)
        factors = tuple(found.groups() for found in post)
        products.append(Product(size, window, scale, factors, fold.only("gate", *gates)))
        fold.done()
    weights = table.array("weights", (units, units)) if target in ("w_pred", "w_retro") else None
    unit = table.number("scale", 0, above=True)
    table.number("learning_rate", 0)
    table.done()
    return Rule(target, tuple(products), unit, weights)


_FACTOR = re.compile(r"(z|rho|d|r)\((sample|context)\)")


def _listed(fold: Table) -> list:
    value = fold.get("post")
    return value if isinstance(value, list) else []


def _sizes(table: Table, form: str) -> list[tuple[float, str]]:
    """Return ``m * 2^e`` and the trace of each product of ``dw``; m, 2^e and x0 may stand in any order."""
    text = table.text("dw")
    found = []
    for sign, written in _products(text):
        if re.search(r"[\w.] +[\w.]", written):
            raise table.fault("dw", f"a space parts a name or a number in {written.strip(' ')!r}")
        product = written.replace(" ", "")
        m, e, factors = sign, 0, []
        for part in product.split("*"):
            power = re.fullmatch(rf"2\^([+-]?{_NUMBER})", part)
            if power:
                e += int(power[1])
            elif re.fullmatch(_NUMBER, part):
                m *= int(part)
            else:
                factors.append(re.sub(r"^\((x1|y[123])[+-]0\)$", r"\1", part))
        factors.sort(key=lambda one: one not in ("x0", "u0"))
        whole = "*".join(factors)
        if not any(whole == f"{form}*{trace}" for trace in TRACES):
            raise table.fault("dw", f"product {product!r} must be m*2^e*{form}*y, with y one of {TRACES}")
        if not (-8 <= m <= 7 and -7 <= e <= 8):
            raise table.fault("dw", f"product {product!r} must have m of -8 .. 7 and e of -7 .. 8")
        found.append((m * 2.0**e, factors[-1]))
    return found


def _products(text: str) -> list[tuple[int, str]]:
    """Split at each + and - that stands neither in brackets nor after ``^`` or ``*``: sign and product."""
    found, depth, start, sign, before = [], 0, 0, 1, ""
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter in "+-" and depth == 0 and before not in ("^", "*"):
            if before:
                found.append((sign, text[start:place]))
            start, sign = place + 1, -1 if letter == "-" else 1
        before = letter if letter != " " else before
    return [*found, (sign, text[start:])]


def dendrite(weights: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return d = W_pred c or r = W_retro z in rate units, from weights in the chip's units and spikes."""
    return weights @ count


def third_factor(
    layer: Layer, d: np.ndarray, count: np.ndarray, sign: int, gate: str = "gamma"
) -> tuple[float, np.ndarray]:
    """Return a gate and its modulator's spikes, [fixation, saccade], for a pair of this sign (0: no pair).

    For "gamma" ``d`` and the sample's ``count``; for "gamma_retro" r in the place of d, and the context's.
    """
    modulator = layer.modulators[gate]
    estimate = modulator.listens @ (d * count * layer.quantum)
    m = modulator.tonic + (np.arange(modulator.units) + 0.5) / modulator.units
    total = np.array(
        [
            np.clip(np.floor(m + modulator.resolution * (1 - side * half)), 0, modulator.burst).sum()
            for side, half in zip((1, -1), np.split(estimate, 2), strict=True)
        ]
    )
    half = total[0] if sign > 0 else total[1]
    return float(sign) * (sign != 0 and half > modulator.units * modulator.tonic), total


def changes(
    layer: Layer,
    context: Seen,
    sample: Seen,
    d: np.ndarray,
    r: np.ndarray,
    gamma: float,
    gamma_retro: float | None = None,
) -> dict[str, np.ndarray]:
    """Return the change of each matrix at the end of the sample's presentation, in the chip's units.

    ``d``: W_pred, as it stood *during the context's presentation*, times the context's counts. ``r``: W_retro
    as it stood during the sample's, times the sample's counts; zeros where feedback is blocked.
    ``gamma_retro``: the second gate, where they are separate.
    """
    gates = {"gamma": gamma, "gamma_retro": gamma_retro}
    seen = {"context": context, "sample": sample}

    def factor(symbol: str, time: str) -> np.ndarray:
        if symbol in ("d", "r"):
            return d if symbol == "d" else r
        return seen[time].count * layer.quantum if symbol == "z" else (seen[time].charge > 0) * 1.0

    result = {}
    for target, rule in layer.rules.items():
        total: np.ndarray | float = 0.0
        for product in rule.products:
            y = product.size * product.scale * gates[product.gate] * np.ones(layer.units)
            for symbol, time in product.post:
                y = y * factor(symbol, time)
            x = seen[product.window].pre if target == "w_ff" else seen[product.window].count
            total = total + (y if target == "bias" else np.outer(y, x))
        result[target] = np.asarray(total)
    return result


def main(path: str) -> None:
    """Print what a file holds."""
    held = read(path)
    gate = "" if held.gate == "shared" else f", gate {held.gate}"
    print(f"version {held.version}, feedback {held.feedback}{gate}, checked for chip {held.chip}")
    for layer in held.layers:
        print(f"{layer.name}: {layer.units} units of {layer.neurons} neurons, fed by {layer.source}")
        for rule in layer.rules.values():
            for product in rule.products:
                post = " * ".join(f"{symbol}({time})" for symbol, time in product.post)
                size = f"{product.size:g} * {product.scale:.6g}"
                print(f"  d{rule.target} += {size} * {product.gate} * {post}, {product.window}")


if __name__ == "__main__":
    main(sys.argv[1])

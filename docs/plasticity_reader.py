"""Read ``plasticity.json`` and evaluate its rules, with numpy and the standard library only.

Copy this file into a project of your own; docs/plasticity-format.md describes the format. It checks format,
version, keys and shapes, gives arrays and rules, and computes one learning step in floats, from spike counts:

    for each product of a rule ``dw``, in its window ("sample" or "context"):
        x1_i = count of the presynaptic unit in the presentation that the window names, x0_i = 1 if not 0
        y_j  = scale * gate * product of the factors ``post``_j, in rate units
        dW_ji = m * 2^e * x0_i * x1_i * y_j                       a bias has no x: db_j = m * 2^e * y_j

    python plasticity_reader.py FOLDER/plasticity.json            say what a file holds
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VERSIONS = (1, 2)
TARGETS = ("w_ff", "bias", "w_pred", "w_retro")
_NUMBER = "(?:0|[1-9][0-9]*)"
_PRODUCT = re.compile(
    rf"(?:(?P<m>{_NUMBER})\*)?(?:2\^(?P<e>-?{_NUMBER})\*)?(?:x0\*x1|(?P<bias>u0))\*(?P<trace>y[123])"
)


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


def read(path: str | Path) -> Plasticity:
    """Read a file; raise ValueError that names the key at fault."""
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("format") != "neuroclapp-plasticity":
        raise ValueError(f"{path}: format: not a neuroclapp-plasticity file")
    version = document.get("version")
    if type(version) is not int or version not in VERSIONS:
        raise ValueError(f"{path}: version: {version!r}, this reader knows {VERSIONS}")
    try:
        _fixed(document)
        gates = ("gamma",) if document["gate"] == "shared" else ("gamma", "gamma_retro")
        below = document["input"]
        layers = []
        for one in document["layers"]:
            _same(one["source"], below["name"], f"layers.{len(layers)}.source")
            layers.append(_layer(one, gates, f"layers.{len(layers)}"))
            below = one
        if not layers:
            raise ValueError("layers: there is none")
        return Plasticity(
            version,
            document["chip"],
            document["feedback"],
            document["gate"],
            document["clock"],
            document["input"],
            tuple(layers),
        )
    except KeyError as error:
        raise ValueError(f"{path}: key {error} is missing") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from None


def _fixed(document: dict) -> None:
    """Check what a version leaves no choice in."""
    if document["version"] == 1 or document["feedback"] != "split" or document["gate"] != "separate":
        _same(document["gate"], "shared", "gate")
    _same(document["membrane"], {"threshold": 1.0, "start": 0.5, "reset": "subtract"}, "membrane")
    x1 = {"update": "overwrite", "gain": 0.5, "decay": "none"}
    _same(document["traces"], {"x1": x1, "y": {"update": "neuron", "decay": "none"}}, "traces")
    if document["feedback"] not in ("symmetric", "blocked", "split"):
        raise ValueError(f"feedback: {document['feedback']!r}")


def _same(found: object, wanted: object, key: str) -> None:
    if found != wanted:
        raise ValueError(f"{key}: {found!r} must be {wanted!r}")


def _layer(one: dict, gates: tuple[str, ...], key: str) -> Layer:
    rules = {}
    for number, connection in enumerate(one["connections"]):
        rule = _rule(connection, one["units"], gates, f"{key}.connections.{number}")
        if rule.target in rules:
            raise ValueError(f"{key}.connections.{number}.target: {rule.target} comes twice")
        rules[rule.target] = rule
    if "w_ff" not in rules or "w_pred" not in rules:
        raise ValueError(f"{key}.connections: w_ff and w_pred are needed")
    modulators = {gate: _modulator(one, gate.replace("gamma", "modulator"), key) for gate in gates}
    if "gamma_retro" not in gates and "modulator_retro" in one:
        raise ValueError(f"{key}.modulator_retro: only where gates are separate")
    return Layer(one["name"], one["source"], one["units"], one["neurons"], one["quantum"], rules, modulators)


def _modulator(one: dict, name: str, key: str) -> Modulator:
    values = one[name]
    listens = _table(values["listens"], (2 * values["units"], one["units"]), f"{key}.{name}.listens")
    return Modulator(values["units"], values["tonic"], values["resolution"], values["burst"], listens)


def _rule(connection: dict, units: int, gates: tuple[str, ...], key: str) -> Rule:
    target = connection["target"]
    if target not in TARGETS:
        raise ValueError(f"{key}.target: {target!r} must be one of {TARGETS}")
    written = re.findall(r"([+-]?)((?:\^-|[^+-])+)", connection["dw"].replace(" ", ""))
    if len(written) != len(connection["folds"]) or not written:
        raise ValueError(f"{key}.dw: {connection['dw']!r} needs one fold for each product")
    products = []
    for (sign, text), fold in zip(written, connection["folds"], strict=True):
        found = _PRODUCT.fullmatch(text)
        if found is None or found["trace"] != fold["trace"] or (found["bias"] is None) == (target == "bias"):
            form = "u0" if target == "bias" else "x0*x1"
            raise ValueError(f"{key}.dw: product {text!r} must be m*2^e*{form}*{fold['trace']}")
        if fold["gate"] not in gates:
            raise ValueError(f"{key}.folds.gate: {fold['gate']!r} must be one of {gates}")
        if fold["window"] not in ("sample", "context"):
            raise ValueError(f"{key}.folds.window: {fold['window']!r}")
        post = tuple(re.fullmatch(r"(z|rho|d|r)\((sample|context)\)", name).groups() for name in fold["post"])
        size = int(sign + (found["m"] or "1")) * 2.0 ** int(found["e"] or 0)
        products.append(Product(size, fold["window"], fold["scale"], post, fold["gate"]))
    weights = connection.get("weights")
    if (weights is None) == (target in ("w_pred", "w_retro")):
        raise ValueError(f"{key}.weights: only w_pred and w_retro have them here, and both must")
    array = None if weights is None else _table(weights, (units, units), f"{key}.weights")
    return Rule(target, tuple(products), connection["scale"], array)


def _table(values: list, shape: tuple[int, int], key: str) -> np.ndarray:
    array = np.array(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{key}: must be a table of {shape} finite numbers")
    return array


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

"""`network.nir`: the inference half of an export, a graph that any reader of NIR can load.

    Input -> Scale -> IF "input" -> Linear -> IF "layer1" -> Linear -> IF "layer2" -> Output

Time is counted in steps: dt = 1 in every node, an input current of 1 adds ``r = 1`` to v in each step, and a
spike through weight w adds w in the step after it. Thresholds are 1, weights are in thresholds per spike.
The graph is complete without metadata, but NIR's IF resets v to a value. Exact counts need a reader that
honours what each IF node's metadata says: subtractive reset, packets of up to ``neurons`` spikes per step,
v = 1/2 at the begin of each presentation. An ``Affine`` bias acts during the first ``steps_on`` steps only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingPackageError
from ..files import written_aside
from .clock import Clock
from .program import Units

FILE = "network.nir"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Feedforward:
    """A layer: somata, weights (post, pre) in thresholds per spike, bias (post,) in thresholds per step."""

    soma: Units
    weights: Array
    bias: Array | None = None


@dataclass(frozen=True)
class Inference:
    """What `network.nir` holds; ``clock`` has no learn windows."""

    clock: Clock
    input: Units
    layers: tuple[Feedforward, ...]

    def charge(self, inputs: Array) -> Array:
        """Return the input units' charge [thresholds per step] for activities (presentations, inputs).

        It divides as the other worlds do: times the Scale node's value could differ in the last bit. Raises
        InputError for another shape, or an activity that is negative or not finite.
        """
        inputs = np.asarray(inputs, dtype=np.float64)
        if inputs.ndim != 2 or inputs.shape[1] != self.input.units or not len(inputs):
            allowed = f"must be (presentations, {self.input.units}) with at least one presentation"
            raise InputError("inputs", "shape", inputs.shape, allowed)
        if not (np.isfinite(inputs).all() and (inputs >= 0).all()):
            raise InputError(
                "inputs", "smallest", float(inputs.min()), "activities must be finite and not negative"
            )
        return inputs / (self.input.quantum * self.clock.steps_on)


def write(network: Inference, folder: Path) -> None:
    """Write ``folder/network.nir``, whole or not at all."""
    nir = _nir()
    scale = np.full(network.input.units, _gain(network.input, network.clock))
    nodes: dict[str, Any] = {
        "inputs": nir.Input(input_type={"input": np.array([network.input.units])}),
        "inputs_scale": nir.Scale(scale=scale),
        network.input.name: _neurons(network.input, network.clock),
    }
    edges = [("inputs", "inputs_scale"), ("inputs_scale", network.input.name)]
    below = network.input.name
    for layer in network.layers:
        name = layer.soma.name
        weights = np.ascontiguousarray(layer.weights)
        synapses = nir.Linear(weights) if layer.bias is None else nir.Affine(weights, layer.bias)
        nodes |= {f"{name}_w_ff": synapses, name: _neurons(layer.soma, network.clock)}
        edges += [(below, f"{name}_w_ff"), (f"{name}_w_ff", name)]
        below = name
    nodes["outputs"] = nir.Output(output_type={"output": np.array([network.layers[-1].soma.units])})
    edges.append((below, "outputs"))
    with written_aside(folder / FILE) as aside:
        nir.write(str(aside), nir.NIRGraph(nodes, edges))


def read(folder: Path) -> Inference:
    """Read ``folder/network.nir``; raise InputError that names file, node and what is wrong."""
    nir = _nir()
    path = folder / FILE
    if not path.is_file():
        raise InputError(path, None, None, "no such file")
    try:
        graph = nir.read(str(path))
    except Exception as error:  # h5py and nir raise OSError, KeyError, ValueError and AssertionError alike
        raise InputError(path, None, None, f"not a NIR graph: {type(error).__name__}: {error}") from error
    chain = _chain(graph, path)
    kinds = [type(node).__name__ for _, node in chain]
    wanted = ["Input", "Scale", "IF", *["Linear", "IF"] * ((len(kinds) - 4) // 2), "Output"]
    if len(kinds) < 6 or [kind.replace("Affine", "Linear") for kind in kinds] != wanted:
        raise InputError(
            path, "nodes", " -> ".join(kinds), "must be Input, Scale, IF, (Linear or Affine, IF) ..., Output"
        )
    below, clock = _read_neurons(*chain[2], path)
    network_input, layers = below, []
    for (name, synapses), neurons in zip(chain[3:-1:2], chain[4:-1:2], strict=True):
        soma, same = _read_neurons(*neurons, path)
        if same != clock:
            raise InputError(
                path, f"{soma.name}.metadata", vars(same), f"every node has one clock; input has {clock}"
            )
        weights = np.asarray(synapses.weight, dtype=np.float64)
        if weights.shape != (soma.units, below.units):
            raise InputError(
                path, f"{name}.weight", weights.shape, f"its shape must be {(soma.units, below.units)}"
            )
        bias = np.asarray(synapses.bias, dtype=np.float64) if hasattr(synapses, "bias") else None
        for key, values in (("weight", weights), ("bias", bias)):
            if values is not None and not np.isfinite(values).all():
                raise InputError(path, f"{name}.{key}", "not finite", "every value must be a finite number")
        layers.append(Feedforward(soma, weights, bias))
        below = soma
    scale = np.asarray(chain[1][1].scale)
    if not np.array_equal(scale, np.full(network_input.units, _gain(network_input, clock))):
        raise InputError(
            path, "inputs_scale.scale", scale, "must be 1 / (quantum * steps_on) of the input's metadata"
        )
    return Inference(clock, network_input, tuple(layers))


def _gain(units: Units, clock: Clock) -> float:
    return 1 / (units.quantum * clock.steps_on)


def _neurons(units: Units, clock: Clock) -> Any:
    """Return an IF node whose metadata says how its spikes are to be counted."""
    metadata = {
        "reset": "subtract",
        "neurons": units.neurons,
        "v_start": 0.5,
        "quantum": units.quantum,
        "steps": clock.steps,
        "steps_on": clock.steps_on,
        "dt": clock.dt,
    }
    ones = np.ones(units.units)
    return _nir().IF(r=ones, v_threshold=ones, v_reset=np.zeros(units.units), metadata=metadata)


def _read_neurons(name: str, node: Any, path: Path) -> tuple[Units, Clock]:
    metadata = {key: _plain(value) for key, value in node.metadata.items()}

    def number(key: str, kind: type) -> Any:
        value = metadata.get(key)
        if (
            not isinstance(value, int if kind is int else int | float)
            or not value > 0
            or not np.isfinite(value)
        ):
            raise InputError(path, f"{name}.metadata.{key}", value, f"must be a positive {kind.__name__}")
        return kind(value)

    for key, wanted in (("reset", "subtract"), ("v_start", 0.5)):
        if metadata.get(key) != wanted:
            raise InputError(path, f"{name}.metadata.{key}", metadata.get(key), f"must be {wanted!r}")
    for key, wanted in (("r", 1.0), ("v_threshold", 1.0)):
        if not np.all(getattr(node, key) == wanted):
            raise InputError(path, f"{name}.{key}", getattr(node, key), f"must be {wanted} for every unit")
    units = Units(name, len(node.r), number("neurons", int), number("quantum", float))
    try:
        clock = Clock(number("dt", float), number("steps", int), number("steps_on", int))
    except ValueError as error:
        raise InputError(path, f"{name}.metadata", metadata, str(error)) from None
    return units, clock


def _plain(value: Any) -> Any:
    value = value.decode() if isinstance(value, bytes) else value
    return value.item() if isinstance(value, np.generic) else value


def _chain(graph: Any, path: Path) -> list[tuple[str, Any]]:
    """Follow the edges from the input on; a file lists its nodes in any order."""
    follows = dict(graph.edges)
    starts = [name for name, node in graph.nodes.items() if type(node).__name__ == "Input"]
    if len(starts) != 1 or len(follows) != len(graph.edges) or len(graph.edges) != len(graph.nodes) - 1:
        raise InputError(path, "edges", graph.edges, "must form one chain from one Input to one Output")
    names = [starts[0]]
    while names[-1] in follows and len(names) < len(graph.nodes):
        names.append(follows[names[-1]])
    if len(set(names)) != len(graph.nodes):
        raise InputError(path, "edges", graph.edges, "must form one chain from one Input to one Output")
    return [(name, graph.nodes[name]) for name in names]


def _nir() -> Any:
    try:
        import nir
    except ModuleNotFoundError as error:
        raise MissingPackageError("nir", "write or read network.nir", "pip install nir==1.0.8") from error
    return nir

"""`network.nir`: the inference half of an export, a graph that any reader of NIR can load.

    Input "input" -> IF "input_neurons" -> Affine -> IF "layer1" -> Affine -> IF "layer2" -> Output "output"

Time is counted in steps: dt = 1 in every node, an input current of 1 adds ``r = 1`` to v in each step, and a
spike through weight w adds w in the step after it. Inputs are activities, shown during the first ``steps_on``
steps; the input units' threshold is ``quantum * steps_on``, all others are 1, and weights are in thresholds
per spike. The graph is complete without metadata, but NIR's IF resets v to a value. Exact counts need a
reader that honours what each IF node's metadata says: subtractive reset, packets of up to ``neurons`` spikes
per step, v at half the threshold at the begin of each presentation. An ``Affine`` bias acts during the first
``steps_on`` steps only. The graph's own metadata states the conventions of time, reset and shape in words.

Only Input, IF, Affine and Output are written, and the ends are called "input" and "output": there are readers
that find them by these names, and that know no Scale or no Linear. A layer without bias has zeros and says so
in its metadata. Files of version 1 had both nodes, and are read too.
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
FORMAT, VERSION = "neuroclapp-network", 2
#: What backends are known to disagree on, in words, as the graph's metadata says it.
CONVENTIONS = {
    "time": "in steps: dt = 1 in NIR's equations; each IF node's metadata has a step's length dt [s]",
    "input": "activities (units,), shown in each of the first steps_on steps of a presentation, 0 after it",
    "state": "each presentation of `steps` steps begins at v = v_start * v_threshold in every unit",
    "reset": "subtractive: v -= n * v_threshold for n spikes; v_reset is for readers that cannot",
    "spikes": "a unit sends min(floor(v / v_threshold), neurons) spikes in a step, none in the last 3 steps",
    "delay": "a spike of step s is integrated by the next layer in step s + 1",
    "bias": "an Affine bias acts in the first steps_on steps only",
    "shape": "weights are (post, pre), in thresholds per spike",
}
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

        Raises InputError for another shape, or an activity that is negative or not finite.
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
    below = _node(network.input.name)
    nodes: dict[str, Any] = {
        "input": nir.Input(input_type={"input": np.array([network.input.units])}),
        below: _neurons(network.input, network.clock, _threshold(network.input, network.clock)),
    }
    edges = [("input", below)]
    for layer in network.layers:
        name = _node(layer.soma.name)
        weights = np.ascontiguousarray(layer.weights)
        synapses = (
            nir.Affine(weights, np.zeros(len(weights)), metadata={"bias": "none"})
            if layer.bias is None
            else nir.Affine(weights, layer.bias)
        )
        nodes |= {f"{name}_w_ff": synapses, name: _neurons(layer.soma, network.clock, 1.0)}
        edges += [(below, f"{name}_w_ff"), (f"{name}_w_ff", name)]
        below = name
    nodes["output"] = nir.Output(output_type={"output": np.array([network.layers[-1].soma.units])})
    edges.append((below, "output"))
    metadata = {"format": FORMAT, "version": VERSION, **CONVENTIONS}
    with written_aside(folder / FILE) as aside:
        nir.write(str(aside), nir.NIRGraph(nodes, edges, metadata=metadata))


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
    version = _plain(graph.metadata.get("version", VERSION))
    if version != VERSION:
        raise InputError(path, "metadata.version", version, f"must be {VERSION}")
    chain = _chain(graph, path)
    kinds = [type(node).__name__ for _, node in chain]
    scale = chain.pop(1)[1].scale if kinds[1:2] == ["Scale"] else None  # version 1
    wanted = ["Input", "IF", *["Linear", "IF"] * ((len(chain) - 3) // 2), "Output"]
    if len(chain) < 5 or [type(node).__name__.replace("Affine", "Linear") for _, node in chain] != wanted:
        raise InputError(
            path, "nodes", " -> ".join(kinds), "must be Input, IF, (Linear or Affine, IF) ..., Output"
        )
    below, clock = _read_neurons(*chain[1], path)
    threshold = _threshold(below, clock)
    if scale is None:
        _all(chain[1], "v_threshold", threshold, path)
    else:
        _all(chain[1], "v_threshold", 1.0, path)
        if not np.array_equal(scale, np.full(below.units, 1 / threshold)):
            allowed = "must be 1 / (quantum * steps_on) of the input's metadata"
            raise InputError(path, "inputs_scale.scale", np.asarray(scale), allowed)
    network_input, layers = below, []
    for (name, synapses), neurons in zip(chain[2:-1:2], chain[3:-1:2], strict=True):
        soma, same = _read_neurons(*neurons, path)
        _all(neurons, "v_threshold", 1.0, path)
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
        if bias is not None and _plain(synapses.metadata.get("bias")) == "none":
            if bias.any():
                raise InputError(path, f"{name}.bias", bias, "must be 0: its metadata says that it has none")
            bias = None
        for key, values in (("weight", weights), ("bias", bias)):
            if values is not None and not np.isfinite(values).all():
                raise InputError(path, f"{name}.{key}", "not finite", "every value must be a finite number")
        layers.append(Feedforward(soma, weights, bias))
        below = soma
    return Inference(clock, network_input, tuple(layers))


def _threshold(units: Units, clock: Clock) -> float:
    """Return the input units' threshold in units of activity, which is shown ``steps_on`` times."""
    return units.quantum * clock.steps_on


def _node(population: str) -> str:
    """Return the name of a population's node: the graph's ends have taken two."""
    return f"{population}_neurons" if population in ("input", "output") else population


def _neurons(units: Units, clock: Clock, threshold: float) -> Any:
    """Return an IF node whose metadata says how its spikes are to be counted."""
    metadata = {
        "population": units.name,
        "reset": "subtract",
        "neurons": units.neurons,
        "v_start": 0.5,
        "quantum": units.quantum,
        "steps": clock.steps,
        "steps_on": clock.steps_on,
        "dt": clock.dt,
    }
    ones = np.ones(units.units)
    return _nir().IF(r=ones, v_threshold=threshold * ones, v_reset=np.zeros(units.units), metadata=metadata)


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
    _all((name, node), "r", 1.0, path)
    population = metadata.get("population", name)  # version 1 named nodes after their populations
    if not isinstance(population, str) or not population:
        raise InputError(path, f"{name}.metadata.population", population, "must be a name")
    units = Units(population, len(node.r), number("neurons", int), number("quantum", float))
    try:
        clock = Clock(number("dt", float), number("steps", int), number("steps_on", int))
    except ValueError as error:
        raise InputError(path, f"{name}.metadata", metadata, str(error)) from None
    return units, clock


def _all(named: tuple[str, Any], key: str, wanted: float, path: Path) -> None:
    """Refuse a node in which one unit's parameter is not the one wanted."""
    name, node = named
    if not np.all(getattr(node, key) == wanted):
        raise InputError(path, f"{name}.{key}", getattr(node, key), f"must be {wanted} for every unit")


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

"""Read ``network.nir`` with another tool and count its spikes: ``python readers.py TOOL FOLDER``.

Runs in the tool's own environment and needs numpy, nir and the tool, nothing of neuroclapp. FOLDER holds
``network.nir`` and ``inputs.npy`` (samples, inputs), activities. ``TOOL.npz`` is left there: for each way of
reading, ``WAY.NODE`` (samples, units), the spikes of each IF node.

    read        the tool's own reader and its own executor, as they are
    value       the same, v goes back to a value after a spike: NIR's own equation
    subtract    the same, the threshold is subtracted instead: the field ``reset``
    honoured    the tool's neurons and synapses, with all that the metadata says: reset, start, packets,
                delay, bias in the first steps only, no spikes in the last three steps
"""

import importlib.metadata
import json
import sys
from pathlib import Path

import nir
import numpy as np

SILENT = 3


def plain(value):
    value = value.decode() if isinstance(value, bytes) else value
    return value.item() if isinstance(value, np.generic) else value


class File:
    """A graph as a chain: names of IF nodes, and of the synapses that lead to them (None for the first)."""

    def __init__(self, folder):
        self.path = folder / "network.nir"
        self.inputs = np.load(folder / "inputs.npy")
        graph = self.graph()
        follows = dict(graph.edges)
        names = ["input"]
        while names[-1] in follows:
            names.append(follows[names[-1]])
        self.neurons = [name for name in names if isinstance(graph.nodes[name], nir.IF)]
        self.synapses = [None, *(names[names.index(name) - 1] for name in self.neurons[1:])]
        self.metadata = {key: plain(value) for key, value in graph.nodes[self.neurons[0]].metadata.items()}
        self.steps, self.steps_on = self.metadata["steps"], self.metadata["steps_on"]
        self.units = {name: graph.nodes[name].v_threshold.size for name in self.neurons}

    def graph(self):
        return nir.read(str(self.path))

    def shown(self, inputs):
        """Inputs over time, (samples, steps, inputs)."""
        on = np.arange(self.steps) < self.steps_on
        return inputs[:, None, :] * on[None, :, None]


def by_neuron(graph):
    """Write each unit as its neurons: K of one spike per step, started at (i + 1/2) / K, count like the unit.

    Thresholds are K times as high, each neuron hears all that the unit hears. Returns the graph, K, and the
    start of each node's neurons.
    """
    neurons = next(int(node.metadata["neurons"]) for node in graph.nodes.values() if isinstance(node, nir.IF))
    nodes, start = {}, {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.IF):
            threshold = np.repeat(node.v_threshold, neurons)
            start[name] = threshold * np.tile(np.arange(neurons) + 0.5, node.v_threshold.size)
            nodes[name] = nir.IF(np.ones_like(threshold), threshold * neurons, np.zeros_like(threshold))
        elif isinstance(node, nir.Linear | nir.Affine):
            weight = np.kron(node.weight, np.ones((neurons, neurons)))
            bias = np.repeat(node.bias, neurons) if isinstance(node, nir.Affine) else None
            nodes[name] = nir.Linear(weight) if bias is None else nir.Affine(weight, bias)
        else:
            shape = np.array([next(iter(node.input_type.values()))[0] * neurons])
            kind = type(node)
            nodes[name] = kind({"input" if kind is nir.Input else "output": shape})
    return nir.NIRGraph(nodes, graph.edges), neurons, start


def honoured(file, neurons_of, synapse_of, bias_of, fold, late=0):
    """Run a chain layer by layer with one step of delay: counts by node.

    ``neurons_of(name)(current)`` gives spikes, both (samples, steps, units), ``synapse_of(name)`` charge.
    ``late``: steps by which a tool's neurons answer later than they integrate.
    """
    counts, spikes = {}, None
    for name, synapse in zip(file.neurons, file.synapses, strict=True):
        if synapse is None:
            current = file.shown(np.repeat(file.inputs, fold, axis=1))
        else:
            delayed = np.concatenate([np.zeros_like(spikes[:, :1]), spikes[:, :-1]], axis=1)
            current = synapse_of(synapse)(delayed)
            if bias_of(synapse) is not None:
                current[:, file.steps_on :] -= bias_of(synapse)
        padded = np.concatenate([current, np.zeros_like(current[:, :late])], axis=1)
        spikes = neurons_of(name)(padded)[:, late:]
        spikes[:, file.steps - SILENT :] = 0
        counts[name] = spikes.sum(1).reshape(len(spikes), -1, fold).sum(-1)
    return counts


def torch_synapses(module, torch):
    def synapse(name):
        return lambda x: module(name)(torch.from_numpy(x).double()).detach().numpy().copy()

    def bias(name):
        found = module(name).bias
        return None if found is None else found.detach().numpy()

    return synapse, bias


def hooked(model, names, run, spikes_of):
    """Sum what the neurons' modules give while ``run()`` goes."""
    counts = {}

    def keep(name):
        def hook(module, inputs, output):
            counts[name] = counts.get(name, 0) + spikes_of(output)

        return hook

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    run()
    for handle in handles:
        handle.remove()
    return counts


def stepwise(model, x, torch):
    state = None
    with torch.no_grad():
        for step in range(x.shape[1]):
            _, state = model(torch.from_numpy(x[:, step]), state)


def spikingjelly(file):
    import torch
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    def load(graph):
        return import_from_nir(graph, dt=1.0, dtype=torch.float64)

    def run(reset):
        model = load(str(file.path))
        for name in file.neurons:
            if reset != "read":
                model.get_submodule(name).module.v_reset = None if reset == "subtract" else 0.0
        functional.reset_net(model)
        x = file.shown(file.inputs)
        return hooked(model, file.neurons, lambda: stepwise(model, x, torch), lambda out: out[0].numpy())

    graph, fold, start = by_neuron(file.graph())
    model = load(graph)

    def neurons(name):
        node = model.get_submodule(name).module

        def respond(current):
            node.v_reset = None
            functional.reset_net(node)
            node.v = torch.from_numpy(np.tile(start[name], (len(current), 1)))
            with torch.no_grad():
                return np.stack(
                    [node(torch.from_numpy(current[:, s])).numpy() for s in range(current.shape[1])], 1
                )

        return respond

    full = honoured(file, neurons, *torch_synapses(model.get_submodule, torch), fold)
    return {**{way: run(way) for way in ("read", "value", "subtract")}, "honoured": full}


def snntorch(file):
    import torch
    from snntorch.import_nir import import_from_nir

    def load(graph, way):
        """Mend what version 1.0.0 reads: a leaky neuron, whose two outputs the next module cannot take."""
        model = import_from_nir(graph)
        for name in file.neurons:
            node = model.get_submodule(name)
            node.beta, node.init_hidden = torch.ones_like(node.beta), True
            node.reset_mechanism = "zero" if way == "value" else "subtract"
            node.reset_mem()
        return model

    def run(way):
        model = load(file.graph(), way)
        x = file.shown(file.inputs).astype(np.float32)
        return hooked(
            model, file.neurons, lambda: stepwise(model, x, torch), lambda out: out.detach().numpy()
        )

    graph, fold, start = by_neuron(file.graph())
    model = load(graph, "subtract").double()

    def neurons(name):
        node = model.get_submodule(name)

        def respond(current):
            node.mem = torch.from_numpy(np.tile(start[name], (len(current), 1)))
            with torch.no_grad():
                return np.stack(
                    [node(torch.from_numpy(current[:, s])).numpy() for s in range(current.shape[1])], 1
                )

        return respond

    full = honoured(file, neurons, *torch_synapses(model.get_submodule, torch), fold)
    return {**{way: run(way) for way in ("value", "subtract")}, "honoured": full}


def sinabs(file):
    import torch
    from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract
    from sinabs.nir import from_nir

    samples = len(file.inputs)

    def load():
        return from_nir(file.graph(), batch_size=samples)

    def flat(x):
        return torch.from_numpy(x.reshape(-1, x.shape[-1]))

    def run(way):
        model = load()
        for name in file.neurons:
            if way != "read":
                model.get_submodule(name).reset_fn = MembraneReset() if way == "value" else MembraneSubtract()
        x = file.shown(file.inputs)

        def spikes_of(out):
            return out.detach().numpy().reshape(samples, file.steps, -1).sum(1)

        with torch.no_grad():
            return hooked(model, file.neurons, lambda: model(flat(x).float()), spikes_of)

    model, graph = load().double(), file.graph()

    def neurons(name):
        node = model.get_submodule(name)
        node.spike_fn, node.reset_fn = MaxSpike(file.metadata["neurons"]), MembraneSubtract()
        node.min_v_mem = None  # its reader bounds v at minus one threshold

        def respond(current):
            start = 0.5 * graph.nodes[name].v_threshold
            node.v_mem = torch.from_numpy(np.tile(start, (len(current), 1)))
            with torch.no_grad():
                return node(flat(current)).numpy().astype(float).reshape(current.shape)

        return respond

    full = honoured(file, neurons, *torch_synapses(model.get_submodule, torch), 1)
    return {**{way: run(way) for way in ("read", "value", "subtract")}, "honoured": full}


def spyx(file):
    import jax.numpy as jnp
    from spyx.nir import from_nir

    def below(graph, name):
        """The graph up to an IF node: spyx gives the spikes of the last one only."""
        kept = file.neurons[: file.neurons.index(name) + 1]
        kept += [synapse for synapse in file.synapses[: len(kept)] if synapse]
        nodes = {one: graph.nodes[one] for one in ("input", *kept)}
        nodes["output"] = nir.Output({"output": np.array([graph.nodes[name].v_threshold.size])})
        edges = [
            edge for edge in graph.edges if edge[0] in nodes and edge[1] in nodes and edge[1] != "output"
        ]
        return nir.NIRGraph(nodes, [*edges, (name, "output")])

    def run(name):
        x = jnp.asarray(file.shown(file.inputs).transpose(1, 0, 2))
        return np.asarray(from_nir(below(file.graph(), name), x)[1]).sum(0)

    read = {name: run(name) for name in file.neurons}
    graph, fold, start = by_neuron(file.graph())
    blank = jnp.zeros((1, 1, file.inputs.shape[1] * fold))
    model, _ = from_nir(graph, blank)
    modules = dict(
        zip(
            [name for pair in zip(file.synapses, file.neurons, strict=True) for name in pair if name],
            model.layers,
            strict=True,
        )
    )

    def neurons(name):
        def respond(current):
            v, spikes = jnp.asarray(np.tile(start[name], (len(current), 1))), []
            for step in range(current.shape[1]):
                fired, v = modules[name](jnp.asarray(current[:, step]), v)
                spikes.append(np.asarray(fired))
            return np.stack(spikes, 1).astype(float)

        return respond

    def synapse(name):
        return lambda x: np.array(modules[name](jnp.asarray(x)), dtype=float)

    def bias(name):
        found = getattr(modules[name], "bias", None)
        return None if found is None or found[...] is None else np.asarray(found[...])

    # its IF answers in a step to what it has integrated until the step before
    return {"read": read, "subtract": read, "honoured": honoured(file, neurons, synapse, bias, fold, late=1)}


def main(tool, folder):
    ways = {"spikingjelly": spikingjelly, "snntorch": snntorch, "sinabs": sinabs, "spyx": spyx}[tool](
        File(folder)
    )
    arrays = {f"{way}.{name}": counts for way, by_node in ways.items() for name, counts in by_node.items()}
    np.savez(folder / f"{tool}.npz", **arrays)
    print(json.dumps({"tool": tool, "version": importlib.metadata.version(tool)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

"""`network.nir`: what is in it, that it reads back to the bit, and what a broken one says."""

import h5py
import nir as plain
import numpy as np
import pytest

from neuroclapp.errors import InputError
from neuroclapp.onchip import nir
from neuroclapp.onchip.clock import Clock
from neuroclapp.onchip.export import network


def test_graph_is_the_network_in_thresholds_per_spike(small, exported):
    _, weights = small()
    graph = plain.read(str(exported / "network.nir"))
    follows = dict(graph.edges)
    names = ["input"]
    while names[-1] in follows:
        names.append(follows[names[-1]])
    kinds = [type(graph.nodes[name]).__name__ for name in names]
    assert kinds == ["Input", "IF", "Affine", "IF", "Affine", "IF", "Output"]
    assert (names[0], names[-1]) == ("input", "output")  # some readers find the ends by these names
    # quanta: input 1 / (4 * 16), layer1 1 / (4 * 8), layer2 1 / (4 * 4); steps_on 20
    np.testing.assert_array_equal(graph.nodes["input_neurons"].v_threshold, np.full(6, 20 / 64))
    np.testing.assert_array_equal(graph.nodes["layer1_w_ff"].weight, weights["layer1.w_ff"] / 2)
    np.testing.assert_array_equal(graph.nodes["layer2_w_ff"].weight, weights["layer2.w_ff"] / 2)
    np.testing.assert_allclose(graph.nodes["layer1_w_ff"].bias, weights["layer1.bias"] * 32 / 20, rtol=1e-15)
    for name in ("input_neurons", "layer1", "layer2"):
        node = graph.nodes[name]
        assert (node.r == 1).all()
        assert (node.v_threshold == 1).all() or name == "input_neurons"
        assert node.metadata["reset"] in ("subtract", b"subtract")
        assert (node.metadata["neurons"], node.metadata["v_start"]) == (4, 0.5)
        assert (node.metadata["steps"], node.metadata["steps_on"]) == (25, 20)
    assert set(graph.metadata) >= {"time", "input", "state", "reset", "spikes", "delay", "bias", "shape"}


def version_1(path):
    """Rewrite a file as the first version had it: a Scale behind the input, thresholds of 1, other names."""
    graph = plain.read(str(path))
    names = {"input": "inputs", "input_neurons": "input", "output": "outputs"}
    nodes = {names.get(name, name): node for name, node in graph.nodes.items()}
    edges = [tuple(names.get(name, name) for name in edge) for edge in graph.edges]
    nodes["inputs_scale"] = plain.Scale(1 / nodes["input"].v_threshold)
    nodes["input"].v_threshold = np.ones(6)
    edges.remove(("inputs", "input"))
    edges += [("inputs", "inputs_scale"), ("inputs_scale", "input")]
    for node in nodes.values():
        node.metadata.pop("population", None)
    plain.write(str(path), plain.NIRGraph(nodes, edges))


def test_files_of_version_1_are_read(small, exported):
    wanted = nir.read(exported)
    version_1(exported / "network.nir")
    found = nir.read(exported)
    assert (found.clock, found.input) == (wanted.clock, wanted.input)
    assert [one.soma for one in found.layers] == [one.soma for one in wanted.layers]
    assert all(np.array_equal(a.weights, b.weights) for a, b in zip(found.layers, wanted.layers, strict=True))
    change(exported / "network.nir", f"{NODES}/inputs_scale/scale", np.full(6, 2.0))
    with pytest.raises(InputError, match=r"inputs_scale\.scale"):
        nir.read(exported)


def counts(graph, inputs, packets, subtract, start, steps_on):
    """Layer 1's spike counts (units,) from the graph's nodes and edges alone, 25 steps of dt = 1."""
    threshold = {name: graph.nodes[name].v_threshold for name in ("input_neurons", "layer1")}
    v = {name: start * value for name, value in threshold.items()}
    drive, count = np.zeros(5), np.zeros(5)
    for step in range(25):
        current = {"input_neurons": inputs * (step < steps_on)}
        current["layer1"] = drive + graph.nodes["layer1_w_ff"].bias * (step < steps_on)
        fired = {}
        for name in v:
            v[name] = v[name] + current[name]
            fired[name] = np.clip(np.floor(v[name] / threshold[name]), 0, packets)
            reset = v[name] - fired[name] * threshold[name] if subtract else graph.nodes[name].v_reset
            v[name] = np.where(fired[name] > 0, reset, v[name])
        drive = graph.nodes["layer1_w_ff"].weight @ fired["input_neurons"]
        count = count + fired["layer1"]
    return count


def test_graph_is_complete_without_metadata(exported):
    """A reader that ignores metadata (one spike per step, reset to v_reset, v = 0 at first) gets fewer but
    proportionate spikes; one that honours it gets other counts, the exact ones."""
    graph = plain.read(str(exported / "network.nir"))
    draw = np.random.default_rng(0)
    inputs = 0.4 * np.maximum(draw.standard_normal((40, 6)), 0)
    exact = np.array([counts(graph, one, 4, True, 0.5, 20) for one in inputs])
    simple = np.array([counts(graph, one, 1, False, 0.0, 25) for one in inputs])
    assert exact.sum() > 200
    assert not np.array_equal(exact, simple)
    assert np.corrcoef(exact.ravel(), simple.ravel())[0, 1] > 0.8


def test_reading_gives_back_what_was_written(small, exported):
    wanted, found = network(*small()), nir.read(exported)
    assert (found.clock, found.input) == (wanted.clock, wanted.input)
    for one, other in zip(found.layers, wanted.layers, strict=True):
        assert one.soma == other.soma
        assert np.array_equal(one.weights, other.weights)
        assert np.array_equal(one.bias, other.bias)


def test_a_layer_without_bias_reads_back_without_one(exported, tmp_path):
    """It is written as an Affine with zeros: some readers know no Linear."""
    whole = nir.read(exported)
    layers = (nir.Feedforward(whole.layers[0].soma, whole.layers[0].weights), whole.layers[1])
    (tmp_path / "bare").mkdir()
    nir.write(nir.Inference(whole.clock, whole.input, layers), tmp_path / "bare")
    graph = plain.read(str(tmp_path / "bare" / "network.nir"))
    assert {type(node).__name__ for node in graph.nodes.values()} == {"Input", "IF", "Affine", "Output"}
    found = nir.read(tmp_path / "bare")
    assert [one.bias is None for one in found.layers] == [True, False]
    change(tmp_path / "bare" / "network.nir", f"{NODES}/layer1_w_ff/bias", np.ones(5))
    with pytest.raises(InputError, match=r"layer1_w_ff\.bias = .*says that it has none"):
        nir.read(tmp_path / "bare")


def test_charge_is_activity_over_quantum_and_steps(exported):
    charge = nir.read(exported).charge(np.full((2, 6), 0.5))
    np.testing.assert_allclose(charge, 0.5 * 64 / 20)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (np.zeros(6), r"inputs: shape = \(6,\): must be \(presentations, 6\)"),
        (np.zeros((2, 5)), r"inputs: shape = \(2, 5\)"),
        (np.zeros((0, 6)), "at least one presentation"),
        (np.full((1, 6), -1.0), "inputs: smallest = -1.0: activities must be finite and not negative"),
        (np.full((1, 6), np.nan), "must be finite"),
    ],
)
def test_inputs_that_do_not_fit_are_named(inputs, said, exported):
    with pytest.raises(InputError, match=said):
        nir.read(exported).charge(inputs)


def test_clock_that_cannot_be_is_refused():
    for values in ({"dt": 0.0}, {"steps_on": 25}, {"epoch": -1}):
        with pytest.raises(ValueError, match=next(iter(values))):
            Clock(**{"dt": 0.001, "steps": 25, "steps_on": 20, **values})


def change(path, key, value):
    with h5py.File(path, "r+") as file:
        if key in file:
            del file[key]
        if value is not None:
            file[key] = value


NODES = "node/nodes"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (f"{NODES}/layer1/metadata/reset", "zero", r"layer1\.metadata\.reset = 'zero': must be 'subtract'"),
        (f"{NODES}/layer1/metadata/reset", None, r"layer1\.metadata\.reset = None"),
        (f"{NODES}/layer2/metadata/v_start", 0.0, r"layer2\.metadata\.v_start = 0\.0: must be 0\.5"),
        (f"{NODES}/layer2/metadata/neurons", 0, r"layer2\.metadata\.neurons = 0: must be a positive int"),
        (
            f"{NODES}/input_neurons/metadata/quantum",
            -1.0,
            r"input_neurons\.metadata\.quantum = -1\.0: must be a positive float",
        ),
        (f"{NODES}/input_neurons/metadata/quantum", 1.0, r"input_neurons\.v_threshold.*must be 20\.0"),
        (f"{NODES}/input_neurons/metadata/population", 7, r"metadata\.population = 7: must be a name"),
        ("node/metadata/version", 3, r"metadata\.version = 3: must be 2"),
        (
            f"{NODES}/layer1/metadata/steps_on",
            30,
            r"layer1\.metadata.*steps_on = 30 must be positive and below",
        ),
        (f"{NODES}/layer1/metadata/steps", 27, r"layer1\.metadata.*one clock"),
        (f"{NODES}/layer1/v_threshold", np.full(5, 2.0), r"layer1\.v_threshold.*must be 1\.0 for every unit"),
        (f"{NODES}/layer1_w_ff/weight", np.full((5, 6), np.nan), r"layer1_w_ff\.weight = 'not finite'"),
        (f"{NODES}/layer1_w_ff/bias", np.full(5, np.inf), r"layer1_w_ff\.bias = 'not finite'"),
        (f"{NODES}/layer1/type", "LIF", r"network\.nir: not a NIR graph"),
        (f"{NODES}/layer1_w_ff/weight", None, r"network\.nir: not a NIR graph"),
        ("node", None, r"network\.nir: not a NIR graph"),
    ],
)
def test_a_broken_file_names_the_node_and_key(key, value, said, exported):
    change(exported / "network.nir", key, value)
    with pytest.raises(InputError, match=said) as caught:
        nir.read(exported)
    assert str(exported / "network.nir") in str(caught.value)


@pytest.mark.parametrize("edges", [[("input", "output")], [("input", "layer1"), ("layer1", "input")]])
def test_a_graph_that_is_no_chain_is_refused(edges, exported):
    graph = plain.read(str(exported / "network.nir"))
    plain.write(str(exported / "network.nir"), plain.NIRGraph(graph.nodes, edges, type_check=False))
    with pytest.raises(InputError, match=r"network\.nir: (edges = .*one chain|not a NIR graph)"):
        nir.read(exported)


def test_a_chain_of_other_nodes_is_refused(tmp_path):
    graph = plain.NIRGraph.from_list(plain.Linear(np.ones((2, 3))))
    plain.write(str(tmp_path / "network.nir"), graph)
    with pytest.raises(InputError, match=r"nodes = 'Input -> Linear -> Output': must be Input, IF"):
        nir.read(tmp_path)


def test_absent_and_foreign_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"network\.nir: no such file"):
        nir.read(tmp_path)
    (tmp_path / "network.nir").write_text("hello")
    with pytest.raises(InputError, match=r"network\.nir: not a NIR graph"):
        nir.read(tmp_path)

"""`plasticity.json`: that it reads back to the bit, and that every field at fault is named."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from neuroclapp.errors import InputError, NeuroclappError, RunError
from neuroclapp.onchip import exported as pair
from neuroclapp.onchip import rulereader
from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.export import export, network, program
from neuroclapp.weights import Weights

IDEAL = Chip(name="ideal", title="no limits")


def same(one, other):
    """Compare two programs field by field, arrays to the last bit."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize(
    ("feedback", "gate", "version"),
    [("symmetric", "shared", 1), ("blocked", "shared", 1), ("split", "shared", 1), ("split", "separate", 2)],
)
def test_reading_gives_back_what_was_written(feedback, gate, version, small, tmp_path):
    made, weights = small(feedback, gate)
    export(made, weights, IDEAL, tmp_path)
    assert same(rulereader.read(tmp_path), program(made, weights, IDEAL))
    assert json.loads((tmp_path / "plasticity.json").read_text())["version"] == version


def test_a_file_with_two_gates_says_which_product_has_which(small, exported_separate):
    """Eqs. 13 and 14: W_pred and the first half by gamma, W_retro and the second half by the other."""
    made, _ = small("split", "separate")
    for layer, expected in zip(
        json.loads((exported_separate / "plasticity.json").read_text())["layers"], made.layers, strict=True
    ):
        gates = {one["target"]: [fold["gate"] for fold in one["folds"]] for one in layer["connections"]}
        both = ["gamma", "gamma_retro"]
        assert gates == {"w_ff": both, "bias": both, "w_pred": ["gamma"], "w_retro": ["gamma_retro"]}
        np.testing.assert_array_equal(layer["modulator"]["listens"], expected.listens[:8])
        np.testing.assert_array_equal(layer["modulator_retro"]["listens"], expected.listens[8:])


def test_a_file_of_version_1_is_still_read(exported):
    """As version 2 it means the same: what a version adds is optional."""
    before = rulereader.read(exported)
    edit(exported, "version", 2)
    assert same(rulereader.read(exported), before)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("version", 1, "gate = 'separate': must be 'shared'"),
        ("feedback", "blocked", "gate = 'separate': must be 'shared'"),
        ("gate", "shared", "must be 'gamma'"),
        ("layers.0.modulator_retro", None, "modulator_retro"),
        ("layers.0.modulator_retro.units", 5, "must be a full table of numbers of shape (10, 5)"),
        ("layers.0.modulator_retro.colour", "red", "unknown key"),
        ("layers.0.connections.0.folds.1.gate", "gamma_2", "must be 'gamma' or 'gamma_retro'"),
    ],
)
def test_a_field_at_fault_of_two_gates_is_named(path, value, said, exported_separate):
    edit(exported_separate, path, value)
    with pytest.raises(InputError, match=re.escape(said)):
        rulereader.read(exported_separate)


def test_the_file_says_what_the_equations_say(small, exported):
    made, weights = small()
    document = json.loads((exported / "plasticity.json").read_text())
    layer = document["layers"][0]
    connections = {one["target"]: one for one in layer["connections"]}
    # quanta: input 1/64, layer1 1/32; eta .03, eta_pred .1; a split carries the factor 1/2
    rates = {"w_ff": 0.5 * 0.03 * (1 / 2) / 64, "w_pred": 0.5 * 0.1 / 32 / 32, "w_retro": 0.5 * 0.1 / 32 / 32}
    for target, rate in rates.items():
        for fold in connections[target]["folds"]:
            assert 2.0**-7 * fold["scale"] == pytest.approx(rate, rel=1e-12)
    assert connections["w_ff"]["dw"] == "2^-7*x0*x1*y1 + 2^-7*x0*x1*y2"
    assert connections["w_retro"]["folds"][0]["post"] == ["z(context)"]
    assert connections["w_retro"]["folds"][0]["window"] == "sample"
    np.testing.assert_array_equal(connections["w_pred"]["weights"], weights["layer1.w_pred"] / 32)
    np.testing.assert_array_equal(layer["modulator"]["listens"], made.layers[0].listens)
    # 25 steps, release in step 25, epochs of 8: windows 32 .. 40 and 40 .. 48
    assert document["clock"]["release"] == 25
    assert document["clock"]["windows"] == {"sample": [32, 40], "context": [40, 48]}
    assert document["clock"]["period"] == 48


def test_symmetric_feedback_starts_w_retro_as_the_transpose(small, tmp_path):
    made, weights = small("symmetric")
    export(made, weights, IDEAL, tmp_path)
    layer = rulereader.read(tmp_path).layers[0]
    assert np.array_equal(layer.connection("w_retro").weights, layer.connection("w_pred").weights.T)


DELETE = object()


def edit(folder, path, value):
    """Change one field, named like ``layers.0.connections.1.dw``."""
    file = folder / "plasticity.json"
    document = json.loads(file.read_text())
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    node = document
    for part in parents:
        node = node[part]
    if value is DELETE:
        del node[last]
    else:
        node[last] = value
    file.write_text(json.dumps(document))


W_FF, W_PRED = "layers.0.connections.0", "layers.0.connections.2"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("format", "other", "must be 'neuroclapp-plasticity'"),
        ("version", 3, "must be 1 or 2"),
        ("version", True, "must be 1 or 2"),
        ("feedback", "sideways", "must be 'symmetric' or 'blocked' or 'split'"),
        ("gate", "separate", "must be 'shared'"),
        ("chip", "", "must be a text"),
        ("clock", [], "an object {...} is expected"),
        ("clock.dt", 0, "must be a finite number > 0"),
        ("clock.steps", 2.5, "must be an integer >= 2"),
        ("clock.steps_on", 25, "must be an integer >= 1 and <= 24"),
        ("clock.epoch", 0, "must be an integer >= 1"),
        ("clock.windows.sample", [30, 38], "must be [32, 40]"),
        ("clock.release", 24, "must be 25"),
        ("clock.period", 49, "must be 48"),
        ("membrane.reset", "zero", "must be 'subtract'"),
        ("membrane.start", 0.0, "must be 0.5"),
        ("traces.x1.decay", "fast", "must be 'none'"),
        ("traces.x1.gain", 1.0, "must be 0.5"),
        ("traces.y.update", "synapse", "must be 'neuron'"),
        ("input.quantum", -1, "must be a finite number > 0"),
        ("input.units", "6", "must be an integer >= 1"),
        ("layers", [], "must be a list [...] of at least one object"),
        ("layers.0.source", "layer2", "must be 'input'"),
        ("layers.1.source", "input", "must be 'layer1'"),
        ("layers.1.name", "layer1", "names of populations must differ"),
        ("layers.0.neurons", 0, "must be an integer >= 1"),
        (f"{W_FF}.target", "w_x", "must be 'w_ff' or 'bias' or 'w_pred' or 'w_retro'"),
        (f"{W_PRED}.target", "w_retro", "need w_ff and w_pred, and each target once"),
        (f"{W_FF}.dw", "0.1*x0*x1*y1", "product '0.1*x0*x1*y1': coefficient '0.1' is not an integer"),
        (f"{W_FF}.dw", "u12*x1*y1", "'u12' is no dependency"),
        (f"{W_FF}.dw", "x0*x1*y1", "need one fold for each product of 'dw'"),
        (f"{W_FF}.dw", "x0*x1*y1 + x0*x1*y3", "product 'x0*x1*y3': must be m*2^e*x0*x1*y2"),
        (f"{W_FF}.dw", "x0*x1*y2 + x0*x1*y1", "product 'x0*x1*y2': must be m*2^e*x0*x1*y1"),
        (f"{W_FF}.dw", "x0*x1*y1 + u0*x1*y2", "product 'u0*x1*y2': must be m*2^e*x0*x1*y2"),
        (f"{W_FF}.dw", "x0*x1*y1 + x0*x1*(y2-64)", "product 'x0*x1*(y2-64)': must be m*2^e*x0*x1*y2"),
        (f"{W_FF}.dw", "x0*x1*y1 + x0", "product 'x0': must be m*2^e*x0*x1*y2"),
        ("layers.0.connections.1.dw", "x0*x1*y1 + u0*y2", "product 'x0*x1*y1': must be m*2^e*u0*y1"),
        (f"{W_FF}.folds.0.trace", "y4", "must be 'y1' or 'y2' or 'y3'"),
        (f"{W_FF}.folds.0.window", "later", "must be 'sample' or 'context'"),
        (f"{W_FF}.folds.0.scale", -0.1, "must be a finite number >= 0"),
        (f"{W_FF}.folds.0.gate", "gamma_retro", "must be 'gamma'"),
        (f"{W_FF}.folds.0.post", ["w(sample)"], "must be a list of z(..), rho(..), d(..), r(..)"),
        (f"{W_FF}.folds.0.post", [], "must be a list of z(..)"),
        (f"{W_FF}.scale", 0, "must be a finite number > 0"),
        (f"{W_FF}.learning_rate", "fast", "must be a finite number >= 0"),
        (f"{W_FF}.weights", [[0.0]], "unknown key"),
        (f"{W_PRED}.weights", [[0.0]], "must be a full table of numbers of shape (5, 5)"),
        (
            f"{W_PRED}.weights",
            [[0.0] * 5] * 4 + [[0.0] * 4],
            "must be a full table of numbers of shape (5, 5)",
        ),
        (f"{W_PRED}.weights", [[None] * 5] * 5, "must be a full table of numbers of shape (5, 5)"),
        (f"{W_PRED}.weights.0.0", float("nan"), "every number must be finite"),
        (f"{W_PRED}.weights", DELETE, "this key is missing"),
        ("layers.0.modulator.units", 5, "must be a full table of numbers of shape (10, 5)"),
        ("layers.0.modulator.resolution", 0, "must be a finite number > 0"),
        ("layers.0.modulator.tonic", -1, "must be a finite number >= 0"),
        ("layers.0.modulator.burst", 0, "must be a finite number >= 1"),
        ("layers.0.modulator.colour", "red", "unknown key"),
        ("colour", "red", "unknown key"),
        ("clock", DELETE, "this key is missing"),
    ],
)
def test_a_field_at_fault_is_named(path, value, said, exported):
    edit(exported, path, value)
    with pytest.raises(InputError) as caught:
        rulereader.read(exported)
    message = str(caught.value)
    assert message.startswith(str(exported / "plasticity.json"))
    assert said in message
    assert re.search(r": [\w.]+ = ", message)


def test_the_error_gives_the_whole_path_of_the_key(exported):
    edit(exported, f"{W_FF}.folds.1.scale", "much")
    with pytest.raises(InputError, match=r"layers\.0\.connections\.0\.folds\.1\.scale = 'much'"):
        rulereader.read(exported)


def test_every_key_is_needed(exported):
    """Deleting any key, anywhere, is noticed."""
    file = exported / "plasticity.json"
    text = file.read_text()

    def keys(node, path=()):
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            if isinstance(node, dict):
                yield (*path, key)
            if isinstance(value, dict | list):
                yield from keys(value, (*path, key))

    for path in keys(json.loads(text)):
        edit(exported, ".".join(map(str, path)), DELETE)
        with pytest.raises(NeuroclappError):
            rulereader.read(exported)
        file.write_text(text)


def test_absent_and_foreign_files_are_named(tmp_path):
    with pytest.raises(RunError, match=r"plasticity\.json: no such file"):
        rulereader.read(tmp_path)
    (tmp_path / "plasticity.json").write_text("hello")
    with pytest.raises(RunError, match=r"plasticity\.json: not a JSON file"):
        rulereader.read(tmp_path)
    (tmp_path / "plasticity.json").write_text("[]")
    with pytest.raises(InputError, match="an object"):
        rulereader.read(tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("layers.0.quantum", 0.5, "layers = .*network.nir has"),
        ("input.neurons", 9, "layers = .*network.nir has"),
        ("clock.dt", 0.002, "clock = .*network.nir has"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(path, value, said, exported):
    pair.read(exported)
    edit(exported, path, value)
    with pytest.raises(InputError, match=said):
        pair.read(exported)


def test_an_unknown_layer_is_answered_with_the_known_ones(exported):
    with pytest.raises(InputError, match="layer = 'layer3': no such layer; known: layer1, layer2"):
        pair.read_layers(exported, ["layer1", "layer3"])


def test_missing_weights_are_refused(small):
    made, weights = small()
    lacking = Weights({name: array for name, array in weights.items() if name != "layer2.w_pred"})
    with pytest.raises(
        InputError, match=r"weights: layer2\.w_pred = None: this array of shape \(4, 4\) is missing"
    ):
        program(made, lacking, IDEAL)
    with pytest.raises(InputError, match=r"layer1\.w_ff = \(2, 2\): its shape must be \(5, 6\)"):
        network(made, weights.replace({"layer1.w_ff": np.zeros((2, 2))}))


def test_the_documentation_has_every_key(exported_separate):
    page = (Path(__file__).parents[2] / "docs" / "plasticity-format.md").read_text()
    documented = {
        part for quoted in re.findall(r"`([^`\n]+)`", page) for part in re.split(r"[.\[\]]+", quoted)
    }

    def keys(node):
        if isinstance(node, dict):
            yield from node
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from keys(value)

    assert set(keys(json.loads((exported_separate / "plasticity.json").read_text()))) <= documented

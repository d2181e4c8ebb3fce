"""Both readers of `plasticity.json`, ours and `docs/plasticity_reader.py`, refuse and accept alike."""

import copy
import importlib.util
import json
import math
import re
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onchip.test_rule_schema import OTHERS, at, places
from onchip.test_rule_standalone import IDEAL, READER

from neuroclapp.errors import InputError
from neuroclapp.onchip import rulereader
from neuroclapp.onchip.export import export

#: What numbers must not be, and what some of them may.
NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf, -1, -1.0, 0, 0.0, 1, 2.5, 40, True, 10**400, "1"])
#: Letters of rules, to spoil them with.
LETTERS = st.text("x0y1u2^*+-() w38é\t", max_size=3)


@pytest.fixture(scope="module")
def alone():
    spec = importlib.util.spec_from_file_location("plasticity_reader", READER)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def documents(small, tmp_path_factory):
    """Every kind of file, and a folder to write others in."""
    folder, made = tmp_path_factory.mktemp("exported"), []
    for kind in (("symmetric",), ("blocked",), ("split",), ("split", "separate")):
        export(*small(*kind), IDEAL, folder)
        made.append(json.loads((folder / "plasticity.json").read_text()))
    return folder, made


def read_by_both(alone, folder, document):
    """Return what both readers give, None where they refuse; a refusal names the file and the key."""
    path, found, said = folder / "plasticity.json", [], []
    path.write_text(json.dumps(document))
    for read, error, where in ((rulereader.read, InputError, folder), (alone.read, ValueError, path)):
        try:
            found.append(read(where))
        except error as refused:
            said.append(str(refused))
            found.append(None)
    assert all(text.startswith(f"{path}: ") and "\n" not in text for text in said)
    return found


def assert_alike(ours, theirs):
    """Hold what the reader of the docs gives against our program: rules, weights, modulators."""
    assert (theirs.chip, theirs.clock["period"]) == (ours.chip, ours.clock.period)
    for layer, other in zip(ours.layers, theirs.layers, strict=True):
        assert (layer.soma.name, layer.soma.quantum) == (other.name, other.quantum)
        for one in layer.connections:
            rule = other.rules[one.target]
            assert [product.size for product in rule.products] == [
                term.mantissa * 2.0**term.exponent for term in one.series.terms
            ]
            assert [(product.window, product.scale, product.gate) for product in rule.products] == [
                (fold.window, fold.scale, fold.gate) for fold in one.series.folds
            ]
            assert np.array_equal(rule.weights, one.weights) if one.weights is not None else not rule.weights
        for gate, modulator in layer.modulators.items():
            assert np.array_equal(other.modulators[gate].listens, modulator.listens)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_one_reader_refuses_so_does_the_other(data, documents, alone):
    folder, whole = documents[0], data.draw(st.sampled_from(documents[1]))
    changed = copy.deepcopy(whole)
    path = data.draw(st.sampled_from(list(places(whole))))
    parent, last = at(changed, path[:-1]), path[-1]
    how = data.draw(st.sampled_from(["delete", "replace", "number", "add", "spoil"]))
    if how == "delete":
        del parent[last]
    elif how in ("replace", "number") or (how == "spoil" and not isinstance(parent[last], str)):
        parent[last] = data.draw(OTHERS if how == "replace" else NUMBERS)
    elif how == "spoil":
        text = parent[last]
        place = data.draw(st.integers(0, len(text)))
        parent[last] = text[:place] + data.draw(LETTERS) + text[place + data.draw(st.integers(0, 2)) :]
    elif isinstance(parent, dict):
        parent["colour"] = "red"
    else:
        parent.append(data.draw(OTHERS))
    ours, theirs = read_by_both(alone, folder, changed)
    assert (ours is None) == (theirs is None), (how, path, at(changed, path[:-1]))
    if ours is not None:
        assert_alike(ours, theirs)


SIZES = [
    "",
    "2*",
    "7*",
    "8*",
    "0*",
    "2*3*",
    "2^-7*",
    "2^+8*",
    "2^9*",
    "2^4*2^4*",
    "2^4*2^5*",
    "2*2^3*",
    "02*",
    "1.5*",
]
FORMS = ["x0*x1*{y}", "x1*x0*{y}", "x0*{y}*x1", "x1*{y}*x0", "x0 * x1 * {y}", "x0*x1*{y}*2", "x0*(x1+0)*{y}"]
WRONG = [
    "x0*x1",
    "x0*(x1+1)*{y}",
    "u0*x1*{y}",
    "x 0*x1*{y}",
    "x0**{y}",
    "x0*x1*{y}*w",
    "-x0*x1*{y}",
    "2*3",
    "",
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.tuples(*[st.sampled_from(SIZES)] * 2),
    forms=st.tuples(st.sampled_from(FORMS), st.sampled_from([*FORMS, *WRONG])),
    signs=st.tuples(
        st.sampled_from(["", "-", "+", " - ", "--"]), st.sampled_from([" + ", "-", " - ", "++", ""])
    ),
)
@example(sizes=("8*", ""), forms=(FORMS[0], FORMS[0]), signs=("-", "-"))
def test_rules_are_read_alike(sizes, forms, signs, documents, alone):
    folder, changed = documents[0], copy.deepcopy(documents[1][2])
    products = [size + form for size, form in zip(sizes, forms, strict=True)]
    rule = signs[0] + products[0].format(y="y1") + signs[1] + products[1].format(y="y2")
    changed["layers"][0]["connections"][0]["dw"] = rule
    ours, theirs = read_by_both(alone, folder, changed)
    assert (ours is None) == (theirs is None), rule
    if ours is not None:
        assert_alike(ours, theirs)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("colour", "red", "colour = 'red': unknown key"),
        ("layers.1.colour", "red", "layers.1.colour = 'red': unknown key"),
        ("clock.dt", math.nan, "clock.dt = nan: must be a finite number > 0"),
        ("clock.steps", -1, "clock.steps = -1: must be an integer >= 2"),
        ("input.quantum", math.nan, "input.quantum = nan: must be a finite number > 0"),
        ("layers.0.quantum", math.inf, "layers.0.quantum = inf: must be a finite number > 0"),
        ("layers.0.quantum", 0, "layers.0.quantum = 0: must be a finite number > 0"),
        (
            "layers.0.connections.2.scale",
            -1,
            "layers.0.connections.2.scale = -1: must be a finite number > 0",
        ),
        ("layers.0.connections.0.folds.1.scale", -1, "folds.1.scale = -1: must be a finite number >= 0"),
        ("layers.0.modulator.resolution", math.nan, "resolution = nan: must be a finite number > 0"),
        ("layers.0.modulator.burst", 10**400, "must be a finite number >= 1"),
        ("layers.0.modulator.listens.0.0", 10**400, "finite"),
        ("layers.0.connections.0.dw", "2*3", "dw = '2*3': product '2*3'"),
        ("layers", [], "layers = []: must be a list"),
    ],
)
def test_both_name_key_and_value(path, value, said, documents, alone):
    folder, changed = documents[0], copy.deepcopy(documents[1][2])
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    at(changed, parents)[last] = value
    (folder / "plasticity.json").write_text(json.dumps(changed))
    with pytest.raises(InputError, match=re.escape(said)):
        rulereader.read(folder)
    with pytest.raises(ValueError, match=re.escape(said)):
        alone.read(folder / "plasticity.json")

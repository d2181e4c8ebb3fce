"""The schema of `plasticity.json` and the readers: what one refuses for its structure, the others refuse."""

import copy
import json
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroclapp.errors import NeuroclappError
from neuroclapp.onchip import rulereader
from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.export import export

jsonschema = pytest.importorskip("jsonschema")

SCHEMAS = {
    version: json.loads(files("neuroclapp.onchip").joinpath(name).read_text())
    for version, name in ((1, "plasticity.schema.json"), (2, "plasticity-2.schema.json"))
}
VALIDATORS = {version: jsonschema.Draft202012Validator(schema) for version, schema in SCHEMAS.items()}
VALIDATOR = VALIDATORS[1]
IDEAL = Chip(name="ideal", title="no limits")


@pytest.mark.parametrize("version", [1, 2])
def test_the_schema_is_one(version):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[version])
    assert SCHEMAS[version]["properties"]["version"] == {"const": version}
    assert SCHEMAS[version]["$id"] == f"urn:neuroclapp:plasticity:{version}"


@pytest.mark.parametrize("feedback", ["symmetric", "blocked", "split"])
def test_every_export_fits_the_schema(feedback, small, tmp_path):
    export(*small(feedback), IDEAL, tmp_path)
    held = json.loads((tmp_path / "plasticity.json").read_text())
    VALIDATOR.validate(held)
    VALIDATORS[2].validate({**held, "version": 2})


@pytest.fixture(scope="module")
def document(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export(*small(), IDEAL, folder)
    return folder, json.loads((folder / "plasticity.json").read_text())


@pytest.fixture(scope="module")
def separate(small, tmp_path_factory):
    """A document of version 2, with two gates."""
    folder = tmp_path_factory.mktemp("separate")
    export(*small("split", "separate"), IDEAL, folder)
    return folder, json.loads((folder / "plasticity.json").read_text())


def accepted(folder, changed):
    """Whether our reader takes a document."""
    (folder / "changed").mkdir(exist_ok=True)
    (folder / "changed" / "plasticity.json").write_text(json.dumps(changed))
    try:
        rulereader.read(folder / "changed")
    except NeuroclappError:
        return False
    return True


def places(node, path=()):
    """All keys of objects and the first two entries of lists, with their paths."""
    keys = (
        list(node) if isinstance(node, dict) else range(min(len(node), 2)) if isinstance(node, list) else []
    )
    for key in keys:
        yield (*path, key)
        yield from places(node[key], (*path, key))


def at(node, path):
    for key in path:
        node = node[key]
    return node


OTHERS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2).filter(lambda one: one != int(one))
    | st.sampled_from(["", "x", "y1", "w_ff", "bias", "sample", "d(sample)", [], {}, [0.5], [[0.5]]])
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_schema_refuses_the_reader_refuses(data, document, separate):
    folder, whole = data.draw(st.sampled_from([document, separate]))
    changed = copy.deepcopy(whole)
    path = data.draw(st.sampled_from(list(places(whole))))
    parent = at(changed, path[:-1])
    how = data.draw(st.sampled_from(["delete", "replace", "add"]))
    if how == "delete":
        del parent[path[-1]]
    elif how == "replace":
        parent[path[-1]] = data.draw(OTHERS)
    elif isinstance(parent, dict):
        parent["colour"] = "red"
    else:
        parent.append(data.draw(OTHERS))
    version = changed.get("version")  # a file of version 1 that says 2 is one of version 2
    known = version if type(version) is int and version in VALIDATORS else whole["version"]
    if not VALIDATORS[known].is_valid(changed):
        assert not accepted(folder, changed), (how, path)


@pytest.mark.parametrize("key", ["colour", "format", "version"])
def test_unknown_and_missing_keys_are_refused_by_both(key, document):
    folder, whole = document
    for path in [(), *(path for path in places(whole) if isinstance(at(whole, path), dict))]:
        changed = copy.deepcopy(whole)
        at(changed, path)[key] = "red"
        assert not VALIDATOR.is_valid(changed)
        assert not accepted(folder, changed)


def test_every_key_is_required_by_both(document):
    folder, whole = document
    for path in [path for path in places(whole) if isinstance(path[-1], str)]:
        changed = copy.deepcopy(whole)
        del at(changed, path[:-1])[path[-1]]
        assert not VALIDATOR.is_valid(changed), path
        assert not accepted(folder, changed), path


def test_a_file_with_two_gates_fits_its_schema_and_no_half_of_one_does(separate):
    folder, whole = separate
    VALIDATORS[2].validate(whole)
    assert accepted(folder, whole)
    for path, value in (
        (("version",), 1),
        (("gate",), "shared"),
        (("feedback",), "blocked"),
        (("layers", 0, "modulator_retro"), {}),
        (("layers", 0, "connections", 0, "folds", 1, "gate"), "gamma_2"),
    ):
        changed = copy.deepcopy(whole)
        at(changed, path[:-1])[path[-1]] = value
        assert not VALIDATORS[2].is_valid(changed)
        assert not accepted(folder, changed)
    for key in places(whole):
        if isinstance(key[-1], str):
            changed = copy.deepcopy(whole)
            del at(changed, key[:-1])[key[-1]]
            assert not VALIDATORS[2].is_valid(changed), key
            assert not accepted(folder, changed), key


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 3),
        (("version",), True),
        (("gate",), "separate"),
        (("clock", "dt"), 0),
        (("clock", "steps"), 1),
        (("clock", "epoch"), 0),
        (("clock", "windows", "sample"), [32]),
        (("input", "units"), 0),
        (("layers",), []),
        (("layers", 0, "connections", 0, "target"), "w_x"),
        (("layers", 0, "connections", 0, "target"), "w_pred"),
        (("layers", 0, "connections", 0, "dw"), "0.5*x0*x1*y1"),
        (("layers", 0, "connections", 0, "weights"), [[0.5]]),
        (("layers", 0, "connections", 0, "folds", 0, "trace"), "y4"),
        (("layers", 0, "connections", 0, "folds", 0, "post"), ["w(sample)"]),
        (("layers", 0, "connections", 0, "scale"), 0),
        (("layers", 0, "modulator", "burst"), 0.5),
        (("layers", 0, "modulator", "listens"), [[None]]),
    ],
)
def test_structural_faults_are_refused_by_both(path, value, document):
    folder, whole = document
    changed = copy.deepcopy(whole)
    at(changed, path[:-1])[path[-1]] = value
    assert not VALIDATOR.is_valid(changed)
    assert not accepted(folder, changed)


def test_integers_may_stand_for_whole_numbers(document):
    """Other languages write 1.0 as 1."""
    folder, whole = document
    changed = copy.deepcopy(whole)
    changed["membrane"]["threshold"], changed["layers"][0]["modulator"]["tonic"] = 1, 40
    weights = changed["layers"][0]["connections"][2]["weights"]
    changed["layers"][0]["connections"][2]["weights"] = np.zeros_like(weights, dtype=int).tolist()
    assert VALIDATOR.is_valid(changed)
    assert accepted(folder, changed)

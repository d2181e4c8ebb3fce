"""`docs/plasticity_reader.py`: it needs numpy alone, and learns as the equations and Lava do."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.export import export
from neuroclapp.onchip.lava.jobs import learn

READER = Path(__file__).parents[2] / "docs" / "plasticity_reader.py"
IDEAL = Chip(name="ideal", title="no limits")
#: Replays a stream of presentations with the reader alone; everything goes through .npz files.
REPLAY = """
import importlib.util, sys
import numpy as np
import plasticity_reader as reader

for name in ("neuroclapp", "pydantic", "h5py"):
    assert importlib.util.find_spec(name) is None, name
held = reader.read(sys.argv[1])
layer = held.layers[int(sys.argv[3])]
with np.load(sys.argv[2]) as file:
    seen = {name: file[name] for name in file.files}
weights = {name[7:]: seen[name] for name in seen if name.startswith("before.")}
for name, rule in layer.rules.items():
    if rule.weights is not None:
        assert np.array_equal(rule.weights, weights[name]), name
nothing = np.zeros(layer.units)
context = reader.Seen(np.zeros_like(seen["pre_count"][0]), nothing, nothing)
names = ("d", "r", "gamma", "total", "gamma_retro", "total_retro")
d, kept = nothing, {name: [] for name in names}
for pre, count, charge, sign in zip(seen["pre_count"], seen["count"], seen["charge"], seen["sign"]):
    sample = reader.Seen(pre, count, charge)
    r = reader.dendrite(weights["w_retro"], count) if "w_retro" in weights else nothing
    gamma, total = reader.third_factor(layer, d, count, int(sign))
    second = (None, None)
    if held.gate == "separate":
        second = reader.third_factor(layer, r, context.count, int(sign), "gamma_retro")
    for name, value in zip(kept, (d, r, gamma, total, *second)):
        kept[name].append(np.nan if value is None else value)
    change = reader.changes(layer, context, sample, d, r, gamma, second[0])
    d = reader.dendrite(weights["w_pred"], count)
    weights = {name: value + change[name] for name, value in weights.items()}
    context = sample
np.savez(sys.argv[4], **{"after." + name: value for name, value in weights.items()}, **kept)
"""


@pytest.fixture(scope="module")
def numpy_only(tmp_path_factory):
    """A folder with numpy and the reader, and nothing else; Python starts without site-packages."""
    folder = tmp_path_factory.mktemp("numpy-only")
    site = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (site / name).exists():
            (folder / name).symlink_to(site / name)
    (folder / READER.name).write_bytes(READER.read_bytes())
    return folder


def alone(folder, *arguments):
    """Run Python with -S: no site-packages, no package of ours."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-S", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=120)
    return done


def replay(folder, exported, number, seen):
    np.savez(folder / "seen.npz", **seen)
    arguments = (exported / "plasticity.json", folder / "seen.npz", number, folder / "result.npz")
    done = alone(folder, "-c", REPLAY, *arguments)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "result.npz") as file:
        return {name: file[name] for name in file.files}


def test_one_step_equals_the_equations(small, tmp_path, numpy_only):
    """A split rule of two presentations, Eqs. 13 and 14 and the modulators written out."""
    made, weights = small()
    export(made, weights, IDEAL, tmp_path)
    draw = np.random.default_rng(2)
    count, pre = draw.integers(0, 9, (2, 5)).astype(float), draw.integers(0, 9, (2, 6)).astype(float)
    charge = draw.normal(size=(2, 5))
    w = {name: weights[f"layer1.{name}"] for name in ("w_ff", "bias", "w_pred", "w_retro")}
    unit = {
        "w_ff": 1 / 2,
        "bias": 32 / 20,
        "w_pred": 1 / 32,
        "w_retro": 1 / 32,
    }  # quanta 1/64, 1/32; steps_on 20
    seen = {"pre_count": pre, "count": count, "charge": charge, "sign": np.array([0, 1])}
    found = replay(
        numpy_only, tmp_path, 0, {**seen, **{f"before.{name}": w[name] * unit[name] for name in w}}
    )

    c, z = count / 32
    x_context, x_sample = pre / 64
    rho_context, rho_sample = charge > 0
    d, r = w["w_pred"] @ c, w["w_retro"] @ z
    np.testing.assert_allclose(found["d"], [np.zeros(5), d], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found["r"][1], r, rtol=1e-12)
    estimate = made.layers[0].listens @ (d * z)  # 4 + 4 modulator units
    modulator = made.layers[0].modulator
    offset = (np.arange(4) + 0.5) / 4
    fixation = np.floor(modulator.tonic + offset + modulator.resolution * (1 - estimate[:4]))
    fixation = np.clip(fixation, 0, modulator.burst).sum()
    assert found["total"][1][0] == fixation
    gamma = float(fixation > 4 * modulator.tonic)
    assert found["gamma"].tolist() == [0, gamma]
    assert gamma == 1
    ahead, back = d * rho_sample, r * rho_context
    expected = {
        "w_ff": 0.5 * 0.03 * (np.outer(ahead, x_sample) + np.outer(back, x_context)),
        "bias": 0.5 * 0.03 * (ahead + back),
        "w_pred": 0.5 * 0.1 * np.outer(z, c),
        "w_retro": 0.5 * 0.1 * np.outer(c, z),
    }
    for name, change in expected.items():
        np.testing.assert_allclose(found[f"after.{name}"] / unit[name] - w[name], change, atol=1e-12)


@pytest.mark.lava
@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed")
@pytest.mark.parametrize(
    ("feedback", "gate"),
    [
        ("split", "separate"),
        *(pytest.param(each, "shared", marks=pytest.mark.slow) for each in ("split", "symmetric")),
    ],
)
def test_a_stream_learns_as_in_lava(feedback, gate, small, tmp_path, numpy_only):
    export(*small(feedback, gate), IDEAL, tmp_path)
    draw = np.random.default_rng(4)
    inputs = np.repeat(np.maximum(draw.normal(size=(8, 6)), 0), 2, axis=0)
    sign = np.where(np.arange(16) % 2 == 1, 1, -1)
    sign[0] = 0
    for number, (name, learned) in enumerate(learn(tmp_path, inputs, sign, limit_s=200).items()):
        unit = {
            one["target"]: one["scale"]
            for one in json.loads((tmp_path / "plasticity.json").read_text())["layers"][number]["connections"]
        }
        seen = {key: getattr(learned, key) for key in ("pre_count", "count", "charge")}
        before = {f"before.{target}": value * unit[target] for target, value in learned.before.items()}
        found = replay(numpy_only, tmp_path, number, {**seen, "sign": sign, **before})
        assert 0 < np.abs(learned.gamma).sum() < 16
        np.testing.assert_array_equal(found["gamma"], learned.gamma, err_msg=name)
        np.testing.assert_array_equal(found["total"], learned.total, err_msg=name)
        if gate == "separate":
            np.testing.assert_array_equal(found["gamma_retro"], learned.gamma_retro, err_msg=name)
            np.testing.assert_array_equal(found["total_retro"], learned.total_retro, err_msg=name)
        np.testing.assert_allclose(found["d"], learned.apical, atol=1e-12)
        for target, after in learned.after.items():
            assert not np.allclose(after, learned.before[target])
            np.testing.assert_allclose(found[f"after.{target}"] / unit[target], after, atol=1e-12)


def test_one_step_with_two_gates_equals_the_equations(small, tmp_path, numpy_only):
    """Eqs. 10 to 14 written out, at scores that differ: the first gate open, the second closed or open."""
    made, weights = small("split", "separate")
    weights = weights.replace(
        {f"layer1.{name}": 4 * weights[f"layer1.{name}"] for name in ("w_pred", "w_retro")}
    )
    export(made, weights, IDEAL, tmp_path)
    unit = {"w_ff": 1 / 2, "bias": 32 / 20, "w_pred": 1 / 32, "w_retro": 1 / 32}
    met = set()
    for seed in range(8):
        draw = np.random.default_rng(seed)
        count, pre = draw.integers(0, 60, (2, 5)).astype(float), draw.integers(0, 60, (2, 6)).astype(float)
        charge = draw.normal(size=(2, 5))
        w = {name: weights[f"layer1.{name}"] for name in unit}
        seen = {"pre_count": pre, "count": count, "charge": charge, "sign": np.array([0, 1])}
        before = {f"before.{name}": w[name] * unit[name] for name in w}
        found = replay(numpy_only, tmp_path, 0, {**seen, **before})
        (c, z), (x_context, x_sample), (rho_context, rho_sample) = count / 32, pre / 64, charge > 0
        d, r = w["w_pred"] @ c, w["w_retro"] @ z
        modulator, offset = made.layers[0].modulator, (np.arange(4) + 0.5) / 4
        gates = []
        for listens, part in ((made.layers[0].listens[:4], d * z), (made.layers[0].listens[8:12], r * c)):
            fired = np.floor(modulator.tonic + offset + modulator.resolution * (1 - listens @ part))
            gates.append(float(np.clip(fired, 0, modulator.burst).sum() > 4 * modulator.tonic))
        assert (found["gamma"][1], found["gamma_retro"][1]) == tuple(gates)
        met.add(tuple(gates))
        ahead, back = gates[0] * d * rho_sample, gates[1] * r * rho_context
        expected = {
            "w_ff": 0.5 * 0.03 * (np.outer(ahead, x_sample) + np.outer(back, x_context)),
            "bias": 0.5 * 0.03 * (ahead + back),
            "w_pred": gates[0] * 0.5 * 0.1 * np.outer(z, c),
            "w_retro": gates[1] * 0.5 * 0.1 * np.outer(c, z),
        }
        for name, change in expected.items():
            np.testing.assert_allclose(found[f"after.{name}"] / unit[name] - w[name], change, atol=1e-12)
    assert {(1.0, 0.0), (1.0, 1.0)} <= met


def test_it_says_what_a_file_with_two_gates_holds(exported_separate, numpy_only):
    said = alone(numpy_only, READER.name, exported_separate / "plasticity.json").stdout
    assert "version 2, feedback split, gate separate, checked for chip ideal" in said
    assert "* gamma_retro * r(sample) * rho(context), context" in said


def test_it_says_what_a_file_holds_and_refuses_what_it_does_not_know(exported, numpy_only):
    file = exported / "plasticity.json"
    said = alone(numpy_only, READER.name, file).stdout
    assert "version 1, feedback split, checked for chip ideal" in said
    assert "dw_retro += 0.0078125 * " in said
    assert "* gamma * d(sample) * rho(sample), sample" in said
    text = file.read_text()
    for old, new, why in (
        ('"version": 1', '"version": 3', "version = 3: must be 1 or 2"),
        ('"reset": "subtract"', '"reset": "zero"', "membrane.reset = 'zero': must be 'subtract'"),
        ("2^-7*x0*x1*y1 +", "u0*x1*y1 +", "product 'u0*x1*y1' must be m*2^e*x0*x1*y, with y one"),
        ("2^-7*x0*x1*y1 +", "0.5*x0*x1*y1 +", "product '0.5*x0*x1*y1' must be"),
        ('"source"', '"origin"', "layers.0.source: this key is missing"),
        ('"shared"', '"separate"', "gate = 'separate': must be 'shared'"),
    ):
        assert old in text
        file.write_text(text.replace(old, new, 1))
        done = alone(numpy_only, READER.name, file)
        assert done.returncode != 0
        assert why in done.stderr, done.stderr

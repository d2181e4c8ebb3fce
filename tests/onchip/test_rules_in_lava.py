"""Whatever rule we accept, Lava accepts and computes the same; the others we refuse by the product at fault.

Three readers of random texts: ours, Lava's parser with its float model of a plastic connection, and Python's
arithmetic. Values are integers, so that all three agree to the last bit or not at all.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onchip import rule_texts

from neuroclapp.errors import InputError
from neuroclapp.network import Prediction
from neuroclapp.onchip import products, series
from neuroclapp.plasticity import Factor, clapp

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed"),
]

STEPS = (0, 1, 4, 6)  # u0 acts in all of them, u1 in 0, 4 and 6, u2 in 0 and 4, the others in 0
ROOT = Path(__file__).parents[2]


def in_lava(folder, texts, values, steps, limit_s=280):
    """Return which texts Lava takes, each with its own values, and the changes (texts, steps, post, pre)."""
    job, stacked, result = folder / "job.json", folder / "values.npz", folder / "result.npz"
    job.write_text(json.dumps({"texts": texts, "steps": list(steps)}), encoding="utf-8")
    np.savez(stacked, **{name: np.array([one[name] for one in values]) for name in values[0]})
    worker = Path(__file__).parent / "rules_in_lava.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(worker), str(job), str(stacked), str(result)]
    subprocess.run(command, env=environment, timeout=limit_s, check=True)
    with np.load(result) as file:
        return file["taken"], file["change"]


def read(text):
    """The terms, or the error's text."""
    try:
        return series.parse(text), None
    except InputError as error:
        return None, str(error)


def whole(results):
    return np.array([np.broadcast_to(one, (rule_texts.POST, rule_texts.PRE)) for one in results])


def check(folder, seed, rules, spoilt, mutated):
    """Give random texts to all three readers; return how many Lava takes though they mean something else."""
    draw = np.random.default_rng(seed)
    texts = [("right", rule_texts.rule(draw), None) for _ in range(rules)]
    texts += [rule_texts.spoilt(draw) for _ in range(spoilt)]
    texts += [("mutated", rule_texts.mutated(draw), None) for _ in range(mutated)]
    values = [rule_texts.values(draw) for _ in texts]
    taken, changes = in_lava(folder, [text for _, text, _ in texts], values, STEPS)
    wrongly = {}
    for (way, text, wrong), given, lava, change in zip(texts, values, taken, changes, strict=True):
        named = [{**given, **rule_texts.clocks(step)} for step in STEPS]
        meant = [rule_texts.meaning(text, one) for one in named]
        means = not any(one is None for one in meant)
        terms, message = read(text)
        if terms is not None:
            assert wrong is None, f"{way}: {text!r} is accepted"
            assert lava, f"Lava refuses {text!r}"
            assert np.array_equal(whole(series.evaluate(terms, one) for one in named), change), text
            assert means, text
            assert np.array_equal(whole(meant), change), text
            again = series.text(terms)
            assert series.parse(again) == terms, text
            assert series.text(series.parse(again)) == again
        else:
            assert way != "right", message
            if text.strip(" "):
                product = re.search("product '(.*?)': ", message)[1]
                assert product.replace(" ", "") in repr(text).replace(" ", ""), message
                assert wrong is None or f"product {wrong!r}"[:-1] in message, message
            if lava and not (means and np.array_equal(whole(meant), change)):
                wrongly[way] = wrongly.get(way, 0) + 1
    return wrongly


def test_we_accept_what_lava_computes_alike_and_refuse_the_rest_by_its_product(tmp_path):
    wrongly = check(tmp_path, seed=0, rules=250, spoilt=350, mutated=300)
    assert {"two digits", "touching", "nothing", "bracket", "parted"} <= set(wrongly)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_many_rules_are_accepted_or_refused_rightly(seed, tmp_path):
    wrongly = check(tmp_path, seed, rules=1500, spoilt=1500, mutated=3000)
    print(f"seed {seed}: Lava takes wrongly {sum(wrongly.values())} texts: {wrongly}")
    assert sum(wrongly.values()) > 100


VARIANTS = [
    Prediction("symmetric"),
    Prediction("blocked"),
    Prediction("split", "shared"),
    Prediction("split", "separate"),
]


def equations(prediction, target, q, gamma, gamma_retro):
    """The change of one matrix per unit of learning rate, Eqs. 3, 4, 9 and 13-14 written out."""
    half = 0.5 if prediction.feedback == "split" else 1.0
    retro = 0.0 if prediction.feedback == "blocked" else 1.0
    gamma_retro = gamma_retro if prediction.gate == "separate" else gamma
    ahead = gamma * q["d"] * q["rho sample"]
    back = retro * gamma_retro * q["r"] * q["rho context"]
    return (
        half
        * {
            "w_ff": np.outer(ahead, q["x sample"]) + np.outer(back, q["x context"]),
            "bias": ahead + back,
            "w_pred": gamma * np.outer(q["z sample"], q["z context"]),
            "w_retro": gamma_retro * np.outer(q["z context"], q["z sample"]),
        }[target]
    )


@pytest.mark.parametrize("rate", [0.013, 3.7])
def test_lava_computes_every_variant_of_the_rule_as_its_equations_say(rate, tmp_path):
    draw = np.random.default_rng(5)
    cases, texts, values = [], [], []
    for prediction in VARIANTS:
        for rule in products.rules(clapp(prediction)):
            q = {name: draw.normal(size=4) for name in ("d", "r")}
            for time in ("sample", "context"):
                q[f"rho {time}"] = draw.integers(0, 2, 4).astype(float)
                q[f"x {time}"], q[f"z {time}"] = draw.integers(0, 4, (2, 4)).astype(float)
            gates = dict(zip(("gamma", "gamma_retro"), draw.choice([-1.0, 1.0], 2), strict=True))
            post = {Factor(name, "sample"): q[name] for name in ("d", "r")}
            post |= {
                Factor(name, time): q[f"{name} {time}"]
                for name in ("rho", "z")
                for time in ("sample", "context")
            }
            made = products.render(rule, rate)
            pre = "x" if rule.target == "w_ff" else "z"
            cases.append((prediction, rule.target, rate * equations(prediction, rule.target, q, **gates)))
            for window in ("sample", "context"):
                counts = q[f"{pre} {window}"]
                shown = {fold.trace: fold.value(post, gates) * (fold.window == window) for fold in made.folds}
                blank = {name: np.zeros(4) for name in ("x2", "y0", "y1", "y2", "y3")}
                blank |= {name: np.zeros((4, 4)) for name in "wdt"}
                texts.append(made.text)
                values.append({**blank, "x0": (counts > 0).astype(float), "x1": counts, **shown})
    taken, changes = in_lava(tmp_path, texts, values, steps=[0])
    assert taken.all()
    assert len(cases) == 4 + 3 + 4 + 4  # symmetric holds the transpose as a matrix of its own; blocked none
    for n, (prediction, target, expected) in enumerate(cases):
        found = changes[2 * n, 0] + changes[2 * n + 1, 0]
        found = found[:, 0] if target == "bias" else found
        assert np.abs(expected).max() > 0, (prediction, target)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15, err_msg=f"{prediction} {target}")

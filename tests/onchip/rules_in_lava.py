"""What Lava makes of learning rules: ``python rules_in_lava.py JOB.json VALUES.npz RESULT.npz``.

The job is ``{"texts": [...], "steps": [...]}``, the values have one row for each text. Each text becomes a
`Loihi3FLearningRule`; Lava's float model of a plastic connection applies it to them in one learning epoch, at
each of the steps. ``taken`` (texts,) says which texts Lava took without an error, ``change`` (texts, steps,
post, pre) what they did to the weights.
"""

import io
import json
import sys
from contextlib import redirect_stderr

import numpy as np

from neuroclapp.onchip.lava.shim import import_lava

import_lava()

from lava.magma.core.learning.learning_rule import Loihi3FLearningRule  # noqa: E402
from lava.proc.dense.models import PyLearningDenseModelFloat  # noqa: E402
from lava.utils.weightutils import SignMode  # noqa: E402


def connection(rule, values):
    """Lava's float model of a plastic connection without Lava's runtime: traces as they stand, no decay."""
    model = object.__new__(PyLearningDenseModelFloat)
    model._learning_rule, model.sign_mode = rule, SignMode.MIXED
    model._shape = values["w"].shape
    model.weights, model.tag_2, model.tag_1 = values["w"].copy(), values["d"].copy(), values["t"].copy()
    model.x0, model.y0 = values["x0"] > 0, values["y0"] > 0
    model.tx, model.ty = model.x0.astype(int), model.y0.astype(int)  # spike in step 1 of an epoch of 1
    model._build_learning_rule_appliers()
    return model


def change(text, values, steps):
    """The change of the weights (steps, post, pre) by one learning step in each of ``steps``."""
    rule = Loihi3FLearningRule(dw=text, t_epoch=1)
    x = np.array([[values["x1"], values["x2"]]] * 2)
    y = np.array([[values["y1"], values["y2"], values["y3"]]] * 2)
    result = []
    for step in steps:
        model = connection(rule, values)
        model.time_step = step
        model._apply_learning_rules(x, y)
        result.append(model.weights - values["w"])
    return np.array(result)


def main(job_path, values_path, result_path):
    with open(job_path, encoding="utf-8") as file:
        job = json.load(file)
    with np.load(values_path) as file:
        values = {name: file[name] for name in file.files}
    taken = np.zeros(len(job["texts"]), dtype=bool)
    changes = np.zeros((len(job["texts"]), len(job["steps"]), *values["w"].shape[1:]))
    for n, text in enumerate(job["texts"]):
        try:
            with redirect_stderr(io.StringIO()):  # asteval prints what it cannot evaluate
                here = {name: value[n] for name, value in values.items()}
                changes[n] = change(text, here, job["steps"])
            taken[n] = True
        except Exception:  # Lava refuses by ValueError, AttributeError, SyntaxError and TypeError alike
            continue
    np.savez(result_path, taken=taken, change=changes)


if __name__ == "__main__":
    main(*sys.argv[1:])

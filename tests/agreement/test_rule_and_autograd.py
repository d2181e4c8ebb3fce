"""The closed form equals autograd, for every variant, also at the hinge's corners."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.network import Prediction
from neuroclapp.plasticity import clapp
from neuroclapp.rate.layer import learn, predict, respond

VARIANTS = [
    Prediction("symmetric"),
    Prediction("blocked"),
    Prediction("split", "shared"),
    Prediction("split", "separate"),
]


def hinge(score, sign):
    """Eq. 2 for one pair: max(0, 1 - sign * score); torch's relu has slope 0 at 0, as the gate has."""
    return torch.relu(1 - sign * score) * sign.abs()


def oracle(prediction, w, x_context, x_sample, sign):
    """Return the negative gradients of the mean loss that the design names for each variant."""
    parameters = {name: torch.tensor(array, requires_grad=True) for name, array in w.items()}
    bias = parameters.get("bias", 0.0)
    c = torch.relu(x_context @ parameters["w_ff"].T + bias)
    z = torch.relu(x_sample @ parameters["w_ff"].T + bias)
    if prediction.feedback == "symmetric":
        loss = hinge((z * (c @ parameters["w_pred"].T)).sum(1), sign)
    elif prediction.feedback == "blocked":
        loss = hinge((z * (c.detach() @ parameters["w_pred"].T)).sum(1), sign)
    else:
        u_z = (z * (c.detach() @ parameters["w_pred"].T)).sum(1)
        u_c = (c * (z.detach() @ parameters["w_retro"].T)).sum(1)
        if prediction.gate == "separate":
            loss = (hinge(u_z, sign) + hinge(u_c, sign)) / 2
        else:
            gamma = torch.where(sign * u_z < 1, sign, torch.zeros_like(sign)).detach()
            loss = -gamma * (u_z + u_c) / 2
    gradients = torch.autograd.grad(loss.mean(), list(parameters.values()), allow_unused=True)
    return {
        name: torch.zeros_like(p) if g is None else -g
        for (name, p), g in zip(parameters.items(), gradients, strict=True)
    }


def draw_network(seed, inputs, units, batch, prediction, bias, scale):
    draw = np.random.default_rng(seed)
    w = {
        "w_ff": draw.standard_normal((units, inputs)),
        "w_pred": scale * draw.standard_normal((units, units)),
    }
    if bias:
        w["bias"] = draw.standard_normal(units)
    if prediction.feedback == "split":
        w["w_retro"] = scale * draw.standard_normal((units, units))
    x = [torch.tensor(draw.standard_normal((batch, inputs))) for _ in range(2)]
    return w, *x, torch.tensor(draw.choice([-1.0, 1.0], size=batch))


def closed_form(prediction, w, x_context, x_sample, sign):
    weights = {name: torch.tensor(array) for name, array in w.items()}
    context, sample = respond(weights, x_context), respond(weights, x_sample)
    return learn(clapp(prediction), weights, context, sample, predict(weights, context.z), sign).weights


def assert_equal(found, expected):
    for name, gradient in expected.items():
        change = found.get(name, torch.zeros_like(gradient))
        largest = float(gradient.abs().max())
        assert float((change - gradient).abs().max()) <= 1e-12 * largest, name


@pytest.mark.parametrize("prediction", VARIANTS, ids=lambda p: f"{p.feedback}-{p.gate}")
@given(
    seed=st.integers(0, 2**32 - 1),
    inputs=st.integers(1, 9),
    units=st.integers(1, 8),
    batch=st.integers(1, 6),
    bias=st.booleans(),
    scale=st.sampled_from([0.01, 0.1, 1.0, 10.0]),
)
def test_update_equals_autograd(prediction, seed, inputs, units, batch, bias, scale):
    drawn = draw_network(seed, inputs, units, batch, prediction, bias, scale)
    assert_equal(closed_form(prediction, *drawn), oracle(prediction, *drawn))


@pytest.mark.parametrize("prediction", VARIANTS, ids=lambda p: f"{p.feedback}-{p.gate}")
@pytest.mark.parametrize("step", [-1, 0, 1], ids=["below", "at", "above"])
@pytest.mark.parametrize("sign", [-1.0, 1.0], ids=["saccade", "fixation"])
def test_update_equals_autograd_at_the_corner_of_the_hinge(prediction, step, sign):
    """All values are dyadic, so that the score is exactly sign, or one rounding step beside it."""
    w = {"w_ff": np.eye(2), "w_pred": np.array([[sign, 0.0], [0.5, 0.0]])}
    if prediction.feedback == "split":
        w["w_retro"] = np.array([[sign, 0.25], [0.0, 0.0]])
    edge = np.nextafter(sign, sign + step) if step else sign
    w["w_pred"][0, 0] = edge
    if "w_retro" in w:
        w["w_retro"][0, 0] = edge
    context, sample = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[1.0, 0.0]]).double()
    drawn = (w, context, sample, torch.tensor([sign]).double())
    found, expected = closed_form(prediction, *drawn), oracle(prediction, *drawn)
    assert_equal(found, expected)
    is_open = sign * edge < 1
    assert bool(expected["w_pred"].abs().max() > 0) == is_open


@pytest.mark.parametrize("prediction", VARIANTS, ids=lambda p: f"{p.feedback}-{p.gate}")
def test_nothing_changes_without_a_pair(prediction):
    w, context, sample, sign = draw_network(3, 5, 4, 2, prediction, True, 0.1)
    for change in closed_form(prediction, w, context, sample, 0 * sign).values():
        assert not change.any()


def test_separate_gates_differ_from_a_shared_gate_where_scores_disagree():
    """Eq. 10 with independent weights: one half may be open while the other is closed."""
    w = {"w_ff": np.eye(2), "w_pred": 2 * np.eye(2), "w_retro": 0.1 * np.eye(2)}
    pair = (torch.ones(1, 2).double(), torch.ones(1, 2).double(), torch.ones(1).double())
    shared, separate = (closed_form(Prediction("split", gate), w, *pair) for gate in ("shared", "separate"))
    assert not shared["w_retro"].any()
    assert separate["w_retro"].abs().max() == 0.5


def test_closed_form_and_autograd_training_stay_equal():
    """A hundred steps of plain gradient descent, one by the closed form and one by autograd."""
    prediction = Prediction("split", "separate")
    w, *_ = draw_network(5, 6, 5, 1, prediction, True, 0.1)
    ours, theirs = dict(w), dict(w)
    draw = np.random.default_rng(0)
    seen = [torch.tensor(draw.standard_normal((4, 6))) for _ in range(101)]
    for n, (context, sample) in enumerate(pairwise(seen)):
        sign = torch.full((4,), 1.0 if n % 2 else -1.0).double()
        for weights, rule in ((ours, closed_form), (theirs, oracle)):
            changes = rule(prediction, weights, context, sample, sign)
            weights.update({name: weights[name] + 0.05 * changes[name].numpy() for name in w})
    for name in w:
        assert np.abs(ours[name] - theirs[name]).max() <= 1e-12 * np.abs(theirs[name]).max(), name

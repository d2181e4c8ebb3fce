"""Online training follows the order that all worlds share."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.plasticity import Control, permuted_dendrites
from neuroclapp.presentations import Presentations
from neuroclapp.rate.online import train_online
from neuroclapp.weights import Initial


def small_network(feedback="split", bias=True):
    return Network(
        "small", (7,), (Layer("a", 5, bias=bias), Layer("b", 4, bias=bias)), prediction=Prediction(feedback)
    )


def small_stream(count, seed=0):
    draw = np.random.default_rng(seed)
    sign = np.where(np.arange(count) % 2 == 1, 1, -1).astype(np.int8)
    sign[0] = 0
    return Presentations(np.abs(draw.standard_normal((count, 7))), sign, np.arange(count))


def by_hand(weights, stream, eta, eta_pred, feedback, separate=False):
    """Eqs. 3, 4, 13 and 14 in loops over presentations and layers, written without the package.

    ``separate``: each half of a split has a gate of its own, of its own score.
    """
    w = {name: np.array(array) for name, array in weights.items()}
    half = 0.5 if feedback == "split" else 1.0
    before, scores = {}, []
    for x, sign in zip(stream.inputs, stream.sign, strict=True):
        changes, row = {}, []
        for index, name in enumerate("ab"):
            a = w[f"{name}.w_ff"] @ x + w.get(f"{name}.bias", 0)
            z, rho = np.maximum(a, 0), (a > 0) * 1.0
            c_x, c_z, c_rho, d = before.get(name, (x, z, rho, np.zeros_like(z)))
            u = z @ d
            gamma = sign if sign * u < 1 else 0
            forward = gamma * np.outer(d * rho, x)
            bias = gamma * d * rho
            u_retro, gamma_retro = u, gamma
            if feedback != "blocked":
                back = w[f"{name}.w_retro"] if feedback == "split" else w[f"{name}.w_pred"].T
                if separate:
                    u_retro = c_z @ back @ z
                    gamma_retro = sign if sign * u_retro < 1 else 0
                forward = forward + gamma_retro * np.outer((back @ z) * c_rho, c_x)
                bias = bias + gamma_retro * (back @ z) * c_rho
            row.append((u, gamma, u_retro, gamma_retro))
            changes[f"{name}.w_ff"] = eta[index] * half * forward
            changes[f"{name}.bias"] = eta[index] * half * bias
            changes[f"{name}.w_pred"] = eta_pred[index] * half * gamma * np.outer(z, c_z)
            changes[f"{name}.w_retro"] = eta_pred[index] * half * gamma_retro * np.outer(c_z, z)
            before[name] = (x, z, rho, w[f"{name}.w_pred"] @ z)
            x = z
        for name in w:
            w[name] += changes[name]
        scores.append(row)
    return w, np.array(scores)


@pytest.mark.parametrize(
    ("feedback", "gate"),
    [("symmetric", "shared"), ("blocked", "shared"), ("split", "shared"), ("split", "separate")],
)
@pytest.mark.parametrize("bias", [True, False])
def test_training_equals_the_equations_in_plain_loops(feedback, gate, bias):
    network, stream = small_network(feedback, bias), small_stream(60)
    network = replace(network, prediction=Prediction(feedback, gate))
    weights = Initial(w_ff=2.0, w_pred=3.0, w_retro=2.0).draw(network, np.random.default_rng(1))
    eta, eta_pred = (0.05, 0.02), (0.03, 0.04)
    found = train_online(network, weights, stream, eta, eta_pred)
    expected, scores = by_hand(weights, stream, eta, eta_pred, feedback, gate == "separate")
    assert len(set(scores[:, 0, 1])) == 3  # gates opened both ways, and closed
    for name, array in found.weights.items():
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.score, scores[:, :, 0], atol=1e-12)
    np.testing.assert_array_equal(found.gamma, scores[:, :, 1])
    if gate == "separate":
        np.testing.assert_allclose(found.score_retro, scores[:, :, 2], atol=1e-12)
        np.testing.assert_array_equal(found.gamma_retro, scores[:, :, 3])
        assert (scores[:, :, 3] != scores[:, :, 1]).any()


def test_same_seed_gives_the_same_bits():
    network, stream = small_network(), small_stream(40)
    weights = Initial().draw(network, np.random.default_rng(1))
    runs = [train_online(network, weights, stream, (0.1, 0.1), (0.1, 0.1)).weights for _ in range(2)]
    assert all(np.array_equal(runs[0][name], runs[1][name]) for name in weights)


def test_snapshots_are_taken_before_the_presentation_they_are_named_after():
    network, stream = small_network(), small_stream(40)
    weights = Initial().draw(network, np.random.default_rng(1))
    run = train_online(network, weights, stream, (0.1, 0.1), (0.1, 0.1), every=10)
    np.testing.assert_array_equal(run.at, [0, 10, 20, 30, 40])
    np.testing.assert_array_equal(run.snapshots["a.w_ff"][0], weights["a.w_ff"])
    shorter = train_online(network, weights, stream[:20], (0.1, 0.1), (0.1, 0.1))
    np.testing.assert_array_equal(run.snapshots["a.w_ff"][2], shorter.weights["a.w_ff"])


def test_gamma_always_on_takes_the_sign_and_bounds_the_weights():
    network, stream = small_network(), small_stream(400)
    weights = Initial().draw(network, np.random.default_rng(1))
    run = train_online(network, weights, stream, (0.5, 0.5), (0.5, 0.5), Control(always_open=True, bound=0.3))
    np.testing.assert_array_equal(run.gamma[:, 0], stream.sign)
    assert max(np.abs(array).max() for array in run.weights.values()) == 0.3


def test_a_permutation_exchanges_the_dendrites_of_units():
    """One pair, one layer: the change of unit j is made with the dendrites of unit permutation[j]."""
    network = Network("one", (3,), (Layer("a", 3, bias=False),), prediction=Prediction("split"))
    weights = Initial(w_ff=3.0, w_pred=1.0).draw(network, np.random.default_rng(2))
    x = np.abs(np.random.default_rng(3).standard_normal((2, 3)))
    stream = Presentations(x, np.array([0, 1], dtype=np.int8), np.array([0, 0]))
    order = np.array([2, 0, 1])
    control = Control(permutations=np.array([[[0, 1, 2]], [order]]))
    run = train_online(network, weights, stream, (1.0,), (1.0,), control)
    c, z = (np.maximum(weights["a.w_ff"] @ row, 0) for row in x)
    d, r = (weights["a.w_pred"] @ c)[order], (weights["a.w_retro"] @ z)[order]
    expected = 0.5 * (np.outer(d * (z > 0), x[1]) + np.outer(r * (c > 0), x[0]))
    assert run.gamma[1, 0] == 1
    np.testing.assert_allclose(run.weights["a.w_ff"] - weights["a.w_ff"], expected, atol=1e-14)


@pytest.mark.parametrize("feedback", ["symmetric", "split"])
@pytest.mark.parametrize("dendrite", ["permuted", "mean", "constant", "absent"])
def test_controls_change_both_dendrites_of_the_rule_and_the_score(dendrite, feedback):
    """One pair, one layer, written out: d and r are replaced, and u = z . d with the d that is found."""
    network = Network("one", (3,), (Layer("a", 3, bias=False),), prediction=Prediction(feedback))
    weights = Initial(w_ff=3.0, w_pred=1.0, w_retro=2.0).draw(network, np.random.default_rng(2))
    x = np.abs(np.random.default_rng(3).standard_normal((2, 3)))
    stream = Presentations(x, np.array([0, -1], dtype=np.int8), np.array([0, 1]))
    control = Control(dendrite=dendrite, level=0.2) if dendrite != "permuted" else None
    control = control or permuted_dendrites(2, 1, 3, np.random.default_rng(1))
    run = train_online(network, weights, stream, (1.0,), (1.0,), control)
    c, z = (np.maximum(weights["a.w_ff"] @ row, 0) for row in x)
    back = weights["a.w_retro"] if feedback == "split" else weights["a.w_pred"].T
    half = 0.5 if feedback == "split" else 1.0
    found = {
        "permuted": lambda q: q[control.permutations[1, 0]] if dendrite == "permuted" else q,
        "mean": lambda q: np.full(3, q.sum() / 3),
        "constant": lambda q: np.full(3, 0.2),
        "absent": lambda q: np.zeros(3),
    }[dendrite]
    d, r = found(weights["a.w_pred"] @ c), found(back @ z)
    np.testing.assert_allclose(run.score[1, 0], z @ d, atol=1e-14)
    assert run.gamma[1, 0] == (-1 if z @ d > -1 else 0) == -1
    expected = -half * (np.outer(d * (z > 0), x[1]) + np.outer(r * (c > 0), x[0]))
    np.testing.assert_allclose(run.weights["a.w_ff"] - weights["a.w_ff"], expected, atol=1e-14)


@pytest.mark.parametrize("delay", [1, 2])
def test_a_late_gamma_acts_on_the_traces_that_it_finds(delay):
    """Learning rates of 0 keep all activities: gamma of pair n - delay with the traces of pair n."""
    network, stream = small_network("split", False), small_stream(12)
    weights = Initial(w_ff=2.0, w_pred=3.0, w_retro=2.0).draw(network, np.random.default_rng(1))
    prompt = train_online(network, weights, stream, (0.0, 0.0), (0.0, 0.0))
    late = train_online(network, weights, stream, (0.0, 0.0), (0.0, 0.0), Control(delay=delay))
    assert len(set(prompt.gamma[:, 0])) == 3
    np.testing.assert_array_equal(late.gamma[delay:], prompt.gamma[:-delay])
    assert not late.gamma[:delay].any()
    n = int(np.flatnonzero(prompt.gamma[:, 0])[0]) + delay  # the first gamma that acts in layer a
    small = train_online(
        network, weights, stream[: n + 1], (1e-3, 0.0), (0.0, 0.0), Control(delay=delay)
    ).weights["a.w_ff"]
    (c, z), gamma = (
        (np.maximum(weights["a.w_ff"] @ stream.inputs[k], 0) for k in (n - 1, n)),
        late.gamma[n, 0],
    )
    d, r = weights["a.w_pred"] @ c, weights["a.w_retro"] @ z
    change = np.outer(d * (z > 0), stream.inputs[n]) + np.outer(r * (c > 0), stream.inputs[n - 1])
    np.testing.assert_allclose(small - weights["a.w_ff"], 0.5e-3 * gamma * change, atol=1e-15)


@pytest.mark.parametrize("feedback", ["symmetric", "blocked", "split"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_direct_feedback_equals_autograd_with_stopped_gradients(feedback, sign):
    """One pair, layers of 6 and 4 units: the sum of the layers' losses, c_top stopped but in the top layer.

    Each layer's input is stopped as well. A split is that of a shared gate, stop(gamma) (u_z + u_c) / 2, and
    below the top there is its first half only.
    """
    network = Network("two", (5,), (Layer("a", 6), Layer("b", 4)), prediction=Prediction(feedback))
    draw = np.random.default_rng(4)
    weights = Initial(w_ff=1.5, w_pred=0.3, w_retro=0.3).draw(network, draw, "top")
    assert weights["a.w_pred"].shape == (6, 4)
    x = np.abs(draw.standard_normal((2, 5)))
    stream = Presentations(x, np.array([0, sign], dtype=np.int8), np.array([0, 1]))
    run = train_online(network, weights, stream, (1.0, 1.0), (1.0, 1.0), context="top")

    p = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    seen = []
    for row in x:
        below, shot = torch.tensor(row), {}
        for name in "ab":
            shot[name] = torch.relu(p[f"{name}.w_ff"] @ below.detach() + p[f"{name}.bias"])
            below = shot[name]
        seen.append(shot)
    context, sample = seen
    loss = torch.zeros(())
    for name in "ab":
        z, c = sample[name], context["b"]
        if name == "a" or feedback != "symmetric":
            c = c.detach()
        score = z @ (p[f"{name}.w_pred"] @ c)
        if feedback == "split":
            gamma = (sign * (sign * score < 1)).detach()
            loss = loss - gamma * score / 2
            if name == "b":
                loss = loss - gamma * (context["b"] @ (p["b.w_retro"] @ z.detach())) / 2
        else:
            loss = loss + torch.relu(1 - sign * score)
    loss.backward()
    for name, array in weights.items():
        np.testing.assert_allclose(run.weights[name] - array, -p[name].grad.numpy(), rtol=0, atol=1e-13)
        assert np.abs(p[name].grad.numpy()).max() > 0, name

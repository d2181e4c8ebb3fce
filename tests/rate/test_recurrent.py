"""Gated recurrent units: against Eqs. 15-18 written out step by step, and against autograd through them."""

import pytest
import torch
from rate.gru_oracle import layer, states

from neuroclapp.rate import recurrent


def error(found, expected):
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("steps", [1, 5, recurrent.BLOCK, 2 * recurrent.BLOCK + 3])
def test_states_are_those_of_the_equations(steps):
    arrays, x, _ = layer(3, steps, 4, 6)
    assert error(recurrent.respond(arrays, x), states(arrays, x)) < 1e-13


def test_a_layer_goes_on_from_a_state():
    arrays, x, _ = layer(3, 9, 4, 6)
    expected = states(arrays, x)
    assert error(recurrent.respond(arrays, x[:, 4:], expected[:, 3]), expected[:, 4:]) < 1e-13


@pytest.mark.parametrize("units", [8, 64])
def test_states_in_single_precision(units):
    """With 64 units the input's product is large enough for the other library of `matmul`."""
    arrays, x, _ = layer(8, 40, 64, units, torch.float32)
    wide = {name: array.double() for name, array in arrays.items()}
    assert error(recurrent.respond(arrays, x), states(wide, x.double())) < 1e-5


def test_gates_found_again_are_those_of_the_response():
    arrays, x, _ = layer(3, 9, 4, 6)
    steps, h = recurrent.follow(arrays, x)
    torch.testing.assert_close(steps.before[:, 1:], h[:, :-1])
    torch.testing.assert_close(recurrent.recall(arrays, x, steps.before).gates, steps.gates)


def test_partials_are_the_derivatives_of_one_step():
    """A step's sums are shifted by biases, so autograd through one step gives them all."""
    arrays, x, _ = layer(1, 1, 4, 6)
    old = torch.linspace(-1, 1, 6, dtype=torch.float64)
    biases = {name: arrays[name].requires_grad_() for name in ("b_ih", "b_hh")}
    before = arrays["w_hh"] @ old
    r, z, n = (x[0, 0] @ arrays["w_ih"].T + biases["b_ih"]).chunk(3)
    m_r, m_z, m_n = (before + biases["b_hh"]).chunk(3)
    r, z = torch.sigmoid(r + m_r), torch.sigmoid(z + m_z)
    h = (1 - z) * torch.tanh(n + r * m_n) + z * old
    expected = torch.autograd.grad(h.sum(), list(biases.values()))
    plain = {name: array.detach() for name, array in arrays.items()}
    found = recurrent.partials(recurrent.recall(plain, x, old.view(1, 1, -1)))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.flatten(), other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("to_input", [False, True])
def test_bptt_equals_autograd_through_the_equations(to_input):
    arrays, x, delta = layer(3, 17, 4, 6)
    changes, reach = recurrent.bptt(arrays, x, delta, to_input=to_input)
    leaves = {name: array.clone().requires_grad_() for name, array in arrays.items()}
    source = x.clone().requires_grad_()
    (states(leaves, source) * delta).sum().backward()
    assert set(changes) == set(arrays)
    for name, change in changes.items():
        assert error(change, leaves[name].grad) < 1e-13, name
    assert error(reach, source.grad) < 1e-13 if to_input else reach is None
    assert not any(array.requires_grad for array in arrays.values())

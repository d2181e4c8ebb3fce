"""e-prop by traces: against autograd through Eqs. 15-18 with their gradients blocked, and by hand."""

from dataclasses import is_dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rate.gru_oracle import layer, states
from torch import Tensor

from neuroclapp.rate import recurrent
from neuroclapp.rate.eprop import Stream, Traces, eprop, input_delta


def autograd(arrays, x, delta, blocked="gates"):
    """Return changes, and what reaches ``x``, by autograd through Eqs. 15-18."""
    arrays = {name: array.clone().requires_grad_() for name, array in arrays.items()}
    x = x.clone().requires_grad_()
    (states(arrays, x, blocked) * delta).sum().backward()
    return {name: array.grad for name, array in arrays.items()}, x.grad


def errors(found, expected):
    """Return the largest difference of each array, in units of its largest entry."""
    assert set(found) == set(expected)
    return {
        name: ((found[name] - one).abs().max() / one.abs().max().clamp(min=1e-30)).item()
        for name, one in expected.items()
    }


def by_traces(arrays, x, delta, chunk):
    return eprop(arrays, x, recurrent.respond(arrays, x), delta, chunk)


@pytest.mark.parametrize("chunk", [1, 2, 3, 16, 50, 1000])
@pytest.mark.parametrize("batch", [1, 4])
def test_changes_equal_autograd_with_the_gradient_blocked(batch, chunk):
    arrays, x, delta = layer(batch, 50, 6, 9)
    found = errors(by_traces(arrays, x, delta, chunk), autograd(arrays, x, delta)[0])
    assert max(found.values()) < 1e-13, found


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 24), st.integers(1, 5), st.integers(1, 5)),
    chunk=st.integers(1, 30),
    seed=st.integers(0, 1000),
)
def test_changes_equal_autograd_in_any_shape(shape, chunk, seed):
    arrays, x, delta = layer(*shape, seed=seed)
    found, expected = by_traces(arrays, x, delta, chunk), autograd(arrays, x, delta)[0]
    for name, one in expected.items():
        torch.testing.assert_close(found[name], one, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("other", ["nowhere", "everywhere"])
def test_the_same_comparison_rejects_other_gradients(other):
    """Backpropagation through time, and h blocked in Eq. 18 as well, are neither of them e-prop."""
    arrays, x, delta = layer(4, 50, 6, 9)
    found = errors(by_traces(arrays, x, delta, 16), autograd(arrays, x, delta, other)[0])
    assert min(found.values()) > 1e-2, found


def test_two_steps_by_hand():
    """One unit with r = z = 1/2, m = 2, n = 3/5 and 4/5, so h = 0.3 and 0.55; L = 1 and 2.

    p at the first step: r 0.32 * 2 / 4 = 0.16, z -0.6 / 4 = -0.15, n 0.64 / 2 = 0.32, of W_hn half of it; at
    the second: 0.09, (0.3 - 0.8) / 4 = -0.125, 0.18 and 0.09. The first's traces meet 1 + 2 z = 2, so do the
    second's.
    """
    one = {"dtype": torch.float64}
    arrays = {
        "w_ih": torch.tensor([[0.0], [0.0], [1.0]], **one),
        "w_hh": torch.zeros(3, 1, **one),
        "b_ih": torch.zeros(3, **one),
        "b_hh": torch.tensor([0.0, 0.0, 2.0], **one),
    }
    x = torch.tensor([2.0, 3.0], **one).log().sub(1).view(1, 2, 1)  # tanh(log 2) = 3/5, tanh(log 3) = 4/5
    delta = torch.tensor([1.0, 2.0], **one).view(1, 2, 1)
    first, second = x.flatten().tolist()
    expected = {
        "w_ih": [
            [0.32 * first + 0.18 * second],
            [-0.3 * first - 0.25 * second],
            [0.64 * first + 0.36 * second],
        ],
        "w_hh": [[0.054], [-0.075], [0.054]],
        "b_ih": [0.5, -0.55, 1.0],
        "b_hh": [0.5, -0.55, 0.5],
    }
    for chunk in (1, 2):
        for name, change in by_traces(arrays, x, delta, chunk).items():
            torch.testing.assert_close(change, torch.tensor(expected[name], **one), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("chunk", "at_once"), [(1, 1), (3, 1), (8, 8), (8, 5), (100, 7)])
@pytest.mark.parametrize("horizon", [0, 5, 12])
def test_signals_may_come_later(horizon, chunk, at_once):
    arrays, x, delta = layer(2, 43, 4, 5)
    expected = autograd(arrays, x, delta)[0]
    stream, states = Stream(arrays, len(x), horizon, chunk), recurrent.respond(arrays, x)
    for _ in range(2):  # a second sequence begins from rest again
        learned = 0
        for first in range(0, 43, at_once):
            h = stream.respond(x[:, first : first + at_once])
            torch.testing.assert_close(h, states[:, first : first + at_once])
            known = max(learned, min(first + at_once, 43) - horizon)
            if known > learned:
                stream.learn(delta[:, learned:known])
            learned = known
        if learned < 43:
            stream.learn(delta[:, learned:])
        found = errors(stream.finish(), expected)
        assert max(found.values()) < 1e-13, found


def test_steps_without_a_signal_add_nothing():
    arrays, x, delta = layer(2, 20, 4, 5)
    stream = Stream(arrays, 2, horizon=12, chunk=4)
    for t in range(20):
        stream.respond(x[:, t : t + 1])
        if t >= 12:
            stream.learn(delta[:, t - 12 : t - 11])
    delta[:, 8:] = 0
    assert max(errors(stream.finish(), autograd(arrays, x, delta)[0]).values()) < 1e-13


def test_a_signal_too_late_or_too_early_is_an_error():
    arrays, x, delta = layer(2, 20, 4, 5)
    stream = Stream(arrays, 2, horizon=3, chunk=2)
    stream.respond(x[:, :2])
    with pytest.raises(ValueError, match="horizon and chunk allow 5"):
        stream.respond(x[:, 2:6])
    with pytest.raises(ValueError, match="3 signals for 2 steps"):
        stream.learn(delta[:, :3])
    with pytest.raises(ValueError, match="chunk 0"):
        Stream(arrays, 2, horizon=3, chunk=0)


def held(thing):
    """Return how many numbers an object holds in tensors, views counted with all that they keep."""
    if isinstance(thing, Tensor):
        return thing.untyped_storage().nbytes() // thing.element_size()
    if isinstance(thing, dict):
        return sum(map(held, thing.values()))
    if isinstance(thing, (list, tuple)):
        return sum(map(held, thing))
    ours = is_dataclass(thing) or type(thing).__module__.startswith("neuroclapp")
    return held(vars(thing)) if ours else 0


@pytest.mark.parametrize("chunk", [1, 8])
def test_what_is_held_does_not_grow_with_the_sequence(chunk):
    arrays, x, delta = layer(2, 400, 4, 5)
    stream, sizes = Stream(arrays, 2, 12, chunk), []
    for t in range(400):
        stream.respond(x[:, t : t + 1])
        if t >= 12:
            stream.learn(delta[:, t - 12 : t - 11])
        if t in (39, 399):
            sizes.append(held(stream))
    assert sizes[0] == sizes[1]
    # Arrays and changes; traces of 2 samples; and of each remembered step x, h_{t-1}, 4 gates and L.
    weights, remembered = 3 * 5 * (4 + 5 + 2), -(-(12 + 2 * chunk - 1) // chunk) * chunk
    assert sizes[0] == 2 * weights + 2 * weights + 2 * remembered * (4 + 6 * 5) + 2 * 5


def test_gates_that_were_kept_need_not_be_found_again():
    arrays, x, delta = layer(3, 20, 4, 5)
    steps, h = recurrent.follow(arrays, x)
    expected = autograd(arrays, x, delta)[0]
    assert max(errors(eprop(arrays, x, h, delta, 8, steps.gates), expected).values()) < 1e-13
    traces = Traces(arrays)
    traces.advance(steps, delta, last=True)
    assert max(errors(traces.changes, expected).values()) < 1e-13


def test_what_reaches_the_input_equals_autograd():
    arrays, x, delta = layer(3, 20, 4, 5)
    found = input_delta(arrays, x, recurrent.respond(arrays, x), delta)
    torch.testing.assert_close(found, autograd(arrays, x, delta)[1], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("chunk", [1, 16, 40])
def test_single_precision(chunk):
    """8 samples, 16 steps and 64 units make products large enough for the other library of `matmul`."""
    arrays, x, delta = layer(8, 40, 64, 64, torch.float32)
    wide = {name: array.double() for name, array in arrays.items()}
    expected = autograd(wide, x.double(), delta.double())[0]
    found = errors(by_traces(arrays, x, delta, chunk), expected)
    assert max(found.values()) < 1e-5, found


def test_update_gates_that_forget_at_once_do_no_harm():
    """Products of z over a chunk underflow; nothing is divided by them."""
    arrays, x, delta = layer(2, 300, 4, 5, torch.float32)
    arrays["b_ih"][5:10] -= 12
    wide = {name: array.double() for name, array in arrays.items()}
    expected = autograd(wide, x.double(), delta.double())[0]
    assert max(errors(by_traces(arrays, x, delta, 128), expected).values()) < 1e-5

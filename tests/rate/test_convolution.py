"""Convolution, its two gradients, and the matrix product, against torch's own and autograd."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from neuroclapp.network import Layer
from neuroclapp.rate import convolution
from neuroclapp.rate.convolution import channels_last, convolve, input_change, kernel_change
from neuroclapp.rate.matmul import LARGE, matmul


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def assert_close(found, expected, dtype=torch.float64):
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert found.shape == expected.shape
    assert found.dtype == dtype
    assert float((found - expected).abs().max()) <= tolerance * max(1.0, float(expected.abs().max()))


def check(layer, x, w, bias, dtype=torch.float64):
    """Hold the three functions to conv2d and autograd in float64."""
    exact = [array.double().clone().requires_grad_() for array in (x, w, bias)]
    a = functional.conv2d(*exact, stride=layer.stride, padding=layer.padding)
    response = a.detach()
    delta = torch.randn(a.shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    expected = torch.autograd.grad(a, exact, delta.double())
    seen, delta = channels_last(x), channels_last(delta)
    assert_close(convolve(layer, seen, w, bias), response, dtype)
    without = response - bias.double().view(1, -1, 1, 1)
    assert_close(convolve(layer, seen, w, None), without, dtype)
    kernel, of_bias = kernel_change(layer, delta, seen, w)
    assert_close(kernel, expected[1], dtype)
    assert_close(of_bias, expected[2], dtype)
    assert_close(input_change(layer, delta, seen, w), expected[0], dtype)


def drawn(seed, *shapes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


@given(
    kernel=st.integers(1, 6),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.integers(1, 4),
    units=st.integers(1, 4),
    images=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_convolution_and_its_gradients_equal_autograd(
    kernel, stride, padding, height, width, channels, units, images, seed
):
    layer = Layer("a", units, "conv", kernel=kernel, stride=stride, padding=padding)
    if min(height, width) + 2 * padding < kernel:
        return
    check(layer, *drawn(seed, (images, channels, height, width), (units, channels, kernel, kernel), (units,)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("kernel", "height", "width"),
    [(k, h, w) for k in (3, 5) for h in range(1, k + 2) for w in range(1, k + 2)],
)
def test_maps_hardly_larger_than_the_kernel_equal_autograd(kernel, height, width, dtype):
    """Here a convolution is a sum of matrix products, one for each tap that is not all padding."""
    layer = Layer("a", 3, "conv", kernel=kernel, padding=kernel // 2)
    x, w, bias = drawn(0, (2, 256, height, width), (3, 256, kernel, kernel), (3,), dtype=dtype)
    assert convolution._small(layer, x)
    check(layer, x, w / 256**0.5, bias, dtype)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"kernel": 3}, (2, 256, 5, 2)),  # not small
        ({"kernel": 3}, (2, 255, 2, 2)),  # too few channels
        ({"kernel": 1, "padding": 0}, (2, 256, 2, 2)),  # no tap falls into the padding
        ({"kernel": 3, "stride": 2}, (2, 256, 2, 2)),
        ({"kernel": 3, "padding": 2}, (2, 256, 2, 2)),
        ({"kernel": 4, "padding": 1}, (2, 256, 2, 2)),
    ],
)
def test_beside_small_maps_the_convolution_is_plain_and_equals_autograd(settings, shape):
    layer = Layer("a", 2, "conv", **settings)
    x, w, bias = drawn(0, shape, (2, shape[1], layer.kernel, layer.kernel), (2,))
    assert not convolution._small(layer, x)
    check(layer, x, w / 16, bias)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("cut", [False, True])
def test_channels_last_keeps_values_and_puts_channels_side_by_side(channels, cut):
    (x,) = drawn(0, (2, channels, 4, 5))
    x = x[..., 1:] if cut else x
    found = channels_last(x)
    assert torch.equal(found, x)
    assert found.stride()[1:] == (1, channels * x.shape[3], channels)


@given(
    m=st.integers(1, 20),
    n=st.integers(1, 20),
    k=st.integers(1, 20),
    large=st.booleans(),
    turned=st.tuples(st.booleans(), st.booleans()),
    strided=st.booleans(),
    double=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_matmul_equals_the_product_in_any_order_of_memory(m, n, k, large, turned, strided, double, seed):
    """On both sides of the size from which on another library is called."""
    if large:
        m, n, k = 128 + m, 128 + n, 128 + k
    assert (m * n * k >= LARGE) == large
    dtype = torch.float64 if double else torch.float32
    generator = torch.Generator().manual_seed(seed)

    def matrix(rows, columns, turn):
        step = 2 if strided else 1
        shape = (columns, rows * step) if turn else (rows, columns * step)
        full = torch.randn(shape, generator=generator, dtype=dtype)[:, ::step]
        return full.T if turn else full

    a, b = matrix(m, k, turned[0]), matrix(n, k, turned[1])
    found, expected = matmul(a, b), a.double() @ b.double().T
    assert found.shape == (m, n)
    assert found.dtype == dtype
    # What rounding can do to a sum of k products: at most k times the machine's precision of their sizes.
    size = a.double().abs() @ b.double().abs().T
    assert bool(((found - expected).abs() <= 4 * k**0.5 * torch.finfo(dtype).eps * size).all())

"""Convolutions written out as sparse matrices: by definition, as planned, in files, and in integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network
from neuroclapp.onchip.demand import demand
from neuroclapp.onchip.plan_wiring import unroll
from neuroclapp.onchip.unrolled2d import FILE, blocks, convolution, integers, read, unroll2d, write

LAYERS = (Layer("a", 3, "conv", pool=2), Layer("b", 2, "conv", kernel=2, padding=0))
PATCH = (1, 6, 8)


def network(pooling="relay", **change):
    draw = np.random.default_rng(0)
    arrays = {"a.w_ff": draw.standard_normal((3, 1, 3, 3)), "b.w_ff": draw.standard_normal((2, 3, 2, 2))}
    arrays["a.bias"] = draw.standard_normal(3)
    given_ = {"arrays": arrays, "quanta": (0.1, 0.2, 0.1), "steps": 20, **change}
    quanta, steps = given_["quanta"], given_["steps"]
    return unroll2d("n", LAYERS, PATCH, given_["arrays"], quanta, 4, steps, 10, pooling)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(2, 6),
    st.integers(2, 6),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(0, 2),
)
def test_the_matrix_is_the_convolution_by_its_definition(units, channels, tall, wide, size, stride, padding):
    tall, wide = max(tall, size), max(wide, size)
    draw = np.random.default_rng(units + 10 * tall)
    kernel, maps = (
        draw.standard_normal((units, channels, size, size)),
        draw.standard_normal((channels, tall, wide)),
    )
    height, width = ((side + 2 * padding - size) // stride + 1 for side in (tall, wide))
    wanted = np.zeros((units, height, width))
    for u, row, column, c, y, x in np.ndindex(units, height, width, channels, size, size):
        at = row * stride + y - padding, column * stride + x - padding
        if 0 <= at[0] < tall and 0 <= at[1] < wide:
            wanted[u, row, column] += kernel[u, c, y, x] * maps[c, at[0], at[1]]
    matrix = convolution(kernel, (channels, tall, wide), stride, padding)
    np.testing.assert_allclose(matrix @ maps.ravel(), wanted.ravel(), atol=1e-12)


def test_gates_of_a_block_are_adjacent_and_what_fills_no_block_has_none():
    maps = np.arange(2 * 5 * 4).reshape(2, 5, 4)
    gates = (blocks((2, 5, 4), 2) @ maps.ravel()).reshape(2, 2, 2, 4)
    assert gates[1, 1, 0].tolist() == [maps[1, 2, 0], maps[1, 2, 1], maps[1, 3, 0], maps[1, 3, 1]]
    assert not np.isin(maps[:, 4], gates).any()


@pytest.mark.parametrize("pooling", ["relay", "mean"])
def test_it_has_the_synapses_and_neurons_of_its_plan(pooling):
    planned = unroll(Network("n", PATCH, LAYERS), pooling=pooling).wiring
    made = network(pooling)
    assert made.synapses == demand(planned).synapses
    units = [made.layers[0].weights.shape[1], *(layer.units for layer in made.layers)]
    assert units == [one.neurons for one in planned.populations]


@pytest.mark.parametrize("kind", ["float", "integer"])
def test_reading_gives_back_what_was_written(kind, tmp_path):
    made = network() if kind == "float" else integers(network())
    write(made, tmp_path)
    found = read(tmp_path)
    assert (found.kind, found.patch, found.steps, found.quantum) == (kind, PATCH, 20, 0.1)
    for one, other in zip(found.layers, made.layers, strict=True):
        assert (one.weights != other.weights).nnz == 0
        assert one.weights.dtype == other.weights.dtype
        assert np.array_equal(one.bias, other.bias)
        assert (one.name, one.threshold, one.late, one.block) == (
            other.name,
            other.threshold,
            other.late,
            other.block,
        )


def test_integers_are_even_8_bit_weights_in_proportion():
    plain, made = network(), integers(network())
    for one, other in zip(plain.layers, made.layers, strict=True):
        if one.block:
            assert (one.weights != other.weights).nnz == 0
            continue
        dense, whole = one.weights.toarray(), other.weights.toarray()
        assert (whole % 2 == 0).all()
        assert 250 <= np.abs(whole).max() <= 254
        assert np.abs(whole / other.threshold - dense).max() <= 1 / other.threshold


def test_activities_of_either_sign_drive_on_and_off_units_side_by_side():
    patches = np.zeros((1, *PATCH))
    patches[0, 0, 0, :2] = 0.5, -0.25
    charge = network().charge(patches)
    assert charge.shape == (1, 2 * 48)
    # quantum 0.1, 10 steps with input
    np.testing.assert_allclose(charge[0, :4], [0.5, 0, 0, 0.25], atol=2**-24)
    assert integers(network()).charge(patches)[0, :4].tolist() == [2048, 0, 0, 1024]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quanta": (0.1, 0.2)}, "n: quanta.*needs 3 positive values"),
        ({"steps": 12}, "n: steps = 12: must be 13 or more"),
        ({"arrays": {"a.w_ff": np.zeros((3, 1, 2, 2))}}, r"n: a\.w_ff.*shape must be \(3, 1, 3, 3\)"),
    ],
)
def test_what_does_not_fit_is_named(change, said):
    with pytest.raises(InputError, match=said):
        network(**change)


def test_a_file_that_is_no_network_is_named(tmp_path):
    write(network(), tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    for spoilt in (b"nothing", b"", whole[: len(whole) // 2], whole[:-1]):
        (tmp_path / FILE).write_bytes(spoilt)
        with pytest.raises(InputError, match=r"unrolled\.npz: not an unrolled network"):
            read(tmp_path)
    with pytest.raises(InputError, match=r"layers\.d\.kind = 'dense': must be a rectified 'conv'"):
        unroll2d("n", (Layer("d", 3),), PATCH, {}, (1, 1), 4, 20, 10)

"""The engine's interface to numpy and torch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.spiking.engine.arrays import SPARSE, arrays
from neuroclapp.spiking.grid import rounded

sizes = st.integers(1, 6)


@given(seed=st.integers(0, 1000), batch=sizes, steps=sizes, pre=sizes, post=sizes, share=st.floats(0, 1))
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_all_products_are_the_same_sum(library, seed, batch, steps, pre, post, share):
    """Few or many spikes, weights shared or each simulation's own: whole numbers, so exact."""
    draw, xp = np.random.default_rng(seed), arrays(library, "cpu")
    packets = draw.integers(1, 9, (batch, steps, pre)) * (draw.random((batch, steps, pre)) < share) * 1.0
    own = draw.integers(-9, 9, (batch, post, pre)) * 1.0
    expected = [
        [[sum(w[j, i] * n[i] for i in range(pre)) for j in range(post)] for n in each]
        for w, each in zip(own, packets, strict=True)
    ]
    found = xp.heard(xp.array(own), xp.array(packets))
    np.testing.assert_array_equal(xp.numpy(found), expected)
    np.testing.assert_array_equal(xp.numpy(xp.heard(xp.shared(own[0]), xp.array(packets)))[0], expected[0])
    for w in (xp.array(own), xp.shared(own[0])):
        alone = xp.numpy(xp.product(w, xp.array(packets[:, 0])))
        np.testing.assert_array_equal(alone[0], expected[0][0])


def test_few_spikes_go_from_event_to_event():
    """The same result below and above the share of packets where numpy changes its way."""
    xp, draw = arrays("numpy"), np.random.default_rng(0)
    w = xp.shared(np.round(draw.normal(size=(50, 40)) * 2**24) / 2**24)
    for share in (SPARSE / 2, SPARSE * 2):
        packets = (draw.random((3, 7, 40)) < share) * 1.0
        np.testing.assert_array_equal(xp.heard(w, packets), packets @ w.T)


@given(values=st.lists(st.floats(-100, 100), min_size=1, max_size=20), places=st.integers(8, 24))
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_rounding_is_to_the_nearest_point_of_the_grid(library, values, places):
    step, xp = 2.0**-places, arrays(library, "cpu")
    array = np.array(values)
    found = xp.numpy(xp.rounded(xp.array(array), step))
    assert (np.abs(found - array) <= step / 2).all()
    assert all(float(each / step).is_integer() for each in found)
    in_place = xp.array(array)
    xp.round_in_place(in_place, step)
    np.testing.assert_array_equal(xp.numpy(in_place), found)
    np.testing.assert_array_equal(rounded(array, step), found)
    np.testing.assert_array_equal(rounded(array, None), array)


@given(shape=st.tuples(st.integers(1, 4), st.integers(1, 3000), st.integers(1, 3000)))
def test_blocks_cover_every_row_once(shape):
    rows = [row for block in arrays("numpy").blocks(shape) for row in range(shape[1])[block]]
    assert rows == list(range(shape[1]))


def test_changes_of_large_matrices_are_the_sum_of_their_products():
    draw = np.random.default_rng(0)
    xp, weights = arrays("numpy"), draw.standard_normal((3, 200, 180))
    posts, pres = (
        [draw.standard_normal((2, 200)) for _ in range(2)],
        [draw.standard_normal((2, 180)) for _ in range(2)],
    )
    expected = weights.copy()
    for number, each in enumerate((0, 2)):
        for post, pre in zip(posts, pres, strict=True):
            for row in range(200):
                expected[each, row] += post[number, row] * pre[number]
    assert xp.add_products(weights, np.array([0, 2]), posts, pres)
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-13)
    small = np.zeros((1, 8, 8))
    assert not xp.add_products(small, np.array([0]), posts, pres)
    assert not small.any()

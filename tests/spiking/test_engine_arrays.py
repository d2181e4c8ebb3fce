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
    np.testing.assert_array_equal(xp.numpy(xp.heard(xp.array(own[0]), xp.array(packets)))[0], expected[0])
    for w in (xp.array(own), xp.array(own[0])):
        alone = xp.numpy(xp.product(w, xp.array(packets[:, 0])))
        np.testing.assert_array_equal(alone[0], expected[0][0])


def test_few_spikes_go_from_event_to_event():
    """The same result below and above the share of packets where numpy changes its way."""
    xp, draw = arrays("numpy"), np.random.default_rng(0)
    w = np.round(draw.normal(size=(70, 40)) * 2**24) / 2**24
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


@given(
    seed=st.integers(0, 2**32 - 1),
    products=st.integers(1, 3),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    chosen=st.sampled_from([[0], [1], [0, 2], [0, 1, 2]]),
    grid=st.sampled_from([None, 2.0**-24, 2.0**-8]),
    bound=st.sampled_from([np.inf, 0.5]),
)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_change_is_the_sum_of_its_products_on_the_grid_within_bounds(
    library, seed, products, shape, chosen, grid, bound
):
    draw, xp, (post, pre) = np.random.default_rng(seed), arrays(library, "cpu"), shape
    before = rounded(draw.normal(size=(3, post, pre)), grid)
    active = draw.random((products, len(chosen), post)) < 0.5
    posts, pres = draw.normal(size=active.shape) * active, draw.normal(size=(products, len(chosen), pre))
    expected = before.copy()
    for number, each in enumerate(chosen):
        for one, other in zip(posts[:, number], pres[:, number], strict=True):
            expected[each] = expected[each] + np.outer(one, other)
        expected[each] = np.clip(rounded(expected[each], grid), -bound, bound)
    found, sides = xp.array(before), [[xp.array(each) for each in side] for side in (posts, pres)]
    xp.change(found, np.array(chosen), *sides, grid, np.full(len(chosen), bound))
    np.testing.assert_array_equal(xp.numpy(found), expected)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_biases_change_by_their_posts_alone(library):
    xp, before = arrays(library, "cpu"), np.array([[0.25, -0.5], [1.0, 2.0]])
    posts = [xp.array(np.array([[0.5, 0.125]])), xp.array(np.array([[0.25, 0.0]]))]
    found = xp.array(before)
    xp.change(found, np.array([1]), posts, [], 0.25, np.array([1.5]))
    # 1 + 0.75 = 1.75 and 2 + 0.125, rounded half up to 1.75 and 2.25, then clipped
    np.testing.assert_array_equal(xp.numpy(found), [[0.25, -0.5], [1.5, 1.5]])


def test_what_a_simulation_hears_does_not_depend_on_those_beside_it():
    """Off any grid too, where the sums of sparse and dense packets differ in their last bits."""
    xp, draw = arrays("numpy"), np.random.default_rng(0)
    w = draw.normal(size=(2, 70, 40))
    packets = (draw.random((2, 7, 40)) < np.array([SPARSE / 2, 0.9])[:, None, None]) * 1.0
    together = xp.heard(w, packets)
    for number in range(2):
        alone = xp.heard(w[number : number + 1], packets[number : number + 1])
        np.testing.assert_array_equal(together[number], alone[0])

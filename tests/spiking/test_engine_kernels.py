"""The engine's compiled loops against numpy's own expressions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.spiking.engine.kernels import PANEL, events, propagate

seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, rows=st.integers(1, 9), sources=st.integers(1, 40), share=st.floats(0, 1))
def test_events_are_the_packets_that_are_not_0(seed, rows, sources, share):
    draw = np.random.default_rng(seed)
    packets = draw.integers(1, 9, (rows, sources)) * (draw.random((rows, sources)) < share) * 1.0
    row, source = np.nonzero(packets)
    for room in (len(row), len(row) + 3):
        first, found, size, fits = events(packets, room)
        assert fits
        np.testing.assert_array_equal(first, np.searchsorted(row, np.arange(rows + 1)))
        np.testing.assert_array_equal(found[: len(row)], source)
        np.testing.assert_array_equal(size[: len(row)], packets[row, source])
    if len(row):
        assert not events(packets, len(row) - 1)[-1]


@given(seed=seeds, targets=st.sampled_from([1, PANEL - 1, PANEL, 2 * PANEL + 5]), sources=st.integers(1, 20))
def test_events_bring_their_weights(seed, targets, sources):
    """Off any grid: each sum in the order of sources, bit by bit."""
    draw = np.random.default_rng(seed)
    packets = draw.integers(0, 3, (5, sources)) * 1.0
    w = draw.normal(size=(targets, sources))
    expected = np.zeros((5, targets))
    for unit in range(sources):
        expected = expected + packets[:, unit, None] * w[:, unit]
    found = np.full((5, targets), np.nan)
    propagate(w, *events(packets, packets.size)[:3], found)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("order", ["C", "F"])
def test_weights_may_lie_in_either_order(order):
    w = np.array(np.arange(12.0).reshape(3, 4), order=order)
    found = np.empty((1, 3))
    propagate(w, *events(np.array([[0.0, 1.0, 0.0, 2.0]]), 4)[:3], found)
    np.testing.assert_array_equal(found, [[7.0, 19.0, 31.0]])  # w[:, 1] + 2 w[:, 3]

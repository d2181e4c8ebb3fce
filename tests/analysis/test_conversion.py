"""Spikes against rates: sums over sounds, by hand and by numpy."""

import numpy as np
import pytest

from neuroclapp.analysis.conversion import LayerConversion
from neuroclapp.spiking.counting import Counted


def test_excess_and_unsent_spikes_by_hand():
    """Charges of 2.4, -1 and 4.6 are worth 2, 0 and 5 spikes; 3, 1 and 4 were sent."""
    layer = LayerConversion()
    counted = Counted(np.array([[3.0, 1.0, 4.0]]), np.array([[2.4, -1.0, 4.6]]))
    layer.add(counted, 0.5, np.array([[1.0, 0.0, 2.5]]))
    found = layer.figures()
    assert found["spikes"] == pytest.approx(8 / 3)
    assert found["excess"] == pytest.approx(2 / 3)
    assert found["unsent"] == pytest.approx(1 / 3)


def test_correlation_over_sounds_is_that_of_all_their_units():
    draw = np.random.default_rng(0)
    layer, spikes, rates = LayerConversion(), [], []
    for steps in (5, 9):
        count, rate = draw.poisson(3.0, (steps, 4)).astype(float), draw.random((steps, 4))
        layer.add(Counted(count, count), 0.25, rate)
        spikes.append(count.ravel())
        rates.append(rate.ravel())
    expected = np.corrcoef(np.concatenate(spikes), np.concatenate(rates))[0, 1]
    assert layer.correlation == pytest.approx(expected, abs=1e-12)


def test_a_silent_layer_has_no_correlation():
    layer = LayerConversion()
    layer.add(Counted(np.zeros((2, 3)), np.zeros((2, 3))), 1.0, np.ones((2, 3)))
    assert layer.correlation == 0.0

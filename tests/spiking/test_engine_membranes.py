"""The engine's packets, whether it finds all time steps at once or goes step by step."""

from dataclasses import replace

import numpy as np
import pytest
from agreement.small_spiking import BASE, network, spiking_network
from hypothesis import given, settings
from hypothesis import strategies as some

from neuroclapp.spiking.engine.arrays import arrays
from neuroclapp.spiking.engine.membranes import input_packets, soma_packets
from neuroclapp.spiking.populations import Population

#: Charges on a grid, for sums that are exact in any order.
GRID = 2.0**-8


def by_hand(timing, neurons, charge):
    """The equations, step by step: v += charge; n = clip(floor(v), 0, neurons) before the release; v -= n."""
    v, packets = np.full(charge.shape[::2], 0.5), np.zeros(charge.shape)
    for step in range(timing.steps):
        v = v + charge[:, step]
        if step < timing.release:
            packets[:, step] = np.clip(np.floor(v), 0, neurons)
            v = v - packets[:, step]
    return packets, v


@pytest.mark.parametrize("library", ["numpy", "torch"])
@settings(max_examples=60, deadline=None)
@given(
    neurons=some.sampled_from([1, 2, 200]),
    scale=some.sampled_from([0.2, 1.0, 4.0]),
    bias=some.booleans(),
    seed=some.integers(0, 2**32 - 1),
)
def test_packets_are_those_of_the_equations(library, neurons, scale, bias, seed):
    made = spiking_network(network(), replace(BASE, neurons=neurons, grid=None))
    timing, draw, xp = made.timing, np.random.default_rng(seed), arrays(library, "cpu")
    drive = np.round(draw.normal(0.0, scale, (2, timing.steps, 3)) / GRID) * GRID
    more = np.round(draw.normal(0.0, scale, 3) / GRID) * GRID
    charge = np.concatenate([np.zeros((2, 1, 3)), drive[:, :-1]], axis=1)
    if bias:
        charge[:, : timing.steps_on] += more
    expected, v = by_hand(timing, neurons, charge)
    soma = Population("a", 3, neurons, 1.0)
    found, left = soma_packets(xp, made, soma, xp.array(drive), xp.array(more) if bias else None, None)
    np.testing.assert_array_equal(xp.numpy(found), expected)
    np.testing.assert_array_equal(xp.numpy(left), v)


@settings(max_examples=40, deadline=None)
@given(neurons=some.sampled_from([1, 3, 200]), seed=some.integers(0, 2**32 - 1))
def test_input_packets_are_those_of_the_equations(neurons, seed):
    made = spiking_network(network(), replace(BASE, neurons=neurons, grid=None))
    timing, draw = made.timing, np.random.default_rng(seed)
    charge = np.round(draw.uniform(0.0, 4.0, (2, 9)) / GRID) * GRID
    on = (np.arange(timing.steps) < timing.steps_on)[None, :, None]
    expected, _ = by_hand(timing, neurons, charge[:, None] * on)
    np.testing.assert_array_equal(input_packets(arrays("numpy"), made, charge), expected)

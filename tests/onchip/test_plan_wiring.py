"""Networks written out as populations and synapses: counted by hand, by brute force, and by other code."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroclapp.network import Layer, Network, Prediction, load_network
from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.demand import demand, wiring
from neuroclapp.onchip.export import program
from neuroclapp.onchip.plan_cost import Activity, operations
from neuroclapp.onchip.plan_learning import unroll_learning
from neuroclapp.onchip.plan_windows import windows
from neuroclapp.onchip.plan_wiring import unroll
from neuroclapp.spiking.unrolled import Resolution
from neuroclapp.spiking.unrolled import unroll as unroll_sound


def synapses(unrolled):
    return {one.name: one.synapses for one in unrolled.wiring.projections}


def neurons(unrolled):
    return {one.name: one.neurons for one in unrolled.wiring.populations}


def test_digits_are_counted_as_by_hand():
    unrolled = unroll(load_network("digits"))
    assert neurons(unrolled) == {"input": 128, "layer1": 64, "layer2": 64}
    assert synapses(unrolled) == {"layer1.w_ff": 64 * 128, "layer2.w_ff": 64 * 64}
    assert demand(unrolled.wiring).fan_in == 128


def test_a_unit_of_k_separate_neurons_has_k_times_the_neurons_and_k_squared_the_synapses():
    unrolled = unroll(load_network("digits"), per_unit=3)
    assert neurons(unrolled) == {"input": 3 * 128, "layer1": 3 * 64, "layer2": 3 * 64}
    assert synapses(unrolled) == {"layer1.w_ff": 9 * 64 * 128, "layer2.w_ff": 9 * 64 * 64}


def test_digits_that_learn_are_counted_as_by_hand():
    """Split feedback: W_ff, W_pred, W_retro; 2 x 32 modulators that hear 32 somata; two release sites."""
    unrolled = unroll_learning(load_network("digits"), 32, 32)
    need = demand(unrolled.wiring)
    assert need.neurons == 128 + 2 * (64 + 64 + 2)
    layer1, layer2 = 64 * 128 + 2 * 64 * 64, 64 * 64 + 2 * 64 * 64
    assert need.synapses == layer1 + layer2 + 2 * (64 * 32 + 64 + 2 * 64)
    assert need.fan_in == 128 + 2 * 64 + 2


def test_a_second_gate_has_modulators_and_sites_of_its_own_and_one_replay_of_each_soma():
    """Two layers of 64: each gains 64 modulators of 32 synapses, 2 sites, and 64 somata that hear both."""
    digits = load_network("digits")
    shared = unroll_learning(digits, 32, 32).wiring
    found = unroll_learning(replace(digits, prediction=Prediction("split", "separate")), 32, 32)
    one, two = demand(shared), demand(found.wiring)
    assert found.refused == ()
    assert two.neurons - one.neurons == 2 * (64 + 2)
    assert two.synapses - one.synapses == 2 * (64 * 32 + 64 + 2 * 64)
    assert two.fan_in - one.fan_in == 2
    once = [each for each in found.wiring.projections if each.once]
    assert [each.name for each in once] == ["layer1.listens_retro", "layer2.listens_retro"]
    spikes = {each.name: 10.0 for each in found.wiring.populations}
    messages = {
        each.name: 1.0 if each.role in ("modulator", "site") else 10.0 for each in found.wiring.populations
    }
    counted = [operations(each, Activity(spikes, messages, ""), 25, 1) for each in (shared, found.wiring)]
    # a replay of each soma, 64 modulators and 2 sites that fire once, in each layer
    assert counted[1].messages - counted[0].messages == 2 * (64 + 64 + 2)
    assert counted[1].synaptic_operations - counted[0].synaptic_operations == 2 * (64 * 32 + 64 + 2 * 64)


@pytest.mark.parametrize(
    ("feedback", "gate"),
    [("split", "shared"), ("split", "separate"), ("symmetric", "shared"), ("blocked", "shared")],
)
def test_a_network_that_is_planned_has_the_counts_of_its_exported_program(feedback, gate, small):
    """6 inputs, 5 and 4 units, 2 x 4 modulators that hear 3 somata; a bias has no presynaptic neuron."""
    exported = wiring(program(*small(feedback, gate), Chip(name="c", title="c")))
    layers = (Layer("layer1", 5), Layer("layer2", 4))
    network = Network("small", (6,), layers, prediction=Prediction(feedback, gate))
    planned = unroll_learning(network, 4, 3).wiring
    assert demand(planned) == demand(exported)
    products = [(one.name, one.synapses, one.products) for one in planned.projections]
    assert products == [(one.name, one.synapses, one.products) for one in exported.projections]


def brute_force(sides, kernel, stride, padding):
    """The pairs (output position, input position) of a convolution's taps that lie inside, in plain loops."""
    out = [(side + 2 * padding - kernel) // stride + 1 for side in sides]
    pairs = []
    for place, where in enumerate(np.ndindex(*out)):
        for tap in np.ndindex(*(kernel,) * len(sides)):
            at = [w * stride + t - padding for w, t in zip(where, tap, strict=True)]
            if all(0 <= a < side for a, side in zip(at, sides, strict=True)):
                pairs.append((place, int(np.ravel_multi_index(at, sides))))
    return out, sorted(pairs)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=2),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 2),
)
def test_windows_are_the_taps_of_a_convolution(sides, kernel, stride, padding):
    sides = [max(side, kernel - 2 * padding) for side in sides]
    window, grid = windows(sides, kernel, stride, padding)
    out, pairs = brute_force(sides, kernel, stride, padding)
    assert list(grid) == out
    place = np.repeat(np.arange(len(window.start) - 1), np.diff(window.start))
    assert sorted(zip(place.tolist(), window.pre.tolist(), strict=True)) == pairs


def test_full_vgg6_is_counted_as_by_hand():
    """A kernel of 3 with padding 1 on a side of n has 3 n - 2 taps inside; relays hear 2 x 2 somata."""
    unrolled = unroll(load_network("vgg6"))

    def taps(side):
        return (3 * side - 2) ** 2

    assert synapses(unrolled) == {
        "conv1.w_ff": taps(16) * 2 * 128,
        "conv2.w_ff": taps(16) * 128 * 256,
        "conv2.pool": 16 * 16 * 256,
        "conv3.w_ff": taps(8) * 256 * 256,
        "conv4.w_ff": taps(8) * 256 * 512,
        "conv4.pool": 8 * 8 * 512,
        "conv5.w_ff": taps(4) * 512 * 1024,
        "conv5.pool": 4 * 4 * 1024,
        "conv6.w_ff": taps(2) * 1024 * 1024,
        "conv6.pool": 2 * 2 * 1024,
    }
    somata = 256 * (128 + 256) + 64 * (256 + 512) + 16 * 1024 + 4 * 1024
    assert demand(unrolled.wiring).neurons == 512 + somata + 64 * 256 + 16 * 512 + 4 * 1024 + 1024
    assert unrolled.depth == 10


def test_mean_pooling_hears_every_soma_of_a_block_instead_of_its_relay():
    layers = (Layer("a", 3, "conv", pool=2), Layer("b", 5, "conv", kernel=3, padding=1))
    unrolled = unroll(Network("n", (1, 6, 6), layers), pooling="mean")
    assert "a.pool" not in neurons(unrolled)
    assert synapses(unrolled)["b.w_ff"] == 4 * (3 * 3 - 2) ** 2 * 3 * 5
    hears = unrolled.wiring.projections[1].window
    # The corner of b's 3 x 3 map hears blocks (0, 0), (0, 1), (1, 0), (1, 1): the upper left 4 x 4 of a.
    corner = {6 * row + column for row in range(4) for column in range(4)}
    assert set(hears.pre[: hears.start[1]].tolist()) == corner


def test_sound_has_the_counts_of_the_encoder_that_runs_in_spikes():
    """Also the figures of docs/spiking_speech.md: 930 inputs, 8256 units, 1 084 416 synapses."""
    network = load_network("audio_small")
    layers = network.scaled_layers[:5]
    arrays = {f"conv{n}.w_ff": np.ones((64, 1 if n == 1 else 64, layers[n - 1].kernel)) for n in range(1, 6)}
    runs = unroll_sound("audio_small", layers, arrays, 1, [1.0] * 6, Resolution())
    planned = unroll(network)
    assert [one.neurons for one in planned.wiring.populations] == [
        runs.input.units,
        *(each.soma.units for each in runs.layers),
    ]
    assert demand(planned.wiring).synapses == runs.synapses == 1_084_416
    assert demand(planned.wiring).neurons == 930 + 8256


def test_a_residual_block_is_counted_as_by_hand():
    """8 channels on 4 x 4: the second block keeps them, the third halves the map and doubles the channels."""
    layers = (
        Layer("a", 8, "conv", rectified=False),
        Layer("b", 8, "residual"),
        Layer("c", 16, "residual", stride=2),
    )
    unrolled = unroll(Network("n", (1, 4, 4), layers))
    taps, strided = (3 * 4 - 2) ** 2, 5**2  # of 3 taps at 0 and 2 of a side of 4, 2 and 3 lie inside
    assert neurons(unrolled) == {
        "input": 2 * 16,
        "a": 2 * 8 * 16,
        **{"b.1": 2 * 16, "b.2": 2 * 16, "b": 2 * 8 * 16},
        **{"c.1": 4 * 16, "c.2": 4 * 4, "c": 2 * 16 * 4},
    }
    assert synapses(unrolled) == {
        "a.w_ff": taps * 2 * 16,
        "b.w1": 16 * 8 * 2,  # from the ON neurons alone: rho(x)
        "b.w2": taps * 2 * 2,
        "b.w3": 16 * 2 * 16,
        "b.skip": 16 * 16 * 2,  # each sum hears ON and OFF of its channel
        "c.w1": 16 * 8 * 4,
        "c.w2": strided * 4 * 4,
        "c.w3": 4 * 4 * 32,
        "c.w_skip": 4 * 8 * 32,
    }


def test_recurrent_units_and_what_hears_them_are_named():
    layers = (Layer("a", 4, "conv1d", kernel=4, padding=0), Layer("g", 3, "gru"), Layer("h", 2, "dense"))
    unrolled = unroll(Network("n", (1, 32), layers))
    assert [one.layer for one in unrolled.refused] == ["g", "h"]
    assert "gates multiply" in unrolled.refused[0].why
    assert set(neurons(unrolled)) == {"input", "a"}


@pytest.mark.parametrize(
    ("change", "layer", "said"),
    [
        ({"layers": (Layer("c", 4, "conv"),), "input": (1, 8, 8)}, "c", "a shared kernel"),
        ({"modules": (2,)}, "layer1 + layer2", "gradient"),
    ],
)
def test_what_no_chip_learns_is_named(change, layer, said):
    unrolled = unroll_learning(replace(load_network("digits"), **change), 4, 4)
    assert [one.layer for one in unrolled.refused] == [layer]
    assert said in unrolled.refused[0].why
    assert unrolled.wiring.populations == ()

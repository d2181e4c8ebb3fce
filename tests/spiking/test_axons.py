"""Unreliable axons and modulators against calculations by hand."""

from dataclasses import replace

import numpy as np
import pytest
from agreement.small_spiking import BASE, initial, network, spiking_network, stream
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.catalog import describe
from neuroclapp.errors import InputError
from neuroclapp.spiking.axons import LEVELS, sent
from neuroclapp.spiking.drawn import draw
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.mapping import Spiking
from neuroclapp.spiking.populations import Timing
from neuroclapp.spiking.state import scores
from neuroclapp.spiking.variants import Axon

STEP = BASE.timing.dt


@given(loss=st.floats(0.01, 0.95), most=st.integers(1, 64))
def test_lots_lose_spikes_with_the_mean_and_variance_of_a_binomial(loss, most):
    """n (1 - p) and n p (1 - p) over all lots, to the grain of the lots."""
    table = sent(loss, most)
    n = np.arange(most + 1)
    assert table.shape == (LEVELS, most + 1)
    assert (table >= 0).all()
    assert (table <= n).all()
    assert (np.diff(table, axis=0) >= 0).all()
    np.testing.assert_allclose(table.mean(0), n * (1 - loss), atol=0.01)
    np.testing.assert_allclose(table.var(0), n * loss * (1 - loss), atol=0.01 * most + 0.02)


def test_lost_spikes_are_missing_in_the_mean_and_membranes_are_reset_all_the_same():
    """A third is lost: two thirds of the input's spikes are counted, its own membranes know nothing of it."""
    net = network()
    shown, weights = stream(60), initial(net)
    whole = Engine(spiking_network(net, BASE)).run(shown, weights, learn=False).record.input_count
    made = spiking_network(net, replace(BASE, input_axon=Axon(loss=1 / 3)))
    drawn = draw(made, shown, np.random.default_rng(0))
    left = Engine(made).run(shown, weights, learn=False, drawn=drawn).record.input_count
    spread = np.sqrt(whole.sum() * 2 / 9)
    assert abs(left.sum() - whole.sum() * 2 / 3) < 4 * spread
    assert (left <= whole).all()


def test_late_packets_all_arrive_where_the_flush_is_long_enough():
    """Jitter of the input moves spikes and loses none, and a unit counts what it gets in the end."""
    net = network()
    timing = Timing(duration=0.02, flush=0.02)
    shown, weights = stream(20), initial(net)
    plain = spiking_network(net, replace(BASE, timing=timing))
    made = spiking_network(net, replace(BASE, timing=timing, input_axon=Axon(jitter=6 * STEP)))
    drawn = draw(made, shown, np.random.default_rng(0))
    on_time = Engine(plain).run(shown, weights, learn=False).record
    late = Engine(made).run(shown, weights, learn=False, drawn=drawn).record
    np.testing.assert_array_equal(late.input_count, on_time.input_count)
    np.testing.assert_allclose(late.layers[0].charge, on_time.layers[0].charge, atol=1e-12)
    assert set(np.unique(drawn.late[0])) == set(range(7))
    assert drawn.late[1:] == (None, None)


def test_noise_of_modulators_is_added_to_their_estimates():
    """The score that a half estimates moves by its units' mean noise, to the grain of a unit, 1/64."""
    net = network()
    modulator = replace(BASE.modulator, resolution=64.0, tonic=2000, burst=10000)
    noisy = replace(modulator, noise=0.3, common_noise=0.2)
    shown, weights = stream(300), initial(net)
    plain, made = (spiking_network(net, replace(BASE, modulator=each)) for each in (modulator, noisy))
    drawn = draw(made, shown, np.random.default_rng(0))
    with_noise = Engine(made).run(shown, weights, learn=False, drawn=drawn).record.layers
    without = Engine(plain).run(shown, weights, learn=False).record.layers
    for n in range(2):
        moved = scores(with_noise[n], made, n, shown.sign) - scores(without[n], plain, n, shown.sign)
        halves = drawn.noise[n].reshape(-1, 2, 8).mean(2)
        expected = np.where(shown.sign >= 0, halves[:, 0], halves[:, 1])
        np.testing.assert_allclose(moved, expected, atol=1 / 64)
        assert abs(drawn.noise[n].std() - np.hypot(0.3, 0.2)) < 0.05


def test_silent_synapses_leave_the_score_right_in_the_mean():
    net = network()
    modulator = replace(BASE.modulator, resolution=64.0, tonic=2000, burst=10000)
    shown, weights = stream(2), initial(net)
    plain, made = (
        spiking_network(net, replace(BASE, modulator=replace(modulator, failure=each)))
        for each in (0.0, 0.25)
    )
    right = scores(Engine(plain).run(shown, weights, learn=False).record.layers[0], plain, 0, shown.sign)[1]
    draws = np.random.default_rng(0)
    found = [
        scores(
            Engine(made).run(shown, weights, learn=False, drawn=draw(made, shown, draws)).record.layers[0],
            made,
            0,
            shown.sign,
        )[1]
        for _ in range(400)
    ]
    assert np.std(found) > 0.01
    assert abs(np.mean(found) - right) < 4 * np.std(found) / 20 + 2 / (8 * 64)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"axon": {"loss": 1.0}}, "less than 1"),
        ({"axon": {"jitter": "-1 ms"}}, "must not be negative"),
        ({"modulator": {"failure": -0.1}}, "greater than or equal to 0"),
        ({"input_axon": {"noise": 0.1}}, "unknown key"),
    ],
)
def test_wrong_values_in_a_file_are_one_clear_error(table, message):
    with pytest.raises(InputError, match=message):
        describe(table, Spiking, "file.toml")


@pytest.mark.parametrize(
    ("axon", "key", "message"),
    [
        (Axon(jitter=STEP), "spiking.timing.flush", "2 layers need 7 steps"),
        (Axon(jitter=1.5 * STEP), "spiking.axon.jitter", "multiple of dt"),
    ],
)
def test_jitter_that_does_not_fit_the_clock_is_named(axon, key, message):
    timing = Timing(duration=0.02, flush=0.006 if axon.jitter == STEP else 0.02)
    with pytest.raises(InputError, match=message) as caught:
        spiking_network(network(), replace(BASE, timing=timing, axon=axon))
    assert caught.value.key == key

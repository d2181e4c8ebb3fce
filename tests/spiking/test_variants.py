"""Neurons, input codes and dendrites against their equations; values that do not go together."""

import math
from dataclasses import replace

import numpy as np
import pytest
from agreement.small_spiking import BASE, INPUTS, network, spiking_network, stream
from hypothesis import assume, given
from hypothesis import strategies as st

from neuroclapp.catalog import describe
from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network
from neuroclapp.onchip.export import check
from neuroclapp.presentations import Presentations
from neuroclapp.spiking import grid
from neuroclapp.spiking.drawn import Drawn, draw
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Timing
from neuroclapp.spiking.variants import Decaying, EscapeNoise, Leaky, Poisson
from neuroclapp.weights import Weights

LONG = Timing(duration=0.2, flush=0.01)


def one_unit(neuron, unit="packet", neurons=1, **values):
    """Return a unit with a bias, each of whose neurons fires 10 times in `LONG` for an activity of 1."""
    net = Network("one", (1,), (Layer("a", 1),))
    spiking = Spiking(
        timing=LONG,
        neurons=neurons,
        gain=(10.0,),
        neuron=neuron,
        unit=unit,
        modulator=BASE.modulator,
        **values,
    )
    return populations(net, spiking, (0.1,), (0.1,), np.random.default_rng(0))


def spikes(made, bias, count=1, drawn=Drawn()):  # noqa: B008
    """Return the unit's spike count in presentations of silence, driven by its bias alone."""
    weights = Weights({"a.w_ff": np.zeros((1, 1)), "a.bias": np.array([bias]), "a.w_pred": np.zeros((1, 1))})
    silence = Presentations(np.zeros((count, 1)), np.zeros(count, dtype=np.int8), np.arange(count))
    stretch = Engine(made).run(silence, weights, learn=False, drawn=drawn)
    return stretch.record.layers[0].count[:, 0]


@given(bias=st.floats(0.2, 8.0), tau=st.floats(0.01, 1.0))
def test_a_leaky_neuron_with_hard_reset_fires_at_the_analytic_intervals(bias, tau):
    """From v0 it takes the least n with 1/2 + (v0 - 1/2) k^n + I (1 - k^n) / (1 - k) >= 1; then v0 = 0."""
    keep, charge = math.exp(-0.001 / tau), bias * 10 / 200
    expected, left, v = 0, 200, 0.5
    while left > 0:
        course = [0.5 + (v - 0.5) * keep**n + charge * (1 - keep**n) / (1 - keep) for n in range(1, left + 1)]
        assume(all(abs(each - 1) > 1e-9 for each in course))
        fired = [n for n, each in enumerate(course, 1) if each > 1]
        if not fired:
            break
        expected, left, v = expected + 1, left - fired[0], 0.0
    assert spikes(one_unit(Leaky(tau=tau, reset="zero")), bias)[0] == expected


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_a_leaky_neuron_below_rheobase_is_silent(reset):
    """The membrane ends at 1/2 + I / (1 - k), which stays below 1."""
    tau = 0.02
    rheobase = 0.5 * (1 - math.exp(-0.001 / tau)) * 20
    assert spikes(one_unit(Leaky(tau=tau, reset=reset)), 0.99 * rheobase)[0] == 0
    assert spikes(one_unit(Leaky(tau=tau, reset=reset)), 1.2 * rheobase)[0] > 0


@given(bias=st.floats(0.0, 5.0), neurons=st.integers(1, 12))
def test_without_leak_a_leaky_neuron_is_an_integrator(bias, neurons):
    """With tau = 10^12 s: as many spikes as the rounded charge."""
    charge = bias * 10 * neurons
    assume(abs(charge + 0.5 - round(charge + 0.5)) > 1e-6)
    made = one_unit(Leaky(tau=1e12), "neurons", neurons)
    assert spikes(made, bias)[0] == math.floor(charge + 0.5)


def test_escape_noise_has_its_firing_probability():
    """Silence: v stays at 1/2, so spikes of a step have the probability 1 - exp(-h dt) at first."""
    neuron = EscapeNoise(width=0.3, rate=200.0)
    h = 200.0 * math.exp(-0.5 / 0.3)
    made = replace(one_unit(neuron, "neurons", 1), timing=Timing(duration=0.001, flush=0.004))
    count = 60_000
    silence = Presentations(np.zeros((count, 1)), np.zeros(count, dtype=np.int8), np.arange(count))
    drawn = draw(made, silence, np.random.default_rng(7))
    steps = made.timing.release
    found = np.mean(spikes(made, 0.0, count, drawn) > 0)
    expected = 1 - math.exp(-h * 0.001 * steps)  # of a first spike in any step
    assert abs(found - expected) < 4 * math.sqrt(expected / count)


def test_escape_noise_rises_with_the_membrane():
    """Above threshold by several widths a spike is certain, below by several it is absent."""
    made = one_unit(EscapeNoise(width=0.01), "neurons", 4)
    silence = Presentations(np.zeros((50, 1)), np.zeros(50, dtype=np.int8), np.arange(50))
    drawn = draw(made, silence, np.random.default_rng(7))
    np.testing.assert_allclose(spikes(made, 1.5, 50, drawn) / (4 * 15), 1, atol=0.08)
    assert spikes(made, 0.0, 50, drawn).max() == 0


def test_poisson_packets_have_mean_and_variance_of_their_rates():
    net = network()
    made = spiking_network(net, replace(BASE, code=Poisson(), neurons=64, gain=(0.5, 0.5)))
    rates = np.linspace(0, 1, INPUTS)
    shown = Presentations(np.tile(rates, (400, 1)), np.zeros(400, dtype=np.int8), np.arange(400))
    counts = draw(made, shown, np.random.default_rng(3)).packets.sum(1)
    expected = rates * 8 * 64  # spikes of a presentation: activity / quantum
    error = np.sqrt(np.maximum(expected, 1e-9) / 400)
    assert (np.abs(counts.mean(0) - expected) <= 4 * error).all()
    np.testing.assert_allclose(counts.var(0)[1:] / expected[1:], 1, atol=0.35)


def test_poisson_neurons_that_fire_once_in_a_step_have_a_binomial_variance():
    net = network()
    made = spiking_network(net, replace(BASE, code=Poisson(once=True), neurons=8, gain=(0.5, 0.5)))
    rates = np.linspace(0, 2, INPUTS)
    shown = Presentations(np.tile(rates, (600, 1)), np.zeros(600, dtype=np.int8), np.arange(600))
    packets = draw(made, shown, np.random.default_rng(4)).packets
    steps = packets.shape[1]
    fires = np.minimum(rates * 8 / steps, 1)  # spikes of one neuron in a step
    assert packets.max() <= 8
    spread = np.sqrt(8 * steps * fires * (1 - fires) / 600)
    assert (np.abs(packets.sum(1).mean(0) - 8 * steps * fires) <= 4 * spread + 1e-9).all()
    within = (fires > 0) & (fires < 1)
    found = packets.reshape(-1, INPUTS).var(0)[within]
    np.testing.assert_allclose(found / (8 * fires * (1 - fires))[within], 1, atol=0.08)
    assert np.ptp(fires[within]) > 0.5


@given(tau=st.floats(0.005, 10.0), seed=st.integers(0, 1000))
def test_a_decaying_dendrite_is_a_sum_of_decays(tau, seed):
    """What is held at the end is the sum over packets of ``W z exp(-time to go / tau)``."""
    net = network()
    spiking = replace(BASE, dendrite=Decaying(tau=tau), grid=None)
    made, shown = spiking_network(net, spiking), stream(1, seed)
    weights = Weights(
        {
            name: np.random.default_rng(seed).normal(size=(6, 9 if name == "a.w_ff" else 6))
            for name in _names()
        }
    )
    found = Engine(made).run(shown, weights, learn=False).state.layers[0].next_held
    z = _packets(weights["a.w_ff"], shown.inputs[0]) / 32
    decays = np.exp(-(made.timing.steps - 1 - np.arange(made.timing.steps)) * 0.001 / tau)
    np.testing.assert_allclose(found, weights["a.w_pred"] @ (decays @ z), atol=1e-9)


def _names():
    return [f"{layer}.{target}" for layer in "ab" for target in ("w_ff", "w_pred", "w_retro")]


def _packets(w, x):
    """Return the first layer's packets (steps, units), by the equations: 20 steps of input, 26 in all."""
    v_in, v, drive, found = np.full(9, 0.5), np.full(6, 0.5), np.zeros(6), []
    for step in range(26):
        v_in += x * 64 / 20 * (step < 20)
        sent = np.clip(np.floor(v_in), 0, 8) * (step < 23)
        v_in -= sent
        v += drive
        n = np.clip(np.floor(v), 0, 8) * (step < 23)
        v -= n
        drive = w @ sent / 2
        found.append(n)
    return np.array(found)


@given(value=st.floats(1e-6, 1e3))
def test_a_learning_rate_keeps_ten_bits(value):
    found = grid.rate(value)
    assert abs(found / value - 1) <= 2.0**-10
    assert (math.frexp(found)[0] * 2**10).is_integer()


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        ({"neuron": Leaky()}, "spiking.unit", "a packet counts for 8 neurons only"),
        ({"neuron": EscapeNoise()}, "spiking.unit", "write 'neurons', or neurons = 1"),
        ({"gain": (4.0, 5.0)}, "spiking.gain", r"gain = 5.0: on a grid gain \* neurons, 40, must be"),
        ({"input_gain": 3.0}, "spiking.input_gain", "must be a power of two"),
        (
            {"modulator": replace(BASE.modulator, units=10)},
            "spiking.modulator.units",
            "must be a power of two",
        ),
        (
            {"unit": "neurons", "neurons": 6, "input_gain": 8 / 6, "gain": (8 / 6, 8 / 6)},
            "spiking.neurons",
            "spiking.neurons = 6",
        ),
    ],
)
def test_values_that_do_not_go_together_are_named(values, key, message):
    with pytest.raises(InputError, match=message) as caught:
        spiking_network(network(), replace(BASE, **values))
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"neuron": {"kind": "leaky", "tau": "0 ms"}}, r"neuron.leaky.tau|tau = 0.0 s must be positive"),
        ({"neuron": {"kind": "leaky", "tau": 0.1}}, "has no unit"),
        ({"neuron": {"kind": "leaking"}}, "leaking"),
        ({"neuron": {"kind": "escape_noise", "rate": "0 Hz"}}, "rate = 0.0 Hz must be positive"),
        ({"dendrite": {"kind": "decaying", "tau": "-1 s"}}, "must be positive"),
        ({"code": {"kind": "poisson", "rate": 3}}, "unknown key"),
        ({"unit": "neuron"}, "'packet' or 'neurons'"),
        ({"grid": 40}, "less than or equal to 24"),
    ],
)
def test_wrong_values_in_a_file_are_one_clear_error(table, message):
    with pytest.raises(InputError, match=message):
        describe(table, Spiking, "file.toml")


def test_values_are_read_from_a_file():
    table = {
        "neuron": {"kind": "leaky", "tau": "20 ms", "reset": "zero"},
        "unit": "neurons",
        "code": {"kind": "poisson"},
        "dendrite": {"kind": "decaying", "tau": "0.2 s"},
        "grid": 20,
    }
    found = describe(table, Spiking, "file.toml")
    assert found == Spiking(
        neuron=Leaky(tau=0.02, reset="zero"),
        unit="neurons",
        code=Poisson(),
        dendrite=Decaying(tau=0.2),
        grid=20,
    )


def test_what_was_not_drawn_is_asked_for():
    made = spiking_network(network(), replace(BASE, code=Poisson()))
    weights = Weights({name: np.zeros((6, 9 if name == "a.w_ff" else 6)) for name in _names()})
    with pytest.raises(InputError, match=r"spiking: drawn = .*: must be drawn for these populations"):
        Engine(made).run(stream(3), weights)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"neuron": Leaky(), "unit": "neurons"}, "spiking.neuron.kind"),
        ({"code": Poisson()}, "spiking.code.kind"),
        ({"dendrite": Decaying()}, "spiking.dendrite.kind"),
        ({"grid": 24}, "spiking.grid"),
    ],
)
def test_export_names_the_value_that_no_chip_has(values, key):
    check(spiking_network(network(), replace(BASE, grid=None, unit="neurons")))
    with pytest.raises(InputError, match="what is exported has") as caught:
        check(spiking_network(network(), replace(BASE, **{"grid": None, **values})))
    assert caught.value.key == key

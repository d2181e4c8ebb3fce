"""The engine, Brian2 and the plain oracle: identical spikes and weights."""

from dataclasses import replace

import numpy as np
import pytest
from agreement.oracle import simulate
from agreement.small_spiking import BASE, UNITS, VALUES, initial, network, spiking_network, stream

from neuroclapp.plasticity import Control, permuted_dendrites
from neuroclapp.spiking.drawn import draw
from neuroclapp.spiking.engine import Engine, Simulation


def mismatches(found, expected):
    """Return how many spike counts, gates, modulator spikes, charges and weights differ at all."""
    pairs = [(found.record.input_count, expected.record.input_count)]
    for ours, theirs in zip(found.record.layers, expected.record.layers, strict=True):
        pairs += [(value, vars(theirs)[name]) for name, value in vars(ours).items()]
    for ours, theirs in zip(found.state.layers, expected.state.layers, strict=True):
        pairs += [(value, vars(theirs)[name]) for name, value in vars(ours).items()]
    pairs += [(array, expected.weights[name]) for name, array in found.weights.items()]
    assert all(ours.shape == theirs.shape for ours, theirs in pairs)
    return sum(int((ours != theirs).sum()) for ours, theirs in pairs)


def opens_and_learns(stretch, before):
    gammas = np.concatenate([layer.gamma for layer in stretch.record.layers])
    changed = all(np.abs(stretch.weights[name] - before[name]).max() > 1e-3 for name in before)
    return {-1.0, 0.0, 1.0} <= set(gammas) and changed


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("feedback", ["symmetric", "blocked", "split"])
def test_the_engine_learns_like_the_oracle(feedback, library):
    """Off the grid, where the oracle has no rounding: the same counts, weights to rounding errors."""
    net = network(feedback, bias=feedback != "split")
    made, weights, shown = spiking_network(net, replace(BASE, grid=None)), initial(net), stream(30)
    for learn in (True, False):
        found = Engine(made, library, "cpu", at_once=7).run(shown, weights, learn=learn)
        expected = simulate(made, weights, shown.inputs, shown.sign, learn=learn)
        np.testing.assert_array_equal(found.record.input_count, expected.input_count)
        for ours, theirs in zip(found.record.layers, expected.layers, strict=True):
            for name in ("count", "gamma", "total"):
                np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
            np.testing.assert_allclose(ours.charge, theirs.charge, atol=1e-10)
        for name, array in found.weights.items():
            np.testing.assert_allclose(array, expected.weights[name], rtol=0, atol=1e-12)
        assert opens_and_learns(found, weights) == learn


def test_permuted_dendrites_and_bounds_like_the_oracle():
    net = network()
    made, weights, shown = spiking_network(net, replace(BASE, grid=None)), initial(net), stream(12)
    control = permuted_dendrites(12, 2, UNITS, np.random.default_rng(5))
    found = Engine(made).run(shown, weights, control=control)
    expected = simulate(made, weights, shown.inputs, shown.sign, permutations=control.permutations)
    for name, array in found.weights.items():
        np.testing.assert_allclose(array, expected.weights[name], rtol=0, atol=1e-12)
    found = Engine(made).run(shown, weights, control=Control(always_open=True, bound=0.5))
    np.testing.assert_array_equal(found.record.layers[1].gamma, shown.sign)
    assert max(np.abs(found.weights[f"{name}.w_ff"]).max() for name in "ab") == 0.5


@pytest.mark.parametrize("name", list(VALUES))
def test_simulations_side_by_side_are_each_like_one_alone(name):
    """Three seeds at once, in both libraries, and a stretch resumed from a state: not a bit differs."""
    net = network(bias=True)
    made = spiking_network(net, VALUES[name])
    streams = [stream(12, seed) for seed in range(3)]
    drawn = [draw(made, each, np.random.default_rng(n)) for n, each in enumerate(streams)]
    simulations = [Simulation(streams[n], initial(net, n), None, Control(), drawn[n]) for n in range(3)]
    alone = [Engine(made).run(each.stream, each.weights, drawn=each.drawn) for each in simulations]
    for library in ("numpy", "torch"):
        together = Engine(made, library, "cpu").run_many(simulations)
        assert [mismatches(*pair) for pair in zip(together, alone, strict=True)] == [0, 0, 0]
    assert len({float(each.weights["a.w_ff"].sum()) for each in alone}) == 3
    half = Engine(made).run(streams[0][:5], simulations[0].weights, drawn=drawn[0][:5])
    rest_of_it = Engine(made).run(streams[0][5:], half.weights, half.state, drawn=drawn[0][5:])
    assert all(np.array_equal(rest_of_it.weights[key], alone[0].weights[key]) for key in half.weights)


@pytest.mark.parametrize("name", list(VALUES))
def test_presentations_side_by_side_are_like_one_after_the_other(name):
    """Without learning: as if learning with a rate of 0, whatever the batch."""
    net = network()
    made = spiking_network(net, VALUES[name])
    still = replace(made, layers=tuple(replace(layer, eta=0.0, eta_pred=0.0) for layer in made.layers))
    shown, weights = stream(11), initial(net)
    drawn = draw(made, shown, np.random.default_rng(1))
    expected = Engine(still).run(shown, weights, drawn=drawn)
    for library, at_once, threads in (("numpy", 1, 1), ("numpy", 4, 2), ("torch", 5, 1), ("numpy", None, 2)):
        engine = Engine(made, library, "cpu", at_once, threads)
        assert mismatches(engine.run(shown, weights, learn=False, drawn=drawn), expected) == 0


@pytest.mark.parametrize("name", list(VALUES))
def test_brian2_equals_the_engine(name):
    """Brian2 without a compiler: 16 presentations, two layers, learning: no spike, gate or weight differs."""
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import run_steps

    net = network(bias=name in ("packet", "neurons", "leaky_alone"))
    made, weights, shown = spiking_network(net, VALUES[name]), initial(net), stream(16)
    drawn = draw(made, shown, np.random.default_rng(1))
    expected = Engine(made).run(shown, weights, drawn=drawn)
    found, _ = run_steps(made, shown, weights, steps=False, drawn=drawn)
    assert opens_and_learns(expected, weights)
    assert mismatches(found, expected) == 0


def test_brian2_equals_the_engine_with_permuted_dendrites():
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import run_steps

    net = network()
    weights, shown = initial(net), stream(10)
    made = spiking_network(net, VALUES["decaying"])
    control = permuted_dendrites(10, 2, UNITS, np.random.default_rng(5))
    expected = Engine(made).run(shown, weights, control=control)
    found, _ = run_steps(made, shown, weights, control=control, steps=False)
    assert mismatches(found, expected) == 0
    assert mismatches(found, Engine(made).run(shown, weights)) > 0


def test_neurons_one_by_one_count_like_their_packet():
    """Hermite's identity, for two layers that learn; the drive stays below one spike a step of a neuron."""
    net = network()
    weights, shown = initial(net), stream(20)
    one, other = (
        Engine(spiking_network(net, VALUES[name])).run(shown, weights) for name in ("packet", "neurons")
    )
    assert mismatches(one, other) == 0


def test_streams_of_several_lengths_are_refused():
    net = network()
    weights = initial(net)
    with pytest.raises(ValueError, match=r"one length, not \[2, 3\]"):
        Engine(spiking_network(net, BASE)).run_many([Simulation(stream(n), weights) for n in (2, 3)])

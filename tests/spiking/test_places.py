"""Populations at places in spikes: places are simulations of the engine, and counts approach rates."""

import numpy as np
import pytest

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.places import as_dense, drawn, learn, places_of
from neuroclapp.presentations import Presentations
from neuroclapp.rate.places import PlacedRates
from neuroclapp.spiking.engine import Engine, Simulation
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.places import PlacedSpikes
from neuroclapp.spiking.populations import Modulator, Timing
from neuroclapp.spiking.variants import Poisson
from neuroclapp.weights import Initial, Weights

SHAPE = (2, 6, 6)
TIMING = Timing(duration=0.1, flush=0.03, dt=0.005)


def network(layers=1, feedback="split", bias=True, gate="shared"):
    made = (
        Layer("one", 8, "conv", bias=bias, kernel=4, stride=2, padding=0),
        Layer("two", 6, "conv", bias=False, kernel=2, padding=0),
    )
    return Network("small", SHAPE, made[:layers], prediction=Prediction(feedback, gate))


def stream_of(count, seed=0):
    draw = np.random.default_rng(seed)
    objects = np.abs(draw.normal(size=((count + 1) // 2, int(np.prod(SHAPE)))))
    inputs = np.repeat(objects, 2, axis=0)[:count] + 0.3 * np.abs(draw.normal(size=(count, objects.shape[1])))
    sign = np.where(np.arange(count) % 2 == 1, 1, -1).astype(np.int8)
    sign[0] = 0
    return Presentations(inputs, sign, np.arange(count) // 2)


def spiking(layers=1, neurons=16, gain=4.0, grid=20, input_gain=8.0):
    modulator = Modulator(units=16, fan_in=8, resolution=8.0, tonic=200, burst=511)
    return Spiking(TIMING, neurons, input_gain, (gain,) * layers, modulator, grid=grid)


def populations_of(net, how, eta=(0.06, 0.02), eta_pred=(0.05, 0.02)):
    layers = len(net.layers)
    return populations(as_dense(net), how, eta[:layers], eta_pred[:layers], np.random.default_rng(7))


@pytest.mark.parametrize(
    ("feedback", "gate"),
    [("split", "shared"), ("split", "separate"), ("symmetric", "shared"), ("blocked", "shared")],
)
def test_unshared_places_are_simulations_of_the_engine(feedback, gate):
    """Each place with its patch is a dense layer; the engine learns all side by side, to the same bits.

    The engine agrees with Brian2 spike for spike (`tests/agreement/test_engine.py`).
    """
    net, stream = network(feedback=feedback, gate=gate), stream_of(40)
    (places,) = places_of(net)
    pops = populations_of(net, spiking())
    step = pops.grid
    weights = drawn(net, "local", Initial(1.0, 4.0, 4.0), np.random.default_rng(1))
    draw = np.random.default_rng(3)
    for name, array in weights.items():  # places that differ from the start, on the grid
        weights[name] = np.round((array + 0.1 * draw.normal(size=array.shape)) / step) * step
    nominal = Network("place", (places.hears.shape[1],), (Layer("one", 8),), prediction=net.prediction)
    alone = populations(nominal, spiking(), (0.06,), (0.05,), np.random.default_rng(7))
    simulations = [
        Simulation(
            Presentations(stream.inputs[:, hears], stream.sign, stream.image),
            Weights({name: array[place] for name, array in weights.items()}),
        )
        for place, hears in enumerate(places.hears)
    ]
    expected = Engine(alone).run_many(simulations)
    layer = pops.layers[0]
    world, counts, gammas = PlacedSpikes(net, pops), [], []
    for found, _ in learn(world, weights, stream, (layer.eta,), (layer.eta_pred,)):
        for name, array in weights.items():
            weights[name] = np.floor(array / step + 0.5) * step
        counts.append(found.z[0] / layer.soma.quantum)
        gammas.append(found.gamma[0])
    gammas = np.array(gammas)
    assert 0.2 < np.mean(gammas != 0) < 1
    for place, each in enumerate(expected):
        np.testing.assert_array_equal(np.array(counts)[:, place], each.record.layers[0].count)
        for number, gamma in enumerate(each.record.layers[0].gammas().values()):
            np.testing.assert_array_equal(gammas[:, place + number * places.count], gamma)
        for name, array in each.weights.items():
            np.testing.assert_array_equal(weights[name][place], array)


@pytest.mark.parametrize(
    ("sharing", "gate"), [("local", "shared"), ("shared", "shared"), ("local", "separate")]
)
def test_changes_approach_those_of_rates_as_counts_become_exact(sharing, gate):
    """Summed changes differ by .09 and .15 of their norm with 16, by .0003 with 4096 neurons."""
    net, stream = network(2, gate=gate), stream_of(30)
    errors = []
    for neurons in (16, 4096):
        pops = populations_of(net, spiking(2, neurons, 1.0, None, 4.0))
        weights = drawn(net, sharing, Initial(1.0, 3.0, 3.0), np.random.default_rng(1))
        total = [{name: np.zeros_like(array) for name, array in weights.items()} for _ in range(2)]
        worlds = PlacedSpikes(net, pops), PlacedRates(net)
        same = 0
        for found, other in learn(worlds[0], weights, stream, (0.0, 0.0), (0.0, 0.0), worlds[1]):
            same += sum(np.array_equal(a, b) for a, b in zip(found.gamma, other.gamma, strict=True))
            for sums, presented in zip(total, (found, other), strict=True):
                for name, change in presented.changes.items():
                    sums[name] += change
        names = [name for name in weights if np.any(total[1][name])]
        assert len(names) == 7
        errors.append(
            max(np.linalg.norm(total[0][n] - total[1][n]) / np.linalg.norm(total[1][n]) for n in names)
        )
    assert same == 60  # all gates, with the most neurons
    assert errors[1] < 0.001 < errors[0] < 0.3


def test_activities_are_those_that_learning_sees():
    net, stream = network(2), stream_of(9)
    pops = populations_of(net, spiking(2))
    weights = drawn(net, "shared", Initial(), np.random.default_rng(1))
    world = PlacedSpikes(net, pops)
    for inputs, *layers in zip(stream.inputs, *world.activities(weights, stream.inputs), strict=True):
        for seen, learned in zip(layers, world.present(weights, inputs, 0.0).z, strict=True):
            np.testing.assert_array_equal(seen, learned)


def test_other_spikes_are_refused():
    net = network()
    how = Spiking(TIMING, 1, 8.0, (4.0,), code=Poisson())
    with pytest.raises(InputError, match="places need packets of integrate-and-fire neurons"):
        PlacedSpikes(net, populations_of(net, how))

"""A small two-layer network and its export, shared by the tests of this folder."""

import numpy as np
import pytest

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.onchip.chip import Chip
from neuroclapp.onchip.export import export
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Modulator, Timing
from neuroclapp.weights import Initial, Weights

IDEAL = Chip(name="ideal", title="no limits")


@pytest.fixture(scope="session")
def small():
    """Populations and weights of 6 inputs, 5 and 4 units, with biases, by kind of feedback and of gates."""

    def build(feedback="split", gate="shared"):
        draw = np.random.default_rng(11)
        layers = (Layer("layer1", 5), Layer("layer2", 4))
        network = Network("small", (6,), layers, prediction=Prediction(feedback, gate))
        spiking = Spiking(
            timing=Timing(duration=0.02, flush=0.005),
            neurons=4,
            input_gain=16.0,
            gain=(8.0, 4.0),
            modulator=Modulator(units=4, fan_in=3),
        )
        made = populations(network, spiking, (0.03, 0.01), (0.1, 0.03), draw)
        weights = Initial().draw(network, draw)
        return made, Weights({name: array + 0.25 * name.endswith("bias") for name, array in weights.items()})

    return build


@pytest.fixture
def exported_separate(small, tmp_path):
    """The folder of an export with two gates."""
    export(*small("split", "separate"), IDEAL, tmp_path)
    return tmp_path


@pytest.fixture
def exported(small, tmp_path):
    """The folder of an export."""
    export(*small(), IDEAL, tmp_path)
    return tmp_path

"""A small spiking network of two layers that learns, made of every value."""

from dataclasses import replace

import numpy as np

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.presentations import Presentations
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Modulator, Timing
from neuroclapp.spiking.variants import Decaying, EscapeNoise, Leaky, Poisson
from neuroclapp.weights import Initial

INPUTS, UNITS = 9, 6
TIMING = Timing(duration=0.02, flush=0.006)
BASE = Spiking(
    timing=TIMING,
    neurons=8,
    input_gain=8.0,
    gain=(4.0, 4.0),
    modulator=Modulator(units=8, fan_in=4),
    grid=24,
)
#: What a unit can be made of. Without leak and noise a packet may count for neurons.
VALUES = {
    "packet": BASE,
    "neurons": replace(BASE, unit="neurons"),
    "poisson": replace(BASE, code=Poisson()),
    "decaying": replace(BASE, dendrite=Decaying(tau=0.05)),
    "leaky": replace(BASE, neuron=Leaky(tau=0.03), unit="neurons"),
    "hard_reset": replace(BASE, neuron=Leaky(tau=0.03, reset="zero"), unit="neurons"),
    "escape_noise": replace(BASE, neuron=EscapeNoise(), unit="neurons"),
    "leaky_alone": replace(BASE, neuron=Leaky(tau=0.03), neurons=1, gain=(8.0, 8.0)),
    "hard_reset_alone": replace(BASE, neuron=Leaky(tau=0.03, reset="zero"), neurons=1, gain=(8.0, 8.0)),
    "escape_noise_alone": replace(BASE, neuron=EscapeNoise(width=0.1), neurons=1, gain=(8.0, 8.0)),
    "all": replace(BASE, neuron=Leaky(tau=0.03), unit="neurons", code=Poisson(), dendrite=Decaying(tau=0.05)),
}


def network(feedback="split", bias=False, gate="shared"):
    layers = (Layer("a", UNITS, bias=bias), Layer("b", UNITS, bias=bias))
    return Network("small", (INPUTS,), layers, prediction=Prediction(feedback, gate))


def spiking_network(net, spiking, eta=0.12):
    return populations(net, spiking, (eta, eta), (eta, eta), np.random.default_rng(2))


def initial(net, seed=3):
    return Initial(w_ff=2.0, w_pred=3.0, w_retro=2.0).draw(net, np.random.default_rng(seed))


def stream(count, seed=4):
    draw_inputs = np.random.default_rng(seed)
    sign = np.where(np.arange(count) % 2 == 1, 1, -1).astype(np.int8)
    sign[0] = 0
    return Presentations(draw_inputs.random((count, INPUTS)), sign, np.arange(count))

"""A random network of 128-64-64 units, and its exact counts from the file's conventions written out."""

import numpy as np

from neuroclapp.onchip.clock import Clock
from neuroclapp.onchip.nir import Feedforward, Inference
from neuroclapp.onchip.program import Units

UNITS, NEURONS, STEPS, STEPS_ON, SAMPLES = (128, 64, 64), 8, 105, 100, 60


def network(seed, spikes, bias):
    """Return a network and activities (samples, inputs) at about ``spikes`` per unit and presentation."""
    draw = np.random.default_rng(seed)
    root = spikes / 0.4  # a rectified normal of this standard deviation has the mean `spikes`
    layers = []
    for name, post, pre in zip(("layer1", "layer2"), UNITS[1:], UNITS[:-1], strict=True):
        weights = draw.normal(size=(post, pre)) * np.sqrt(2 / pre)
        constant = draw.normal(size=post) * 0.3 * root / STEPS_ON if bias else None
        layers.append(Feedforward(Units(name, post, NEURONS, 1 / root), weights, constant))
    inputs = np.maximum(draw.normal(size=(SAMPLES, UNITS[0])), 0)
    clock = Clock(0.001, STEPS, STEPS_ON)
    return Inference(clock, Units("input", UNITS[0], NEURONS, 1 / root), tuple(layers)), inputs


def exact(made, inputs):
    """Count as the file's metadata says, one step after the other: (samples, units) by population."""
    units = [made.input, *(layer.soma for layer in made.layers)]
    v = [np.full((len(inputs), one.units), 0.5) for one in units]
    sent = [np.zeros_like(one) for one in v]
    counts = [np.zeros_like(one) for one in v]
    for step in range(STEPS):
        charge = [inputs / (made.input.quantum * STEPS_ON) * (step < STEPS_ON)]
        for layer, below in zip(made.layers, sent[:-1], strict=True):
            bias = 0 if layer.bias is None or step >= STEPS_ON else layer.bias
            charge.append(below @ layer.weights.T + bias)
        for n, added in enumerate(charge):
            v[n] += added
            sent[n] = np.clip(np.floor(v[n]), 0, NEURONS) * (step < STEPS - 3)
            v[n] -= sent[n]
            counts[n] += sent[n]
    return {one.name: count for one, count in zip(units, counts, strict=True)}


def agreement(found, wanted):
    """Correlation, ratio of sums, and the fraction of equal counts among those that are not 0 in truth."""
    equal = float(np.mean((found == wanted)[wanted > 0]))
    return float(np.corrcoef(found.ravel(), wanted.ravel())[0, 1]), float(found.sum() / wanted.sum()), equal

"""Brian2 and the plain simulator count the spikes of an unrolled encoder of sound alike."""

import numpy as np
import pytest

from neuroclapp.errors import InputError
from neuroclapp.network import Layer
from neuroclapp.spiking.counting import count
from neuroclapp.spiking.populations import Timing
from neuroclapp.spiking.unrolled import Resolution, unroll
from neuroclapp.spiking.windows import seen, windows

pytest.importorskip("brian2")
from neuroclapp.spiking.unrolled_simulation import CompiledEncoder

LAYERS = (
    Layer("conv1", 5, "conv1d", kernel=10, stride=5, padding=2),
    Layer("conv2", 4, "conv1d", kernel=4, stride=4, padding=1),
    Layer("conv3", 6, "conv1d", kernel=3, stride=2, padding=1, bias=False),
)
RESOLUTION = Resolution(Timing(duration=0.05, flush=0.02, dt=0.005), spikes=8.0)


def encoder(neurons, seed):
    draw = np.random.default_rng(seed)
    arrays, channels = {}, 1
    for layer in LAYERS:
        arrays[f"{layer.name}.w_ff"] = draw.normal(size=(layer.units, channels, layer.kernel))
        if layer.bias:
            arrays[f"{layer.name}.bias"] = draw.normal(size=layer.units)
        channels = layer.units
    return unroll("small", LAYERS, arrays, neurons, [2.0, 5.0, 10.0, 12.0], RESOLUTION)


def test_brian2_counts_like_the_simulator(tmp_path):
    """No count differs: of two encoders and three numbers of neurons, with one program, at both ends too."""
    samples = np.random.default_rng(5).normal(size=410)
    network = CompiledEncoder(encoder(1, 0), 11, tmp_path)
    for neurons, seed in ((1, 0), (4, 0), (16, 1)):
        unrolled = encoder(neurons, seed)
        counted = count(unrolled, samples)
        steps = [0, *range(len(counted[-1].count))][:11]
        shown = windows(unrolled, samples, steps)
        assert not shown.inside[1].all()
        found = network.run(unrolled, shown)
        assert [each.shape[1:] for each in found[1:]] == [(e.positions, e.units) for e in unrolled.layers]
        assert found[-1].sum() > 20
        for ours, theirs in zip(seen(counted, shown), found, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(InputError, match="runs at most 11"):
        network.run(unrolled, windows(unrolled, samples, [0] * 12))


def test_more_presentations_than_brian2s_clocks_bear_are_refused(tmp_path):
    """Its C++ programs take times as equal that differ by less than 1e-14 s: after 64 s two floats do not."""
    with pytest.raises(InputError, match="clocks part"):
        CompiledEncoder(encoder(1, 0), 100_000, tmp_path)

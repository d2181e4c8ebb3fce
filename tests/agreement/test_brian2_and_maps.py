"""Brian2 and the plain simulator count the spikes of maps alike."""

import numpy as np
import pytest

from neuroclapp.errors import InputError
from neuroclapp.network import Layer
from neuroclapp.spiking.maps import map_convolutions
from neuroclapp.spiking.maps_counting import count_maps
from neuroclapp.spiking.populations import Timing
from neuroclapp.spiking.unrolled import Resolution

pytest.importorskip("brian2")
from neuroclapp.spiking.maps_simulation import CompiledMaps

LAYERS = (
    Layer("conv1", 5, "conv", pool=2),
    Layer("conv2", 4, "conv", stride=2, bias=False),
    Layer("conv3", 6, "conv", kernel=2, pool=3),
)
PATCH = (2, 14, 14)
RESOLUTION = Resolution(Timing(duration=0.05, flush=0.04, dt=0.005), spikes=8.0)


def encoder(neurons, seed, pooling, layers=LAYERS):
    draw = np.random.default_rng(seed)
    arrays, channels = {}, PATCH[0]
    for layer in layers:
        arrays[f"{layer.name}.w_ff"] = draw.normal(size=(layer.units, channels, layer.kernel, layer.kernel))
        if layer.bias:
            arrays[f"{layer.name}.bias"] = draw.normal(size=layer.units)
        channels = layer.units
    return map_convolutions(
        "small", layers, PATCH, arrays, neurons, [2.0, 9.0, 20.0, 40.0], RESOLUTION, pooling
    )


@pytest.mark.parametrize("pooling", ["lead", pytest.param("mean", marks=pytest.mark.slow)])
def test_brian2_counts_like_the_simulator(pooling, tmp_path):
    """No count differs: of inputs, somata and relays, of two encoders and three numbers of neurons."""
    layers = LAYERS if pooling == "lead" else (*LAYERS[:2], Layer("conv3", 6, "conv", kernel=2, pool=2))
    patches = np.random.default_rng(5).normal(size=(7, *PATCH))
    network = CompiledMaps(encoder(1, 0, pooling, layers), 7, tmp_path)
    for neurons, seed in ((1, 0), (4, 0), (64, 1)):
        maps = encoder(neurons, seed, pooling, layers)
        source, counted = count_maps(maps, patches)
        ours = [source]
        for each, counts in zip(maps.layers, counted, strict=True):
            relayed = pooling == "lead" and each.layer.pool > 1
            ours += [counts.soma.count, counts.sent] if relayed else [counts.soma.count]
        theirs = network.run(maps, patches)
        assert len(theirs) == (6 if pooling == "lead" else 4)
        assert theirs[-1].sum() > 20
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match="runs at most 7"):
        network.run(maps, np.zeros((8, *PATCH)))


def test_poolings_that_brian2_does_not_have_are_refused(tmp_path):
    with pytest.raises(InputError, match="must be 'lead' or 'mean' in Brian2"):
        CompiledMaps(encoder(1, 0, "most"), 1, tmp_path)

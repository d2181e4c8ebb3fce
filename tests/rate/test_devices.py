"""Where systems learn: devices that the environment names, and the modules that each of them gets."""

import numpy as np
import pytest
import torch
from rate.test_soundnet import CASES, NETWORK, built, sounds

from neuroclapp.data.patches import Batch
from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network
from neuroclapp.objective import Contrast, System
from neuroclapp.rate.devices import VARIABLE, named, place
from neuroclapp.rate.modular import initial
from neuroclapp.rate.patchnet import PatchNetwork
from neuroclapp.rate.training import Learner
from neuroclapp.recipe import Recipe

LAYERS = tuple(Layer(f"conv{n}", 4, "conv", kernel=3, padding=1) for n in range(1, 6))
IMAGES = Network("images", (1, 6, 6), LAYERS)
ROWS = System("", contrast=Contrast(steps=1, skip=0))


def learner():
    return Learner(PatchNetwork(IMAGES, ROWS, initial(IMAGES, ROWS, 10, 0)), Recipe(updates=3, batch=2))


def weights(one):
    return {name: array.detach().numpy().copy() for name, array in one.network.named_arrays()}


@pytest.mark.parametrize(("count", "shares"), [(1, [5]), (2, [3, 2]), (3, [2, 2, 1]), (5, [1] * 5)])
def test_modules_are_dealt_in_equal_parts_lowest_first(monkeypatch, count, shares):
    """Devices that are not there: `named` is replaced by meta devices of different numbers."""
    devices = tuple(torch.device("meta", n) for n in range(count))
    monkeypatch.setattr("neuroclapp.rate.devices.named", lambda: devices)
    network, dealt = learner().network, []
    monkeypatch.setattr(network, "place", dealt.extend)
    place(network)
    assert [dealt.count(device) for device in devices] == shares
    assert dealt == sorted(dealt, key=lambda device: device.index)


@pytest.mark.parametrize("value", ["", "cpu", "cpu, cpu"])
def test_the_same_bits_on_cpus_whatever_their_number(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    alone, placed = learner(), learner()
    place(placed.network)
    patches = np.random.default_rng(0).normal(size=(2, 2, 2, 1, 6, 6)).astype(np.float32)
    for one in (alone, placed):
        for _ in range(3):
            one.update(Batch(patches, None, np.arange(2), np.zeros((2, 2), np.int64)), 1, 3)
    for name, array in weights(alone).items():
        assert np.array_equal(weights(placed)[name], array), name
    assert any((array != weights(learner())[name]).any() for name, array in weights(alone).items())


@pytest.mark.parametrize("value", ["toaster", "cpu,toaster", "cpu:x", "meta:0,,cpu"])
def test_a_device_that_is_not_there_is_named(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(InputError, match=rf"{VARIABLE} = '{value}': no such device"):
        named()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv(VARIABLE, "cuda")
    with pytest.raises(InputError, match="NEUROCLAPP_DEVICE = 'cuda': no such device"):
        named()


def test_a_system_of_sound_learns_on_one_device(monkeypatch):
    monkeypatch.setenv(VARIABLE, "cpu,cpu")
    network = built(NETWORK, *CASES["CLAPP, e-prop"])
    with pytest.raises(InputError, match="a system of sound learns on one device"):
        place(network)
    monkeypatch.setenv(VARIABLE, "cpu")
    place(network)
    assert network.features(sounds())

"""Modules on several processes learn what they learn in one, to the bit.

Run as a program, ``python test_pipeline.py RANK FOLDER``, this file is one of the processes; the last one
trains all modules by itself.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.objective import Contrast, System
from neuroclapp.rate.modular import Randomness, initial
from neuroclapp.rate.patchnet import PatchNetwork
from neuroclapp.rate.pipeline import Given, Receiver, Sender, run_stage, stage

GRID, STEPS, LIMIT_S = (4, 4, 2), 12, 120
UNITS = {"a": 8, "b": 12, "c": 16, "d": 10}
LAYERS = tuple(Layer(name, units, "conv", pool=2 if name in "bd" else 1) for name, units in UNITS.items())
NETWORK = Network("four", (1, 8, 8), LAYERS, width=0.5)
SPLIT = Contrast(steps=2, skip=0, prediction=Prediction("split", "separate"))
#: The system, its optimiser, and the modules of each process.
CASES = {
    "Adam": (System("adam", contrast=SPLIT), torch.optim.Adam, [range(0, 2), range(2, 4)]),
    "SGD": (
        System("sgd", modules=(1, 2, 1), contrast=Contrast(steps=1)),
        torch.optim.SGD,
        [range(0, 1), range(1, 2), range(2, 3)],
    ),
    "labels": (
        System("labels", learns="labels"),
        torch.optim.Adam,
        [range(0, 1), range(1, 3), range(3, 4)],
    ),
}


def batches(network):
    for step in range(STEPS):
        draw = np.random.default_rng(step)
        x = draw.standard_normal((*GRID, *NETWORK.input)).astype(np.float32)
        labels = torch.from_numpy(draw.integers(0, 3, GRID[0]))
        yield Given(torch.from_numpy(x), labels)


def build(system, modules=None):
    """Return modules of the network, with the initial arrays that they have in the whole."""
    arrays = initial(NETWORK, system, 3, seed=0)
    part = (NETWORK, system) if modules is None else stage(NETWORK, system, modules)
    return PatchNetwork(*part, arrays, 3)


def apply_with(optimiser, network):
    """Return what applies a module's gradients, as soon as they are there."""
    each = [optimiser(network.of(module).values(), lr=0.01) for module in range(len(network.modules_of))]

    def apply(learned):
        each[learned.module].step()
        each[learned.module].zero_grad()

    return apply


def learn_alone(system, optimiser, devices=None):
    net = build(system)
    if devices:
        net.place(devices)
    apply = apply_with(optimiser, net)
    for step, batch in enumerate(batches(net)):
        net.learn(batch.x, Randomness(3, step), batch.labels, apply)
    return weights(net)


def weights(net):
    return {name: array.detach().numpy() for name, array in net.named_arrays()}


def late(given, folder):
    """Take a batch only once the process below has learned from the next one."""
    for number, batch in enumerate(given):
        while not (folder / f"learned {min(number + 1, STEPS - 1)}").exists():
            time.sleep(0.001)
        yield batch


def be_a_stage(rank, folder):
    torch.set_num_threads(1)
    alone = rank == 3
    if not alone:
        dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=3)
    for name, (system, optimiser, stages) in CASES.items():
        if alone:
            np.savez(folder / f"{name} alone.npz", **learn_alone(system, optimiser))
        elif rank < len(stages):
            net = build(system, stages[rank])
            apply, counted = apply_with(optimiser, net), iter(range(STEPS))

            def note(learned, net=net, apply=apply, counted=counted, name=name):
                apply(learned)
                if name == "Adam" and rank == 0 and learned.module == len(net.modules_of) - 1:
                    (folder / f"learned {next(counted)}").touch()

            given = Receiver(net, GRID, STEPS, rank - 1) if rank else batches(net)
            if name == "Adam" and rank == 1:
                given = late(given, folder)
            above = Sender(rank + 1) if rank + 1 < len(stages) else None
            run_stage(net, given, lambda step: Randomness(3, step), note, above)
            np.savez(folder / f"{name} {rank}.npz", **weights(net))
    if not alone:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder where all processes have left their weights."""
    folder = tmp_path_factory.mktemp("stages")
    running = [
        subprocess.Popen([sys.executable, __file__, str(rank), folder], stderr=subprocess.PIPE, text=True)
        for rank in range(4)
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=LIMIT_S)
            assert process.returncode == 0, errors
    finally:
        for process in running:
            process.kill()
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_pipeline_ends_with_the_bits_of_one_process(name, folder):
    """In the case of Adam the upper process also waits until the lower one is a batch ahead."""
    system, _, stages = CASES[name]
    found = {}
    for rank in range(len(stages)):
        with np.load(folder / f"{name} {rank}.npz") as part:
            assert not found.keys() & set(part)
            found |= dict(part)
    before = initial(NETWORK, system, 3, seed=0)
    with np.load(folder / f"{name} alone.npz") as expected:
        assert set(found) == set(expected) == set(before)
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value, err_msg=key)
            assert np.abs(value - before[key]).max() > 0, key


@pytest.mark.parametrize("name", CASES)
def test_modules_on_devices_of_their_own_learn_the_same(name):
    system, optimiser, _ = CASES[name]
    devices = ["cpu"] * len(build(system).modules_of)
    one, other = learn_alone(system, optimiser), learn_alone(system, optimiser, devices)
    for key, value in one.items():
        np.testing.assert_array_equal(other[key], value, err_msg=key)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_maps_follow_modules_from_device_to_device():
    system, optimiser, _ = CASES["Adam"]
    net = build(system).place(["cuda:0", "cuda:0", "cuda:1", "cuda:1"])
    apply = apply_with(optimiser, net)
    for step, batch in enumerate(batches(net)):
        net.learn(batch.x, Randomness(3, step), None, apply)
    expected = learn_alone(system, optimiser)
    for name, array in net.named_arrays():
        np.testing.assert_allclose(array.detach().cpu().numpy(), expected[name], rtol=1e-3, atol=1e-4)


def test_the_number_of_devices_must_be_that_of_modules():
    with pytest.raises(InputError, match="needs one for each of the 4 modules"):
        build(System("own")).place(["cpu"])


@pytest.mark.parametrize("context", ["top", "both"])
def test_what_needs_the_top_layer_cannot_be_a_stage(context):
    system = System("feedback", contrast=Contrast(context=context))
    with pytest.raises(InputError, match=rf"contrast\.context = '{context}'.*need 'own'"):
        stage(NETWORK, system, range(0, 2))


@pytest.mark.parametrize("modules", [range(2, 2), range(3, 5), range(-1, 2), range(0, 4, 2)])
def test_a_stage_is_of_consecutive_modules_that_exist(modules):
    with pytest.raises(InputError, match="must be consecutive modules of 0 to 3"):
        stage(NETWORK, System("own"), modules)


def test_a_stage_has_the_shapes_and_blocks_of_its_modules():
    blocks = Contrast(task="views", blocks=(4, 2))
    network, system = stage(NETWORK, System("views", modules=(2, 2), contrast=blocks), range(1, 2))
    assert network.input == (6, 4, 4)
    assert network.shapes == NETWORK.shapes[2:]
    assert (system.modules, system.contrast.blocks) == ((2,), (2,))


if __name__ == "__main__":
    be_a_stage(int(sys.argv[1]), Path(sys.argv[2]))

"""Two processes that share a batch learn what one process learns from all of it.

Run as a program, ``python test_exchange.py RANK FOLDER``, this file is one of the two processes.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from neuroclapp.data.patches import Batch
from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.objective import Contrast, InTime, System
from neuroclapp.rate.exchange import ALONE, Alone, Ranks, flattened, share, share_of_batch
from neuroclapp.rate.modular import Randomness, initial
from neuroclapp.rate.patchnet import PatchNetwork
from neuroclapp.rate.soundnet import SoundNetwork

IMAGES, STEPS, LIMIT_S = 4, 10, 120
LAYERS = tuple(
    Layer(name, units, "conv", pool=pool) for name, units, pool in [("a", 4, 1), ("b", 6, 2), ("c", 5, 2)]
)
NETWORK = Network("three", (2, 8, 8), LAYERS)


SOUND = Network(
    "sound",
    (1, 480),
    (
        Layer("a", 4, "conv1d", kernel=20, stride=10, padding=5),
        Layer("b", 3, "conv1d", kernel=8, stride=4, padding=2),
        Layer("c", 2, "gru"),
    ),
)


def contrast(**values):
    return Contrast(**{"steps": 2, "skip": 0, "negatives": 2, **values})


SYSTEMS = {
    "hinge": System("hinge", contrast=contrast()),
    "split": System("split", contrast=contrast(prediction=Prediction("split", "separate"))),
    "info_nce in one module": System("one", modules=(3,), contrast=contrast(loss="info_nce", negatives=5)),
    "around": System(
        "around", modules=(1, 2), contrast=contrast(task="around", source="one_image", negatives=1)
    ),
    "views": System("views", contrast=contrast(task="views", blocks=(4, 2, 1), pairs="either")),
    "top": System("top", contrast=contrast(context="top", prediction=Prediction("split"))),
    "own and top": System("both", contrast=contrast(context="both")),
    "labels": System("labels", learns="labels"),
    "sound": (System("sound", contrast=contrast()), InTime(6, "eprop")),
    "sound in one module": (System("one", modules=(3,), contrast=contrast(loss="info_nce")), InTime(6)),
    "labels of sound": (System("labels", learns="labels"), InTime()),
}  # fmt: skip


def places(step):
    """Return the joint batch of a step: places (images, rows, columns, channels, height, width), labels."""
    draw = np.random.default_rng(step)
    x = torch.from_numpy(draw.standard_normal((IMAGES, 4, 2, 2, 8, 8)))
    return x, torch.from_numpy(draw.integers(0, 3, IMAGES))


def sounds(step):
    """Return the joint batch of a step: sounds (sounds, samples), labels by frame."""
    draw = np.random.default_rng(step)
    x = torch.from_numpy(draw.standard_normal((IMAGES, 480)))
    return x, torch.from_numpy(draw.integers(0, 3, (IMAGES, 3)))


def network(system):
    if isinstance(system, tuple):
        system, in_time = system
        arrays = initial(SOUND, system, 3, seed=0, gain=2**0.5)
        return SoundNetwork(SOUND, system, arrays, in_time, 3, torch.float64)
    arrays = initial(NETWORK, system, 3, seed=0, gain=2**0.5)
    return PatchNetwork(NETWORK, system, arrays, 3, torch.float64)


def train(system, exchange=ALONE, cut=lambda x: x):
    """Return losses and gradients of the first step, and the weights after all steps."""
    net = network(system)
    optimisers = [torch.optim.SGD(net.of(n).values(), lr=0.1) for n in range(len(net.modules_of))]
    found = {}
    for step in range(STEPS):
        x, labels = sounds(step) if isinstance(system, tuple) else places(step)
        x = x[:, :2, :1] if net.system.contrast.task == "views" else x
        order = []

        def apply(one, step=step, order=order):
            order.append(one.module)
            if step == 0:
                gradients = {name: array.grad.clone().numpy() for name, array in net.of(one.module).items()}
                found.update({f"gradient of {name}": gradient for name, gradient in gradients.items()})
                found[f"loss of {one.module}"], found[f"share of {one.module}"] = one.loss, one.share
            optimisers[one.module].step()
            optimisers[one.module].zero_grad(set_to_none=True)

        learned = net.learn(cut(x), Randomness(3, step), cut(labels), apply, exchange)
        assert sorted(order) == [one.module for one in learned] == list(range(len(net.modules_of)))
    return found | {f"{name} after training": p.detach().numpy() for name, p in net.named_arrays()}


def be_one_of_two(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    for name, system in SYSTEMS.items():
        found = train(system, Ranks(), lambda x: share(x, rank, 2))
        np.savez(f"{folder}/{name} {rank}.npz", **found)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder where two processes have left what they learned."""
    folder = tmp_path_factory.mktemp("ranks")
    running = [
        subprocess.Popen([sys.executable, __file__, str(rank), folder], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=LIMIT_S)
            assert process.returncode == 0, errors
    finally:
        for process in running:
            process.kill()
    return folder


@pytest.mark.parametrize("name", SYSTEMS)
def test_two_processes_learn_as_one_does_from_the_joint_batch(name, folder):
    expected = train(SYSTEMS[name])
    assert any(np.abs(value).max() > 1e-3 for key, value in expected.items() if "gradient" in key)
    for rank in range(2):
        with np.load(folder / f"{name} {rank}.npz") as found:
            assert set(found) == set(expected)
            for key, value in expected.items():
                np.testing.assert_allclose(found[key], value, rtol=1e-12, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", SYSTEMS)
def test_both_processes_end_with_the_same_bits(name, folder):
    with np.load(folder / f"{name} 0.npz") as first, np.load(folder / f"{name} 1.npz") as second:
        for key in first:
            np.testing.assert_array_equal(first[key], second[key], err_msg=key)


def test_a_share_alone_would_learn_something_else():
    """Negatives come from all images, so half of the batch is another batch."""
    x, _ = places(0)
    whole, half = network(SYSTEMS["hinge"]), network(SYSTEMS["hinge"])
    whole.learn(x, Randomness(3, 0))
    half.learn(share(x, 0, 2), Randomness(3, 0))
    assert not torch.allclose(whole.arrays["a/w_ff"].grad, half.arrays["a/w_ff"].grad, rtol=1e-3)


def test_sums_keep_each_arrays_order_of_memory():
    kernel = torch.arange(36.0).view(2, 2, 3, 3).contiguous(memory_format=torch.channels_last)
    changes = {"kernel": kernel, "transposed": torch.arange(6.0).view(2, 3).T, "bias": torch.arange(3.0)}
    copies, buffer = flattened(changes)
    assert buffer.numel() == 36 + 6 + 3
    buffer *= 2
    for name, change in changes.items():
        assert copies[name].stride() == change.stride()
        torch.testing.assert_close(copies[name], 2 * change, rtol=0, atol=0)


def test_shares_of_a_batch_are_consecutive_images():
    patches, columns = np.arange(6 * 2).reshape(6, 1, 2, 1, 1, 1), np.arange(12).reshape(6, 2)
    batch = Batch(patches.astype(np.float32), None, np.arange(6) + 10, columns)
    parts = [share_of_batch(batch, rank, 3) for rank in range(3)]
    assert [part.index.tolist() for part in parts] == [[10, 11], [12, 13], [14, 15]]
    assert all(part.labels is None for part in parts)
    for name in ("patches", "columns"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(batch, name))


def test_unequal_shares_are_refused_by_number():
    with pytest.raises(InputError, match=r"images = 5: must be a multiple of 2"):
        share(torch.zeros(5, 1), 0, 2)


def test_ranks_without_a_process_group_are_refused():
    with pytest.raises(InputError, match="init_process_group"):
        Ranks()


def test_alone_changes_nothing():
    x, heard = torch.rand(3, 2), []
    alone = Alone()
    assert alone.join(x) is x
    assert alone.own(x) is x
    alone.total({"w": x}, heard.append)
    assert heard[0]["w"] is x


if __name__ == "__main__":
    be_one_of_two(int(sys.argv[1]), Path(sys.argv[2]))

"""What a learning step of an audio system costs, and how much speech is learned from in a second.

    python benchmarks/speech_step.py [--units 64] [--batch 8] [--repeats 7]

The encoder is that of models/audio.toml with ``--units`` in every layer, the input noise: excerpts of 20480
samples, 1.28 s. A step is everything, the optimiser included; float32, one thread. The ways:

- closed form: `neuroclapp.rate.soundnet`, CLAPP with recurrent units by e-prop and by BPTT, GIM, CPC
- autograd: CLAPP with torch's convolutions and ``nn.GRU``, modules detached, one summed loss, one backward,
  with the same window of steps and the same pairs

All ways take turns in one process that keeps freed memory. The table has medians over repeats of CPU time, of
seconds of sound per CPU second, and of the autograd way's time over each.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, relu

from neuroclapp.data.patches import Batch
from neuroclapp.network import Network, load_network
from neuroclapp.objective import Contrast, InTime, System
from neuroclapp.rate.memory import keep_freed_memory
from neuroclapp.rate.modular import Randomness, initial
from neuroclapp.rate.pairs import draw
from neuroclapp.rate.soundnet import SoundNetwork
from neuroclapp.rate.training import Learner
from neuroclapp.recipe import Recipe

SAMPLES, RATE, PHONES, WINDOW = 20480, 16000, 41, 128

CLAPP = System("CLAPP", contrast=Contrast(steps=12, skip=0))
GIM = System("GIM", contrast=Contrast("info_nce", steps=12, skip=0, negatives=10))
WAYS = {
    "CLAPP, e-prop": (CLAPP, InTime(WINDOW, "eprop")),
    "CLAPP, BPTT": (CLAPP, InTime(WINDOW, "bptt")),
    "GIM": (GIM, InTime(WINDOW, "bptt")),
    "CPC": (replace(GIM, modules=(6,)), InTime(WINDOW, "bptt")),
}
AUTOGRAD = "CLAPP, BPTT, by autograd"

Step = Callable[[], object]


def closed_form(network: Network, system: System, in_time: InTime, x: np.ndarray) -> Step:
    net = SoundNetwork(network, system, initial(network, system, PHONES, 0), in_time, PHONES)
    learner, batch = Learner(net, Recipe(batch=len(x))), Batch(x, None, np.arange(len(x)), None)  # type: ignore[arg-type]
    return lambda: learner.update(batch, 0, 1000)


def by_autograd(network: Network, x: np.ndarray) -> Step:
    """Return a step of CLAPP as one would write it in torch."""
    start = initial(network, CLAPP, PHONES, 0)
    w = {name: nn.Parameter(torch.from_numpy(array)) for name, array in start.items()}
    gru = nn.GRU(network.scaled_layers[-2].units, network.scaled_layers[-1].units, batch_first=True)
    adam = torch.optim.Adam([*w.values(), *gru.parameters()], lr=2e-4, fused=True)
    sounds, done = torch.from_numpy(x).unsqueeze(1), 0

    def step() -> None:
        nonlocal done
        adam.zero_grad(set_to_none=True)
        below, total = sounds, sounds.new_zeros(())
        for layer in network.scaled_layers[:-1]:
            w_ff, bias = w[f"{layer.name}.w_ff"], w[f"{layer.name}.bias"]
            z = relu(conv1d(below.detach(), w_ff, bias, layer.stride, layer.padding))
            total = total + hinge(layer.name, z.transpose(1, 2), None)
            below = z
        c, _ = gru(below.detach().transpose(1, 2))
        total = total + hinge(network.scaled_layers[-1].name, below.transpose(1, 2), c)
        total.backward()
        adam.step()
        done += 1

    def hinge(name: str, z: Tensor, c: Tensor | None) -> Tensor:
        generator = Randomness(0, done)(name)
        begin = int(generator.integers(z.shape[1] - WINDOW + 1))
        z = z[:, begin : begin + WINDOW].flatten(0, 1)
        context = z if c is None else c[:, begin : begin + WINDOW].flatten(0, 1)
        pairs = draw(CLAPP.contrast, len(x), WINDOW, 1, generator, z)
        matrices = w[f"{name}.w_pred"]
        d = torch.cat([context[pairs.context[i:j]] @ matrices[k].T for k, i, j in pairs.bounds])
        up, down = (z[pairs.sample] * d).sum(1), (z[pairs.negative[:, 0]] * d).sum(1)
        return (pairs.positive_weight * (relu(1 - up) + relu(1 + down))).sum()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    whole = load_network("audio")
    network = replace(whole, layers=tuple(replace(each, units=options.units) for each in whole.layers))
    x = np.random.default_rng(0).standard_normal((options.batch, SAMPLES)).astype(np.float32)
    steps = {name: closed_form(network, *values, x) for name, values in WAYS.items()}
    steps[AUTOGRAD] = by_autograd(network, x)
    found: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(options.repeats + 1):
        for name, step in steps.items():
            before = time.process_time()
            step()
            if turn:
                found[name].append(time.process_time() - before)
    print(f"{'':26}{'CPU [ms]':>10}{'sound [s/CPU s]':>17}{'autograd over it':>18}")
    for name, times in found.items():
        middle = statistics.median(times)
        ratio = statistics.median(a / b for a, b in zip(found[AUTOGRAD], times, strict=True))
        print(f"{name:26}{1e3 * middle:10.1f}{options.batch * SAMPLES / RATE / middle:17.0f}{ratio:18.2f}")


if __name__ == "__main__":
    main()

"""What a learning step of gated recurrent units costs by e-prop and by backpropagation through time.

    python benchmarks/eprop.py [--batch 8] [--steps 128] [--horizon 12] [--repeats 5] [--sizes 64x64 512x256]
    python benchmarks/eprop.py --memory [--sizes 256x256]

A step is the response to a random input and the changes of all arrays for a random learning signal, float32,
one thread. The ways:

- BPTT: torch's ``nn.GRU``, forward and backward
- e-prop: `neuroclapp.rate.eprop.eprop` on the states, gates found again chunk by chunk
- gates kept: the same, with gates kept by the response
- stream, S: `neuroclapp.rate.eprop.Stream`, inputs in chunks of S steps, signals ``--horizon`` steps later
- synapses: a stream with chunks of one step, that is, every trace updated in every step

The first table has CPU times, all ways by turns in one process that keeps freed memory: medians over repeats
of times and of BPTT's over each. With ``--memory`` each way and length has a process of its own, where freed
blocks above 1 MB go back to the system at once. The table has the most that was held, above what is held
after a step with two inputs: the arrays, input and signal are below the line for all alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch
from torch import Tensor, nn
from training_step import Peak

from neuroclapp.rate.eprop import Stream, eprop
from neuroclapp.rate.memory import keep_freed_memory
from neuroclapp.rate.recurrent import ARRAYS, follow, respond

Step = Callable[[Tensor, Tensor], object]
Make = Callable[[nn.GRU, int], Step]


def bptt(gru: nn.GRU, horizon: int) -> Step:
    def step(x: Tensor, delta: Tensor) -> None:
        gru.zero_grad()
        gru(x)[0].backward(delta)

    return step


def by_states(gru: nn.GRU, horizon: int) -> Step:
    arrays = _arrays(gru)
    return lambda x, delta: eprop(arrays, x, respond(arrays, x), delta)


def by_gates(gru: nn.GRU, horizon: int) -> Step:
    arrays = _arrays(gru)

    def step(x: Tensor, delta: Tensor) -> None:
        steps, h = follow(arrays, x)
        eprop(arrays, x, h, delta, gates=steps.gates)

    return step


def streamed(chunk: int, gru: nn.GRU, horizon: int) -> Step:
    arrays = _arrays(gru)

    def step(x: Tensor, delta: Tensor) -> None:
        stream, count, learned = Stream(arrays, len(x), horizon, chunk), x.shape[1], 0
        for first in range(0, count, chunk):
            stream.respond(x[:, first : first + chunk])
            known = max(0, first + chunk - horizon) if first + chunk < count else count
            if known > learned:
                stream.learn(delta[:, learned:known])
                learned = known
        stream.finish()

    return step


def _arrays(gru: nn.GRU) -> dict[str, Tensor]:
    return {name: array.detach() for name, array in zip(ARRAYS, gru.parameters(), strict=True)}


WAYS: dict[str, Make] = {
    "BPTT": bptt,
    "e-prop": by_states,
    "gates kept": by_gates,
    "stream, 64": partial(streamed, 64),
    "stream, 16": partial(streamed, 16),
    "synapses": partial(streamed, 1),
}


def layer(size: tuple[int, int]) -> nn.GRU:
    torch.manual_seed(0)
    return nn.GRU(*size, batch_first=True)


def sequence(size: tuple[int, int], batch: int, steps: int) -> tuple[Tensor, Tensor]:
    """Return an input and a learning signal."""
    generator = torch.Generator().manual_seed(0)
    x, delta = (torch.randn(batch, steps, features, generator=generator) for features in size)
    return x, delta


def cpu_seconds(step: Step, x: Tensor, delta: Tensor, least: float = 0.02) -> float:
    """Return CPU time of one step, of as many as take ``least`` [s]."""
    before, calls = time.process_time(), 0
    while (passed := time.process_time() - before) < least:
        step(x, delta)
        calls += 1
    return passed / calls


def times(size: tuple[int, int], options: argparse.Namespace) -> dict[str, list[float]]:
    """Return CPU times of a step [s], ways by turns, the first turn left out."""
    steps = {name: make(layer(size), options.horizon) for name, make in WAYS.items()}
    x, delta = sequence(size, options.batch, options.steps)
    turns = [
        {name: cpu_seconds(step, x, delta) for name, step in steps.items()}
        for _ in range(options.repeats + 1)
    ]
    return {name: [turn[name] for turn in turns[1:]] for name in steps}


def peak(name: str, size: tuple[int, int], options: argparse.Namespace, steps: int, to: Connection) -> None:
    """Be the process of one way: send the peak memory of a step [bytes]."""
    torch.set_num_threads(1)
    keep_freed_memory(2**20)
    step, (x, delta) = WAYS[name](layer(size), options.horizon), sequence(size, options.batch, steps)
    step(x[:, :2], delta[:, :2])
    held = Peak()
    step(x, delta)
    to.send(held())


def peaks(size: tuple[int, int], options: argparse.Namespace, steps: int) -> dict[str, int]:
    """Return the peak memory of each way [bytes]."""
    for name in [name for name in os.environ if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES"]:
        del os.environ[name]
    context, found = get_context("spawn"), {}
    for name in WAYS:
        near, far = context.Pipe()
        process = context.Process(target=peak, args=(name, size, options, steps, far), daemon=True)
        process.start()
        far.close()
        found[name] = near.recv()
        process.join()
    return found


def _size(text: str) -> tuple[int, int]:
    inputs, units = text.split("x")
    return int(inputs), int(units)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    sizes = [(16, 16), (64, 64), (128, 128), (256, 256), (512, 256), (512, 512)]
    parser.add_argument("--sizes", type=_size, nargs="+", default=sizes, help="INPUTSxUNITS")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--horizon", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--memory", action="store_true", help="peak memory, of the steps and of ten times as many"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        if not sys.platform.startswith("linux"):
            parser.error("memory is read from Linux's /proc")
        print(f"peak memory of a step [MB], {options.batch} sequences")
        print(f"{'inputs x units':>15s}{'steps':>7s}" + "".join(f"{name:>16s}" for name in WAYS))
        for size in options.sizes:
            for steps in (options.steps, 10 * options.steps):
                row = "".join(f"{each / 1e6:16.1f}" for each in peaks(size, options, steps).values())
                print(f"{size[0]:>9d} x{size[1]:4d}{steps:7d}{row}", flush=True)
        return
    keep_freed_memory()
    print(
        f"CPU ms of a step (BPTT / way), {options.batch} sequences of {options.steps} steps, "
        f"{options.repeats} repeats, load average {os.getloadavg()[0]:.1f}"
    )
    print(f"{'inputs x units':>15s}" + "".join(f"{name:>16s}" for name in WAYS))
    for size in options.sizes:
        found = times(size, options)
        row = ""
        for each in found.values():
            ratio = statistics.median(a / b for a, b in zip(found["BPTT"], each, strict=True))
            row += f"{1000 * statistics.median(each):9.1f} ({ratio:4.2f})"
        print(f"{size[0]:>9d} x{size[1]:4d}{row}", flush=True)


if __name__ == "__main__":
    main()

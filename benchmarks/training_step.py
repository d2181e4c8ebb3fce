"""What a training step costs in closed form and by backward passes: CPU time of an image and peak memory.

    python benchmarks/training_step.py [--width 1] [--batch 4] [--columns 7] [--repeats 3] [--published]

VGG-6 learns from random images of 64x64 pixels (7 rows of 7 patches, or of fewer ``--columns``), hinge loss,
Adam, one thread. The ways to do so, each in a process of its own:

- floor: forward convolutions and weight gradients alone, as torch's library does them, each layer in the
  faster order of memory (contiguous or channels last); no rectifier, pool, contrast or Adam
- closed form: `neuroclapp.rate.training.Learner.update`
- one backward: modules of torch's layers, detached from each other, one backward of the summed loss
- backward by module: the same, each module's backward and Adam as soon as its loss is there
- as published (with ``--published``): a backward of each entry of the stacked losses, as the official code
  does; each of them visits the whole graph
- end to end: CPC, one module of all layers, in closed form

The third to fifth are written here, with ReLUs in place and all of a module's comparisons of one distance in
one product. "kept" is with `keep_freed_memory`, which leaves freed blocks to the process (or those up to a
size: larger ones go back to the system at once), "default" with the system's allocator as it is.

Peak memory is the most that the process ever held, less what it held after a step with one column of one
image, its freed memory given back: arrays, Adam's moments, the batch and the library's code are below the
line for all alike; activities, gradients and scratch space are above. Ways run by turns, step by step, so
that a busy machine slows all of them; the table gives medians over repeats of times and of ratios.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from neuroclapp.data.patches import Batch
from neuroclapp.network import Network, load_network
from neuroclapp.objective import Contrast, System
from neuroclapp.rate.memory import keep_freed_memory
from neuroclapp.rate.modular import initial
from neuroclapp.rate.patchnet import PatchNetwork
from neuroclapp.rate.training import Learner
from neuroclapp.recipe import Recipe

ROWS = 7  # patches of 16x16 in an image of 64x64, each 8 pixels below the last
CLAPP = System("CLAPP")
CPC = System("CPC", modules=(6,), contrast=Contrast(loss="info_nce", negatives=16))

Places = np.ndarray  # (images, rows, columns, channels, height, width)
Step = Callable[[Places], object]
Format = torch.memory_format


@dataclass(frozen=True)
class Plan:
    """What is measured: a network and the batch that it learns from."""

    network: Network
    batch: int
    columns: int

    def places(self, images: int, columns: int) -> Places:
        shape = (images, ROWS, columns, *self.network.input)
        return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def closed_form(system: System, plan: Plan) -> Step:
    """Return a step of this project."""
    arrays = initial(plan.network, system, 10, seed=0)
    learner = Learner(PatchNetwork(plan.network, system, arrays), Recipe())

    def step(places: Places) -> None:
        every = np.arange(len(places))
        learner.update(Batch(places, None, every, every), 0, 1000)

    return step


class DetachedModule(nn.Module):
    """A layer and its prediction weights, and the loss of its features."""

    def __init__(self, network: Network, index: int, contrast: Contrast) -> None:
        super().__init__()
        layer, channels = network.scaled_layers[index], network.shapes[index][0]
        conv = nn.Conv2d(channels, layer.units, layer.kernel, layer.stride, layer.padding)
        pool = [nn.MaxPool2d(layer.pool)] if layer.pool > 1 else []
        self.layers = nn.Sequential(conv, nn.ReLU(inplace=True), *pool)
        self.offsets = [down for down, _ in contrast.offsets]
        self.w_pred = nn.Linear(layer.units, len(self.offsets) * layer.units, bias=False)

    def forward(self, x: Tensor, grid: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        maps = self.layers(x)
        return maps.detach(), self.loss(maps.mean((2, 3)).view(*grid, -1))

    def loss(self, z: Tensor) -> Tensor:
        """Return the hinge loss of features (images, rows, columns, units), negatives from anywhere."""
        losses = []
        for w, down in zip(self.w_pred.weight.chunk(len(self.offsets)), self.offsets, strict=True):
            if down < z.shape[1]:
                predicted = nn.functional.linear(z[:, :-down].flatten(0, 2), w)
                sample = z[:, down:].flatten(0, 2)
                fake = sample[torch.randint(len(sample), (len(sample),))]
                positive, negative = (predicted * sample).sum(1), (predicted * fake).sum(1)
                losses.append((torch.relu(1 - positive) + torch.relu(1 + negative)).mean())
        return torch.stack(losses).mean()


def backward(scheme: str, order: Format, plan: Plan) -> Step:
    """Return a step of torch's modules and autograd: ``"one"``, ``"by module"`` or ``"published"``."""
    torch.manual_seed(0)
    count = len(plan.network.layers)
    modules = nn.ModuleList(DetachedModule(plan.network, n, CLAPP.contrast) for n in range(count))
    for array in modules.parameters():
        if array.ndim == 4:
            array.data = array.data.to(memory_format=order)
    groups = [list(modules.parameters())] if scheme == "one" else [list(m.parameters()) for m in modules]
    adams = [torch.optim.Adam(group, lr=2e-4, fused=True) for group in groups]

    def apply(adam: torch.optim.Adam) -> None:
        adam.step()
        adam.zero_grad(set_to_none=True)

    def step(places: Places) -> None:
        x = torch.from_numpy(places).flatten(0, 2).contiguous(memory_format=order)
        losses = []
        for index, module in enumerate(modules):
            x, loss = module(x, places.shape[:3])
            if scheme == "by module":
                loss.backward()
                apply(adams[index])
            losses.append(loss)
        if scheme == "one":
            torch.stack(losses).sum().backward()
            apply(adams[0])
        elif scheme == "published":
            stacked = torch.stack(losses)
            for index, adam in enumerate(adams):
                modules.zero_grad(set_to_none=True)
                stacked[index].backward(retain_graph=index < count - 1)
                adam.step()
            modules.zero_grad(set_to_none=True)

    return step


def floor(plan: Plan) -> Step:
    """Return forward convolutions and weight gradients alone, each layer in the faster order of memory."""
    work = list(_convolutions(plan))

    def step(places: Places) -> None:
        if len(places) == plan.batch:
            for each in work:
                each()

    return step


def _convolutions(plan: Plan) -> Iterator[Callable[[], object]]:
    generator = torch.Generator().manual_seed(0)
    patches = plan.batch * ROWS * plan.columns
    for layer, shape in zip(plan.network.scaled_layers, plan.network.shapes, strict=False):
        x = torch.randn((patches, *shape), generator=generator).relu_()
        w = torch.randn(layer.weight_shape(shape), generator=generator) / prod(shape) ** 0.5
        delta = torch.randn((patches, *replace(layer, pool=1).output(shape)), generator=generator)
        ways = []
        for order in (torch.contiguous_format, torch.channels_last):
            arrays = [each.contiguous(memory_format=order) for each in (x, w, delta)]
            work = partial(_convolve, layer.stride, layer.padding, *arrays)
            work()
            ways.append((min(cpu_seconds(work) for _ in range(2)), work))
        yield min(ways, key=lambda way: way[0])[1]


def _convolve(stride: int, padding: int, x: Tensor, w: Tensor, delta: Tensor) -> None:
    torch.conv2d(x, w, torch.zeros(len(w)), stride=stride, padding=padding)
    torch.ops.aten.convolution_backward(
        delta, x, w, [len(w)], [stride, stride], [padding, padding], [1, 1], False, [0, 0], 1,
        [False, True, True],
    )  # fmt: skip


@dataclass(frozen=True)
class Way:
    """A row of the table: a name, what makes the step, and up to which size freed blocks are kept [bytes]."""

    name: str
    make: Callable[[Plan], Step]
    kept: int = 2**30


CLOSED = Way("closed form, kept", partial(closed_form, CLAPP))
FLOOR = Way("floor", floor)
CONTIGUOUS, LAST = torch.contiguous_format, torch.channels_last
WAYS = [
    FLOOR,
    CLOSED,
    Way("closed form, default", partial(closed_form, CLAPP), 0),
    Way("closed form, kept up to 4 MB", partial(closed_form, CLAPP), 2**22),
    Way("one backward, contiguous, default", partial(backward, "one", CONTIGUOUS), 0),
    Way("one backward, contiguous, kept", partial(backward, "one", CONTIGUOUS)),
    Way("one backward, contiguous, kept up to 4 MB", partial(backward, "one", CONTIGUOUS), 2**22),
    Way("one backward, channels last, default", partial(backward, "one", LAST), 0),
    Way("one backward, channels last, kept", partial(backward, "one", LAST)),
    Way("backward by module, channels last, kept", partial(backward, "by module", LAST)),
    Way("end to end (CPC), kept", partial(closed_form, CPC)),
]
PUBLISHED = Way("as published, contiguous, default", partial(backward, "published", CONTIGUOUS), 0)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return user and system time of this process."""
    before = time.process_time()
    work()
    return time.process_time() - before


class Peak:
    """The most memory that this process has held since, above what it holds now [bytes]; Linux only."""

    def __init__(self) -> None:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
        self.base = _held("VmRSS")

    def __call__(self) -> int:
        return _held("VmHWM") - self.base


def _held(what: str) -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return 1024 * int(line.split()[1])


def work(way: Way, plan: Plan, to: Connection) -> None:
    """Be the process of one way: measure a step whenever asked, and send its CPU time and the peak so far."""
    torch.set_num_threads(1)
    if way.kept:
        keep_freed_memory(way.kept)
    step, places = way.make(plan), plan.places(plan.batch, plan.columns)
    step(plan.places(1, 1))
    peak = Peak()
    while to.recv():
        to.send((cpu_seconds(partial(step, places)), peak()))


def measure(ways: list[Way], plan: Plan, repeats: int) -> dict[str, tuple[list[float], int]]:
    """Return CPU times of each way's steps [s], the first left out, and its peak memory [bytes]."""
    for name in [name for name in os.environ if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES"]:
        del os.environ[name]
    context, ends = get_context("spawn"), {}
    for way in ways:
        ends[way.name], far = context.Pipe()
        context.Process(target=work, args=(way, plan, far), daemon=True).start()
        far.close()
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    peaks: dict[str, int] = {}
    for repeat in range(repeats + 1):
        for name, end in ends.items():
            end.send(True)
            seconds, peaks[name] = end.recv()
            if repeat:
                times[name].append(seconds)
    for end in ends.values():
        end.send(False)
    return {name: (times[name], peaks[name]) for name in times}


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--columns", type=int, default=ROWS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--published", action="store_true", help="measure the official scheme, too (slow)")
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.error("memory is read from Linux's /proc")
    network = replace(load_network("vgg6"), width=options.width)
    plan = Plan(network, options.batch, options.columns)
    found = measure([*WAYS, PUBLISHED] if options.published else WAYS, plan, options.repeats)

    print(
        f"VGG-6, width {options.width:g}, {options.batch} images of {ROWS} x {options.columns} patches, "
        f"{options.repeats} repeats, load average {os.getloadavg()[0]:.1f}"
    )
    print(f"{'':44s}{'CPU ms/image':>13s}{'/ floor':>9s}{'/ closed':>9s}{'peak MB':>9s}{'/ closed':>9s}")
    for name, (times, peak) in found.items():
        ratios = [
            statistics.median(a / b for a, b in zip(times, found[way.name][0], strict=True))
            for way in (FLOOR, CLOSED)
        ]
        memory = "" if name == FLOOR.name else f"{peak / 1e6:9.0f}{peak / found[CLOSED.name][1]:9.2f}"
        ms = 1000 * statistics.median(times) / options.batch
        print(f"{name:44s}{ms:13.2f}{ratios[0]:9.2f}{ratios[1]:9.2f}{memory}")


if __name__ == "__main__":
    main()

"""What two processes gain that share each batch, or of which each holds some of the layers: time and traffic.

    python benchmarks/parallel.py [--repeats 5] [--steps 6] [--width 0.25] [--batch 16]

VGG-6 learns from random images with CLAPP's loss, one thread in each process, an Adam for each module. Layers
are split where the slower of the two processes is fastest, by the CPU time of each module in one process.
Each repeat runs the three ways one after the other, so that a busy machine slows all of them; the table gives
medians over repeats. Wall time means little where other work runs on the same cores. CPU time, summed over
processes, says what is done twice, and that of the slower process what a core for each could gain at best.
Traffic is what both processes send in a step.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch import Tensor

from neuroclapp.network import load_network
from neuroclapp.objective import Contrast, System
from neuroclapp.rate.exchange import ALONE, Changes, Exchange, Ranks, share
from neuroclapp.rate.memory import keep_freed_memory
from neuroclapp.rate.modular import Learned, Randomness, initial
from neuroclapp.rate.patchnet import PatchNetwork
from neuroclapp.rate.pipeline import Given, Receiver, Sender, run_stage, stage

SYSTEM = System("CLAPP", contrast=Contrast())
ROWS = 7  # patches of 16x16 in an image of 64x64, each 8 pixels below or beside the last


@dataclass(frozen=True)
class Plan:
    """What is measured; ``steps`` in each repeat, after one that is not counted."""

    repeats: int
    steps: int
    width: float
    batch: int


class Counting(Ranks):
    """Counts the bytes that this process sends, of those that it must: a ring's for sums."""

    sent = 0

    def join(self, x: Tensor) -> Tensor:
        self.sent += (self.count - 1) * x.nbytes
        return super().join(x)

    def total(self, changes: Changes, then: Callable[[Changes], object]) -> None:
        size = sum(change.nbytes for change in changes.values())
        self.sent += 2 * (self.count - 1) * size // self.count
        super().total(changes, then)


class CountingSender(Sender):
    """Counts the bytes that it sends."""

    sent = 0

    def send(self, maps: Tensor, labels: Tensor | None) -> None:
        self.sent += maps.nbytes
        super().send(maps, labels)


def optimised(network: PatchNetwork) -> Callable[[Learned], None]:
    """Return what lets each module's Adam apply its gradients, and let them go."""
    each = [
        torch.optim.Adam(network.of(module).values(), lr=1e-4, fused=True)
        for module in range(len(network.modules_of))
    ]

    def apply(learned: Learned) -> None:
        each[learned.module].step()
        each[learned.module].zero_grad()

    return apply


class Ways:
    """The three ways to train; each call of one learns from ``steps`` batches."""

    def __init__(self, plan: Plan, rank: int) -> None:
        self.plan, self.rank = plan, rank
        self.network = replace(load_network("vgg6"), width=plan.width)
        self.arrays = initial(self.network, SYSTEM, 10, seed=0)
        pixels = np.random.default_rng(0).standard_normal((plan.batch, ROWS, ROWS, *self.network.input))
        self.x = torch.from_numpy(pixels.astype(np.float32))
        self.whole = PatchNetwork(self.network, SYSTEM, self.arrays)
        self.apply = optimised(self.whole)

    def one(self, steps: int) -> int:
        """Learn in one process."""
        if self.rank == 0:
            self._learn(self.x, steps, ALONE)
        return 0

    def images(self, steps: int) -> int:
        """Learn from a share of the images; return bytes sent."""
        ranks = Counting()
        self._learn(share(self.x, self.rank, 2), steps, ranks)
        return ranks.sent

    def split(self, cost: list[float]) -> None:
        """Prepare for layers in two processes, given what each module costs."""
        below = min(range(1, len(cost)), key=lambda n: max(sum(cost[:n]), sum(cost[n:])))
        self.below, modules = below, [range(0, below), range(below, len(cost))][self.rank]
        self.stage = PatchNetwork(*stage(self.network, SYSTEM, modules), self.arrays)
        self.apply_stage = optimised(self.stage)

    def layers(self, steps: int) -> int:
        """Learn with some of the layers; return bytes sent."""
        grid, sender = (self.plan.batch, ROWS, ROWS), None
        if self.rank == 0:
            sender = CountingSender(1)
            given = iter([Given(self.x)] * steps)
        else:
            given = Receiver(self.stage, grid, steps, 0)
        run_stage(self.stage, given, lambda step: Randomness(0, step), self.apply_stage, sender)
        return 0 if sender is None else sender.sent

    def costs(self, steps: int) -> list[float]:
        """Return the CPU time of each module in one process [s]."""
        cost, clock = [0.0] * len(self.whole.modules_of), time.process_time()

        def apply(learned: Learned) -> None:
            nonlocal clock
            self.apply(learned)
            cost[learned.module] += time.process_time() - clock
            clock = time.process_time()

        for step in range(steps):
            clock = time.process_time()
            self.whole.learn(self.x, Randomness(0, step), None, apply)
        return [each / steps for each in cost]

    def _learn(self, x: Tensor, steps: int, exchange: Exchange) -> None:
        for step in range(steps):
            self.whole.learn(x, Randomness(0, step), None, self.apply, exchange)


def together(values: list[float], same: bool = False) -> Tensor:
    """Return what both processes say, (2, values), or what the first says."""
    mine = torch.tensor(values, dtype=torch.float64)
    if same:
        dist.broadcast(mine, 0)
        return mine
    both = [torch.empty_like(mine), torch.empty_like(mine)]
    dist.all_gather(both, mine)
    return torch.stack(both)


def work(rank: int, folder: str, plan: Plan) -> None:
    """Be one of the two processes; the first prints."""
    torch.set_num_threads(1)
    keep_freed_memory()
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    ways = Ways(plan, rank)
    ways.one(1)
    cost = ways.costs(2) if rank == 0 else [0.0] * len(ways.whole.modules_of)
    cost = together(cost, same=True).tolist()
    ways.split(cost)
    found: dict[str, list[Tensor]] = {name: [] for name in ("one", "images", "layers")}
    for repeat in range(plan.repeats + 1):
        for name, each in found.items():
            dist.barrier()
            wall, cpu = time.perf_counter(), time.process_time()
            sent = getattr(ways, name)(plan.steps if repeat else 1)
            cpu = time.process_time() - cpu
            dist.barrier()
            measured = together([time.perf_counter() - wall, cpu, sent])
            if repeat:
                each.append(measured / plan.steps)
    if rank == 0:
        show(plan, ways, cost, found)
    dist.destroy_process_group()


def show(plan: Plan, ways: Ways, cost: list[float], found: dict[str, list[Tensor]]) -> None:
    per_image = 1000 / plan.batch
    print(f"VGG-6, width {plan.width:g}, {plan.batch} images of 64x64 in a batch, {plan.repeats} repeats")
    print("CPU ms per image and module:", " ".join(f"{per_image * each:.2f}" for each in cost))
    print(f"layers are split below module {ways.below} (from 0); load average {os.getloadavg()[0]:.1f}")
    print(
        "Times are for an image; the best speed-up is that of the slower process's CPU time; MB are per step."
    )
    names = {"one": "one process", "images": "two, share of images", "layers": "two, share of layers"}
    wall = {name: [float(each[:, 0].max()) for each in measured] for name, measured in found.items()}
    print(f"{'':24s}{'wall ms':>9s}{'speed-up':>10s}{'CPU ms':>9s}{'each':>16s}{'best':>7s}{'MB sent':>10s}")
    alone = [each[:, 1].tolist() for each in found["one"]]
    for name, measured in found.items():
        cpu = [each[:, 1].tolist() for each in measured]
        faster = statistics.median(a / b for a, b in zip(wall["one"], wall[name], strict=True))
        each = " + ".join(f"{per_image * statistics.median(part):.2f}" for part in zip(*cpu, strict=True))
        best = statistics.median(sum(a) / max(b) for a, b in zip(alone, cpu, strict=True))
        total = per_image * statistics.median(map(sum, cpu))
        sent = statistics.median(float(each[:, 2].sum()) for each in measured) / 1e6
        ms = per_image * statistics.median(wall[name])
        print(f"{names[name]:24s}{ms:9.2f}{faster:10.2f}{total:9.2f}{each:>16s}{best:7.2f}{sent:10.2f}")


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--batch", type=int, default=16)
    plan = Plan(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory() as folder:
        processes.spawn(work, (folder, plan), nprocs=2)


if __name__ == "__main__":
    main()

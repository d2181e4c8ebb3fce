"""The step ``lava``: run the exported files in Lava, held against the other simulators and the rule.

Inference: the packets of every layer in every time step, on test images, against the converted network in
Brian2. Learning: all layers at once, on the stream's first presentations, against the engine (counts, gates,
weights), and against the count-based rule, that is the rule on the counts that Lava itself produced.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.agreement import Comparison
from ..analysis.measures import cosine
from ..files import write_json, write_npz
from ..onchip.lava import jobs
from ..presentations import generator
from ..progress import Progress
from ..spiking.engine import Engine
from ..spiking.state import LayerRecord, Record
from ..weights import Weights
from .directory import RunDirectory
from .simulate import on_grid

LIMIT_S = 900.0


def lava(run: RunDirectory) -> None:
    """Run inference and learning of the first seed in Lava, and write ``lava.json``."""
    with run.step("lava"):
        wanted = run.experiment.lava
        parts = [_inference] * bool(wanted.samples) + [_learning] * bool(wanted.presentations)
        with (
            ThreadPoolExecutor(2) as pool,
            Progress("Lava, inference and learning", 100 * len(parts)) as progress,
        ):
            told = [0] * len(parts)

            def report(index: int, done: int, total: int) -> None:
                told[index] = 100 * done // total
                progress(sum(told))

            running = [pool.submit(part, run, partial(report, index)) for index, part in enumerate(parts)]
            figures = {name: value for job in running for name, value in job.result().items()}
        write_json(run.folder / "lava.json", figures)


def _inference(run: RunDirectory, report: jobs.Progress) -> dict[str, Any]:
    seed, samples = run.experiment.seeds[0], run.experiment.lava.samples
    inputs = run.surveys(seed)["test"].inputs[:samples]
    expected = run.arrays(run.seed(seed) / "converted_packets.npz")
    found = jobs.infer(run.folder, inputs, LIMIT_S, report)
    layers = [layer.name for layer in run.network.layers]
    mismatches = [int(np.sum(expected[name] != packets)) for name, packets in zip(layers, found, strict=True)]
    write_npz(run.folder / "lava.npz", dict(zip(layers, found, strict=True)))
    return {
        "samples": len(inputs),
        "spike_mismatches": mismatches,
        "spikes": [int(packets.sum()) for packets in found],
    }


def _learning(run: RunDirectory, report: jobs.Progress) -> dict[str, Any]:
    seed, count = run.experiment.seeds[0], run.experiment.lava.presentations
    stream, start = run.stream(seed)[:count], on_grid(run.weights(seed, "rate"))
    found = jobs.learn(run.folder, stream.inputs, stream.sign, limit_s=LIMIT_S, progress=report)
    layers = list(found.values())
    names = [each.name for each in fields(LayerRecord)]
    record = Record(
        layers[0].pre_count, [LayerRecord(**{key: getattr(one, key) for key in names}) for one in layers]
    )
    before, after = (
        Weights({name: _held(found, start, name, when) for name in start}) for when in ("before", "after")
    )
    comparison = Comparison(run.network, run.populations, before, generator(seed, "shuffle"))
    comparison.walk(stream, record, after)
    rebuilt, expected = comparison.rebuilt(), Engine(run.populations).run(stream, before)
    pairs = list(zip(record.layers, expected.record.layers, strict=True))
    return {
        "learned": list(found),
        "presentations": len(stream),
        "update_cosine": {
            target: [
                cosine(after[name] - before[name], rebuilt[name] - before[name]) if name in after else None
                for name in (f"{layer}.{target}" for layer in found)
            ]
            for target in dict.fromkeys(name.split(".")[1] for name in after)
        },
        "gates_open": [
            sum(int(np.count_nonzero(each)) for each in one.gammas().values()) for one in record.layers
        ],
        "count_mismatches": [int(np.sum(ours.count != theirs.count)) for ours, theirs in pairs],
        "gate_mismatches": [
            sum(int(np.sum(gamma != theirs.gammas()[gate])) for gate, gamma in ours.gammas().items())
            for ours, theirs in pairs
        ],
        "largest_weight_difference": _largest(after, expected.weights),
        "largest_difference_from_the_rule": comparison.largest_mismatch,
    }


def _held(found: Mapping[str, jobs.Learned], start: Weights, name: str, when: str) -> NDArray[np.float64]:
    """Return an array as Lava held it before or after learning; what no rule changes is as in ``start``."""
    layer, target = name.split(".")
    array: NDArray[np.float64] = getattr(found[layer], when).get(target, start[name])
    return array


def _largest(ours: Weights, theirs: Weights) -> float:
    return max(float(np.abs(array - theirs[name]).max()) for name, array in ours.items())

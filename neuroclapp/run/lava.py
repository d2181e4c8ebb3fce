"""The step ``lava``: run the exported files in Lava, held against Brian2 and against the rule.

Inference: the packets of every layer in every time step, on test images, against the converted network in
Brian2. Learning: the first layer on the stream's first presentations; the weight change against the
count-based rule, that is the rule on the counts that Lava itself produced.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..analysis.agreement import Comparison
from ..analysis.measures import cosine
from ..files import write_json, write_npz
from ..network import Network
from ..onchip.lava import jobs
from ..presentations import generator
from ..progress import Progress
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
    layer, stream = run.network.layers[0], run.stream(seed)[:count]
    learned = jobs.learn(run.folder, layer.name, stream.inputs, stream.sign, LIMIT_S, report)
    record = Record(
        learned.pre_count, [LayerRecord(learned.count, learned.charge, learned.gamma, learned.total)]
    )
    before = _named(layer.name, learned.before, on_grid(run.weights(seed, "rate")))
    after = _named(layer.name, learned.after, before)
    network = Network(run.network.title, run.network.input, (layer,), prediction=run.network.prediction)
    comparison = Comparison(
        network,
        replace(run.populations, layers=run.populations.layers[:1]),
        before,
        generator(seed, "shuffle"),
    )
    comparison.walk(stream, record, after)
    rebuilt = comparison.rebuilt()
    return {
        "layer": layer.name,
        "presentations": len(stream),
        "update_cosine": {
            target: cosine(
                after[f"{layer.name}.{target}"] - before[f"{layer.name}.{target}"],
                rebuilt[f"{layer.name}.{target}"] - before[f"{layer.name}.{target}"],
            )
            for target in learned.after
        },
        "gates_open": int(np.count_nonzero(learned.gamma)),
        "largest_weight_difference": comparison.largest_mismatch,
    }


def _named(layer: str, arrays: Any, others: Weights) -> Weights:
    """Return a layer's arrays by full name, those that Lava did not learn taken from ``others``."""
    rest = {name: array for name, array in others.items() if name.startswith(f"{layer}.")}
    return Weights({**rest, **{f"{layer}.{target}": array for target, array in arrays.items()}})

"""The step ``simulate`` of a study: each condition learns in spikes, all its seeds side by side.

The rate rule stands beside it on the same weights (`neuroclapp.analysis.watching`). After every stretch all
that is needed to go on is written aside, so that a killed run resumes to the same bits. Each world then sees
every image once, without learning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.measures import total_change_cosine
from ..analysis.watching import Watch
from ..files import read_npz, write_json, write_npz, written_aside
from ..presentations import Presentations, generator
from ..spiking.engine import Engine
from ..spiking.state import LayerState, State
from ..study import Condition
from ..weights import Weights
from .parallel import Report, side_by_side
from .study import StudyRun
from .study_chip import ChipSimulator
from .study_scales import scales_of, trials
from .study_worlds import Learner, Worlds

#: Files of a seed whose spiking world is done.
DONE = "seed{}.npz"


def simulate_study(run: StudyRun) -> None:
    """Let every condition learn whose seeds are not all done."""
    with run.step("simulate"):
        waiting = run.waiting(DONE)
        total = sum(_work(run, *each) for each in waiting)
        if waiting:
            folder = run.folder.absolute()
            jobs = {each.name: partial(learn, folder, each.name, seeds) for each, seeds in waiting}
            side_by_side(jobs, "spiking networks", total, run.workers)


def _work(run: StudyRun, condition: Condition, seeds: Sequence[int]) -> int:
    data = condition.settings.data
    images = len(run.data.training.labels) + len(run.data.validation.labels)
    images += data.test_glimpses * len(run.data.test.labels)
    chosen = trials(run.worlds(condition)) if condition.settings.chip is not None else 0
    return chosen + len(seeds) * (condition.settings.presentations + 2 * images)


def learn(folder: Path, name: str, seeds: Sequence[int], report: Report) -> None:
    """Let these seeds of a condition learn side by side, and write what they leave: a job of its own."""
    run = StudyRun(folder)
    condition = run.study.condition(name)
    worlds = run.worlds(condition)
    learners = [Learner.begin(worlds, seed) for seed in seeds]
    going = run.of(condition, f"going-{'-'.join(map(str, seeds))}.npz")
    engine: Engine | ChipSimulator = Engine(worlds.populations)
    done = 0
    if condition.settings.chip is not None:
        scales = scales_of(worlds, run.of(condition, "scales.json"), report)
        done = trials(worlds)
        engine = ChipSimulator.begin(worlds, seeds, [each.weights for each in learners], scales)
        for each, weights in zip(learners, engine.weights, strict=True):
            each.weights = weights
    watch = Watch(worlds.populations, [each.weights for each in learners])
    first, length = _resume(going, learners, watch, engine), condition.settings.presentations
    while first < length:
        last = min(first + worlds.stretch, length)
        simulations = [each.simulation(first, last) for each in learners]
        watch.begin([each.stream for each in simulations])
        stretches = engine.run_many(simulations, watch)
        watch.end(
            [stretch.record for stretch in stretches],
            [generator(seed, f"shuffle {first}") for seed in seeds],
        )
        for each, stretch in zip(learners, stretches, strict=True):
            each.weights, each.state = stretch.weights, stretch.state
        _keep(going, last, learners, watch, engine)
        report(done + len(seeds) * last)
        first = last
    done += len(seeds) * length
    for number, each in enumerate(learners):
        done = _finish(run, condition, each, watch.summary(number), engine, done, report)
    for kept in going.parent.glob("going-*.npz"):  # and what was kept when more seeds were waiting
        kept.unlink(missing_ok=True)


def _finish(
    run: StudyRun,
    condition: Condition,
    learner: Learner,
    summary: dict[str, Any],
    engine: Engine | ChipSimulator,
    done: int,
    report: Report,
) -> int:
    """Write a seed's weights, agreement and spike counts, these last: the sign that all is there."""
    seed, worlds = learner.seed, learner.worlds
    learner.weights.save(run.of(condition, f"seed{seed}.safetensors"))
    names = [f"{layer.name}.w_ff" for layer in worlds.network.layers]
    initial, rate, disturbed = (
        run.rate_weights(condition, seed, name) for name in ("initial", "rate", "rate_disturbed")
    )
    reached = total_change_cosine(learner.weights, rate, initial, names)
    ceiling = total_change_cosine(disturbed, rate, initial, names)
    summary["trajectory_cosine"], summary["trajectory_ceiling"] = reached, ceiling
    summary["trajectory_share"] = [a / b for a, b in zip(reached, ceiling, strict=True)]
    write_json(run.of(condition, f"seed{seed}-agreement.json"), summary)
    features: dict[str, Any] = {}
    for world, weights in (("random_spiking", initial), ("spiking", learner.weights)):
        for part, images in worlds.surveys(seed).items():
            counts = survey_counts(worlds, engine, seed, part, images, weights)
            for layer, count in zip(worlds.network.layers, counts, strict=True):
                features[f"{world}/{part}/{layer.name}"] = count.astype(np.uint16)
            done += len(images)
            report(done)
    write_npz(run.of(condition, DONE.format(seed)), features)
    return done


def survey_counts(
    worlds: Worlds,
    engine: Engine | ChipSimulator,
    seed: int,
    part: str,
    images: Presentations,
    weights: Weights,
) -> list[Any]:
    """Return the spike counts (images, units) of every layer, without learning."""
    counts: list[list[Any]] = []
    for first in range(0, len(images), worlds.stretch):
        shown = images[first : first + worlds.stretch]
        drawn = worlds.drawn(seed, f"survey {part}", first, shown)
        stretch = engine.run(shown, weights, learn=False, drawn=drawn)
        counts.append([layer.count for layer in stretch.record.layers])
    return [np.concatenate(parts) for parts in zip(*counts, strict=True)]


def _keep(
    path: Path, done: int, learners: Sequence[Learner], watch: Watch, engine: Engine | ChipSimulator
) -> None:
    """Write where a condition stands after ``done`` presentations."""
    arrays: dict[str, Any] = {"done": np.array(done)}
    arrays |= {f"watch/{name}": array for name, array in watch.arrays().items()}
    for number, each in enumerate(learners):
        arrays |= {f"{number}/weights/{name}": array for name, array in each.weights.items()}
        if each.state is not None:
            arrays |= {f"{number}/{name}": array for name, array in _of_state(each.state).items()}
    if isinstance(engine, ChipSimulator):
        arrays |= {f"chip/{name}": array for name, array in engine.arrays().items()}
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez(file, **arrays)


def _resume(path: Path, learners: Sequence[Learner], watch: Watch, engine: Engine | ChipSimulator) -> int:
    """Take up where a condition stands; return the presentations that are done."""
    if not path.is_file():
        return 0
    kept = read_npz(path)
    watch.restore(_under("watch/", kept))
    for number, each in enumerate(learners):
        each.weights = Weights({name: kept[f"{number}/weights/{name}"] for name in each.weights})
        layers = [
            LayerState(**{each.name: kept[f"{number}/state/{n}/{each.name}"] for each in fields(LayerState)})
            for n in range(len(each.worlds.network.layers))
        ]
        each.state = State(kept[f"{number}/state/input"], layers)
    if isinstance(engine, ChipSimulator):
        engine.restore(_under("chip/", kept))
    return int(kept["done"])


def _under(start: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(start): array for name, array in kept.items() if name.startswith(start)}


def _of_state(state: State) -> dict[str, Any]:
    found: dict[str, Any] = {"state/input": state.input_count}
    for n, layer in enumerate(state.layers):
        found |= {f"state/{n}/{key}": value for key, value in vars(layer).items()}
    return found

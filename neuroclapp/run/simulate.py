"""The step ``simulate``: the spiking worlds in Brian2, all from one C++ build.

*Learned*: from the initial weights, both layers at once, wholly in spikes. *Converted*: the rate-trained
weights. *Random*: the initial weights. Controls: the dendrites permuted afresh at each presentation, and
gamma always on. Each world then sees every image once, without learning, and is read on spike counts.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_npz
from ..plasticity import Control, permuted_dendrites
from ..presentations import Presentations, generator
from ..progress import Progress
from ..spiking.long_run import Conditions
from ..spiking.long_run import simulate as simulate_long
from ..spiking.packets import packets_of
from ..spiking.populations import Populations
from ..spiking.recorded import Recorded
from ..spiking.recording import ALL, Recording
from ..spiking.simulation import CompiledNetwork, Stretch, run_all, run_steps
from ..spiking.standalone import longest, scratch
from ..weights import Weights
from .directory import RunDirectory
from .parallel import Job, Report, side_by_side

#: Presentations per call of the compiled program, at most: the grain of snapshots, progress and resumption.
STRETCH = 500

LEARNING = ("spiking", "permuted_dendrite", "gamma_always_on")
READ = ("random_spiking", "converted", *LEARNING)


def simulate(run: RunDirectory) -> None:
    """Simulate every seed; write weights, the learned world's trajectory, and spike counts of all images."""
    experiment = run.experiment
    for seed in experiment.seeds:
        run.weights(seed, "rate")
    images = sum(len(part) for part in run.surveys(experiment.seeds[0]).values())
    units, first = len(LEARNING) * experiment.data.presentations + len(READ) * images, experiment.seeds[0]
    with run.step("simulate") as notes:
        with scratch() as folder:
            network = None
            if run.workers.inherits:
                with Progress("compiling the spiking network", 1):
                    network = CompiledNetwork(
                        run.populations, stretch_of(run.populations), folder, permutable=True
                    )
                notes["build_s"] = round(network.build_seconds, 2)
            jobs: dict[str, Job] = {
                f"seed {seed}": partial(_simulate, run, network, units, seed) for seed in experiment.seeds
            }
            if network is not None:
                jobs["packets for a chip"] = partial(converted_packets, run, first)
            side_by_side(jobs, "spiking network", len(experiment.seeds) * units, run.workers)
        if network is None:
            converted_packets(run, first, lambda done: None)
        close_look(run, first)


@lru_cache(maxsize=1)
def _compiled(folder: Path, digest: str) -> CompiledNetwork:
    """Compile a run's network in a worker on another machine, once for all its jobs there.

    A job there must not use Brian2 otherwise: its standalone device belongs to the process.
    """
    place = tempfile.mkdtemp(prefix="neuroclapp-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    populations = RunDirectory(folder).populations
    return CompiledNetwork(populations, stretch_of(populations), Path(place), permutable=True)


def stretch_of(populations: Populations) -> int:
    """Return the presentations per call: `STRETCH`, or as many as Brian2's clocks keep in step for."""
    timing = populations.timing
    return longest(timing.period, timing.steps, timing.dt, STRETCH)


def controls(run: RunDirectory, seed: int) -> dict[str, Control]:
    """Return what is done to the rule in each learning world."""
    network, learning = run.network, run.experiment.learning
    units = network.scaled_layers[0].units
    draw = generator(seed, "permutation")
    return {
        "spiking": Control(),
        "permuted_dendrite": permuted_dendrites(
            run.experiment.data.presentations, len(network.layers), units, draw
        ),
        "gamma_always_on": Control(always_open=True, bound=learning.bound),
    }


def _simulate(
    run: RunDirectory, network: CompiledNetwork | None, units: int, seed: int, report: Report
) -> None:
    folder, stream = run.seed(seed), run.stream(seed)
    if (folder / "features.npz").is_file():  # the last that is written
        report(units)
        return
    network = network or _compiled(run.folder, run.digest)
    initial, rate = run.weights(seed, "initial"), run.weights(seed, "rate")
    worlds = {"random_spiking": initial, "converted": on_grid(rate)}
    done = 0
    for name, control in controls(run, seed).items():

        def learned(presentations: int, so_far: int = done) -> None:
            report(so_far + presentations)

        if not (folder / f"{name}.safetensors").is_file():
            _learn(network, stream, initial, control, folder, name, learned)
        worlds[name] = run.weights(seed, name)
        done += len(stream)
    features: dict[str, Any] = {}
    for name, weights in worlds.items():
        for part, images in run.surveys(seed).items():
            for layer, counts in zip(
                run.network.layers, survey_counts(network, images, weights), strict=True
            ):
                features[f"{name}/{part}/{layer.name}"] = counts.astype(np.uint16)
            done += len(images)
            report(done)
    write_npz(folder / "features.npz", features)


def on_grid(weights: Weights, grid: float = 2.0**-20) -> Weights:
    """Round weights to multiples of ``grid``, so that sums of them are exact in any order."""
    return Weights({name: np.round(array / grid) * grid for name, array in weights.items()})


def _learn(
    network: CompiledNetwork,
    stream: Presentations,
    initial: Weights,
    control: Control,
    folder: Path,
    name: str,
    report: Report,
) -> None:
    """Learn from the whole stream; each stretch ends in a checkpoint, which a killed run goes on from."""
    kept = folder / f"stretches-{name}"
    length = network.stretch
    recording = Recording(dict.fromkeys(initial), length, ALL) if name == "spiking" else None

    def after(done: int, stretch: Stretch) -> None:
        report(done)

    conditions = Conditions(control=control)
    weights, _ = simulate_long(network, stream, initial, kept, length, recording, conditions, after)
    if recording is not None:
        Recorded(kept / "recording").join(folder / "spiking.h5")
    weights.save(folder / f"{name}.safetensors")
    shutil.rmtree(kept)


def survey_counts(network: CompiledNetwork, images: Presentations, weights: Weights) -> list[Any]:
    """Return the spike counts (images, units) of every layer, without learning."""
    counts: list[list[Any]] = []

    def after(done: int, stretch: Stretch) -> None:
        counts.append([layer.count for layer in stretch.record.layers])

    run_all(network, images, weights, learn=False, after=after)
    return [np.concatenate(parts) for parts in zip(*counts, strict=True)]


def close_look(run: RunDirectory, seed: int, presentations: int = 8) -> None:
    """Record every time step of a few presentations that the learned network goes on learning from."""
    stream = run.stream(seed)[:presentations]
    _, model = run_steps(run.populations, stream, run.weights(seed, "spiking"))
    dt = run.populations.timing.dt
    arrays: dict[str, Any] = {"sign": stream.sign, "image": stream.image}
    for name, monitor in model.monitors.items():
        if name.endswith("_spikes"):
            arrays |= {f"{name}/{key}": np.array(getattr(monitor, key)) for key in ("i", "packet")}
            arrays[f"{name}/step"] = np.round(np.array(monitor.t) / dt).astype(np.int64)
        if name.endswith("_steps"):
            arrays |= {f"{name}/{key}": np.array(getattr(monitor, key)).T for key in monitor.record_variables}
    write_npz(run.seed(seed) / "steps.npz", arrays)


def converted_packets(run: RunDirectory, seed: int, report: Report) -> None:
    """Record every packet of the converted network on test images: what a chip's are held against."""
    samples = run.experiment.lava.samples
    if samples:
        shown = run.surveys(seed)["test"][:samples]
        _, model = run_steps(run.populations, shown, on_grid(run.weights(seed, "rate")), learn=False)
        packets = packets_of(model)
        packets.pop("input")
        write_npz(run.seed(seed) / "converted_packets.npz", packets)

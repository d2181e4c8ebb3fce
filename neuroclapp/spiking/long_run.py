"""A simulation of any length: in parts, each of which ends in a checkpoint, recorded as it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import InputError
from ..files import remove_aside
from ..plasticity import Control
from ..presentations import Presentations
from ..weights import Weights
from . import provenance
from .checkpoint import Checkpoint, dependencies, load
from .drawn import NOTHING, Drawn
from .noise import Noise
from .populations import Populations
from .recording import Part, Recorder, Recording
from .state import State, Stretch, rest


class Simulator(Protocol):
    """What runs some presentations: the engine, or Brian2's compiled network."""

    @property
    def populations(self) -> Populations: ...

    def run(
        self,
        stream: Presentations,
        weights: Weights,
        state: State,
        learn: bool,
        control: Control,
        drawn: Drawn,
    ) -> Stretch: ...


@dataclass(frozen=True)
class Conditions:
    """What a simulation is subject to besides its stream and its initial weights; None starts from rest."""

    learn: bool = True
    control: Control = field(default_factory=Control)
    drawn: Drawn | Noise = NOTHING
    state: State | None = None


def simulate(
    simulator: Simulator,
    stream: Presentations,
    weights: Weights,
    folder: Path,
    every: int = 500,
    recording: Recording | None = None,
    conditions: Conditions | None = None,
    after: Callable[[int, Stretch], object] = lambda done, stretch: None,
) -> tuple[Weights, State]:
    """Run a whole stream; go on from the checkpoint in ``folder`` if there is one. Return the end.

    A checkpoint is written after every ``every`` presentations and after the last one. One of another
    simulation is refused with an InputError that names what differs; a stream may be longer than it was.
    ``after(done, stretch)`` receives what was simulated at a time; after a kill, some of it again.
    """
    conditions = conditions or Conditions()
    run = _Run(simulator, stream, conditions, _described(simulator, weights, conditions, recording))
    state, path = conditions.state or rest(simulator.populations), folder / "checkpoint.safetensors"
    recorder = None
    if recording is not None:
        recorder = Recorder(recording, simulator.populations, weights, folder / "recording")
    if every < 1:
        raise InputError("simulate", "every", every, "must be at least 1 presentation")
    every, done = min(every, getattr(simulator, "stretch", every)), 0
    remove_aside(path)
    if path.is_file():
        kept = run.take_up(path, weights, state, every)
        weights, state, done = kept.weights, kept.state, kept.done
    if recorder is not None:
        recorder.take_up(done)
    while done < len(stream):
        last = min(len(stream), (done // every + 1) * every)
        with nullcontext() if recorder is None else recorder.part(done, last) as part:
            if part is not None and done == 0:
                part.weights(0, weights)
            for first, end in _pieces(done, last, recording):
                stretch = run.piece(first, end, weights, state)
                weights, state = stretch.weights, stretch.state
                if part is not None and recording is not None:
                    _record(part, recording, stretch, stream, first, end)
                if end < last:
                    after(end, stretch)
        run.add(done, last)
        Checkpoint(last, weights, state, run.depends).save(path)
        after(last, stretch)
        done = last
    return weights, state


class _Run:
    """The presentations of a simulation, and the digests of those that it has seen."""

    def __init__(
        self, simulator: Simulator, stream: Presentations, conditions: Conditions, depends: dict[str, str]
    ) -> None:
        self.simulator, self.stream, self.conditions = simulator, stream, conditions
        self._depends, self._seen = depends, provenance.Seen()

    @property
    def depends(self) -> dict[str, str]:
        return self._depends | self._seen.found

    def piece(self, first: int, end: int, weights: Weights, state: State) -> Stretch:
        part, drawn, control = self._given(first, end)
        return self.simulator.run(part, weights, state, self.conditions.learn, control, drawn)

    def add(self, first: int, end: int) -> None:
        """Add these presentations to the digests."""
        part, drawn, control = self._given(first, end, digests=True)
        self._seen.add(part, drawn, control)

    def take_up(self, path: Path, weights: Weights, state: State, every: int) -> Checkpoint:
        """Return the checkpoint, if it is one of this simulation."""
        found = dependencies(path)
        same = {name: value for name, value in found.items() if not provenance.is_seen(name)}
        provenance.compare(path, same, self._depends)
        kept = load(path, weights, state)
        if kept.done > len(self.stream):
            allowed = f"must be at least the {kept.done} that are done"
            raise InputError(path, "stream.presentations", len(self.stream), allowed)
        for first in range(0, kept.done, every):
            self.add(first, min(kept.done, first + every))
        provenance.compare(path, kept.depends, self.depends)
        return kept

    def _given(self, first: int, end: int, digests: bool = False) -> tuple[Presentations, Drawn, Control]:
        control, drawn = self.conditions.control, self.conditions.drawn
        shown = None if control.permutations is None else control.permutations[first:end]
        return (
            self.stream[first:end],
            # What is drawn from a seed is known by it.
            NOTHING if digests and isinstance(drawn, Noise) else drawn[first:end],
            replace(control, permutations=shown),
        )


def _described(
    simulator: Simulator, weights: Weights, conditions: Conditions, recording: Recording | None
) -> dict[str, str]:
    control, drawn = conditions.control, conditions.drawn
    found = provenance.simulator(simulator)
    for name, value in {
        "populations": simulator.populations,
        "weights": weights,
        "state": conditions.state,
        "learn": conditions.learn,
        "control": {k: v for k, v in vars(control).items() if k != "permutations"},
        "noise": {"seed": drawn.seed} if isinstance(drawn, Noise) else None,
        "recording": None if recording is None else recording.depends,
    }.items():
        found |= provenance.described(value, name)
    return found


def _pieces(first: int, last: int, recording: Recording | None) -> list[tuple[int, int]]:
    """Return what is simulated at a time: as far as the next snapshot of the weights."""
    edges = [first, last]
    if recording is not None and recording.weights:
        edges += range((first // recording.every + 1) * recording.every, last, recording.every)
    edges.sort()
    return list(pairwise(edges))


def _record(
    part: Part, recording: Recording, stretch: Stretch, stream: Presentations, first: int, end: int
) -> None:
    part.activity(stretch.record, np.asarray(stream[first:end].sign))
    if end % recording.every == 0 or end == len(stream):
        part.weights(end, stretch.weights)

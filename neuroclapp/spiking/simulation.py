"""Running a spiking network in Brian2, a stretch of presentations at a time.

A stretch starts from a state and weights and leaves new ones, so that a long run shows progress, needs
memory for one stretch only, and resumes to the same bits after any stretch. In C++ one build serves all
stretches, seeds and controls: weights, state, learning rates and inputs are given to the binary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, RunError
from ..plasticity import Control
from ..presentations import Presentations
from ..weights import Weights
from .drawn import NOTHING, Drawn, blank, check, stimulus
from .populations import Populations
from .standalone import Program, brian2, longest
from .state import LayerRecord, Record, State, Stretch, rest

Runtime = Literal["numpy", "cython"]


class CompiledNetwork:
    """A spiking network compiled to a C++ program that runs up to ``stretch`` presentations per call.

    Brian2's standalone device belongs to the process: only one such object may be in use at a time.
    ``permutable`` builds the control in which dendrites pass through a permutation of units; ``dendrite``
    those in which they are the mean over units, or at a constant level, which serves dendrites that are
    absent. On one thread, plastic synapses are gone through row by row (`neuroclapp.spiking.rows`), unless
    ``queues`` asks for Brian2's own queues of events.
    """

    def __init__(
        self,
        populations: Populations,
        stretch: int,
        folder: Path,
        permutable: bool = False,
        dendrite: Literal["intact", "mean", "constant"] = "intact",
        queues: bool = False,
    ) -> None:
        began, timing = time.monotonic(), populations.timing
        most = longest(timing.period, timing.steps, timing.dt, stretch)
        if stretch > most:
            raise InputError(
                "CompiledNetwork",
                "stretch",
                stretch,
                f"must be at most {most}: Brian2's clocks part after that",
            )
        self._program = Program(folder)
        from . import building, rows

        queues = queues or self._program.b2.prefs.devices.cpp_standalone.openmp_threads > 0
        self.populations, self.stretch, self.permutable = populations, stretch, permutable
        self._model = building.build(
            populations,
            _blank(populations, stretch),
            Control(_identity(populations, stretch) if permutable else None, dendrite=dendrite),
            drawn=blank(populations, stretch),
            code=None if queues else rows.Rows,
        )
        for owner, name, value in self._model.assignments(
            rest(populations), _no_weights(populations), True, Control()
        ):
            setattr(owner, name, value)
        self._model.network.run(self._model.duration)
        self._program.compile()
        self.build_seconds = time.monotonic() - began

    def run(
        self,
        stream: Presentations,
        weights: Weights,
        state: State,
        learn: bool = True,
        control: Control | None = None,
        drawn: Drawn = NOTHING,
    ) -> Stretch:
        """Run the presentations of ``stream``, at most ``stretch`` of them; ``drawn`` is what is random."""
        control = control or Control()
        self._check(control)
        check(self.populations, stream, drawn)
        padded = _padded(stream, self.stretch, self.populations)
        arguments: dict[Any, Any] = {
            getattr(owner, name): value
            for owner, name, value in self._model.assignments(state, weights, learn, control)
        }
        filled_in = drawn.padded(self.stretch)
        arguments[self._model.stimulus] = stimulus(self.populations, padded, filled_in)
        for array, values in self._model.random:
            arguments[array] = values(filled_in)
        arguments[self._model.gaze] = padded.sign.astype(float)
        if self.permutable:
            shown = np.zeros(0) if control.permutations is None else control.permutations
            filled = _identity(self.populations, self.stretch)
            filled[: len(shown)] = shown if len(shown) else filled[:0]
            for n, permutation in enumerate(self._model.permutations):
                arguments[permutation] = filled[:, n].astype(float)
        with self._program.run(arguments) as workspace:
            if not _same(self._model.read_state(0), state):
                raise RunError(
                    f"{workspace}: the compiled network did not take over the state that it was given"
                )
            return _harvest(self._model, weights, len(stream))

    def _check(self, control: Control) -> None:
        """Raise InputError for a control that this program was not built for."""
        from . import building

        wanted, built = building.found_by(self.populations, control), self._model.found
        if wanted != built and (wanted, built) != ("intact", "permuted"):
            raise InputError(
                "CompiledNetwork", "control.dendrite", wanted, f"the program was built for {built!r}"
            )


def run_steps(
    populations: Populations,
    stream: Presentations,
    weights: Weights,
    state: State | None = None,
    learn: bool = True,
    control: Control | None = None,
    steps: bool = True,
    target: Runtime = "numpy",
    drawn: Drawn = NOTHING,
) -> tuple[Stretch, Any]:
    """Run presentations without compiling a program, and return also the `Model` with its monitors.

    Slower by far than `CompiledNetwork`; meant for looking at single spikes (``steps``).
    """
    b2 = brian2()
    from . import building

    b2.set_device("runtime")
    b2.prefs.codegen.target = target
    control = control or Control()
    check(populations, stream, drawn)
    made = building.build(populations, stream, control, steps, drawn)
    for owner, name, value in made.assignments(state or rest(populations), weights, learn, control):
        setattr(owner, name, value)
    made.network.run(made.duration, namespace={})
    return _harvest(made, weights, len(stream)), made


def stretches(stream: Presentations, length: int, start: int = 0) -> Iterator[tuple[int, Presentations]]:
    """Cut a stream into stretches of ``length`` presentations, from presentation ``start`` on."""
    for first in range(start, len(stream), length):
        yield first, stream[first : first + length]


def run_all(
    network: CompiledNetwork,
    stream: Presentations,
    weights: Weights,
    learn: bool = True,
    control: Control | None = None,
    start: int = 0,
    state: State | None = None,
    after: Callable[[int, Stretch], object] = lambda done, stretch: None,
    drawn: Drawn = NOTHING,
) -> tuple[Weights, State]:
    """Run a whole stream stretch by stretch; ``after(done, stretch)`` receives each one's result."""
    state = state or rest(network.populations)
    control = control or Control()
    for first, part in stretches(stream, network.stretch, start):
        here = control[first : first + len(part)]
        stretch = network.run(part, weights, state, learn, here, drawn[first : first + len(part)])
        weights, state = stretch.weights, stretch.state
        after(first + len(part), stretch)
    return weights, state


def _harvest(model: Any, weights: Weights, count: int) -> Stretch:
    """Read what a run recorded; the first record of each monitor is the state it started from."""
    monitors = model.monitors
    shown = slice(1, count + 1)
    layers = []
    for n in range(len(model.layers)):
        soma, site = monitors[f"soma{n}"], monitors[f"site{n}"]
        counts, v = np.array(soma.count).T[shown], np.array(soma.v).T[shown]
        total, found = np.array(site.total).T[shown], [counts, counts + v - 0.5]
        for number, gate in enumerate(model.populations.layers[n].gates):
            found += [np.array(getattr(soma, gate)[0])[shown], total[:, 2 * number : 2 * number + 2]]
        layers.append(LayerRecord(*found))
    record = Record(np.array(monitors["input"].count).T[shown], layers)
    # A stretch may have been filled up with blanks: the state is that after its last presentation.
    return Stretch(record, model.read_weights(weights), model.read_state(count))


def _same(a: State, b: State) -> bool:
    layers = zip(a.layers, b.layers, strict=True)
    return np.array_equal(a.input_count, b.input_count) and all(
        np.array_equal(x, y)
        for one, other in layers
        for x, y in zip(vars(one).values(), vars(other).values(), strict=True)
    )


def _blank(populations: Populations, count: int) -> Presentations:
    return Presentations(
        np.zeros((count, populations.input.units)),
        np.zeros(count, dtype=np.int8),
        np.zeros(count, dtype=np.int64),
    )


def _padded(stream: Presentations, count: int, populations: Populations) -> Presentations:
    rest_of_it = _blank(populations, count - len(stream))
    return Presentations(
        np.concatenate([stream.inputs, rest_of_it.inputs]),
        np.concatenate([stream.sign, rest_of_it.sign]),
        np.concatenate([stream.image, rest_of_it.image]),
    )


def _identity(populations: Populations, count: int) -> NDArray[np.int64]:
    units = populations.layers[0].soma.units
    return np.tile(np.arange(units), (count, len(populations.layers), 1))


def _no_weights(populations: Populations) -> Weights:
    below = populations.input.units
    arrays: dict[str, NDArray[np.float64]] = {}
    for n, layer in enumerate(populations.layers):
        units = layer.soma.units
        arrays[f"{layer.name}.w_ff"] = np.zeros((units, below))
        arrays[f"{layer.name}.w_pred"] = np.zeros(
            (units, populations.layers[populations.context_of(n)].soma.units)
        )
        if "w_retro" in populations.rules_of(n).targets:
            arrays[f"{layer.name}.w_retro"] = np.zeros((units, units))
        arrays[f"{layer.name}.bias"] = np.zeros(units)
        below = units
    return Weights(arrays)

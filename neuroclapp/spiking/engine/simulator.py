"""The engine: simulations of `Populations` side by side, presentation by presentation.

Within a presentation weights stand still and spikes go up only. So a layer's charges in all time steps are
one matrix product, and dendrites and modulators follow from the packets. There are two kinds of batches:

- learning: simulations side by side, each with its stream, its weights and its state;
- without learning: presentations of one stream side by side, since membranes start afresh in each; all that
  a presentation takes over is ``W_pred c``, which the one before it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...plasticity import GATES, Control, Gate
from ...presentations import Presentations
from ...weights import Weights
from ..drawn import NOTHING, Drawn, check
from ..populations import LayerPopulations, Populations
from ..state import LayerRecord, LayerState, Record, State, Stretch, rest
from .arrays import Arrays, Library, arrays
from .axons import Axons
from .dendrites import met
from .learning import factors, heard_retro, late, learn, released, retro
from .responding import Activity, remembered, respond
from .shown import Shown, Simulation, shown

Array = NDArray[np.float64]
T = TypeVar("T")

#: Time steps times units of a layer that are simulated at once.
AT_ONCE = 2**20


class Engine:
    """A simulator of ``populations`` in numpy or torch (on a GPU where there is one, or on ``device``).

    Without learning, ``at_once`` presentations are simulated side by side on each of ``threads``, by default
    as many as a processor's cache is good for; on a GPU more are faster.
    """

    def __init__(
        self,
        populations: Populations,
        library: Library = "numpy",
        device: str | None = None,
        at_once: int | None = None,
        threads: int = 1,
    ) -> None:
        units = max(populations.input.units, *(layer.soma.units for layer in populations.layers))
        self.at_once = at_once or max(1, AT_ONCE // (units * populations.timing.steps))
        self.populations, self.threads = populations, threads
        self.xp: Arrays = arrays(library, device)
        self.axons = Axons(self.xp, populations)

    def run(
        self,
        stream: Presentations,
        weights: Weights,
        state: State | None = None,
        learn: bool = True,
        control: Control | None = None,
        drawn: Drawn = NOTHING,
    ) -> Stretch:
        """Run one simulation, like `neuroclapp.spiking.simulation.CompiledNetwork.run`."""
        one = Simulation(stream, weights, state, control or Control(), drawn)
        return self.run_many([one])[0] if learn else self._without_learning(one)

    def run_many(
        self,
        simulations: Sequence[Simulation],
        watch: Callable[[Mapping[str, Array]], object] | None = None,
    ) -> list[Stretch]:
        """Let simulations learn side by side; raises ValueError unless their streams are of one length.

        ``watch`` is given the weights (simulations, ...) as they stand at the end of each presentation; they
        go on changing.
        """
        lengths = sorted({len(each.stream) for each in simulations})
        if len(lengths) != 1:
            raise ValueError(f"simulations side by side need streams of one length, not {lengths}")
        for each in simulations:
            check(self.populations, each.stream, each.drawn)
        xp, populations = self.xp, self.populations
        names = list(simulations[0].weights)
        w = {name: self._on_grid(np.stack([each.weights[name] for each in simulations])) for name in names}
        bound = np.array([each.control.bound for each in simulations])
        states = [each.state or rest(populations) for each in simulations]
        before, controls = remembered(xp, populations, states), [each.control for each in simulations]
        pending = [_pending(states, index, layer) for index, layer in enumerate(populations.layers)]
        kept = [_Kept() for _ in simulations]
        for n in range(lengths[0]):
            batch = shown(xp, populations, self.axons, simulations, slice(n, n + 1))
            found = respond(xp, populations, self.axons, w, batch)
            left = [xp.numpy(batch.count)]
            for index in range(len(populations.layers)):
                (packets, now), context = found[index], before[index]
                held, gammas, totals = self._release(
                    index, found[index], context.next_held, context.z, w, batch
                )
                gammas = {gate: late(each, pending[index][gate], controls) for gate, each in gammas.items()}
                if any(gamma.any() for gamma in gammas.values()):
                    r = batch.dendrites.arranged(index, retro(xp, populations, index, w, packets, now.count))
                    c = before[populations.context_of(index)].z  # the top layer is the last to change
                    present = factors(now, context, c, held, batch.dendrites.fixate(r))
                    learn(xp, populations, index, w, present, gammas, bound)
                left += [xp.numpy(now.count), xp.numpy(now.v), *_of_gates(gammas, totals)]
                before[index] = now
            for number, one in enumerate(kept):
                one.add([array[number : number + 1] for array in left])
            if watch is not None:
                watch({name: xp.numpy(array) for name, array in w.items()})
        return [
            Stretch(
                each.record(),
                Weights({name: xp.numpy(array)[number] for name, array in w.items()}),
                self._state(each, before, number, [_still(queues, number) for queues in pending]),
            )
            for number, each in enumerate(kept)
        ]

    def _without_learning(self, one: Simulation) -> Stretch:
        """Run the presentations of one stream side by side, ``at_once`` of them."""
        check(self.populations, one.stream, one.drawn)
        xp, populations = self.xp, self.populations
        w = {name: self._on_grid(array) for name, array in one.weights.items()}
        state = one.state or rest(populations)
        before, kept = remembered(xp, populations, [state]), _Kept()
        pending = [_pending([state], index, layer) for index, layer in enumerate(populations.layers)]

        def responses(first: int) -> tuple[Shown, list[tuple[Any, Activity]]]:
            batch = shown(xp, populations, self.axons, [one], slice(first, first + self.at_once))
            return batch, respond(xp, populations, self.axons, w, batch)

        for batch, found in self._in_turn(responses, range(0, len(one.stream), self.at_once)):
            left = [xp.numpy(batch.count)]
            for index, (_, now) in enumerate(found):
                held, c = (
                    xp.joined([getattr(before[index], name)[-1:], getattr(now, name)[:-1]], 0)
                    for name in ("next_held", "z")
                )
                _, gammas, totals = self._release(index, found[index], held, c, w, batch)
                for gate, gamma in gammas.items():
                    queue = pending[index][gate]
                    gammas[gate] = np.array([late(each, queue, [one.control])[0] for each in gamma[:, None]])
                left += [xp.numpy(now.count), xp.numpy(now.v), *_of_gates(gammas, totals)]
                before[index] = now
            kept.add(left)
        weights = Weights({name: xp.numpy(array) for name, array in w.items()})
        still = [_still(queues, 0) for queues in pending]
        return Stretch(kept.record(), weights, self._state(kept, before, -1, still))

    def _in_turn(self, work: Callable[[int], T], starts: Sequence[int]) -> Iterator[T]:
        """Yield ``work(start)`` of all starts in their order, ``threads`` of them computed at a time."""
        if self.threads == 1:
            yield from map(work, starts)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            for first in range(0, len(starts), self.threads):
                yield from pool.map(work, starts[first : first + self.threads])

    def _release(
        self,
        index: int,
        sent: tuple[Any, Activity],
        next_held: Any,
        c: Any,
        w: Mapping[str, Any],
        batch: Shown,
    ) -> tuple[Any, dict[Gate, Array], dict[Gate, Array]]:
        """Return what dendrites hold at the release (batch, units), and by gate gamma and modulators' spikes.

        ``sent`` is what `respond` found, ``c`` (batch, units) the layer's own activity in the presentation
        before.
        """
        xp, layer, dendrites = self.xp, self.populations.layers[index], batch.dendrites
        packets, count = sent[0], sent[1].count
        held = dendrites.arranged(index, xp.rounded(next_held, self.populations.grid))
        coincidences, held = met(xp, self.populations, held, packets, count, layer.soma.quantum)
        if dendrites.fixed is not None:
            held, z = dendrites.fixate(held), count * layer.soma.quantum
            coincidences = coincidences * (1 - dendrites.fixed) + held * z * dendrites.fixed
        heard = {"gamma": coincidences}
        if "gamma_retro" in layer.gates:
            r = dendrites.arranged(index, heard_retro(xp, self.populations, index, w, packets, count))
            heard["gamma_retro"] = dendrites.fixate(r) * c
        both = {gate: released(xp, layer, index, heard[gate], batch, gate) for gate in layer.gates}
        gammas, totals = ({gate: each[part] for gate, each in both.items()} for part in (0, 1))
        return held, gammas, totals

    def _on_grid(self, weights: Array) -> Any:
        found = self.xp.array(weights)
        self.xp.round_in_place(found, self.populations.grid)
        return found

    def _state(self, kept: _Kept, last: Sequence[Activity], number: int, pending: Sequence[Array]) -> State:
        """Return the state of a simulation at the end: ``number`` in the batch."""

        def left(array: Any) -> Array:
            return self.xp.numpy(array)[number].copy()

        layers = [
            LayerState(left(layer.count), left(layer.v), left(layer.next_held), still)
            for layer, still in zip(last, pending, strict=True)
        ]
        return State(kept.parts[-1][0][-1], layers)


def _pending(states: Sequence[State], index: int, layer: LayerPopulations) -> dict[Gate, list[list[float]]]:
    """Return the gammas of a layer that are on their way, by gate and simulation."""
    still = [state.layers[index].pending.reshape(len(layer.gates), -1) for state in states]
    return {gate: [list(each[number]) for each in still] for number, gate in enumerate(layer.gates)}


def _still(queues: Mapping[Gate, list[list[float]]], number: int) -> Array:
    """Return the gammas of one simulation that are on their way, as `LayerState` holds them."""
    still = np.array([each[number] for each in queues.values()])
    return still if len(queues) > 1 and still.size else still.reshape(-1)


def _of_gates(gammas: Mapping[Gate, Array], totals: Mapping[Gate, Array]) -> list[Array]:
    """Return gamma and total of the first gate, then those of the second, empty where there is none."""
    none = (np.zeros(0), np.zeros((0, 2)))
    return [pair for gate in GATES for pair in (gammas.get(gate, none[0]), totals.get(gate, none[1]))]


class _Kept:
    """What presentations leave, part by part: input counts, then each layer's count, v and gates."""

    def __init__(self) -> None:
        self.parts: list[list[Array]] = []

    def add(self, left: list[Array]) -> None:
        self.parts.append(left)

    def record(self) -> Record:
        inputs, *others = (np.concatenate(each) for each in zip(*self.parts, strict=True))
        layers = [others[first : first + 6] for first in range(0, len(others), 6)]
        return Record(inputs, [LayerRecord(count, count + v - 0.5, *gates) for count, v, *gates in layers])

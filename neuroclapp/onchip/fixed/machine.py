"""The integer simulator: networks of one program side by side, presentation by presentation.

Within a presentation weights stand still, so that dendrites follow from counts; somata go step by step.
Learning is `neuroclapp.onchip.interpreter.apply_once`, once for each window of a layer whose gate is open: in
all other epochs no synapse changes, since y1 - 64 and y3 are 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...plasticity import Factor, Gate, Target
from ...presentations import generator
from ..clock import WINDOWS, Window
from ..interpreter import Mode, Rule, apply_once
from .presented import folded, input_packets, released, replayed, respond
from .program import FixedConnection, FixedLayer, FixedProgram
from .schemes import neutral

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Lava draws the numbers of every connection from this seed, whatever rng_seed says (ConnVarRandom).
LAVA_SEED = 2


@dataclass
class LayerNow:
    """A layer at the end of a presentation, each array (networks, units).

    ``count`` and net ``charge``, and what its dendrites hold: ``ahead`` = W_pred count for the next
    presentation, ``retro`` = W_retro count.
    """

    count: Integers
    charge: Integers
    ahead: Integers
    retro: Integers


@dataclass(frozen=True)
class Seen:
    """One presentation: counts, layers, and by layer and gate gamma (networks,) and spikes (networks, 2)."""

    input_count: Integers
    layers: list[LayerNow]
    gamma: list[dict[Gate, Integers]]
    total: list[dict[Gate, Integers]]


def _nothing(like: LayerNow) -> LayerNow:
    """Return the layer before the first presentation: no spikes."""
    return LayerNow(*(np.zeros_like(array) for array in vars(like).values()))


class Machine:
    """Networks that share a program but for their weights, side by side.

    All synapses of a network get one number in each epoch, as in Lava; with ``seeds``, one for each network,
    each synapse gets its own, as on a chip, drawn anew for each presentation. ``mode`` is the interpreter's.
    """

    def __init__(
        self, programs: Sequence[FixedProgram], mode: Mode = "lava", seeds: Sequence[int] | None = None
    ) -> None:
        self.program, self.networks = programs[0], len(programs)
        self.words, self.mode, self._seeds = self.program.words, mode, seeds
        self.weights: dict[str, NDArray[np.int32]] = {}
        self.tags: dict[str, NDArray[np.int32]] = {}
        self._rules: dict[str, Rule] = {}
        for number, layer in enumerate(self.program.layers):
            for index, one in enumerate(layer.connections):
                name = f"{layer.soma.name}.{one.key}"
                all_of_them = [each.layers[number].connections[index] for each in programs]
                self.weights[name] = np.stack([each.weights for each in all_of_them]).astype(np.int32)
                self.tags[name] = np.stack([each.tags for each in all_of_them]).astype(np.int32)
                self._rules[name] = Rule(w=one.dw, t=one.dt)
        self._epochs_of_one = self.program.clock.period // self.program.clock.epoch
        self.rest = {
            f"{layer.soma.name}.{one.key}": np.zeros(
                (len(one.folds), self.networks, layer.soma.units), dtype=np.int64
            )
            for layer in self.program.layers
            for one in layer.connections
        }
        self.before: tuple[Integers, list[LayerNow]] | None = None
        self.presentation = 0
        self._epochs = np.random.default_rng(LAVA_SEED)
        self._epochs.random(1)
        self.saturated = dict.fromkeys(self.weights, 0)

    def rates(self) -> dict[str, Array]:
        """Return the weights (networks, post, pre) in rate units, as dendrites see them, and biases."""
        found: dict[str, Array] = {}
        for layer in self.program.layers:
            for one in layer.connections:
                own = layer.rates(one, self.weights[f"{layer.soma.name}.{one.key}"])
                name = f"{layer.soma.name}.{one.target}"
                found[name] = found[name] + own if name in found else own
        return found

    def present(self, inputs: Array, sign: NDArray[np.int8], learn: bool = True) -> Seen:
        """Show one presentation: ``inputs`` (networks, inputs) activities, ``sign`` (networks,)."""
        program, clock = self.program, self.program.clock
        packets = input_packets(program.input, inputs, clock)
        input_count = packets.sum(1)
        layers: list[LayerNow] = []
        gammas, totals = list[dict[Gate, Integers]](), list[dict[Gate, Integers]]()
        for number, layer in enumerate(program.layers):
            packets, v = respond(layer.soma, self._heard(layer, packets), clock.silent)
            count = packets.sum(1)
            net = count * layer.soma.threshold + v - layer.soma.threshold // 2
            now = LayerNow(
                count,
                net,
                self._collected(layer, "w_pred", count),
                self._collected(layer, "w_retro", count),
            )
            then = self.before[1][number] if self.before else _nothing(now)
            heard: dict[Gate, tuple[Integers, Integers]] = {
                "gamma": (then.ahead, now.count),
                "gamma_retro": (now.retro, then.count),
            }
            both = {gate: released(m, *heard[gate], sign) for gate, m in layer.modulators.items()}
            layers.append(now)
            gammas.append({gate: gamma for gate, (gamma, _) in both.items()})
            totals.append({gate: total for gate, (_, total) in both.items()})
        seen = Seen(input_count, layers, gammas, totals)
        if learn:
            self._learn(
                seen, *(self.before or (np.zeros_like(input_count), [_nothing(one) for one in layers]))
            )
        self.before = (input_count, layers)
        return seen

    def infer(self, inputs: Array) -> list[LayerNow]:
        """Show many samples (samples, inputs) to the one network that there is, each from rest."""
        if self.networks != 1:
            raise ValueError(f"one network infers at a time, not {self.networks}")
        packets, found = input_packets(self.program.input, inputs, self.program.clock), []
        for layer in self.program.layers:
            soma = layer.soma
            packets, v = respond(soma, self._heard(layer, packets), self.program.clock.silent)
            count = packets.sum(1)
            nothing = np.zeros_like(count)
            net = count * soma.threshold + v - soma.threshold // 2
            found.append(LayerNow(count, net, nothing, nothing))
        return found

    def arrays(self) -> dict[str, Integers]:
        """Return all that a simulation goes on from."""
        found: dict[str, Any] = {"presentation": np.array(self.presentation)}
        for part in ("weights", "tags", "rest"):
            found |= {f"{part}/{name}": array for name, array in getattr(self, part).items()}
        if self.before is not None:
            found["before/input"] = self.before[0]
            for number, layer in enumerate(self.before[1]):
                found |= {f"before/{number}/{key}": array for key, array in vars(layer).items()}
        return found

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Take up what `arrays` returned."""
        self.presentation = int(arrays["presentation"])
        for part in ("weights", "tags", "rest"):
            kept = getattr(self, part)
            for name in kept:
                kept[name] = np.array(arrays[f"{part}/{name}"])
        if "before/input" in arrays:
            keys = ("count", "charge", "ahead", "retro")
            layers = [
                LayerNow(*(np.array(arrays[f"before/{number}/{key}"]) for key in keys))
                for number in range(len(self.program.layers))
            ]
            self.before = np.array(arrays["before/input"]), layers
        self._epochs = np.random.default_rng(LAVA_SEED)
        self._epochs.random(1 + self.presentation * self._epochs_of_one)

    def _heard(self, layer: FixedLayer, packets: Integers) -> Integers:
        """Return the charge of each step (networks, steps, units): what was sent in the step before."""
        name = layer.soma.name
        weights = self._total(layer, "w_ff")
        charge = np.matmul(packets[:, :-1].astype(np.float64), weights.swapaxes(-1, -2))
        if layer.axon is not None:
            charge[:, : self.program.clock.steps_on] += (
                layer.axon.payload * self.weights[f"{name}.bias"][:, None, :, 0]
            )
        return np.concatenate([np.zeros_like(charge[:, :1]), charge], 1).astype(np.int64)

    def _total(self, layer: FixedLayer, target: Target) -> Array:
        """Return what synapses side by side bring together, in the finest of their steps."""
        parts = layer.parts(target)
        total = sum(self.weights[f"{layer.soma.name}.{one.key}"] << shift for one, shift in parts)
        return np.asarray(total, dtype=np.float64)  # products of such integers are exact in float64

    def _collected(self, layer: FixedLayer, target: Target, count: Integers) -> Integers:
        if layer.connection(target) is None:
            return np.zeros_like(count)
        weights = self._total(layer, target)
        return np.matmul(weights, count[..., None].astype(np.float64))[..., 0].astype(np.int64)

    def _learn(self, seen: Seen, context_input: Integers, context: list[LayerNow]) -> None:
        """Let every layer whose gate is open learn in its two windows, and tags move into weights."""
        clock = self.program.clock
        shared = self._epochs.random(clock.period // clock.epoch)
        own = None if self._seeds is None else [self._drawn(seed) for seed in self._seeds]
        source = self.program.input
        pre = {"sample": seen.input_count, "context": context_input}
        for number, layer in enumerate(self.program.layers):
            gates, now, then = seen.gamma[number], seen.layers[number], context[number]
            counts = {"sample": now.count, "context": then.count}
            present = {
                Factor("z", "sample"): now.count,
                Factor("z", "context"): then.count,
                Factor("rho", "sample"): (now.charge > 0).astype(np.int64),
                Factor("rho", "context"): (then.charge > 0).astype(np.int64),
                Factor("d", "sample"): then.ahead,
                Factor("r", "sample"): now.retro,
            }
            for one in layer.connections:
                name = f"{layer.soma.name}.{one.key}"
                moves = one.every > 0 and (self.presentation + 1) % one.every == 0
                opens = np.any([gates[fold.gate] for fold in one.folds], 0)
                chosen = np.arange(self.networks) if moves else np.flatnonzero(opens)
                if len(chosen):
                    replays = {w: np.zeros((len(chosen), 1), np.int64) for w in WINDOWS}
                    if one.target == "bias" and layer.axon is not None:
                        replays = {w: each + layer.axon.replay for w, each in replays.items()}
                    else:
                        units, sent = (source, pre) if one.target == "w_ff" else (layer.soma, counts)
                        replays = {w: replayed(units, sent[w][chosen], self.words) for w in WINDOWS}
                    here = {factor: array[chosen] for factor, array in present.items()}
                    open_here = {gate: gamma[chosen] for gate, gamma in gates.items()}
                    random = shared if own is None else [own[network] for network in chosen]
                    self._change(name, one, chosen, replays, here, open_here, random, moves)
            pre, source = counts, layer.soma
        self.presentation += 1

    def _drawn(self, seed: int) -> np.random.Generator:
        """Return what a network's synapses draw from in this presentation, whoever else is simulated."""
        return generator(seed, f"rounding {self.presentation}")

    def _change(
        self,
        name: str,
        one: FixedConnection,
        chosen: Integers,
        replays: dict[Window, Integers],
        here: dict[Factor, Integers],
        gates: Mapping[Gate, Integers],
        random: Array | list[np.random.Generator],
        moves: bool,
    ) -> None:
        """Apply a rule in the windows of this presentation in which it can change anything."""
        w, t = self.weights[name][chosen], self.tags[name][chosen]
        low, high = self.words.range("t")
        middle, rest = neutral(self.words), self.rest[name]
        clock = self.program.clock
        folds = {fold.window: (number, fold) for number, fold in enumerate(one.folds)}
        for window in WINDOWS:
            now = moves and window == WINDOWS[-1]
            if window not in folds and not now:
                continue
            y = np.zeros((len(chosen), w.shape[1]), dtype=np.int64)
            opens = np.zeros((len(chosen), 1), dtype=bool)
            if window in folds:
                number, fold = folds[window]
                opens = gates[fold.gate][:, None] != 0
                y, left = folded(fold, gates[fold.gate], here, rest[number, chosen])
                y, rest[number, chosen] = y * opens, np.where(opens, left, rest[number, chosen])
            x1 = replays[window] * opens
            y3 = np.zeros_like(y) + middle * (now or (opens if not one.every else 0))
            values = {"x0": x1 > 0, "x1": x1, "y1": middle + y, "y3": y3, "w": w, "t": t}
            numbers: Any = random
            if isinstance(random, np.ndarray):
                numbers = float(random[clock.window(window)[0] // clock.epoch])
            changed = apply_once(self._rules[name], values, numbers, self.words, self.mode)
            w, t = changed.get("w", w), changed.get("t", t)
            self.saturated[name] += int(np.count_nonzero((t <= low + 1) | (t >= high)))
        self.weights[name][chosen], self.tags[name][chosen] = w, t

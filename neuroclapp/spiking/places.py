"""Populations at places in spikes (`neuroclapp.places`), without Brian2.

A place's population, its dendrites and its modulator are those of `neuroclapp.spiking.populations`; places
share nothing but, where kernels are shared, the weights. Membranes are the engine's. The packets of a layer
are found for all its time steps at once, since within a presentation spikes go up only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..network import Network
from ..places import Array, Arrays, Presented, changes, places_of, product
from ..plasticity import Factor, Gate
from .engine.arrays import arrays
from .engine.membranes import input_packets, soma_packets
from .grid import rounded
from .populations import LayerPopulations, Populations
from .variants import IntegrateAndFire, Plateau, Regular

#: Presentations without learning that are simulated at once.
AT_ONCE = 32


@dataclass
class _Held:
    """What a layer keeps of the presentation before, each (places, units)."""

    x: Array
    z: Array
    rho: Array
    next_held: Array


class PlacedSpikes:
    """Layers of spiking populations at places; what the presentation before left is held here.

    ``populations`` are those of one place of each layer (`neuroclapp.places.as_dense`). Raises InputError
    where they are not packets of regular integrate-and-fire neurons with dendrites that hold all.
    """

    def __init__(self, network: Network, populations: Populations) -> None:
        plain = (
            populations.unit == "packet"
            and isinstance(populations.neuron, IntegrateAndFire)
            and isinstance(populations.code, Regular)
            and isinstance(populations.dendrite, Plateau)
        )
        if not plain:
            allowed = "places need packets of integrate-and-fire neurons, a regular code and plateaus"
            raise InputError(network.title, "spiking", None, allowed)
        self.places, self.populations, self._xp = places_of(network), populations, arrays("numpy")
        self._before: list[_Held | None] = [None] * len(self.places)

    def activities(self, weights: Mapping[str, Array], inputs: Array) -> list[Array]:
        """Return every layer's activity (n, places, units), in counts, for ``inputs`` (n, inputs)."""
        parts = []
        for first in range(0, len(inputs), AT_ONCE):
            packets = self._input(inputs[first : first + AT_ONCE])
            part = []
            for index, (places, layer) in enumerate(zip(self.places, self.populations.layers, strict=True)):
                packets, _ = self._fire(index, weights, packets)
                count = packets.sum(1).reshape(len(packets), layer.soma.units, places.count)
                part.append(count.swapaxes(1, 2) * layer.soma.quantum)
            parts.append(part)
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def present(self, weights: Mapping[str, Array], inputs: Array, sign: float) -> Presented:
        """Show ``inputs`` (inputs,); all changes are from values before any of them."""
        populations, found = self.populations, Arrays()
        rules, grid = populations.plasticity, populations.grid
        scores, gammas, activities = [], [], []
        packets, quantum = self._input(inputs[None]), populations.input.quantum
        for index, (places, layer) in enumerate(zip(self.places, populations.layers, strict=True)):
            name, before = layer.name, self._before[index]
            x = packets[0].sum(0)[places.hears] * quantum
            packets, v = self._fire(index, weights, packets)
            quantum = layer.soma.quantum
            count = packets[0].sum(0).reshape(layer.soma.units, places.count).T
            z, w_pred = count * quantum, weights[f"{name}.w_pred"]
            now = _Held(x, z, (count + v > 0.5).astype(np.float64), product(w_pred, z[:, None])[:, 0])
            before = before or _Held(now.x, now.z, now.rho, np.zeros_like(z))
            held = rounded(before.next_held, grid)
            gates: dict[Gate, Array] = {"gamma": released(layer, held * z, sign)}
            score = (held * z).sum(1)
            if "gamma_retro" in layer.gates:
                r = rounded(product(weights[f"{name}.w_retro"], z[:, None])[:, 0], grid)
                gates["gamma_retro"] = released(layer, r * before.z, sign, "gamma_retro")
                score = np.concatenate([score, (r * before.z).sum(1)])
            if any(gamma.any() for gamma in gates.values()):
                factors = {
                    Factor("x", "sample"): now.x,
                    Factor("x", "context"): before.x,
                    Factor("z", "sample"): now.z,
                    Factor("z", "context"): before.z,
                    Factor("rho", "sample"): now.rho,
                    Factor("rho", "context"): before.rho,
                    Factor("d", "sample"): held,
                }
                if rules.retrodicts:
                    split = rules.prediction.feedback == "split"
                    backward = weights[f"{name}.w_retro"] if split else w_pred.swapaxes(1, 2)
                    factors[Factor("r", "sample")] = rounded(product(backward, z[:, None])[:, 0], grid)
                found |= changes(rules, name, weights, factors, gates)
            self._before[index] = now
            scores.append(score)
            gammas.append(np.concatenate(list(gates.values())))
            activities.append(z)
        return Presented(found, scores, gammas, activities)

    def _input(self, inputs: Array) -> Array:
        """Return packets of the input (n, steps, inputs)."""
        source, timing = self.populations.input, self.populations.timing
        charge = rounded(inputs / (source.quantum * timing.steps_on), self.populations.grid)
        packets: Array = input_packets(self._xp, self.populations, charge)
        return packets

    def _fire(self, index: int, weights: Mapping[str, Array], packets: Array) -> tuple[Array, Array]:
        """Return the packets of a layer as the map above hears them, (n, steps, units * places).

        ``packets`` are those of the map below. Membranes at the end are (places, units), of the first of n.
        """
        populations, places = self.populations, self.places[index]
        layer = populations.layers[index]
        below, soma = populations.layers[index - 1].soma if index else populations.input, layer.soma
        n, steps, _ = packets.shape
        heard = packets[:, :, places.hears].transpose(2, 0, 1, 3).reshape(places.count, n * steps, -1)
        drive = product(weights[f"{layer.name}.w_ff"], heard) * (below.quantum / soma.quantum)
        bias = weights.get(f"{layer.name}.bias")
        if bias is not None:
            step = rounded(bias / (soma.quantum * populations.timing.steps_on), populations.grid)
            bias = np.repeat(np.broadcast_to(step, (places.count, soma.units)), n, axis=0)
        drive = drive.reshape(places.count * n, steps, soma.units)
        sent, v = soma_packets(self._xp, populations, soma, drive, bias, None)
        sent = sent.reshape(places.count, n, steps, soma.units).transpose(1, 2, 3, 0)
        return sent.reshape(n, steps, -1), v.reshape(places.count, n, soma.units)[:, 0]


def released(layer: LayerPopulations, coincidences: Array, sign: float, gate: Gate = "gamma") -> Array:
    """Return a gate's gamma at each place (places,) from coincidences ``d_j z_j`` (places, units)."""
    if not sign:
        return np.zeros(len(coincidences))
    m = layer.modulator
    half = slice(0, m.units) if sign > 0 else slice(m.units, None)
    evidence = coincidences @ layer.listens[layer.rows(gate)][half].T
    stagger = (np.arange(m.units) + 0.5) / m.units
    fired = np.floor(m.tonic + stagger + m.resolution * (1 - sign * evidence)).clip(0, m.burst).sum(1)
    gamma: Array = sign * (fired > m.units * m.tonic)
    return gamma

"""Populations at places in rates (`neuroclapp.places`): the reference of those in spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..network import Network
from ..places import Array, Arrays, Places, Presented, changes, onward, places_of, product
from ..plasticity import Factor, Gate, clapp, third_factor


@dataclass
class _Held:
    """What a layer keeps of the presentation before, each (places, units)."""

    x: Array
    z: Array
    rho: Array
    d: Array


class PlacedRates:
    """Layers of rate units at places; what the presentation before left is held here."""

    def __init__(self, network: Network) -> None:
        self.places, self.plasticity = places_of(network), clapp(network.prediction)
        self._before: list[_Held | None] = [None] * len(self.places)

    def activities(self, weights: Mapping[str, Array], inputs: Array) -> list[Array]:
        """Return every layer's activity (n, places, units) for ``inputs`` (n, inputs)."""
        found = []
        for places in self.places:
            _, a = _respond(places, weights, inputs)
            z = np.maximum(a, 0.0)
            found.append(z.transpose(1, 0, 2))
            inputs = onward(z)
        return found

    def present(self, weights: Mapping[str, Array], inputs: Array, sign: float) -> Presented:
        """Show ``inputs`` (inputs,); all changes are from values before any of them."""
        found: Arrays = {}
        scores, gammas, activities = [], [], []
        seen = inputs[None]
        for index, places in enumerate(self.places):
            name, before = places.layer.name, self._before[index]
            x, a = _respond(places, weights, seen)
            z: Array = np.maximum(a, 0.0)
            w_pred, split = weights[f"{name}.w_pred"], self.plasticity.prediction.feedback == "split"
            d = product(w_pred, z)[:, 0]
            now = _Held(x[:, 0], z[:, 0], (a[:, 0] > 0).astype(np.float64), d)
            before = before or _Held(now.x, now.z, now.rho, np.zeros_like(d))
            score = (now.z * before.d).sum(1)
            gates: dict[Gate, Array] = {"gamma": third_factor(score, np.full(len(score), sign))}
            factors = {
                Factor("x", "sample"): now.x,
                Factor("x", "context"): before.x,
                Factor("z", "sample"): now.z,
                Factor("z", "context"): before.z,
                Factor("rho", "sample"): now.rho,
                Factor("rho", "context"): before.rho,
                Factor("d", "sample"): before.d,
            }
            if self.plasticity.retrodicts:
                backward = weights[f"{name}.w_retro"] if split else w_pred.swapaxes(1, 2)
                r = product(backward, z)[:, 0]
                factors[Factor("r", "sample")] = r
                if self.plasticity.prediction.gate == "separate":
                    half = (before.z * r).sum(1)
                    gates["gamma_retro"] = third_factor(half, np.full(len(half), sign))
                    score = np.concatenate([score, half])
            if any(gate.any() for gate in gates.values()):
                found |= changes(self.plasticity, name, weights, factors, gates)
            self._before[index] = now
            scores.append(score)
            gammas.append(np.concatenate(list(gates.values())))
            activities.append(now.z)
            seen = onward(z)
        return Presented(found, scores, gammas, activities)


def _respond(places: Places, weights: Mapping[str, Array], inputs: Array) -> tuple[Array, Array]:
    """Return what each place hears and its pre-activation, (places, n, units)."""
    x = inputs[:, places.hears].transpose(1, 0, 2)
    a = product(weights[f"{places.layer.name}.w_ff"], x)
    bias = weights.get(f"{places.layer.name}.bias")
    return x, a if bias is None else a + bias[:, None]

"""Agreement between the spiking and the rate world on shared weights.

At every presentation both worlds hold the weights that the spiking run recorded. The spiking side is the
weight change that happened; the rate side is computed from inputs and weights alone, by the rate rule.

Changes are rebuilt from recorded counts and gates, which takes dendrites that hold all their charge. While
simulations learn, `neuroclapp.analysis.watching` sees the changes themselves, whatever made them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..network import Network
from ..plasticity import Gate, Target, clapp
from ..presentations import Presentations
from ..rate.layer import Activity, Pair, changes, compare, gates_of, predict, respond
from ..spiking.populations import Populations
from ..spiking.state import Record, scores
from ..spiking.variants import Plateau
from ..weights import Weights
from .measures import cosine, figures_of_gates

Array = NDArray[np.float64]


@dataclass
class _Sums:
    """Running sums for one weight matrix."""

    spiking: Tensor
    rate: Tensor
    shuffled: Tensor
    cosines: list[float] = field(default_factory=list)


@dataclass
class _Gated:
    """Gamma and score (presentations,) of one gate in both worlds."""

    gamma_spiking: list[float] = field(default_factory=list)
    gamma_rate: list[float] = field(default_factory=list)
    score_spiking: list[float] = field(default_factory=list)
    score_rate: list[float] = field(default_factory=list)


@dataclass
class LayerAgreement:
    """What was gathered of one layer: sums by target, and what its gates did."""

    sums: dict[Target, _Sums]
    gates: dict[Gate, _Gated]
    excess: list[float] = field(default_factory=list)


class _Before(NamedTuple):
    """What a layer holds of the presentation before: its activity, and ``W_pred c`` in its dendrite."""

    activity: Activity
    held: Tensor


class Comparison:
    """Walks through a spiking run, presentation by presentation, with the rate rule beside it.

    ``shuffle`` draws the floor: the same changes under gates shuffled among the presentations. Raises
    InputError where counts and gates do not determine the changes.
    """

    def __init__(
        self, network: Network, populations: Populations, weights: Weights, shuffle: np.random.Generator
    ) -> None:
        if not isinstance(populations.dendrite, Plateau):
            raise InputError(
                network.title,
                "spiking.dendrite",
                populations.dendrite.kind,
                "counts tell the changes only where dendrites are plateaus; watch the simulation instead",
            )
        if populations.plasticity.context != "own":
            raise InputError(network.title, "context", "top", "must be 'own' where changes are rebuilt")
        self.populations, self.plasticity, self.shuffle = populations, clapp(network.prediction), shuffle
        self.names = [layer.name for layer in network.layers]
        self.weights = [_of_layer(weights, name) for name in self.names]
        self.layers = [
            LayerAgreement(
                {
                    t: _Sums(torch.zeros_like(w), torch.zeros_like(w), torch.zeros_like(w))
                    for t, w in layer.items()
                },
                {gate: _Gated() for gate in self.plasticity.gates},
            )
            for layer in self.weights
        ]
        self.rate_before: list[_Before | None] = [None] * len(self.names)
        self.spiking_before: list[_Before | None] = [None] * len(self.names)
        self.largest_mismatch = 0.0
        self.sign: list[int] = []

    def walk(self, stream: Presentations, record: Record, after: Weights) -> None:
        """Add a stretch of presentations; ``after`` are the weights that the simulation held at its end.

        The largest difference between those and the weights rebuilt from the record stays in
        ``largest_mismatch``: it is the proof that the changes compared here are those that happened.
        """
        with torch.no_grad():
            estimates = [
                {gate: scores(layer, self.populations, n, stream.sign, gate) for gate in layer.gammas()}
                for n, layer in enumerate(record.layers)
            ]
            shuffled = [
                {gate: self.shuffle.permutation(gamma) for gate, gamma in layer.gammas().items()}
                for layer in record.layers
            ]
            for n in range(len(stream)):
                self._present(stream, record, n, estimates, shuffled)
        for name, layer in zip(self.names, self.weights, strict=True):
            for target, rebuilt in layer.items():
                difference = np.abs(rebuilt.numpy() - after[f"{name}.{target}"]).max()
                self.largest_mismatch = max(self.largest_mismatch, float(difference))

    def rebuilt(self) -> Weights:
        """Return the weights that the rule gives on the recorded counts and gates."""
        layers = zip(self.names, self.weights, strict=True)
        return Weights(
            {f"{name}.{target}": array.numpy() for name, layer in layers for target, array in layer.items()}
        )

    def _present(
        self,
        stream: Presentations,
        record: Record,
        n: int,
        estimates: list[dict[Gate, Array]],
        shuffled: list[dict[Gate, Array]],
    ) -> None:
        self.sign.append(int(stream.sign[n]))
        sign = torch.tensor([float(stream.sign[n])], dtype=torch.float64)
        rate, spiking = self._rate(stream.inputs[n]), self._spiking(record, n)
        for index, layer in enumerate(self.layers):
            weights, recorded = self.weights[index], record.layers[index]
            ours = self._pair(index, weights, rate[index], self.rate_before)
            theirs = self._pair(index, weights, spiking[index], self.spiking_before)
            score = {"gamma": ours.score, "gamma_retro": ours.score_retro}
            gammas = {gate: _tensor(each[n]) for gate, each in recorded.gammas().items()}
            gammas_rate = {gate: gates_of(ours, sign)[gate] for gate in layer.gates}
            for gate, gated in layer.gates.items():
                gated.gamma_spiking.append(float(gammas[gate]))
                gated.gamma_rate.append(float(gammas_rate[gate]))
                gated.score_spiking.append(float(estimates[index][gate][n]))
                gated.score_rate.append(float(cast(Tensor, score[gate])))
            excess = recorded.count[n] - np.maximum(np.round(recorded.charge[n]), 0)
            layer.excess.append(float(np.mean(excess)))
            mixed = {gate: _tensor(each[n]) for gate, each in shuffled[index].items()}
            self._add(index, ours, theirs, gammas_rate, gammas, mixed)

    def _pair(
        self, index: int, weights: dict[Target, Tensor], now: Activity, before: list[_Before | None]
    ) -> Pair:
        """Bring a presentation together with the one before it, and keep it for the next."""
        context = before[index] or _Before(now, torch.zeros_like(now.z))
        before[index] = _Before(now, predict(weights, now.z))
        return compare(self.plasticity, weights, context.activity, now, context.held)

    def _add(
        self,
        index: int,
        ours: Pair,
        theirs: Pair,
        gammas_rate: dict[Gate, Tensor],
        gammas: dict[Gate, Tensor],
        shuffled: dict[Gate, Tensor],
    ) -> None:
        """Add the changes of both worlds to the sums, and let the weights change as they did in spikes."""
        weights, sums = self.weights[index], self.layers[index].sums
        rate = self._changes(weights, ours, gammas_rate)
        for target, change in rate.items():
            sums[target].rate.add_(change)
        for target, change in self._changes(weights, ours, shuffled).items():
            sums[target].shuffled.add_(change)
        rates = self.populations.layers[index]
        for target, change in self._changes(weights, theirs, gammas).items():
            sums[target].spiking.add_(change)
            used = {product.gate for product in self.plasticity.rule(target).products}
            theirs_open, ours_open = ([bool(each[gate]) for gate in used] for each in (gammas, gammas_rate))
            if theirs_open == ours_open and any(ours_open):
                sums[target].cosines.append(cosine(change.numpy(), rate[target].numpy()))
            weights[target].add_(change, alpha=rates.eta if target in ("w_ff", "bias") else rates.eta_pred)

    def _changes(
        self, weights: dict[Target, Tensor], pair: Pair, gates: dict[Gate, Tensor]
    ) -> dict[Target, Tensor]:
        """Return the changes of all weights, none where every gate is closed."""
        if not any(map(bool, gates.values())):
            return {}
        return changes(self.plasticity, weights, pair, gates)

    def _rate(self, inputs: Array) -> list[Activity]:
        x = torch.from_numpy(inputs)[None]
        activities = []
        for weights in self.weights:
            activities.append(respond(weights, x))
            x = activities[-1].z
        return activities

    def _spiking(self, record: Record, n: int) -> list[Activity]:
        x = _row(record.input_count[n] * self.populations.input.quantum)
        activities = []
        for layer, recorded in zip(self.populations.layers, record.layers, strict=True):
            z = _row(recorded.count[n] * layer.soma.quantum)
            activities.append(Activity(x, _row((recorded.charge[n] > 0).astype(float)), z))
            x = z
        return activities

    def scores(self) -> dict[str, NDArray[Any]]:
        """Return the scores of both worlds, (layers, presentations) each, and the sign of each pair.

        Those of the second gate, where gates are separate, are ``spiking_retro`` and ``rate_retro``.
        """
        found: dict[str, NDArray[Any]] = {"sign": np.array(self.sign, dtype=np.int8)}
        for gate in self.plasticity.gates:
            suffix = gate.removeprefix("gamma")
            for world in ("spiking", "rate"):
                scored = [getattr(layer.gates[gate], f"score_{world}") for layer in self.layers]
                found[f"{world}{suffix}"] = np.array(scored)
        return found

    def summary(self) -> dict[str, Any]:
        """Return the figures of `results.json`'s ``agreement``, each a list by layer."""
        figures: dict[str, Any] = {
            "update_cosine": {},
            "accumulated_cosine": {},
            "norm_ratio": {},
            "shuffled_gamma_cosine": {},
        }
        for target in self.layers[0].sums:
            by_layer = [layer.sums[target] for layer in self.layers]
            figures["update_cosine"][target] = [
                float(np.mean(s.cosines)) if s.cosines else 0.0 for s in by_layer
            ]
            figures["accumulated_cosine"][target] = [
                cosine(s.spiking.numpy(), s.rate.numpy()) for s in by_layer
            ]
            figures["norm_ratio"][target] = [float(s.spiking.norm() / s.rate.norm()) for s in by_layer]
            figures["shuffled_gamma_cosine"][target] = [
                cosine(s.spiking.numpy(), s.shuffled.numpy()) for s in by_layer
            ]
        compared = {
            gate: [
                np.array([getattr(layer.gates[gate], name) for layer in self.layers]).T
                for name in ("gamma_spiking", "gamma_rate", "score_spiking", "score_rate")
            ]
            for gate in self.plasticity.gates
        }
        separate = [len(self.plasticity.gates) > 1] * len(self.layers)
        figures |= figures_of_gates(np.array(self.sign), compared, separate)
        figures["excess_spikes"] = [float(np.mean(layer.excess)) for layer in self.layers]
        figures["largest_weight_mismatch"] = self.largest_mismatch
        return figures


def _of_layer(weights: Weights, name: str) -> dict[Target, Tensor]:
    parts = ((key.rsplit(".", 1), array) for key, array in weights.items())
    return {cast(Target, target): torch.tensor(array) for (layer, target), array in parts if layer == name}


def _row(values: Array) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float64))[None]


def _tensor(value: float) -> Tensor:
    return torch.tensor([float(value)], dtype=torch.float64)

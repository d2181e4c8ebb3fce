"""Online training of dense layers: one presentation after the other, every layer at once.

The order is that of all worlds (see `neuroclapp.plasticity`): the response of every layer with the
weights as they stand; then the gate and all changes from values before the update; the apical dendrite
takes ``W_pred c`` with ``W_pred`` as it stood during the context's presentation. With direct feedback c is
the top layer's activity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..network import Network
from ..plasticity import Context, Control, Gate, Plasticity, Target, clapp, third_factor
from ..presentations import Presentations
from ..weights import Weights
from .layer import Activity, changes, compare, gates_of, predict, respond


@dataclass(frozen=True)
class Trajectory:
    """What an online run leaves: weights at ``at`` (snapshots), scores and gates (presentations, layers).

    ``score_retro`` and ``gamma_retro`` are those of the second half, where gates are separate, else empty.
    """

    weights: Weights
    at: NDArray[np.int64]
    snapshots: dict[str, NDArray[np.float64]]
    score: NDArray[np.float64]
    gamma: NDArray[np.float64]
    score_retro: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    gamma_retro: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


def train_online(
    network: Network,
    weights: Weights,
    stream: Presentations,
    eta: Sequence[float],
    eta_pred: Sequence[float],
    control: Control | None = None,
    every: int = 100,
    progress: Callable[[int], object] = lambda done: None,
    context: Context = "own",
) -> Trajectory:
    """Train dense layers on a stream, in float64; snapshot the weights every ``every`` presentations.

    ``eta`` (for ``w_ff`` and ``bias``) and ``eta_pred`` (for ``w_pred`` and ``w_retro``) hold one rate per
    layer. ``gamma`` of the trajectory is what was released, late where ``control`` delays it.
    """
    control = control or Control()
    plasticity, top = clapp(network.prediction, context), len(network.layers) - 1
    layers = [
        _Layer(plasticity.of_layer(index == top), layer.name, weights, e, p)
        for index, (layer, e, p) in enumerate(zip(network.layers, eta, eta_pred, strict=True))
    ]
    inputs = torch.from_numpy(stream.inputs)
    signs = torch.from_numpy(stream.sign.astype(np.float64))
    score, gamma, score_retro, gamma_retro = np.zeros((4, len(stream), len(layers)))
    at: list[int] = []
    snapshots: list[dict[str, NDArray[np.float64]]] = []
    with torch.no_grad():
        for n in range(len(stream)):
            if n % every == 0:
                at.append(n)
                snapshots.append(_arrays(layers))
                progress(n)
            x = inputs[n : n + 1]
            for layer in layers:
                x = layer.respond(x)
            for index, layer in enumerate(layers):
                permutation = None if control.permutations is None else control.permutations[n, index]
                scores, gates = layer.compare(signs[n : n + 1], permutation, control)
                score[n, index], gamma[n, index] = scores["gamma"], gates["gamma"]
                score_retro[n, index], gamma_retro[n, index] = (
                    each.get("gamma_retro", each["gamma"]) for each in (scores, gates)
                )
            for layer in layers:
                layer.hold(x if context == "top" else layer.activity.z)
                layer.apply(control.bound)
    at.append(len(stream))
    snapshots.append(_arrays(layers))
    progress(len(stream))
    stacked = {name: np.stack([snapshot[name] for snapshot in snapshots]) for name in snapshots[0]}
    second = (score_retro, gamma_retro) if len(plasticity.gates) > 1 else ()
    return Trajectory(Weights(snapshots[-1]), np.array(at), stacked, score, gamma, *second)


def always_open(score: Tensor, sign: Tensor) -> Tensor:
    """Return the sign as gamma, whatever the score: the control that must fail."""
    return sign


def found(permutation: NDArray[np.int64] | None, control: Control) -> Callable[[Tensor], Tensor]:
    """Return what rule and score find in dendrites (batch, units) that a control changes."""
    if control.dendrite == "mean":
        return lambda charge: charge.mean(1, keepdim=True).expand_as(charge)
    if control.dendrite in ("constant", "absent"):
        level = control.level if control.dendrite == "constant" else 0.0
        return lambda charge: torch.full_like(charge, level)
    return lambda charge: charge if permutation is None else charge[:, permutation]


class _Layer:
    """A layer's weights and what it holds from the presentation before."""

    def __init__(
        self, plasticity: Plasticity, name: str, weights: Weights, eta: float, eta_pred: float
    ) -> None:
        self.plasticity, self.name = plasticity, name
        self.weights = {
            cast(Target, key.rsplit(".", 1)[1]): torch.tensor(array)
            for key, array in weights.items()
            if key.rsplit(".", 1)[0] == name
        }
        self.rates = {target: eta if target in ("w_ff", "bias") else eta_pred for target in self.weights}
        self.held = torch.zeros(1, len(self.weights["w_ff"]), dtype=torch.float64)
        self.context: Activity | None = None
        self.changes: dict[Target, Tensor] = {}
        self.late: list[dict[Gate, Tensor]] = []

    def respond(self, x: Tensor) -> Tensor:
        """Return the layer's activity (1, units)."""
        self.activity = respond(self.weights, x)
        return self.activity.z

    def compare(
        self, sign: Tensor, permutation: NDArray[np.int64] | None, control: Control
    ) -> tuple[dict[Gate, float], dict[Gate, float]]:
        """Find the weights' changes; return by gate the score, and gamma as it is released."""
        context = self.context or self.activity
        plasticity, weights = self.plasticity, self.weights
        pair = compare(plasticity, weights, context, self.activity, self.held, found(permutation, control))
        scores: dict[Gate, float] = {"gamma": float(pair.score)}
        if pair.score_retro is not None and "gamma_retro" in plasticity.gates:
            scores["gamma_retro"] = float(pair.score_retro)
        self.late.append(gates_of(pair, sign, always_open if control.always_open else third_factor))
        if len(self.late) <= control.delay:
            self.changes = {}
            return scores, dict.fromkeys(scores, 0.0)
        gates = self.late.pop(0)
        is_open = any(float(gamma) for gamma in gates.values())
        self.changes = changes(plasticity, weights, pair, gates) if is_open else {}
        return scores, {gate: float(gates[gate]) for gate in scores}

    def hold(self, c: Tensor) -> None:
        """Let the dendrite take ``W_pred c`` for the next presentation, whose context this one is."""
        self.held = predict(self.weights, c)
        self.context = self.activity._replace(z=c)

    def apply(self, bound: float) -> None:
        for target, change in self.changes.items():
            self.weights[target] += self.rates[target] * change
            if np.isfinite(bound):
                self.weights[target].clamp_(-bound, bound)


def _arrays(layers: list[_Layer]) -> dict[str, NDArray[np.float64]]:
    return {
        f"{layer.name}.{target}": array.numpy().copy()
        for layer in layers
        for target, array in layer.weights.items()
    }

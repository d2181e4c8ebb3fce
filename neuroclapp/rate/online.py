"""Online training of dense layers: one presentation after the other, every layer at once.

The order is that of all worlds (see `neuroclapp.plasticity`): the response of every layer with the
weights as they stand; then the gate and all changes from values before the update; the apical dendrite
takes ``W_pred c`` with ``W_pred`` as it stood during the context's presentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..network import Network
from ..plasticity import Control, Plasticity, Target, clapp, third_factor
from ..presentations import Presentations
from ..weights import Weights
from .layer import Activity, changes, compare, gates_of, predict, respond


@dataclass(frozen=True)
class Trajectory:
    """What an online run leaves: weights at ``at`` (snapshots), scores and gates (presentations, layers)."""

    weights: Weights
    at: NDArray[np.int64]
    snapshots: dict[str, NDArray[np.float64]]
    score: NDArray[np.float64]
    gamma: NDArray[np.float64]


def train_online(
    network: Network,
    weights: Weights,
    stream: Presentations,
    eta: Sequence[float],
    eta_pred: Sequence[float],
    control: Control | None = None,
    every: int = 100,
    progress: Callable[[int], object] = lambda done: None,
) -> Trajectory:
    """Train dense layers on a stream, in float64; snapshot the weights every ``every`` presentations.

    ``eta`` (for ``w_ff`` and ``bias``) and ``eta_pred`` (for ``w_pred`` and ``w_retro``) hold one rate per
    layer.
    """
    control = control or Control()
    plasticity = clapp(network.prediction)
    layers = [
        _Layer(plasticity, layer.name, weights, e, p)
        for layer, e, p in zip(network.layers, eta, eta_pred, strict=True)
    ]
    inputs = torch.from_numpy(stream.inputs)
    signs = torch.from_numpy(stream.sign.astype(np.float64))
    score, gamma = np.zeros((2, len(stream), len(layers)))
    at: list[int] = []
    snapshots: list[dict[str, NDArray[np.float64]]] = []
    with torch.no_grad():
        for n in range(len(stream)):
            if n % every == 0:
                at.append(n)
                snapshots.append(_arrays(layers))
                progress(n)
            x = inputs[n : n + 1]
            for index, layer in enumerate(layers):
                permutation = None if control.permutations is None else control.permutations[n, index]
                score[n, index], gamma[n, index] = layer.present(x, signs[n : n + 1], permutation, control)
                x = layer.activity.z
            for layer in layers:
                layer.apply(control.bound)
    at.append(len(stream))
    snapshots.append(_arrays(layers))
    progress(len(stream))
    stacked = {name: np.stack([snapshot[name] for snapshot in snapshots]) for name in snapshots[0]}
    return Trajectory(Weights(snapshots[-1]), np.array(at), stacked, score, gamma)


def always_open(score: Tensor, sign: Tensor) -> Tensor:
    """Return the sign as gamma, whatever the score: the control that must fail."""
    return sign


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

    def present(
        self, x: Tensor, sign: Tensor, permutation: NDArray[np.int64] | None, control: Control
    ) -> tuple[float, float]:
        self.activity = respond(self.weights, x)
        context = self.context or self.activity
        self.context = self.activity
        d, plasticity, weights = self.held, self.plasticity, self.weights
        self.held = predict(weights, self.activity.z)
        if permutation is not None:
            d = d[:, permutation]
            if "w_retro" in weights:
                weights = {**weights, "w_retro": weights["w_retro"][permutation]}
        gate = always_open if control.always_open else third_factor
        pair = compare(plasticity, weights, context, self.activity, d)
        gates = gates_of(pair, sign, gate)
        is_open = any(float(gamma) for gamma in gates.values())
        self.changes = changes(plasticity, weights, pair, gates) if is_open else {}
        return float(pair.score), float(gates["gamma"])

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

"""Measures of agreement and their statistics over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..plasticity import Gate
from ..weights import Weights

Array = NDArray[np.float64]


def cosine(a: Array, b: Array) -> float:
    """Return the cosine between two arrays; 0 if one of them vanishes."""
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.sum(a * b)) / norm if norm > 0 else 0.0


def gate_figures(
    sign: Array, spiking: Array, rate: Array, u_spiking: Array, u_rate: Array, margin: float = 0.2
) -> dict[str, float]:
    """Compare gamma and score of both worlds, each (presentations,), over all pairs and near the margin.

    A pair is near the margin where the rate score is within ``margin`` of the hinge's corner.
    """
    pair = sign != 0
    near = pair & (np.abs(sign * u_rate - 1) < margin)
    positive, negative = sign > 0, sign < 0
    return {
        "gate_agreement": float(np.mean((spiking == rate)[pair])),
        "gate_kappa": kappa(spiking[pair] != 0, rate[pair] != 0),
        "gate_agreement_near_margin": float(np.mean((spiking == rate)[near])) if near.any() else 1.0,
        "gate_kappa_near_margin": kappa(spiking[near] != 0, rate[near] != 0),
        "gate_open_fraction": float(np.mean(spiking[pair] != 0)),
        "score_rmse": float(np.sqrt(np.mean((u_spiking - u_rate)[pair] ** 2))),
        "score_correlation_fixations": _correlation(u_spiking[positive], u_rate[positive]),
        "score_correlation_saccades": _correlation(u_spiking[negative], u_rate[negative]),
    }


def figures_of_gates(
    sign: Array, compared: Mapping[Gate, Sequence[Array]], separate: Sequence[bool]
) -> dict[str, Any]:
    """Return `gate_figures`, each a list by layer, where layers may have two gates.

    ``compared`` holds by gate gamma of spikes and of rates and their scores, (presentations, layers) each.
    ``separate``: which layers have both; their figures are over the pairs of both. Where there are any, the
    figures of single gates stand beside them; of a layer with one gate, they are all its own. There too is
    the share of pairs in which the two gates differ, in spikes and in rates.
    """

    def figures(sign: Array, columns: Sequence[Array]) -> dict[str, float]:
        spiking, rate, u_spiking, u_rate = columns
        return gate_figures(sign, spiking, rate, u_spiking, u_rate)

    by_gate = {
        gate: [figures(sign, [each[:, n] for each in arrays]) for n in range(len(separate))]
        for gate, arrays in compared.items()
    }
    layers = list(by_gate["gamma"])
    for n in np.flatnonzero(separate):
        both = [
            np.concatenate([each[:, n] for each in each_gate])
            for each_gate in zip(*compared.values(), strict=True)
        ]
        layers[n] = figures(np.tile(sign, len(compared)), both)
    found: dict[str, Any] = {key: [layer[key] for layer in layers] for key in layers[0]}
    for key in ("gate_agreement", "gate_kappa", "gate_open_fraction", "score_rmse") if any(separate) else ():
        found[f"{key}_by_gate"] = {gate: [one[key] for one in each] for gate, each in by_gate.items()}
    if any(separate):
        pair, ((spiking, rate, *_), (spiking_retro, rate_retro, *_)) = sign != 0, compared.values()
        apart = {"spiking": spiking != spiking_retro, "rate": rate != rate_retro}
        found["gates_apart"] = {world: np.mean(each[pair], axis=0).tolist() for world, each in apart.items()}
    return found


def kappa(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return Cohen's kappa of two binary sequences; 1 if both are the same constant."""
    if len(a) == 0:
        return 1.0
    observed = float(np.mean(a == b))
    chance = float(np.mean(a) * np.mean(b) + np.mean(~a) * np.mean(~b))
    return 1.0 if chance == 1.0 else (observed - chance) / (1 - chance)


def total_change_cosine(a: Weights, b: Weights, start: Weights, names: Sequence[str]) -> list[float]:
    """Return, for each array name, the cosine between the total changes of two free-running worlds."""
    return [cosine(a[name] - start[name], b[name] - start[name]) for name in names]


def _correlation(a: Array, b: Array) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if len(a) > 1 and np.std(a) > 0 and np.std(b) > 0 else 0.0


def summarise(values: Sequence[Any]) -> dict[str, Any]:
    """Return ``{mean, interval, per_seed}`` of a figure, or of a list of figures, one value per seed.

    ``interval`` is the half-width of the 95 % confidence interval of the mean (Student's t); None for one
    seed, which says nothing of the spread.
    """
    array = np.array(values, dtype=np.float64)
    count, interval = len(array), None
    if count > 1:
        spread = stats.t.ppf(0.975, count - 1) * array.std(axis=0, ddof=1) / np.sqrt(count)
        interval = spread.tolist()
    return {"mean": array.mean(axis=0).tolist(), "interval": interval, "per_seed": array.tolist()}

"""Agreement of simulations that learn side by side with the rate rule, watched while they learn.

At every presentation both worlds hold the same weights: those of the simulation as it goes. The spiking side
is the change that its weights undergo, whatever neurons, dendrites or controls made it; the rate side is
computed from inputs and weights alone, by the rate rule. Nothing is rebuilt from records, so it holds for
every value of a description. The measures are those of `neuroclapp.analysis.agreement`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plasticity import third_factor
from ..presentations import Presentations
from ..rate.side_by_side import Layer, factors, hold, product, respond, sides
from ..spiking.populations import Populations
from ..spiking.state import Record, scores
from ..weights import Weights
from .measures import cosine, gate_figures

Array = NDArray[np.float64]

#: What is kept of every pair, (presentations, layers) for each simulation, beside an update cosine by target.
_KEPT = ("gamma_spiking", "gamma_rate", "score_spiking", "score_rate", "excess", "count")


class Watch:
    """Stands beside simulations that learn side by side; pass it to `Engine.run_many` stretch by stretch.

    ``begin`` a stretch with what is shown, call with the weights (simulations, ...) at the end of each
    presentation, and ``end`` it with the records. `arrays` and `restore` let a killed run go on.
    """

    def __init__(self, populations: Populations, initial: Sequence[Weights]) -> None:
        self.populations = populations
        self.names = [layer.name for layer in populations.layers]
        self.count = len(initial)
        self.weights = {name: np.stack([each[name] for each in initial]) for name in initial[0]}
        self.initial = {name: array.copy() for name, array in self.weights.items()}
        self.sums = {name: np.zeros((2, *array.shape)) for name, array in self.weights.items()}
        top = len(self.names) - 1
        self.top = top if populations.plasticity.context == "top" else None
        self.before: list[Layer] = []
        self.kept: dict[str, list[Array]] = {}
        self.signs: list[NDArray[np.int8]] = []

    def begin(self, streams: Sequence[Presentations]) -> None:
        """Begin a stretch that shows these streams, of one length."""
        self.inputs = np.stack([stream.inputs for stream in streams], axis=1)
        self.sign = np.stack([stream.sign for stream in streams], axis=1)
        self.at = 0
        self.traces: dict[str, list[tuple[list[Array], list[Array]]]] = {name: [] for name in self.weights}
        self.cosines: dict[str, list[Array]] = {name: [] for name in self.weights}
        self.gamma: list[Array] = []
        self.score: list[Array] = []

    def __call__(self, after: Mapping[str, Array]) -> None:
        """Take a presentation: the rule on the weights that stood during it, and what these became."""
        sign = self.sign[self.at].astype(np.float64)
        now = respond(self.weights, self.names, self.inputs[self.at])
        hold(self.weights, self.names, now, self.top)
        before = self.before or [replace(layer, held=np.zeros_like(layer.z)) for layer in now]
        self.before, gammas, all_scores = now, [], []
        found = []
        for index, name in enumerate(self.names):
            all_scores.append(np.sum(now[index].z * before[index].held, axis=1))
            gammas.append(third_factor(all_scores[-1], sign))
            plasticity = self.populations.rules_of(index)
            present = factors(plasticity, self.weights, name, now[index], before[index])
            found += [
                (f"{name}.{rule.target}", sides(rule, present))
                for rule in plasticity.rules
                if f"{name}.{rule.target}" in self.weights
            ]
        for name, (posts, pres) in found:
            self.traces[name].append((posts, pres))
            self.cosines[name].append(_cosines(after[name] - self.weights[name], posts, pres))
            np.copyto(self.weights[name], after[name])
        self.gamma.append(np.stack(gammas, axis=1))
        self.score.append(np.stack(all_scores, axis=1))
        self.at += 1

    def end(self, records: Sequence[Record], shuffle: Sequence[np.random.Generator]) -> None:
        """End the stretch: add it to all sums; ``shuffle`` draws the floor of each simulation."""
        layers = range(len(self.names))
        gates = [[r.layers[n].gamma for n in layers] for r in records]
        mixed = [list(map(draw.permutation, one)) for draw, one in zip(shuffle, gates, strict=True)]
        gamma, shuffled = (np.stack(each).transpose(2, 0, 1) for each in (gates, mixed))
        rate = np.stack(self.gamma)
        for name, traces in self.traces.items():
            index = self.names.index(name.rsplit(".", 1)[0])
            for sums, signs in zip(self.sums[name], (rate, shuffled), strict=True):
                sums += _summed(traces, signs[:, :, index]).reshape(sums.shape)
        estimated = [
            [scores(r.layers[n], self.populations, n, self.sign[:, number]) for n in layers]
            for number, r in enumerate(records)
        ]
        counts = [[np.mean(r.layers[n].count, axis=1) for n in layers] for r in records]
        found = {
            "gamma_spiking": gamma,
            "gamma_rate": rate,
            "score_spiking": np.stack(estimated).transpose(2, 0, 1),
            "score_rate": np.stack(self.score),
            "excess": np.stack([[_excess(r, n) for n in layers] for r in records]).transpose(2, 0, 1),
            "count": np.stack(counts).transpose(2, 0, 1),
        }
        for name, each in self.cosines.items():
            index = self.names.index(name.rsplit(".", 1)[0])
            both = gamma[:, :, index] * rate[:, :, index]
            found[f"cosine/{name}"] = np.where(both != 0, rate[:, :, index] * np.stack(each), np.nan)
        for name, array in found.items():
            self.kept.setdefault(name, []).append(np.ascontiguousarray(array))  # sums depend on it
        self.signs.append(self.sign)

    def arrays(self) -> dict[str, Array]:
        """Return all that was gathered up to the end of a stretch."""
        found = {f"sums/{name}": array for name, array in self.sums.items()}
        found |= {f"weights/{name}": array for name, array in self.weights.items()}
        for index, layer in enumerate(self.before):
            found |= {f"before/{index}/{key}": array for key, array in vars(layer).items()}
        found |= {f"kept/{name}": np.concatenate(parts) for name, parts in self.kept.items()}
        found["kept/sign"] = np.concatenate(self.signs)
        return found

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Take up what `arrays` returned."""
        for name in self.weights:
            self.sums[name], self.weights[name] = arrays[f"sums/{name}"], arrays[f"weights/{name}"]
        held = [field.name for field in fields(Layer)]
        self.before = [
            Layer(**{key: arrays[f"before/{n}/{key}"] for key in held}) for n in range(len(self.names))
        ]
        self.kept = {
            name.removeprefix("kept/"): [arrays[name]] for name in arrays if name.startswith("kept/")
        }
        self.signs = [self.kept.pop("sign")[0].astype(np.int8)]

    def summary(self, number: int) -> dict[str, Any]:
        """Return the figures of one simulation, each a list by layer."""
        kept = {name: np.concatenate(parts)[:, number] for name, parts in self.kept.items()}
        figures: dict[str, Any] = {
            key: {} for key in ("update_cosine", "accumulated_cosine", "norm_ratio", "shuffled_gamma_cosine")
        }
        common = [key for key in self._targets(self.names[-1]) if f"{self.names[0]}.{key}" in self.weights]
        for target in common:
            by_layer = [self._matrix(f"{name}.{target}", number, kept) for name in self.names]
            for key, by_target in figures.items():
                by_target[target] = [found[key] for found in by_layer]
        sign = np.concatenate(self.signs)[:, number].astype(np.float64)
        compared = [kept[key] for key in ("gamma_spiking", "gamma_rate", "score_spiking", "score_rate")]
        gates = []
        for n in range(len(self.names)):
            gamma, gamma_rate, score, score_rate = (each[:, n] for each in compared)
            gates.append(gate_figures(sign, gamma, gamma_rate, score, score_rate))
        for key in gates[0]:
            figures[key] = [gate[key] for gate in gates]
        figures["excess_spikes"] = kept["excess"].mean(axis=0).tolist()
        figures["spikes"] = kept["count"].mean(axis=0).tolist()
        return figures

    def _matrix(self, name: str, number: int, kept: Mapping[str, Array]) -> dict[str, float]:
        spiking = (self.weights[name][number] - self.initial[name][number]) / self._eta(name)
        rate, shuffled = self.sums[name][:, number]
        cosines = kept[f"cosine/{name}"]
        cosines = cosines[np.isfinite(cosines)]
        norm = float(np.linalg.norm(rate))
        return {
            "update_cosine": float(cosines.mean()) if len(cosines) else 0.0,
            "accumulated_cosine": cosine(spiking, rate),
            "norm_ratio": float(np.linalg.norm(spiking)) / norm if norm else 0.0,
            "shuffled_gamma_cosine": cosine(spiking, shuffled),
        }

    def _targets(self, name: str) -> list[str]:
        return [key.rsplit(".", 1)[1] for key in self.weights if key.rsplit(".", 1)[0] == name]

    def _eta(self, name: str) -> float:
        layer = self.populations.layers[self.names.index(name.rsplit(".", 1)[0])]
        return layer.eta if name.endswith((".w_ff", ".bias")) else layer.eta_pred


def _cosines(change: Array, posts: Sequence[Array], pres: Sequence[Array]) -> Array:
    """Return, by simulation, the cosine of ``change`` with the products' sum; 0 where one vanishes."""
    flat = change.reshape(len(change), change.shape[1], -1)
    pairs = list(zip(posts, pres, strict=True))
    dot = sum(np.sum(post * product(flat, pre), axis=1) for post, pre in pairs)
    square = sum(np.sum(p * q, axis=1) * np.sum(r * s, axis=1) for p, r in pairs for q, s in pairs)
    norms = np.sqrt(np.maximum(square, 0.0) * np.einsum("bij,bij->b", flat, flat))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norms > 0, dot / norms, 0.0)


def _summed(traces: Sequence[tuple[list[Array], list[Array]]], gates: Array) -> Array:
    """Return the sum over presentations of gate times products; ``gates`` (presentations, simulations)."""
    total: Any = 0.0
    for number in range(len(traces[0][0])):
        post = np.stack([posts[number] for posts, _ in traces]) * gates[:, :, None]
        pre = np.stack([pres[number] for _, pres in traces])
        total = total + post.transpose(1, 2, 0) @ pre.transpose(1, 0, 2)
    return np.asarray(total)


def _excess(record: Record, layer: int) -> Array:
    """Return by presentation the spikes per unit beyond the final charge."""
    one = record.layers[layer]
    return np.mean(one.count - np.maximum(np.round(one.charge), 0), axis=1)

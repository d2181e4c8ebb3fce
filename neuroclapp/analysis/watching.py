"""Agreement of simulations that learn side by side with the rate rule, watched while they learn.

At every presentation both worlds hold the same weights: those of the simulation as it goes. The spiking side
is the change that its weights undergo, whatever neurons, dendrites or controls made it; the rate side is
computed from inputs and weights alone, by the rate rule. Nothing is rebuilt from records, so it holds for
every value of a description. The measures are those of `neuroclapp.analysis.agreement`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..plasticity import Gate, Product, Target, third_factor
from ..presentations import Presentations
from ..rate.side_by_side import Layer, factors, hold, product, respond, sides
from ..rate.side_by_side import scores as scores_in_rates
from ..spiking.populations import Populations
from ..spiking.state import Record, scores
from ..weights import Weights
from .measures import cosine, figures_of_gates

Array = NDArray[np.float64]


class Watch:
    """Stands beside simulations that learn side by side; pass it to `Engine.run_many` stretch by stretch.

    ``begin`` a stretch with what is shown, call with the weights (simulations, ...) at the end of each
    presentation, and ``end`` it with the records. `arrays` and `restore` let a killed run go on.
    """

    def __init__(self, populations: Populations, initial: Sequence[Weights]) -> None:
        self.populations = populations
        self.names = [layer.name for layer in populations.layers]
        #: All gates of any layer; of a layer that has one gate, all of them are this one.
        self.gates = max((layer.gates for layer in populations.layers), key=len)
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
        self.gamma: dict[Gate, list[Array]] = {gate: [] for gate in self.gates}
        self.score: dict[Gate, list[Array]] = {gate: [] for gate in self.gates}

    def __call__(self, after: Mapping[str, Array]) -> None:
        """Take a presentation: the rule on the weights that stood during it, and what these became."""
        sign = self.sign[self.at].astype(np.float64)
        now = respond(self.weights, self.names, self.inputs[self.at])
        hold(self.weights, self.names, now, self.top)
        before = self.before or [replace(layer, held=np.zeros_like(layer.z)) for layer in now]
        self.before, found = now, []
        gammas: dict[Gate, list[Array]] = {gate: [] for gate in self.gates}
        all_scores: dict[Gate, list[Array]] = {gate: [] for gate in self.gates}
        for index, name in enumerate(self.names):
            plasticity = self.populations.rules_of(index)
            present = factors(plasticity, self.weights, name, now[index], before[index])
            here = scores_in_rates(plasticity, present)
            for gate in self.gates:
                all_scores[gate].append(here.get(gate, here["gamma"]))
                gammas[gate].append(third_factor(all_scores[gate][-1], sign))
            found += [
                (f"{name}.{rule.target}", rule, sides(rule, present), index)
                for rule in plasticity.rules
                if f"{name}.{rule.target}" in self.weights
            ]
        for name, rule, (posts, pres), index in found:
            self.traces[name].append((posts, pres))
            gated = [
                gammas[one.gate][index][:, None] * post
                for one, post in zip(rule.products, posts, strict=True)
            ]
            self.cosines[name].append(_cosines(after[name] - self.weights[name], gated, pres))
            np.copyto(self.weights[name], after[name])
        for gate in self.gates:
            self.gamma[gate].append(np.stack(gammas[gate], axis=1))
            self.score[gate].append(np.stack(all_scores[gate], axis=1))
        self.at += 1

    def end(self, records: Sequence[Record], shuffle: Sequence[np.random.Generator]) -> None:
        """End the stretch: add it to all sums; ``shuffle`` draws the floor of each simulation."""
        layers = range(len(self.names))
        gamma: dict[Gate, Array] = {}
        shuffled: dict[Gate, Array] = {}
        found: dict[str, Array] = {}
        for gate in self.gates:
            gates = [[_of_gate(r.layers[n].gammas(), gate) for n in layers] for r in records]
            mixed = [list(map(draw.permutation, one)) for draw, one in zip(shuffle, gates, strict=True)]
            gamma[gate], shuffled[gate] = (np.stack(each).transpose(2, 0, 1) for each in (gates, mixed))
            estimated = [
                [self._estimated(r, n, self.sign[:, number], gate) for n in layers]
                for number, r in enumerate(records)
            ]
            suffix = gate.removeprefix("gamma")
            found |= {
                f"gamma{suffix}_spiking": gamma[gate],
                f"gamma{suffix}_rate": np.stack(self.gamma[gate]),
                f"score{suffix}_spiking": np.stack(estimated).transpose(2, 0, 1),
                f"score{suffix}_rate": np.stack(self.score[gate]),
            }
        rate = {gate: np.stack(each) for gate, each in self.gamma.items()}
        for name, traces in self.traces.items():
            index, products = self._products(name)
            for sums, signs in zip(self.sums[name], (rate, shuffled), strict=True):
                gated = [signs[one.gate][:, :, index] for one in products]
                sums += _summed(traces, gated).reshape(sums.shape)
        counts = [[np.mean(r.layers[n].count, axis=1) for n in layers] for r in records]
        found["excess"] = np.stack([[_excess(r, n) for n in layers] for r in records]).transpose(2, 0, 1)
        found["count"] = np.stack(counts).transpose(2, 0, 1)
        for name, each in self.cosines.items():
            index, products = self._products(name)
            theirs, ours = (
                np.stack([signs[one.gate][:, :, index] != 0 for one in products]) for signs in (gamma, rate)
            )
            alike = np.all(theirs == ours, axis=0) & np.any(ours, axis=0)
            found[f"cosine/{name}"] = np.where(alike, np.stack(each), np.nan)
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
        compared: dict[Gate, list[Array]] = {}
        for gate in self.gates:
            suffix = gate.removeprefix("gamma")
            names = (f"gamma{suffix}_spiking", f"gamma{suffix}_rate")
            compared[gate] = [kept[key] for key in (*names, *(n.replace("gamma", "score") for n in names))]
        separate = [len(layer.gates) > 1 for layer in self.populations.layers]
        figures |= figures_of_gates(sign, compared, separate)
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

    def _products(self, name: str) -> tuple[int, tuple[Product, ...]]:
        """Return the layer of an array and the products of its rule."""
        layer, target = name.rsplit(".", 1)
        index = self.names.index(layer)
        return index, self.populations.rules_of(index).rule(cast(Target, target)).products

    def _estimated(self, record: Record, index: int, sign: NDArray[np.int8], gate: Gate) -> Array:
        layer = record.layers[index]
        return scores(layer, self.populations, index, sign, gate if gate in layer.gammas() else "gamma")

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


def _of_gate(values: Mapping[Gate, Array], gate: Gate) -> Array:
    return values.get(gate, values["gamma"])


def _summed(traces: Sequence[tuple[list[Array], list[Array]]], gates: Sequence[Array]) -> Array:
    """Return the sum over presentations of gates times products.

    ``gates``: of each product (presentations, simulations).
    """
    total: Any = 0.0
    for number, gate in enumerate(gates):
        post = np.stack([posts[number] for posts, _ in traces]) * gate[:, :, None]
        pre = np.stack([pres[number] for _, pres in traces])
        total = total + post.transpose(1, 2, 0) @ pre.transpose(1, 0, 2)
    return np.asarray(total)


def _excess(record: Record, layer: int) -> Array:
    """Return by presentation the spikes per unit beyond the final charge."""
    one = record.layers[layer]
    return np.mean(one.count - np.maximum(np.round(one.charge), 0), axis=1)

"""The engine's rendering of modulator and rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...plasticity import Control, Factor, Gate, Rule
from ..populations import LayerPopulations, Populations
from .arrays import Arrays
from .dendrites import collected
from .responding import Activity
from .shown import Shown

Array = NDArray[np.float64]


def released(
    xp: Arrays, layer: LayerPopulations, index: int, coincidences: Any, batch: Shown, gate: Gate = "gamma"
) -> tuple[Array, Array]:
    """Return a gate's gamma (batch,) and the spikes of its modulator's halves, fixation first (batch, 2).

    ``coincidences`` (batch, units): d_j z_j, or r_j c_j, as that modulator of layer ``index`` heard it.
    """
    m, sign, rows = layer.modulator, batch.sign, layer.rows(gate)
    evidence = xp.numpy(xp.product(batch.listens[index][..., rows, :], coincidences))
    if batch.noise:
        evidence = evidence + batch.noise[index][:, rows]
    evidence = evidence.reshape(-1, 2, m.units)
    stagger = (np.arange(m.units) + 0.5) / m.units
    charge = m.tonic + stagger + m.resolution * (1 + np.array([[-1.0], [1.0]]) * evidence)
    total = np.clip(np.floor(charge), 0, m.burst).sum(-1)
    opens = (total > m.units * m.tonic) | batch.always_open[:, None]
    return np.where(sign > 0, opens[:, 0] * 1.0, np.where(sign < 0, opens[:, 1] * -1.0, 0.0)), total


def late(gamma: Array, pending: Sequence[list[float]], controls: Sequence[Control]) -> Array:
    """Return gamma as it acts (batch,), late by each simulation's delay; ``pending``: what is on its way."""
    if not any(control.delay for control in controls):
        return gamma
    acting = np.zeros_like(gamma)
    for number, (queue, control) in enumerate(zip(pending, controls, strict=True)):
        queue.append(float(gamma[number]))
        if len(queue) > control.delay:
            acting[number] = queue.pop(0)
    return acting


def retro(
    xp: Arrays, populations: Populations, index: int, w: Mapping[str, Any], packets: Any, count: Any
) -> Any:
    """Return what the retro dendrite has at the end (batch, units): W_retro z, W_pred^T z, 0 if blocked."""
    layer, feedback = populations.layers[index], populations.rules_of(index).prediction.feedback
    if feedback == "blocked":
        return xp.full((len(packets), layer.soma.units), 0.0)
    matrix = w[f"{layer.name}.w_retro"] if feedback == "split" else w[f"{layer.name}.w_pred"].swapaxes(-1, -2)
    charge = collected(xp, populations, matrix, packets, count, layer.soma.quantum)
    return xp.rounded(charge, populations.grid)


def heard_retro(
    xp: Arrays, populations: Populations, index: int, w: Mapping[str, Any], packets: Any, count: Any
) -> Any:
    """Return what the retro dendrite has when the modulators are about to fire, after the last packets."""
    return retro(xp, populations, index, w, packets[:, : populations.timing.release], count)


def factors(now: Activity, context: Activity, c: Any, held: Any, retro: Any) -> dict[Factor, Any]:
    """Return what is present at the synapses of a layer at the release, each (batch, units).

    ``c`` is the activity that predicted, the layer's own or the top one's.
    """
    return {
        Factor("x", "sample"): now.x,
        Factor("x", "context"): context.x,
        Factor("z", "sample"): now.z,
        Factor("z", "context"): c,
        Factor("rho", "sample"): now.rho,
        Factor("rho", "context"): context.rho,
        Factor("d", "sample"): held,
        Factor("r", "sample"): retro,
    }


def learn(
    xp: Arrays,
    populations: Populations,
    index: int,
    w: Mapping[str, Any],
    present: Mapping[Factor, Any],
    gammas: Mapping[Gate, Array],
    bound: Array,
) -> None:
    """Change a layer's weights (batch, post, pre) themselves, of the simulations in which a gate is open.

    Each gate's gamma and ``bound`` (batch,); weights are rounded to the grid, then clipped to the bound.
    """
    layer, is_open = populations.layers[index], np.flatnonzero(np.any(list(gammas.values()), axis=0))
    chosen: Any = slice(None) if len(is_open) == len(bound) else xp.array(is_open, np.int64)
    here = {factor: value[chosen] for factor, value in present.items()}
    for rule in populations.rules_of(index).rules:
        weights = w.get(f"{layer.name}.{rule.target}")
        if weights is None:
            continue
        eta = layer.eta if rule.target in ("w_ff", "bias") else layer.eta_pred
        scales = {gate: xp.array(eta * gamma[is_open]) for gate, gamma in gammas.items()}
        posts, pres = _traces(rule, here, scales)
        xp.change(weights, is_open, posts, pres, populations.grid, bound[is_open])


def _traces(
    rule: Rule, here: Mapping[Factor, Any], scales: Mapping[Gate, Any]
) -> tuple[list[Any], list[Any]]:
    """Return the two sides of each product of a rule (batch, post) and (batch, pre); a bias has no second.

    Eqs. 3, 4, 13 and 14: a weight changes by the sum over products of post times pre. The post side holds the
    product's coefficient and the scale of its gate, eta gamma (batch,).
    """
    posts, pres = [], []
    for product in rule.products:
        post = product.coefficient * scales[product.gate][:, None]
        for factor in product.post:
            post = post * here[factor]
        posts.append(post)
        pres += [here[factor] for factor in product.pre]
    return posts, pres

"""The contrast between places, in closed form: losses, third factors, dendrites and prediction weights.

All comparisons of a batch are made at once. With ``g = -d loss / d u``, a pair's third factor (gamma, for the
hinge), and ``d = W_pred c``, a layer's dendrites receive at each place

    delta^sample += g d                 delta^context += W_retro (g+ z+ + sum g- z-)

and ``dW_pred = sum (g+ z+ + sum g- z-) c^T``. What the rules of `neuroclapp.plasticity` say of each product -
its gate, its factor, which half is there - is read from them. For InfoNCE the same sums are Eqs. 5-8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..objective import Contrast
from ..plasticity import APICAL, Gate, Plasticity, Target
from .matmul import matmul
from .pairs import Pairs


@dataclass(frozen=True)
class Compared:
    """What the comparison of a batch does: the mean loss, and changes per unit of learning rate.

    ``delta`` (places, features) is what the dendrites receive, the negative gradient of the loss; where
    another layer is the context, ``to_context`` (places, m) is what its dendrites receive. ``changes`` holds
    those of ``w_pred`` and ``w_retro``; ``open`` is the share of pairs whose gate is open.
    """

    loss: Tensor
    delta: Tensor
    to_context: Tensor | None
    changes: dict[Target, Tensor]
    open: Tensor


def compare(
    contrast: Contrast,
    plasticity: Plasticity,
    features: Tensor,
    context: Tensor,
    w_pred: Tensor,
    w_retro: Tensor | None,
    pairs: Pairs,
) -> Compared:
    """Compare contexts with samples and negatives.

    ``features`` (places, n) are compared with what ``context`` (places, m) predicts through ``w_pred``
    (matrices, n, m); ``w_retro`` (matrices, m, n) where the feedback is split. ``context`` may be
    ``features``.
    """
    c = context.index_select(0, pairs.context)
    z = features.index_select(0, pairs.sample)
    negatives = pairs.negative.shape[1]
    fake = features.index_select(0, pairs.negative.view(-1)).view(len(c), negatives, -1)
    d = _through(w_pred, c, pairs)

    positive, negative = _scores(z, fake, d)
    loss, gates = _gates(contrast, plasticity, pairs, positive, negative)
    delta = torch.zeros_like(features)
    retrodicted = delta if context is features else torch.zeros_like(context)
    changes: dict[Target, Tensor] = {}

    mixed: dict[Gate, Tensor] = {"gamma": _mix(gates["gamma"], z, fake)}
    if plasticity.prediction.gate == "separate":
        if w_retro is None:
            raise ValueError("a split W_pred needs w_retro")
        back = _through(w_retro.transpose(1, 2), c, pairs)
        retro_loss, retro_gates = _gates(contrast, plasticity, pairs, *_scores(z, fake, back))
        loss = (loss + retro_loss) / 2
        gates["gamma_retro"] = retro_gates["gamma"]
        mixed["gamma_retro"] = _mix(retro_gates["gamma"], z, fake)

    for product in plasticity.rule("w_ff").products:
        if product.post[0] == APICAL:
            to_sample, to_negative = gates[product.gate]
            delta.index_add_(0, pairs.sample, product.coefficient * to_sample.unsqueeze(1) * d)
            spread = (product.coefficient * to_negative).unsqueeze(2) * d.unsqueeze(1)
            delta.index_add_(0, pairs.negative.view(-1), spread.view(-1, d.shape[1]))
        else:
            backward = w_pred.transpose(1, 2) if w_retro is None else w_retro
            r = _through(backward, mixed[product.gate], pairs)
            retrodicted.index_add_(0, pairs.context, r, alpha=product.coefficient)
    for target in ("w_pred", "w_retro"):
        if target in plasticity.targets:
            (product,) = plasticity.rule(target).products
            first, second = (mixed[product.gate], c) if target == "w_pred" else (c, mixed[product.gate])
            weights = w_pred if target == "w_pred" else w_retro
            changes[target] = _outer(first, second, pairs, weights, product.coefficient)
    opened = torch.cat([gates["gamma"][0].unsqueeze(1), gates["gamma"][1]], 1) != 0
    to_context = None if context is features else retrodicted
    return Compared(loss, delta, to_context, changes, opened.float().mean())


Factors = tuple[Tensor, Tensor]


def _gates(
    contrast: Contrast, plasticity: Plasticity, pairs: Pairs, positive: Tensor, negative: Tensor
) -> tuple[Tensor, dict[Gate, Factors]]:
    """Return the mean loss, and ``-d loss / d u`` of the positive (m,) and the negatives (m, negatives)."""
    count, up, down = negative.shape[1], pairs.positive_weight, pairs.negative_weight
    if contrast.loss == "hinge":
        loss = (up * torch.relu(1 - positive)).sum() + (down * torch.relu(1 + negative).mean(1)).sum()
        return loss, {"gamma": (up * (positive < 1), -(down / count).unsqueeze(1) * (negative > -1))}
    if contrast.loss == "cross_entropy":
        loss = (up * softplus(-positive)).sum() + (down * softplus(negative).mean(1)).sum()
        fake = -(down / count).unsqueeze(1) * torch.sigmoid(negative)
        return loss, {"gamma": (up * torch.sigmoid(-positive), fake)}
    scores = torch.cat([positive.unsqueeze(1), negative], 1)
    probability = torch.softmax(scores, 1)
    loss = -(up * torch.log_softmax(scores, 1)[:, 0]).sum()
    weighted = up.unsqueeze(1) * probability
    return loss, {"gamma": (up - weighted[:, 0], -weighted[:, 1:])}


def _scores(z: Tensor, fake: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Return u of the positives (m,) and of the negatives (m, negatives)."""
    if fake.shape[1] == 1:  # thousands of products of two vectors are slow as matrix products
        return (z * d).sum(1), (fake[:, 0] * d).sum(1, keepdim=True)
    return (z * d).sum(1), torch.matmul(fake, d.unsqueeze(2)).squeeze(2)


def _mix(gates: Factors, z: Tensor, fake: Tensor) -> Tensor:
    """Return ``g+ z+ + sum g- z-`` (m, features)."""
    positive, negative = gates
    if fake.shape[1] == 1:
        return torch.addcmul(positive.unsqueeze(1) * z, negative, fake[:, 0])
    return positive.unsqueeze(1) * z + torch.matmul(negative.unsqueeze(1), fake).squeeze(1)


def _through(w: Tensor, x: Tensor, pairs: Pairs) -> Tensor:
    """Return ``W_k x`` of each pair (m, posts), k its group's matrix."""
    return torch.cat([matmul(x[first:last], w[k]) for k, first, last in pairs.bounds])


def _outer(first: Tensor, second: Tensor, pairs: Pairs, like: Tensor | None, factor: float) -> Tensor:
    """Return the sum of outer products over the pairs of each matrix, (matrices, posts, pres)."""
    if like is None:
        raise ValueError("a split W_pred needs w_retro")
    change = torch.zeros_like(like)
    for k, begin, end in pairs.bounds:
        change[k] += matmul(first[begin:end].T, second[begin:end].T)
    return change.mul_(factor) if factor != 1 else change

"""A linear head with cross-entropy on a module's features, in closed form: the supervised systems."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Taught:
    """The mean loss, what the features receive (places, features), and the changes of the head."""

    loss: Tensor
    delta: Tensor
    changes: dict[str, Tensor]
    correct: Tensor


def teach(features: Tensor, labels: Tensor, w_head: Tensor, b_head: Tensor) -> Taught:
    """Compare a head's guess from the mean over an image's places with its label.

    ``features`` (places, n), ``labels`` (images,), ``w_head`` (classes, n), ``b_head`` (classes,).
    """
    images = len(labels)
    mean = features.view(images, -1, features.shape[1]).mean(1)
    logits = mean @ w_head.T + b_head
    surprise = -torch.softmax(logits, 1)
    surprise[torch.arange(images), labels] += 1
    surprise /= images
    loss = torch.nn.functional.cross_entropy(logits, labels)
    places = len(features) // images
    delta = ((surprise @ w_head) / places).repeat_interleave(places, 0)
    changes = {"w_head": surprise.T @ mean, "b_head": surprise.sum(0)}
    return Taught(loss, delta, changes, (logits.argmax(1) == labels).float().mean())

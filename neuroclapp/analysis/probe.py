"""The linear probe of an image encoder's layers: what a linear map finds in mean features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from ..systems import Probe
from .readout import fit

Features = Mapping[str, NDArray[np.float32]]
Labels = Mapping[str, NDArray[np.int64]]


def probe(features: Features, labels: Labels, how: Probe, seed: int) -> dict[str, float]:
    """Fit on ``training`` and return the accuracy [%] on ``validation`` and ``test``.

    ``features`` holds (images, units) and ``labels`` (images,) of each part. Validation images choose the
    penalty of the logistic probe, and nothing of the paper's.
    """
    if how.kind == "adam":
        return _adam(features, labels, how, seed)
    double = {part: array.astype(np.float64) for part, array in features.items()}
    readout = fit(double["training"], labels["training"], double["validation"], labels["validation"])
    return {part: readout.accuracy(double[part], labels[part]) for part in ("validation", "test")}


def _adam(features: Features, labels: Labels, how: Probe, seed: int) -> dict[str, float]:
    """Train ``Linear(units, classes)`` as the paper does: Adam, cross-entropy, no penalty."""
    draw = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(features["training"]), torch.from_numpy(labels["training"])
    units, classes = x.shape[1], int(y.max()) + 1
    bound = units**-0.5
    w = ((torch.rand(classes, units, generator=draw) * 2 - 1) * bound).requires_grad_()
    b = ((torch.rand(classes, generator=draw) * 2 - 1) * bound).requires_grad_()
    adam = torch.optim.Adam([w, b], lr=how.learning_rate, fused=True)
    for _ in range(how.epochs):
        for picked in torch.randperm(len(x), generator=draw).split(how.batch):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(x[picked] @ w.T + b, y[picked]).backward()
            adam.step()
    accuracy = {}
    for part in ("validation", "test"):
        guess = (torch.from_numpy(features[part]) @ w.detach().T + b.detach()).argmax(1).numpy()
        accuracy[part] = 100.0 * float(np.mean(guess == labels[part]))
    return accuracy

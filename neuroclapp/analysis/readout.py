"""Linear readout: how much of the label a linear classifier finds in a layer's features."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..errors import InputError

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

#: Inverse strengths of the L2 penalty that the validation images choose from.
STRENGTHS = (0.003, 0.03, 0.3)


@dataclass(frozen=True)
class Readout:
    """A fitted linear classifier on standardised features."""

    classifier: Any

    def accuracy(self, features: Array, labels: Labels) -> float:
        """Return the share of correct labels, in percent."""
        return 100.0 * float(np.mean(self.classifier.predict(features) == labels))


def fit(features: Array, labels: Labels, validation: Array, validation_labels: Labels) -> Readout:
    """Fit a multinomial logistic regression; the penalty is chosen on the validation images.

    ``features`` (images, units). Features are standardised with the training images' statistics.
    """
    candidates = []
    for strength in STRENGTHS:
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=100))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            candidates.append(Readout(classifier.fit(features, labels)))
    return max(candidates, key=lambda readout: readout.accuracy(validation, validation_labels))


def few(labels: Labels, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return indices of ``count`` images with as equal a number of each class as can be.

    Raises InputError for more than the rarest class allows.
    """
    classes = np.unique(labels)
    shuffled = [generator.permutation(np.flatnonzero(labels == label)) for label in classes]
    turns = [
        image
        for turn in zip(*(part[: min(map(len, shuffled))] for part in shuffled), strict=True)
        for image in turn
    ]
    if count > len(turns):
        allowed = f"must be at most {len(turns)}, with as many of each class"
        raise InputError("", "data.few_labels", count, allowed)
    return np.sort(np.array(turns[:count], dtype=np.int64))

"""Real handwritten digits: scikit-learn's copy of the UCI optical digits, 1797 images of 8x8 pixels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SIDE = 8
PIXELS = SIDE**2
TRAINING, VALIDATION, TEST = 1000, 297, 500


@dataclass(frozen=True)
class Part:
    """Images (images, pixels) with values in 0 to 1, and their labels (images,)."""

    images: NDArray[np.float64]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Disjoint parts of a data set, and the mean training image (pixels,)."""

    training: Part
    validation: Part
    test: Part

    @property
    def side(self) -> int:
        """Height and width of an image [pixels]."""
        return SIDE

    @property
    def mean(self) -> NDArray[np.float64]:
        return self.training.images.mean(axis=0)


def load() -> Split:
    """Load the digits in one fixed split, the same for every seed."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(20201).permutation(len(pixels))
    bounds = (0, TRAINING, TRAINING + VALIDATION, TRAINING + VALIDATION + TEST)
    parts = [
        Part(pixels[order[a:b]] / 16.0, labels[order[a:b]].astype(np.int64)) for a, b in pairwise(bounds)
    ]
    return Split(*parts)

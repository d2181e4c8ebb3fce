"""CLAPP for whoever wants features: an estimator with scikit-learn's conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from ..network import Layer, Network, Prediction
from ..presentations import Glimpse
from ..weights import Initial
from .module import CLAPPNetwork, train_minibatch


class CLAPPEncoder(TransformerMixin, BaseEstimator):
    """Learn features of ``X`` (samples, inputs) without labels, each layer by its own CLAPP rule.

    A sample is seen in glimpses: centred, with fresh noise, split into ON and OFF channels. Two glimpses
    of one sample are a positive pair (fixation), of two samples a negative one (saccade). ``noise`` and
    ``contrast`` are in units of the standard deviation of ``X``. ``transform`` returns the noiseless
    response of layer ``layer`` (-1: the top one).
    """

    def __init__(
        self,
        units: tuple[int, ...] = (64, 64),
        feedback: str = "symmetric",
        batches: int = 3000,
        batch: int = 32,
        learning_rate: float = 1e-3,
        noise: float = 0.7,
        contrast: float = 0.25,
        layer: int = -1,
        random_state: int = 0,
    ) -> None:
        self.units, self.feedback = units, feedback
        self.batches, self.batch, self.learning_rate = batches, batch, learning_rate
        self.noise, self.contrast = noise, contrast
        self.layer, self.random_state = layer, random_state

    def fit(self, X: ArrayLike, y: object = None) -> CLAPPEncoder:
        """Learn from ``X``; labels are not used."""
        data = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        self.mean_ = data.mean(axis=0)
        self.scale_ = float(data.std()) or 1.0
        names = [f"layer{n + 1}" for n in range(len(self.units))]
        layers = tuple(Layer(name, count) for name, count in zip(names, self.units, strict=True))
        prediction = Prediction(feedback=self.feedback)  # type: ignore[arg-type]  # checked by the description
        self.network_ = Network("CLAPPEncoder", (2 * data.shape[1],), layers, prediction=prediction)
        draw = np.random.default_rng(self.random_state)
        self.module_ = CLAPPNetwork(self.network_, Initial().draw(self.network_, draw), torch.float64)
        glimpse = Glimpse(noise=self.noise * self.scale_, contrast=self.contrast / self.scale_)

        def pairs(count: int) -> tuple[Tensor, Tensor, Tensor]:
            context = draw.integers(len(data), size=count)
            sign = np.where(np.arange(count) % 2 == 0, 1, -1)
            step = draw.integers(1, len(data), size=count)
            sample = np.where(sign > 0, context, (context + step) % len(data))
            seen = [glimpse.look(data[index], self.mean_, draw) for index in (context, sample)]
            return _tensor(seen[0]), _tensor(seen[1]), _tensor(sign)

        optimiser = torch.optim.Adam(self.module_.parameters(), lr=self.learning_rate)
        train_minibatch(self.module_, pairs, self.batches, self.batch, optimiser)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return features (samples, units)."""
        check_is_fitted(self)
        data = validate_data(self, X, dtype=np.float64, reset=False)
        glimpse = Glimpse(noise=0.0, contrast=self.contrast / self.scale_)
        inputs = _tensor(glimpse.look(data, self.mean_, np.random.default_rng(0)))
        with torch.no_grad():
            return self.module_.features(inputs)[self.layer].numpy()


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float64))

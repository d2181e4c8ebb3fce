"""CLAPP for whoever wants features of images: an estimator with scikit-learn's conventions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..data.images import ImageData, Images, Statistics
from ..data.patches import Batches, survey
from ..errors import InputError
from ..network import Prediction, load_network
from ..objective import Contrast, System
from ..recipe import Recipe
from .modular import initial
from .patchnet import PatchNetwork
from .training import Learner, features, train


class CLAPPImageEncoder(TransformerMixin, BaseEstimator):
    """Learn features of images without labels, each layer by its own CLAPP rule.

    ``X`` holds images (images, height, width), or with three colours (images, height, width, 3), as uint8. An
    image is cut into overlapping ``patch`` x ``patch`` patches, ``stride`` apart, and those above predict
    those below. ``model`` names the encoder (a catalogue name or a path), ``modules`` how it is cut into
    gradient-isolated modules (left out: every layer for itself). ``transform`` returns the mean over patches
    of layer ``layer`` (-1: the top one). Further values are those of `neuroclapp.recipe.Recipe`.
    """

    def __init__(
        self,
        model: str = "vgg6",
        width: float = 0.125,
        modules: tuple[int, ...] = (),
        feedback: str = "symmetric",
        steps: int = 5,
        patch: int = 16,
        stride: int = 8,
        updates: int = 10000,
        batch: int = 8,
        columns: int = 0,
        learning_rate: float = 1e-3,
        prediction_rate: float = 10.0,
        gain: float = 2**0.5,
        layer: int = -1,
        random_state: int = 0,
    ) -> None:
        self.model, self.width, self.modules = model, width, modules
        self.feedback, self.steps = feedback, steps
        self.patch, self.stride = patch, stride
        self.updates, self.batch, self.columns = updates, batch, columns
        self.learning_rate, self.prediction_rate, self.gain = learning_rate, prediction_rate, gain
        self.layer, self.random_state = layer, random_state

    def fit(self, X: ArrayLike, y: object = None) -> CLAPPImageEncoder:
        """Learn from ``X``; labels are not used."""
        images = self._images(X)
        channels, height, width = images.pixels.shape[1:]
        self.data_ = ImageData("npz", crop=min(height, width), patch=self.patch, stride=self.stride)
        self.statistics_ = Statistics.of(images)
        network = load_network(self.model)
        network = replace(network, width=self.width, input=(channels, self.patch, self.patch))
        gate = "separate" if self.feedback == "split" else "shared"
        prediction = Prediction(self.feedback, gate)  # type: ignore[arg-type]  # checked by the description
        system = System("CLAPPImageEncoder", "contrast", tuple(self.modules),
                        Contrast(steps=self.steps, prediction=prediction))  # fmt: skip
        recipe = Recipe(
            updates=self.updates,
            batch=self.batch,
            columns=self.columns,
            learning_rate=self.learning_rate,
            prediction_rate=self.prediction_rate,
            gain=self.gain,
            decay="cosine",
        )
        arrays = initial(network, system, 1, self.random_state, self.gain)
        self.network_ = PatchNetwork(network, system, arrays)
        batches = Batches(
            images, self.data_, self.statistics_, self.batch, self.random_state, self.columns or None
        )
        self.history_ = train(Learner(self.network_, recipe), batches, self.random_state)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return features (images, units)."""
        check_is_fitted(self)
        seen = survey(self._images(X), self.data_, self.statistics_, 32)
        found: NDArray[np.float32] = features(self.network_, seen)[self.layer]
        return found

    def _images(self, X: ArrayLike) -> Images:
        pixels = np.asarray(X)
        grey, colour = pixels.ndim == 3, pixels.ndim == 4 and pixels.shape[-1] == 3
        if pixels.dtype != np.uint8 or not (grey or colour):
            raise InputError(
                type(self).__name__,
                "X",
                f"{pixels.dtype} {pixels.shape}",
                "must be uint8 (images, height, width) or (images, height, width, 3)",
            )
        return Images(pixels[:, None] if grey else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))

"""The rate network as a `torch.nn.Module`, whose gradients come from the closed-form rule."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..network import Network
from ..plasticity import Target, clapp
from ..weights import Weights, shapes
from .layer import Change, learn, predict, respond


class CLAPPNetwork(nn.Module):
    """Dense layers that learn one by one, each predicting its own activity.

    ``forward(x)`` maps (batch, inputs) to the top layer's features (batch, units). ``compare`` puts the
    negative of CLAPP's weight changes into ``.grad``, so that any torch optimiser can apply them.
    Parameters are named as in `neuroclapp.weights`, with ``/`` for the dot.
    """

    def __init__(self, network: Network, weights: Weights, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        for layer in network.layers:
            if layer.kind != "dense":
                raise InputError(
                    network.title, f"layers.{layer.name}.kind", layer.kind, "must be 'dense' here"
                )
        if any(len(module.layers) > 1 for module in network.split()):
            raise InputError(
                network.title, "modules", list(network.modules), "must be one layer per module here"
            )
        self.network, self.plasticity = network, clapp(network.prediction)
        arrays = {name: torch.tensor(weights[name], dtype=dtype) for name in shapes(network)}
        self.arrays = nn.ParameterDict(
            {name.replace(".", "/"): nn.Parameter(array) for name, array in arrays.items()}
        )

    def layer(self, name: str) -> dict[Target, Tensor]:
        """Return one layer's parameters by target."""
        targets: tuple[Target, ...] = ("w_ff", "bias", "w_pred", "w_retro")
        return {
            target: self.arrays[f"{name}/{target}"] for target in targets if f"{name}/{target}" in self.arrays
        }

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the activity of every layer, each (batch, units)."""
        activities = []
        for layer in self.network.layers:
            x = respond(self.layer(layer.name), x).z
            activities.append(x)
        return activities

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)[-1]

    @torch.no_grad()
    def compare(self, context: Tensor, sample: Tensor, sign: Tensor) -> list[Change]:
        """Compare pairs of inputs (batch, inputs) of ``sign`` (batch,), and set ``.grad`` of every parameter.

        The gradient is the mean over the batch of the gradient of Eq. 2 (Eq. 10 for a split W_pred), both
        inputs seen with the same weights. Returns each layer's change, scores and gates.
        """
        changes = []
        for layer in self.network.layers:
            weights = self.layer(layer.name)
            before, now = respond(weights, context), respond(weights, sample)
            change = learn(self.plasticity, weights, before, now, predict(weights, before.z), sign)
            for target, parameter in weights.items():
                parameter.grad = -change.weights[target]
            changes.append(change)
            context, sample = before.z, now.z
        return changes

    def weights(self) -> Weights:
        """Return all parameters as named numpy arrays."""
        return Weights(
            {name.replace("/", "."): array.detach().numpy() for name, array in self.arrays.items()}
        )


Pairs = Callable[[int], tuple[Tensor, Tensor, Tensor]]


def train_minibatch(
    module: CLAPPNetwork,
    pairs: Pairs,
    batches: int,
    batch: int = 32,
    optimiser: torch.optim.Optimizer | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> None:
    """Train on ``batches`` minibatches; ``pairs(batch)`` draws contexts, samples and signs.

    The default optimiser is Adam with a learning rate of 2e-4, the paper's.
    """
    optimiser = optimiser or torch.optim.Adam(module.parameters(), lr=2e-4)
    for done in range(batches):
        module.compare(*pairs(batch))
        optimiser.step()
        progress(done + 1)

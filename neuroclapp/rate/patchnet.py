"""An image encoder as a `torch.nn.Module` that learns by itself, module by module, in closed form.

Works through an image's places: patches of a grid, or whole views. What each module learns from is a value
(`neuroclapp.objective.System`); its gradients never cross the module's boundary, and nothing above or below
is needed for them. Arrays are named as in `neuroclapp.objective.parameters`, with ``/`` for the dot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType

import torch
from torch import Tensor

from ..errors import InputError
from ..network import Module
from ..objective import head
from ..plasticity import Plasticity
from . import residual, stack
from .contrast import compare
from .exchange import ALONE, Changes, Exchange
from .labels import teach
from .modular import Learned, ModularNetwork, Randomness
from .pairs import Pairs, draw


@dataclass(frozen=True)
class _Step:
    """What all modules share in a step; ``grid`` counts rows and columns, ``encoder`` holds what responds."""

    grid: tuple[int, int]
    encoder: Mapping[str, Tensor]
    randomness: Randomness
    labels: Tensor | None
    after: Callable[[Learned], object]
    exchange: Exchange


class PatchNetwork(ModularNetwork):
    """An encoder and what its modules learn from.

    ``forward(x)`` maps places (images, rows, columns, channels, height, width) to the top layer's mean
    features (images, units). ``learn`` puts the gradient of every module's own loss into ``.grad``, so that
    any torch optimiser can apply it. ``arrays`` are initial weights by name; see `initial`.

    Types and arrays: see `ModularNetwork`.
    """

    def features(self, x: Tensor) -> list[Tensor]:
        """Return every layer's mean features (images, units) for places (images, rows, columns, ...)."""
        encoder, found = self._encoder(), []
        images, maps, devices = len(x), x.flatten(0, 2).to(self.activity), _devices(encoder)
        for layer in self.network.scaled_layers:
            maps = maps.to(devices[layer.name])
            module = Module((layer,), self.network.prediction)
            response: stack.Response = _way(module).respond(module, encoder, maps, keep=False)
            places = response.features.to(self.dtype)
            found.append(places.view(images, -1, places.shape[1]).mean(1))
            maps = response.output
        return found

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)[-1]

    @torch.no_grad()
    def learn(
        self,
        x: Tensor,
        randomness: Randomness,
        labels: Tensor | None = None,
        after: Callable[[Learned], object] = lambda learned: None,
        exchange: Exchange = ALONE,
        onward: Callable[[Tensor], object] = lambda maps: None,
    ) -> list[Learned]:
        """Set ``.grad`` of every array from places ``x`` (images, rows, columns, channels, height, width).

        ``labels`` (images,) where the system learns from them; negatives are drawn from ``randomness``.
        ``after`` is called as soon as a module's gradients are there: whoever applies them at once, and lets
        them go, needs memory for one module at a time. ``exchange`` reaches the processes that hold the other
        images of the batch. ``onward`` gets the top layer's maps before the top module learns from them.
        """
        if self.system.learns == "nothing":
            return []
        arrays, maps = dict(self.named_arrays()), x.flatten(0, 2).to(self.activity)
        devices, encoder = _devices(arrays), self._encoder()
        joint = exchange.join(labels) if self.system.learns == "labels" and labels is not None else None
        step = _Step((x.shape[1], x.shape[2]), encoder, randomness, joint, after, exchange)
        last, found = len(self.modules_of) - 1, []
        waits = self.system.learns == "contrast" and self.system.contrast.context != "own"
        responses: list[stack.Response] = []  # each is let go when its module has learned
        for index, module in enumerate(self.modules_of):
            maps = maps.to(devices[module.layers[0].name])
            responses.append(self._respond(index, encoder, maps))
            maps = responses[-1].output
            if index == last:
                onward(maps.to(self.dtype))
            if waits and index < last:
                continue
            top = exchange.join(responses[-1].features) if len(responses) > 1 else None
            for at in range(index + 1 - len(responses), index + 1):
                found.append(self._learn(at, responses.pop(0), arrays, step, top if at < last else None))
        exchange.finish()
        return found

    def _respond(self, index: int, encoder: Mapping[str, Tensor], maps: Tensor) -> stack.Response:
        module = self.modules_of[index]
        response: stack.Response = _way(module).respond(module, encoder, maps, self.system.blocks(index))
        return replace(response, features=response.features.to(self.dtype))

    def _learn(
        self,
        index: int,
        response: stack.Response,
        arrays: Mapping[str, Tensor],
        step: _Step,
        top: Tensor | None,
    ) -> Learned:
        module, features = self.modules_of[index], step.exchange.join(response.features)
        name = head(module).name
        if self.system.learns == "labels":
            if step.labels is None:
                raise InputError(self.system.title, "labels", None, "this system learns from labels")
            labels = step.labels.to(features.device)
            taught = teach(features, labels, arrays[f"{name}.w_head"], arrays[f"{name}.b_head"])
            loss, share, delta = taught.loss, taught.correct, taught.delta
            changes = {f"{name}.{target}": change for target, change in taught.changes.items()}
        else:
            images = len(features) // (step.grid[0] * step.grid[1])
            pairs = draw(self.system.contrast, images, *step.grid, step.randomness(name), features)
            top = None if top is None else top.to(features.device)
            loss, share, delta, changes = self._contrast(name, features, top, arrays, pairs)
        learned = Learned(index, loss, share)

        def hand_over(encoder: Changes) -> None:
            self._hand_over(learned, {**changes, **encoder}, step.after)

        own = step.exchange.own(delta).to(self.activity)
        found = _way(module).learn(module, step.encoder, response, own, self.system.blocks(index))
        encoder = {target: change.to(self.dtype) for target, change in found.items()}
        step.exchange.total(encoder, hand_over)
        return learned

    def _contrast(
        self, name: str, features: Tensor, top: Tensor | None, arrays: Mapping[str, Tensor], pairs: Pairs
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Return loss, share of open gates, delta and changes, from the contexts that the system has."""
        contexts: list[tuple[str, Plasticity, Tensor]] = []
        if top is None or self.system.contrast.context == "both":
            contexts.append(("w_pred", self.plasticity, features))
        if top is not None:
            target = "w_pred" if self.system.contrast.context == "top" else "w_top"
            contexts.append((target, self.blocked, top))
        losses, shares, delta, changes = [], [], torch.zeros_like(features), {}
        for target, plasticity, context in contexts:
            w_pred, w_retro = arrays[f"{name}.{target}"], arrays.get(f"{name}.w_retro")
            split = plasticity.prediction.feedback == "split"
            compared = compare(
                self.system.contrast, plasticity, features, context, w_pred, w_retro if split else None, pairs
            )
            losses.append(compared.loss)
            shares.append(compared.open)
            delta += compared.delta
            changes[f"{name}.{target}"] = compared.changes["w_pred"]
            if split:
                changes[f"{name}.w_retro"] = compared.changes["w_retro"]
        return sum(losses[1:], losses[0]), sum(shares[1:], shares[0]) / len(shares), delta, changes


def _devices(arrays: Mapping[str, Tensor]) -> dict[str, torch.device]:
    """Return where each layer's arrays are."""
    return {name.split(".")[0]: array.device for name, array in arrays.items()}


def _way(module: Module) -> ModuleType:
    """Return how a module's layers respond and learn: `residual` where one is a residual block."""
    return residual if any(layer.kind == "residual" for layer in module.layers) else stack

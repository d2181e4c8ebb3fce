"""An encoder of sound as a `torch.nn.Module` that learns by itself, module by module, in closed form.

Works along time: convolutions, and perhaps gated recurrent units on top. A step of a layer predicts the steps
that follow it, each distance with a matrix of its own. Of recurrent units the state is the context c, and the
samples z are the layer that they hear (appendix B.2 of the paper). Activity is (sounds, steps, units).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..network import Layer, Network
from ..objective import InTime, System, head
from . import recurrent
from .contrast import compare
from .convolution1d import Reach, together
from .eprop import eprop, input_delta
from .exchange import ALONE, Changes, Exchange
from .frames import FRAME, framed, strides, unframed
from .labels import teach
from .modular import Learned, ModularNetwork, Randomness
from .pairs import draw
from .soundstack import Response, learn_convolutions, sound


@dataclass(frozen=True)
class _Step:
    samples: int
    encoder: Mapping[str, Tensor]
    randomness: Randomness
    labels: Tensor | None
    after: Callable[[Learned], object]
    exchange: Exchange


@dataclass(frozen=True)
class _Judged:
    """What a module's loss makes of it: what ``z`` and ``c`` receive, and the changes that are its own."""

    loss: Tensor
    share: Tensor
    to_z: Reach | None
    to_c: Reach | None
    changes: dict[str, Tensor]


def check(network: Network, system: System, in_time: InTime) -> None:
    """Raise ValueError where a system does not fit an encoder of sound."""
    network = system.cut(network)
    strides(network)
    *below, top = network.scaled_layers
    for layer in (*below, *([] if top.kind == "gru" else [top])):
        if layer.kind != "conv1d":
            where = "only on top" if layer.kind == "gru" else "not in an encoder of sound"
            raise ValueError(f"layer {layer.name!r}: a {layer.kind} layer may stand {where}")
    contrast = system.contrast
    if system.learns == "contrast" and (contrast.task != "rows" or contrast.context != "own"):
        raise ValueError(
            f"contrast.task = {contrast.task!r}, contrast.context = {contrast.context!r}: "
            "sound has 'rows' and 'own'"
        )
    feedback = contrast.prediction.feedback
    if (top.kind, system.learns, feedback) == (
        "gru",
        "contrast",
        "blocked",
    ) and in_time.recurrent != "nothing":
        raise ValueError(
            "feedback = 'blocked' leaves nothing for recurrent units to learn from: "
            "in_time.recurrent = 'nothing'"
        )


class SoundNetwork(ModularNetwork):
    """An encoder of sound and what its modules learn from.

    ``forward(x)`` maps sounds (sounds, samples) to the top layer's activity (sounds, frames, units).
    ``learn`` puts the gradient of every module's own loss into ``.grad``. Arrays and types: see
    `ModularNetwork`.
    """

    def __init__(
        self,
        network: Network,
        system: System,
        arrays: Mapping[str, NDArray[np.floating]],
        in_time: InTime | None = None,
        classes: int = 10,
        dtype: torch.dtype = torch.float32,
        activity: torch.dtype | None = None,
    ) -> None:
        super().__init__(network, system, arrays, classes, dtype, activity)
        self.in_time = in_time or InTime()
        check(network, system, self.in_time)
        names = [layer.name for layer in self.network.scaled_layers]
        self.strides = dict(zip(names, strides(self.network), strict=True))

    def pace(self, name: str) -> float:
        """Return what the learning rate of an array of the encoder is multiplied with."""
        return self.in_time.recurrent_rate if name.rsplit(".", 1)[1] in recurrent.ARRAYS else 1.0

    def features(self, x: Tensor) -> list[Tensor]:
        """Return every layer's activity by frame (sounds, frames, units) for sounds (sounds, samples)."""
        encoder, found, frames = self._encoder(), [], x.shape[1] // FRAME
        maps = x.unsqueeze(2).to(self.activity)
        for layer in self.network.scaled_layers:
            maps = sound((layer,), encoder, maps).output
            found.append(framed(maps.to(self.dtype), self.strides[layer.name], frames))
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
    ) -> list[Learned]:
        """Set ``.grad`` of every array from sounds ``x`` (sounds, samples).

        ``labels`` (sounds, frames) where the system learns from them, -1 where there is none. The others as
        in `PatchNetwork.learn`.
        """
        if self.system.learns == "nothing":
            return []
        encoder = self._encoder()
        joint = exchange.join(labels) if self.system.learns == "labels" and labels is not None else None
        step = _Step(x.shape[1], encoder, randomness, joint, after, exchange)
        maps, found = x.unsqueeze(2).to(self.activity), []
        waiting: Response | None = None
        for index, module in enumerate(self.modules_of):
            response = sound(module.layers, encoder, maps, self.in_time.recurrent == "eprop")
            maps = response.output
            if self._waits(index):
                waiting = response
                continue
            learned, to_z = self._learn(index, response, step, None)
            if waiting is not None:
                found.append(self._learn(index - 1, waiting, step, to_z)[0])
                waiting = None
            found.append(learned)
        exchange.finish()
        return found

    def _waits(self, index: int) -> bool:
        """Return whether a module learns also from being predicted by the recurrent units above it."""
        plastic = self.system.learns == "contrast" and self.in_time.below == "plastic"
        above = self.modules_of[index + 1 : index + 2]
        return plastic and len(above) == 1 and above[0].layers[0].kind == "gru"

    def _learn(
        self, index: int, response: Response, step: _Step, also: Reach | None
    ) -> tuple[Learned, Reach | None]:
        """Learn from a module's loss and from what its samples receive ``also``.

        Return besides what the samples of recurrent units receive.
        """
        module = self.modules_of[index]
        judged = self._taught(index, response, step) if step.labels is not None else None
        judged = judged or self._compared(index, response, step)
        learned = Learned(index, judged.loss, judged.share)
        encoder: dict[str, Tensor] = {}
        to_z, layers = judged.to_z, list(module.layers)
        if response.c is not None:
            layers.pop()
            if judged.to_c is None:
                raise ValueError(f"module {index}: recurrent units need a loss")
            top = module.layers[-1]
            changes, to_x = self._recurrent(top, response, judged.to_c, bool(layers), step.encoder)
            encoder.update(changes)
            if to_x is not None:
                to_z = Reach(to_x) if to_z is None else together(to_z, Reach(to_x))
        if also is not None and to_z is not None:
            to_z = together(to_z, also)
        if layers and to_z is not None:
            encoder.update(learn_convolutions(layers, step.encoder, response.held, to_z))

        def hand_over(summed: Changes) -> None:
            self._hand_over(learned, {**judged.changes, **summed}, step.after)

        step.exchange.total({name: each.to(self.dtype) for name, each in encoder.items()}, hand_over)
        return learned, None if layers else judged.to_z

    def _recurrent(
        self, layer: Layer, response: Response, to_c: Reach, onward: bool, encoder: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the changes of the recurrent units, and what their input receives if that is to learn."""
        arrays = {name: encoder[f"{layer.name}.{name}"] for name in recurrent.ARRAYS}
        delta = to_c.whole(response.z.shape[1])
        to_x: Tensor | None = None
        if self.in_time.recurrent == "eprop":
            chunk = self.in_time.chunk
            changes = eprop(arrays, response.z, response.output, delta, chunk, response.gates)
            to_x = input_delta(arrays, response.z, response.output, delta) if onward else None
        elif self.in_time.recurrent == "bptt" or onward:
            changes, to_x = recurrent.bptt(arrays, response.z, delta, to_input=onward)
        if self.in_time.recurrent == "nothing":
            changes = {name: torch.zeros_like(array) for name, array in arrays.items()}
        return {f"{layer.name}.{name}": change for name, change in changes.items()}, to_x

    def _taught(self, index: int, response: Response, step: _Step) -> _Judged:
        """Compare a head's guess of each frame's label with it."""
        name = head(self.modules_of[index]).name
        arrays, output, stride = dict(self.named_arrays()), response.output.to(self.dtype), self.strides[name]
        frames = step.samples // FRAME
        features = step.exchange.join(framed(output, stride, frames)).flatten(0, 1)
        if step.labels is None:
            raise InputError(self.system.title, "labels", None, "this system learns from labels")
        labels = step.labels.flatten()
        known = labels >= 0
        taught = teach(features[known], labels[known], arrays[f"{name}.w_head"], arrays[f"{name}.b_head"])
        delta = torch.zeros_like(features)
        delta[known] = taught.delta
        own = step.exchange.own(delta.view(-1, frames, delta.shape[1]))
        reach = Reach(unframed(own, stride, output.shape[1]).to(self.activity))
        changes = {f"{name}.{target}": change for target, change in taught.changes.items()}
        above = response.c is not None
        return _Judged(
            taught.loss, taught.correct, None if above else reach, reach if above else None, changes
        )

    def _compared(self, index: int, response: Response, step: _Step) -> _Judged:
        """Compare predictions with what comes, in a window of the layer's steps."""
        name = head(self.modules_of[index]).name
        contrast, arrays, steps = self.system.contrast, dict(self.named_arrays()), response.z.shape[1]
        if response.c is not None and self.in_time.recurrent_source is not None:
            contrast = replace(contrast, source=self.in_time.recurrent_source)
        generator = step.randomness(name)
        window = min(self.in_time.window or steps, steps)
        begin = int(generator.integers(steps - window + 1))

        def seen(x: Tensor) -> Tensor:
            return step.exchange.join(x[:, begin : begin + window].to(self.dtype).contiguous()).flatten(0, 1)

        features = seen(response.z)
        context = features if response.c is None else seen(response.c)
        pairs = draw(contrast, len(features) // window, window, 1, generator, features)
        w_pred, w_retro = arrays[f"{name}.w_pred"], arrays.get(f"{name}.w_retro")
        compared = compare(contrast, self.plasticity, features, context, w_pred, w_retro, pairs)

        def own(delta: Tensor) -> Reach:
            mine = step.exchange.own(delta.view(-1, window, delta.shape[1])).to(self.activity)
            return Reach(mine, begin)

        to_c = None if compared.to_context is None else own(compared.to_context)
        changes = {f"{name}.{target}": change for target, change in compared.changes.items()}
        return _Judged(compared.loss, compared.open, own(compared.delta), to_c, changes)

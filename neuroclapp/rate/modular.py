"""An encoder whose modules learn by themselves: its arrays, their first values, and what learning hands over.

What a place is - a patch, a view, a step in time - is for the classes that are built on this one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import InputError
from ..network import Network, Prediction
from ..objective import System, fan_in, kernel_of, parameters
from ..plasticity import clapp
from ..presentations import generator
from .exchange import ALONE, Exchange

Arrays = dict[str, NDArray[np.float32]]
Modular = TypeVar("Modular", bound="ModularNetwork")


@dataclass(frozen=True)
class Learned:
    """What one module made of a batch: its loss, and the share of open gates (or of right answers)."""

    module: int
    loss: Tensor
    share: Tensor


@dataclass(frozen=True)
class Randomness:
    """Random numbers of one step: ``randomness(layer)`` are those of the module whose top layer it is.

    They depend on nothing else, so that modules may learn in any order, or in different processes.
    """

    seed: int
    step: int

    def __call__(self, layer: str) -> np.random.Generator:
        return generator(self.seed, f"pairs of {layer} in step {self.step}")


class ModularNetwork(nn.Module, ABC):
    """The arrays of an encoder and of what its modules learn from, each a torch parameter.

    ``arrays`` are initial weights by name; see `initial`. Weights, features, losses and gradients have the
    type ``dtype``; activities and the products that make and change them may be of a smaller, ``activity``.
    """

    def __init__(
        self,
        network: Network,
        system: System,
        arrays: Mapping[str, NDArray[np.floating]],
        classes: int = 10,
        dtype: torch.dtype = torch.float32,
        activity: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.dtype, self.activity = dtype, activity or dtype
        self.network, self.system = system.cut(network), system
        self.modules_of = self.network.split()
        self.arrays = nn.ParameterDict()
        for name, shape in parameters(network, system, classes).items():
            if name not in arrays or arrays[name].shape != shape:
                found = arrays[name].shape if name in arrays else None
                raise InputError(network.title, name, found, f"needs an array of shape {shape}")
            array = torch.tensor(np.asarray(arrays[name]), dtype=dtype)
            if array.dim() == 4:
                array = array.contiguous(memory_format=torch.channels_last)
            self.arrays[name.replace(".", "/")] = nn.Parameter(array)
        contrast = system.contrast
        self.plasticity = clapp(contrast.prediction)
        self.blocked = clapp(Prediction("blocked"))

    def named_arrays(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield every array with its name."""
        for name, array in self.arrays.items():
            yield name.replace("/", "."), array

    def of(self, module: int) -> dict[str, nn.Parameter]:
        """Return the arrays of one module by name."""
        layers = {layer.name for layer in self.modules_of[module].layers}
        return {name: array for name, array in self.named_arrays() if name.split(".")[0] in layers}

    def pace(self, name: str) -> float:
        """Return what the learning rate of an array of the encoder is multiplied with."""
        return 1.0

    def _encoder(self) -> dict[str, Tensor]:
        """Return every array in the type of activities."""
        return {name: array.to(self.activity) for name, array in self.named_arrays()}

    def place(self: Modular, devices: Sequence[torch.device | str]) -> Modular:
        """Move each module's arrays to a device of its own; maps follow them from module to module."""
        if len(devices) != len(self.modules_of):
            allowed = f"needs one for each of the {len(self.modules_of)} modules"
            raise InputError(self.network.title, "devices", list(devices), allowed)
        for index, device in enumerate(devices):
            for array in self.of(index).values():
                array.data = array.data.to(device)
                array.grad = None
        return self

    @abstractmethod
    def features(self, x: Tensor) -> list[Tensor]:
        """Return every layer's features."""

    @abstractmethod
    def learn(
        self,
        x: Tensor,
        randomness: Randomness,
        labels: Tensor | None = None,
        after: Callable[[Learned], object] = lambda learned: None,
        exchange: Exchange = ALONE,
    ) -> list[Learned]:
        """Set ``.grad`` of every array; call ``after`` as soon as a module has learned."""

    def _hand_over(
        self, learned: Learned, changes: Mapping[str, Tensor], after: Callable[[Learned], object]
    ) -> None:
        """Set ``.grad`` from changes, which are used up, and say that a module has learned."""
        arrays = dict(self.named_arrays())
        for target, change in changes.items():
            arrays[target].grad = _ordered_like(change.neg_(), arrays[target])
        after(learned)


def _ordered_like(change: Tensor, array: Tensor) -> Tensor:
    """Return ``change`` in the array's order of memory: torch's fused Adam takes it for granted."""
    return change if change.stride() == array.stride() else torch.empty_like(array).copy_(change)


def initial(network: Network, system: System, classes: int, seed: int, gain: float = 3**-0.5) -> Arrays:
    """Draw initial weights, uniform with standard deviation ``gain / sqrt(fan-in)``.

    The default gain is torch's own for convolutions and linear maps, which the paper uses, biases included;
    ``sqrt(2)`` keeps activities alike through the layers. Each array has a generator of its own, so that
    systems of one seed share their encoder.
    """
    arrays: Arrays = {}
    shapes = parameters(network, system, classes)
    for name, shape in shapes.items():
        kernel = kernel_of(name)
        if kernel is not None:
            bound = fan_in(kernel, shapes[kernel]) ** -0.5
        else:
            encoder = not name.endswith((".w_pred", ".w_retro", ".w_top", ".w_head", ".w_ih", ".w_hh"))
            bound = (gain * 3**0.5 if encoder else 1.0) * fan_in(name, shape) ** -0.5
        arrays[name] = generator(seed, name).uniform(-bound, bound, shape).astype(np.float32)
    return arrays

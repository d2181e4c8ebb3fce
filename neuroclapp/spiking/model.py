"""A spiking network in Brian2, once its objects are made (`neuroclapp.spiking.building`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import brian2 as b2
import numpy as np
from numpy.typing import NDArray

from ..plasticity import Control, Target
from ..weights import Weights
from .drawn import Drawn
from .grid import rounded
from .populations import Populations
from .state import LayerState, State
from .steps import Found

Array = NDArray[np.float64]


@dataclass
class LayerModel:
    """One layer's groups and synapses; ``synapses`` holds the plastic ones by target."""

    soma: Any
    modulator: Any
    site: Any
    synapses: dict[Target, Any]


@dataclass
class Model:
    """A network of Brian2 objects, all of them reachable, for ``presentations`` presentations.

    ``found``: what somata find in their dendrites. ``code``: the class of code objects of plastic synapses,
    None for Brian2's own. ``random``: each array of random numbers with how it is filled.
    """

    populations: Populations
    presentations: int
    found: Found
    network: Any
    input: Any
    layers: list[LayerModel]
    stimulus: Any
    gaze: Any
    permutations: list[Any]
    code: type | None = None
    random: list[tuple[Any, Callable[[Drawn], Array]]] = field(default_factory=list)
    monitors: dict[str, Any] = field(default_factory=dict)

    @property
    def duration(self) -> Any:
        """All presentations, and the one time step that closes the last of them."""
        timing = self.populations.timing
        return (self.presentations * timing.period + timing.dt) * b2.second

    def assignments(
        self, state: State, weights: Weights, learn: bool, control: Control
    ) -> list[tuple[Any, str, Any]]:
        """Return (group, variable, value) of all that differs from one call to the next.

        Weights are rounded to the grid, where there is one.
        """
        grid = self.populations.grid
        bound = min(control.bound, 1e300)  # the C++ program cannot read an infinite value
        values: list[tuple[Any, str, Any]] = [(self.input, "count", state.input_count)]
        for layer, model, held in zip(self.populations.layers, self.layers, state.layers, strict=True):
            eta, eta_pred = (layer.eta, layer.eta_pred) if learn else (0.0, 0.0)
            values += [(model.soma, name, getattr(held, name)) for name in ("count", "v", "next_held")]
            values += [(model.site, "always_open", float(control.always_open))]
            if self.found == "constant":
                level = np.array(control.level if control.dendrite == "constant" else 0.0)
                values += [(model.soma, "level", float(rounded(level, grid)))]
            if layer.bias:
                bias = weights[f"{layer.name}.bias"]
                values += [
                    (model.soma, "bias", rounded(bias, grid)),
                    (model.soma, "eta_bias", eta),
                    (model.soma, "bound_bias", bound),
                ]
            for target, synapses in model.synapses.items():
                values += [
                    (synapses, "w", rounded(weights[f"{layer.name}.{target}"], grid).T.ravel()),
                    (synapses, "eta", eta if target == "w_ff" else eta_pred),
                    (synapses, "bound", bound),
                ]
        return values

    def read_weights(self, before: Weights) -> Weights:
        """Return the weights as they stand after a run."""
        arrays = {}
        for layer, model in zip(self.populations.layers, self.layers, strict=True):
            if layer.bias:
                arrays[f"{layer.name}.bias"] = np.array(model.soma.bias[:])
            for target, synapses in model.synapses.items():
                name = f"{layer.name}.{target}"
                arrays[name] = np.asarray(synapses.w[:]).reshape(before[name].shape[::-1]).T
        return before.replace(arrays)

    def read_state(self, record: int = -1) -> State:
        """Return what the network held after the last presentation, or when it started (``record`` 0)."""

        def read(monitor: str, name: str) -> Array:
            return np.array(getattr(self.monitors[monitor], name)[:, record])

        names = ("count", "v", "next_held")
        layers = [LayerState(*(read(f"soma{n}", name) for name in names)) for n in range(len(self.layers))]
        return State(read("input", "count"), layers)

    def given(self, name: str, drawn: Drawn, dt: Any, values: Callable[[Drawn], Array]) -> Any:
        """Make an array of random numbers in time, and remember how it is filled; ``dt`` of an entry [s]."""
        step = dt if isinstance(dt, b2.Quantity) else dt * b2.second
        array = b2.TimedArray(values(drawn), dt=step, name=name)
        self.random.append((array, values))
        return array

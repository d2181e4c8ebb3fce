"""Network -> Wiring: what a chip would hold of it, convolutions written out, before anything is trained.

Nothing is shared between positions: a kernel is as many synapses as it is used, and what lies in the padding
has none. A unit is one neuron that sends packets or, on a chip without graded spikes, ``neurons`` neurons.

    input            one neuron for each value; two, ON and OFF, where convolutions see values of either sign
    dense            ``units`` neurons that hear all below
    conv, conv1d     ``units`` neurons at each position; a max-pool is a population of relays above them
    residual         two rectified populations, and the sum as ON and OFF neurons, as it has either sign
    gru              not mapped: see `Refused`

Sounds are unrolled over what one step of the top convolution hears, as in `neuroclapp.spiking.unrolled`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from ..network import Layer, Network
from .demand import Population, Projection, Window, Wiring, project
from .plan_windows import through, windows

Pooling = Literal["relay", "mean"]
#: Neurons that stand for a value of either sign.
ON_OFF = 2


@dataclass(frozen=True)
class Refused:
    """What has no rendering: the layer, the term of it, why, and what would fit instead."""

    layer: str
    term: str
    why: str
    instead: str


@dataclass(frozen=True)
class Unrolled:
    """``depth``: time steps from the input to the top, one for each population on the way."""

    wiring: Wiring
    refused: tuple[Refused, ...]
    depth: int
    assumed: tuple[str, ...]


@dataclass(frozen=True)
class _Below:
    """What a layer hears: a population and its grid; ``signed`` where it has ON and OFF neurons.

    ``merged`` maps each position of ``grid`` to the positions of the population whose mean it is.
    """

    population: Population
    grid: tuple[int, ...]
    signed: bool
    merged: Window | None = None


class _Builder:
    """Collects populations and projections from the input up."""

    def __init__(self, per_unit: int, pooling: Pooling) -> None:
        self.per_unit, self.pooling = per_unit, pooling
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        self.depth = 0
        self.sound = False
        self.assumed: list[str] = []

    def population(
        self, name: str, layer: str, role: Literal["input", "soma", "relay"], units: int, positions: int = 1
    ) -> Population:
        made = Population(name, layer, role, units * self.per_unit, positions)
        self.populations.append(made)
        return made

    def hear(self, name: str, below: _Below, post: Population, window: Window) -> None:
        """Add synapses from all channels at the positions of ``window``, those of ``below.grid``."""
        if below.merged is not None:
            window = through(window, below.merged)
        units = below.population.units
        self.projections.append(Projection(name, below.population, post, window, units, units))

    def assume(self, text: str) -> None:
        if text not in self.assumed:
            self.assumed.append(text)


def unroll(network: Network, per_unit: int = 1, pooling: Pooling = "relay") -> Unrolled:
    """Return what inference needs: ``per_unit`` neurons for a unit, max-pools as ``pooling`` says."""
    builder = _Builder(per_unit, pooling)
    layers = network.scaled_layers
    names = [layer.kind for layer in layers]
    mapped = layers[: names.index("gru")] if "gru" in names else layers
    refused = tuple(_unmapped(layer) for layer in layers[len(mapped) :])
    builder.sound = bool(mapped) and all(layer.kind == "conv1d" for layer in mapped)
    dense = layers[0].kind == "dense"
    shape = network.input
    if builder.sound:
        steps = _steps(mapped)
        shape = (network.input[0], steps)
        builder.assume(
            f"one presentation is one step of the top convolution, which hears {steps} of "
            f"{network.input[1]} samples"
        )
    elif not dense:
        builder.assume(f"one presentation is one input of {' x '.join(map(str, shape))}, a patch")
    if dense:
        below = _Below(builder.population("input", "input", "input", prod(shape)), (1,), False)
    else:
        builder.assume("each input value is an ON and an OFF neuron")
        builder.assume("kernels are not shared between positions: every synapse is written out")
        source = builder.population("input", "input", "input", ON_OFF * shape[0], prod(shape[1:]))
        below = _Below(source, tuple(shape[1:]), True)
    for layer in mapped:
        below = _KINDS[layer.kind](builder, layer, below)
    return Unrolled(
        Wiring(tuple(builder.populations), tuple(builder.projections)),
        refused,
        builder.depth,
        tuple(builder.assumed),
    )


def _unmapped(layer: Layer) -> Refused:
    if layer.kind != "gru":
        why = "it hears a layer that is not mapped"
        return Refused(layer.name, layer.kind, why, "the layers below the recurrent one alone")
    return Refused(
        layer.name,
        "gru: gates that multiply (Eqs. 15-18)",
        "a recurrent unit's gates multiply its state; no population of spikes here stands for one",
        "the layers below it alone, read out at the top convolution",
    )


def _dense(builder: _Builder, layer: Layer, below: _Below) -> _Below:
    soma = builder.population(layer.name, layer.name, "soma", layer.units)
    builder.depth += 1
    if below.merged is None:
        builder.projections.append(project(f"{layer.name}.w_ff", below.population, soma))
    else:
        places = prod(below.grid)
        builder.hear(
            f"{layer.name}.w_ff",
            below,
            soma,
            Window(np.array([0, places]), np.arange(places, dtype=np.int64)),
        )
    return _Below(soma, (1,), False)


def _convolution(builder: _Builder, layer: Layer, below: _Below) -> _Below:
    window, grid = windows(below.grid, layer.kernel, layer.stride, layer.padding)
    return _somata(builder, layer, below, window, grid)


def _convolution1d(builder: _Builder, layer: Layer, below: _Below) -> _Below:
    padding = 0 if builder.sound else layer.padding
    window, grid = windows(below.grid, layer.kernel, layer.stride, padding)
    return _somata(builder, layer, below, window, grid)


def _somata(builder: _Builder, layer: Layer, below: _Below, window: Window, grid: tuple[int, ...]) -> _Below:
    units = layer.units if layer.rectified else ON_OFF * layer.units
    if not layer.rectified:
        builder.assume("sums of either sign are ON and OFF neurons")
    soma = builder.population(layer.name, layer.name, "soma", units, prod(grid))
    builder.depth += 1
    builder.hear(f"{layer.name}.w_ff", below, soma, window)
    if layer.pool == 1:
        return _Below(soma, grid, not layer.rectified)
    blocks, pooled = windows(grid, layer.pool, layer.pool, 0)
    if builder.pooling == "mean":
        builder.assume("a max-pool is replaced by a mean, in the synapses of the layer above")
        return _Below(soma, pooled, not layer.rectified, blocks)
    builder.assume("a max-pool is relays, neurons of their own that pass on the largest count of their block")
    relay = builder.population(f"{layer.name}.pool", layer.name, "relay", units, prod(pooled))
    builder.depth += 1
    units = soma.units
    builder.projections.append(Projection(f"{layer.name}.pool", soma, relay, blocks, builder.per_unit, units))
    return _Below(relay, pooled, not layer.rectified)


def _residual(builder: _Builder, layer: Layer, below: _Below) -> _Below:
    """W3 rho(W2 rho(W1 rho(x))) + skip; rho(x) is what the ON neurons send."""
    builder.assume(
        "a residual block is two rectified populations and its sum in ON and OFF neurons; it is counted, but "
        "no simulator here runs one in spikes"
    )
    between = max(1, round(layer.units / 4))
    same, _ = windows(below.grid, 1, 1, 0)
    window, grid = windows(below.grid, layer.kernel, layer.stride, layer.padding)
    strided, _ = windows(below.grid, 1, layer.stride, 0)
    here, _ = windows(grid, 1, 1, 0)
    name, places = layer.name, prod(grid)
    first = builder.population(f"{name}.1", name, "soma", between, prod(below.grid))
    second = builder.population(f"{name}.2", name, "soma", between, places)
    total = builder.population(name, name, "soma", ON_OFF * layer.units, places)
    builder.depth += 3
    positive = below.population.units // (ON_OFF if below.signed else 1)
    builder.projections.append(Projection(f"{name}.w1", below.population, first, same, positive, positive))
    builder.projections.append(Projection(f"{name}.w2", first, second, window, first.units, first.units))
    builder.projections.append(Projection(f"{name}.w3", second, total, here, second.units, second.units))
    channels = positive // builder.per_unit
    if layer.stride == 1 and channels == layer.units:
        heard = (ON_OFF if below.signed else 1) * builder.per_unit
        builder.projections.append(
            Projection(f"{name}.skip", below.population, total, same, heard, below.population.units)
        )
    else:
        builder.projections.append(
            Projection(f"{name}.w_skip", below.population, total, strided, positive, positive)
        )
    return _Below(total, grid, True)


_KINDS: dict[str, Callable[[_Builder, Layer, _Below], _Below]] = {
    "dense": _dense,
    "conv": _convolution,
    "conv1d": _convolution1d,
    "residual": _residual,
}


def _steps(layers: Sequence[Layer]) -> int:
    """Return how many samples one step of the top convolution hears."""
    steps = 1
    for layer in reversed(layers):
        steps = (steps - 1) * layer.stride + layer.kernel
    return steps

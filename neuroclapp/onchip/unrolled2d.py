"""Convolutions with pooling as sparse matrices: inference of an image encoder on a chip, kernels written out.

Every unit at every pixel is a packet unit with synapses of its own. One patch is one presentation of
``steps`` time steps; what arrives in step 0 belongs to the patch before and is dropped.

    input, s < steps_on:   v += charge
    somata:                v += W packets of step s - 1,  and bias while late <= s < late + steps_on
    every step:            n = clip(v div threshold, 0, neurons);  v -= n threshold
    relays (max-pool):     g_i += n_i of step s - 1;  n = max(0, max_i g_i) is sent, and all gates lose it

A relay has a gate for each unit of its block, so that its count is the largest count in the block so far. v
starts at half a threshold, gates at 0. A pixel is an ON and an OFF unit, side by side; what lies in the
padding sends nothing. Units count channel by channel, row by row.

The same network is rendered in floating point (thresholds are 1) and in integers: weights of 8 bits and a
sign, of which Lava's fixed point keeps the even ones where a matrix has both signs. The threshold of each
layer is what makes its largest weight 254.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..errors import InputError, RunError
from ..files import read_npz, write_npz
from ..network import Layer
from .plan_wiring import Pooling

FILE = "unrolled.npz"
Array = NDArray[Any]
Kind = Literal["float", "integer"]

#: Charges are multiples of this part of a threshold, so that float sums are exact in any order (and where a
#: block of 2^n units is averaged, of 2^-n of it).
GRID = 2.0**-24
#: Threshold of the input units in integers, and the largest weight of a matrix with both signs.
INPUT_THRESHOLD, LARGEST = 4096, 254


@dataclass(frozen=True)
class SparseLayer:
    """Somata, or relays with ``block`` gates each: ``weights`` (post or gates, pre), ``bias`` (post,).

    Weights and bias are charges: what a packet of one spike brings, and what each step with input does.
    """

    name: str
    weights: sparse.csr_matrix
    bias: Array
    threshold: float
    late: int
    block: int = 0

    @property
    def units(self) -> int:
        return self.weights.shape[0] // max(self.block, 1)


@dataclass(frozen=True)
class SparseNetwork:
    """An encoder of patches (channels, height, width); ``quantum`` is an input spike's activity."""

    kind: Kind
    patch: tuple[int, int, int]
    steps: int
    steps_on: int
    neurons: int
    quantum: float
    layers: tuple[SparseLayer, ...]

    @property
    def threshold(self) -> float:
        """Threshold of the input units."""
        return 1.0 if self.kind == "float" else INPUT_THRESHOLD

    @property
    def synapses(self) -> int:
        return sum(layer.weights.nnz for layer in self.layers)

    def charge(self, patches: ArrayLike) -> Array:
        """Return the charge of ON and OFF units in a step, (patches, units); activities have either sign."""
        patches = np.asarray(patches, dtype=np.float64)
        if patches.ndim != 4 or patches.shape[1:] != self.patch or not len(patches):
            raise InputError("patches", "shape", patches.shape, f"must be (patches, {self.patch})")
        if not np.isfinite(patches).all():
            raise InputError("patches", "value", "not finite", "activities must be finite")
        charge = patches.reshape(len(patches), -1) / (self.quantum * self.steps_on)
        signed = np.maximum(np.stack([charge, -charge], -1), 0.0).reshape(len(patches), -1)
        if self.kind == "float":
            return np.round(signed / GRID) * GRID
        return np.round(signed * INPUT_THRESHOLD).astype(np.int32)


def unroll2d(
    title: str,
    layers: Sequence[Layer],
    patch: tuple[int, int, int],
    arrays: Mapping[str, ArrayLike],
    quanta: Sequence[float],
    neurons: int,
    steps: int,
    steps_on: int,
    pooling: Pooling = "relay",
) -> SparseNetwork:
    """Write out trained convolutions, ``arrays`` by name (``conv1.w_ff``, ``conv1.bias``), in floating point.

    ``quanta``: what a spike is worth of the pixels and of each layer. Raises InputError, naming ``title``
    and the layer, where a layer or a value does not fit.
    """
    if len(quanta) != len(layers) + 1 or min(quanta) <= 0:
        raise InputError(title, "quanta", list(quanta), f"needs {len(layers) + 1} positive values")
    made: list[SparseLayer] = []
    shape, late = patch, 1
    merge: sparse.csr_matrix | None = None
    for index, layer in enumerate(layers):
        if layer.kind != "conv" or not layer.rectified:
            raise InputError(title, f"layers.{layer.name}.kind", layer.kind, "must be a rectified 'conv'")
        below, own = quanta[index], quanta[index + 1]
        kernel = np.asarray(arrays[f"{layer.name}.w_ff"], dtype=np.float64)
        if kernel.shape != layer.weight_shape(shape):
            allowed = f"its shape must be {layer.weight_shape(shape)}"
            raise InputError(title, f"{layer.name}.w_ff", kernel.shape, allowed)
        kernel = np.round(kernel * (below / own) / GRID) * GRID
        weights = convolution(kernel, shape, layer.stride, layer.padding)
        if index == 0:
            weights = sparse.kron(weights, sparse.csr_matrix([[1.0, -1.0]]), format="csr")
        if merge is not None:
            weights = (weights @ merge).tocsr()
        somata = replace(layer, pool=1).output(shape)
        given = arrays.get(f"{layer.name}.bias", np.zeros(layer.units))
        bias = np.repeat(np.asarray(given, dtype=np.float64), somata[1] * somata[2])
        bias = np.round(bias / (own * steps_on) / GRID) * GRID
        made.append(SparseLayer(layer.name, weights, bias, 1.0, late))
        shape, late, merge = (somata[0], somata[1], somata[2]), late + 1, None
        if layer.pool > 1:
            gates = blocks(shape, layer.pool)
            units = gates.shape[0] // layer.pool**2
            shape = (shape[0], shape[1] // layer.pool, shape[2] // layer.pool)
            if pooling == "mean":
                sums = sparse.kron(sparse.identity(units), np.full((1, layer.pool**2), 1 / layer.pool**2))
                merge = (sums.tocsr() @ gates).tocsr()
            else:
                name = f"{layer.name}.pool"
                made.append(SparseLayer(name, gates, np.zeros(units), 1.0, late, layer.pool**2))
                late += 1
    if steps < steps_on + late - 1:
        raise InputError(title, "steps", steps, f"must be {steps_on + late - 1} or more, to reach the top")
    return SparseNetwork("float", patch, steps, steps_on, neurons, quanta[0], tuple(made))


def integers(network: SparseNetwork) -> SparseNetwork:
    """Return the network in integers: even weights up to 254, thresholds and biases on the same scale."""
    return replace(
        network, kind="integer", layers=tuple(one if one.block else _integers(one) for one in network.layers)
    )


def _integers(layer: SparseLayer) -> SparseLayer:
    largest = float(np.abs(layer.weights.data).max(initial=0.0))
    threshold = max(2, 2 * int(LARGEST / (2 * largest))) if largest > 0 else 2
    weights = layer.weights.copy()
    weights.data = np.clip(2 * np.round(weights.data * threshold / 2), -LARGEST, LARGEST).astype(np.int32)
    weights.eliminate_zeros()
    bias = np.round(layer.bias * threshold).astype(np.int32)
    return replace(layer, weights=weights, bias=bias, threshold=threshold)


def convolution(
    kernel: NDArray[np.float64], shape: tuple[int, int, int], stride: int, padding: int
) -> sparse.csr_matrix:
    """Return a convolution as a matrix (post, pre); taps in the padding have no entry."""
    units, channels, size, _ = kernel.shape
    _, tall, wide = shape
    height, width = ((side + 2 * padding - size) // stride + 1 for side in (tall, wide))
    unit, row, column, channel, y, x = np.indices((units, height, width, channels, size, size)).reshape(6, -1)
    at_y, at_x = row * stride + y - padding, column * stride + x - padding
    inside = (at_y >= 0) & (at_y < tall) & (at_x >= 0) & (at_x < wide)
    post = ((unit * height + row) * width + column)[inside]
    pre = ((channel * tall + at_y) * wide + at_x)[inside]
    values = kernel[unit, channel, y, x][inside]
    return sparse.csr_matrix((values, (post, pre)), (units * height * width, channels * tall * wide))


def blocks(shape: tuple[int, int, int], pool: int) -> sparse.csr_matrix:
    """Return the matrix (gates, somata) that brings each soma to its gate; those of a block are adjacent."""
    units, tall, wide = shape
    height, width = tall // pool, wide // pool
    unit, row, column, y, x = np.indices((units, height, width, pool, pool)).reshape(5, -1)
    pre = (unit * tall + row * pool + y) * wide + column * pool + x
    gates = np.arange(len(pre))
    return sparse.csr_matrix((np.ones(len(pre), np.int32), (gates, pre)), (len(pre), units * tall * wide))


def write(network: SparseNetwork, folder: Path) -> None:
    """Write ``folder/unrolled.npz``, whole or not at all."""
    arrays: dict[str, Any] = {
        "kind": np.array(network.kind),
        "patch": np.array(network.patch),
        "clock": np.array([network.steps, network.steps_on, network.neurons]),
        "quantum": np.array(network.quantum),
        "names": np.array([layer.name for layer in network.layers]),
    }
    for index, layer in enumerate(network.layers):
        csr = layer.weights
        parts = {"data": csr.data, "indices": csr.indices, "indptr": csr.indptr, "shape": csr.shape}
        values = np.array([layer.threshold, layer.late, layer.block])
        arrays |= {f"{index}.{key}": np.asarray(value) for key, value in parts.items()}
        arrays |= {f"{index}.bias": layer.bias, f"{index}.values": values}
    write_npz(folder / FILE, arrays)


def read(folder: Path) -> SparseNetwork:
    """Read ``folder/unrolled.npz``; raise InputError that names the file where it is absent or not whole."""
    path = folder / FILE
    if not path.is_file():
        raise InputError(path, None, None, "no such file")
    try:
        arrays = read_npz(path)
        layers = tuple(_layer(arrays, index, str(name)) for index, name in enumerate(arrays["names"]))
        steps, steps_on, neurons = (int(value) for value in arrays["clock"])
        channels, height, width = (int(value) for value in arrays["patch"])
        kind: Kind = "integer" if str(arrays["kind"]) == "integer" else "float"
        patch, quantum = (channels, height, width), float(arrays["quantum"])
    except (KeyError, ValueError, RunError) as error:
        raise InputError(path, None, None, f"not an unrolled network: {error}") from None
    return SparseNetwork(kind, patch, steps, steps_on, neurons, quantum, layers)


def _layer(arrays: Mapping[str, Array], index: int, name: str) -> SparseLayer:
    parts = (arrays[f"{index}.data"], arrays[f"{index}.indices"], arrays[f"{index}.indptr"])
    weights = sparse.csr_matrix(parts, tuple(arrays[f"{index}.shape"]))
    threshold, late, block = arrays[f"{index}.values"]
    return SparseLayer(name, weights, arrays[f"{index}.bias"], float(threshold), int(late), int(block))

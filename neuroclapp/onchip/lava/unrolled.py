"""Unrolled convolutions in Lava: sparse connections, populations between them, packets of every layer.

`neuroclapp.onchip.lava.shim.import_lava` must have been called before this module is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lava.proc.sparse.process import Sparse
from numpy.typing import NDArray

from ..unrolled2d import SparseLayer, SparseNetwork, read
from .graph import record_one
from .processes.unrolled import Maps, Pixels, Relays

#: Any positive value makes a Sparse take payloads instead of single spikes.
_PAYLOAD_BITS = 24


def build(folder: Path, patches: NDArray[Any], records: Path) -> tuple[SparseNetwork, Pixels, list[Path]]:
    """Build the network of ``folder`` for ``patches``; its layers' packets go to files in ``records``."""
    network = read(folder)
    charge = network.charge(patches)
    source = Pixels(charge, network.threshold, network.neurons, network.steps, network.steps_on, name="input")
    files, below = [], source
    for index, layer in enumerate(network.layers):
        synapses = Sparse(weights=layer.weights, num_message_bits=_PAYLOAD_BITS, name=f"{layer.name}_w_ff")
        population = _population(network, layer)
        below.s_out.connect(synapses.s_in)
        synapses.a_out.connect(population.a_in)
        steps = len(charge) * network.steps
        files.append(record_one(population, steps, records / f"packets{index}.npy"))
        below = population
    return network, source, files


def _population(network: SparseNetwork, layer: SparseLayer) -> Any:
    if layer.block:
        return Relays(layer.units, layer.block, network.steps, name=layer.name)
    clock = {"late": layer.late, "steps": network.steps, "steps_on": network.steps_on}
    return Maps(layer.bias, layer.threshold, network.neurons, **clock, name=layer.name)

"""Maps of spikes in Brian2: one C++ program, all patches in one run, each place with synapses of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import equations as eq
from .compiled import BIAS_STEP, SYNAPSE, Compiled
from .maps import LayerOfMaps, Maps, blocks, connections
from .unrolled import ON_OFF, Array

SOMA = """
v : 1
packet : 1
count : 1
drive : 1
neurons : 1 (shared)
bias : 1
"""
SOMA_TURN = "count = 0; v = 0.5; drive = 0"
#: A relay's gates all lose what it sends, so it sends how far the largest count has come beyond its own.
RELAY = "best : 1\npacket : 1\ncount : 1"
RELAY_TURN = "best = 0; count = 0"
RELAY_STEP = "packet = best - count"
RELAY_RESET = "count += packet"
#: Synapses act before the reset counts the packet.
LEAD = "best_post = clip(count_pre + packet_pre, best_post, inf)"


class CompiledMaps(Compiled[Maps]):
    """Maps compiled to a C++ program that runs up to ``presentations`` patches per call.

    The same program serves all maps of the same layers and timing, whatever their weights and scales. Of the
    poolings by relays only ``"lead"`` is there.
    """

    def __init__(self, maps: Maps, presentations: int, folder: Path) -> None:
        if maps.pooling not in ("lead", "mean"):
            raise InputError("CompiledMaps", "pooling", maps.pooling, "must be 'lead' or 'mean' in Brian2")
        self._somata: list[Any] = []
        self._synapses: list[Any] = []
        super().__init__(maps, maps.timing, maps.input.units, presentations, folder)

    def run(self, maps: Maps, patches: NDArray[np.floating]) -> list[Array]:
        """Return the counts of the input (patches, channels, height, width, 2), and of somata and relays.

        ``patches`` and the counts of each layer are (patches, units, height, width); relays stand after the
        somata of their layer.
        """
        counts = self.counts(maps, maps.charges(patches).reshape(len(patches), -1), {})
        shapes: list[tuple[int, ...]] = [(*maps.patch, ON_OFF)]
        for each in maps.layers:
            shapes += [each.shape, each.sends] if self._relayed(maps, each) else [each.shape]
        return [count.reshape(len(patches), *shape) for count, shape in zip(counts, shapes, strict=True)]

    def _build(self, maps: Maps) -> None:
        for index, each in enumerate(maps.layers):
            self._add(index, each, maps)
            if self._relayed(maps, each):
                self._relay(index, each)

    def _add(self, index: int, each: LayerOfMaps, maps: Maps) -> None:
        """Add a layer's somata, and the synapses on them from the group below."""
        b2 = self._program.b2
        soma = b2.NeuronGroup(
            each.soma.units,
            SOMA,
            threshold=eq.SPIKE,
            reset=eq.RESET,
            namespace={**self._clock, "late": each.late},
            name=f"soma{index}",
        )
        soma.run_regularly(SOMA_TURN, dt=self._period, when="start", order=0)
        soma.run_regularly("\n".join((BIAS_STEP, eq.SOMA_STEP)), when="groups")
        synapses = b2.Synapses(self._groups[-1], soma, "w : 1", on_pre=SYNAPSE, name=f"basal{index}")
        pre, post, _ = connections(maps, index)
        synapses.connect(i=pre, j=post)
        self._somata.append(soma)
        self._synapses.append(synapses)
        self._others.append(synapses)
        self._groups.append(soma)

    def _relay(self, index: int, each: LayerOfMaps) -> None:
        """Add the relays of a pooled layer, and the synapses on them from its somata."""
        b2 = self._program.b2
        relay = b2.NeuronGroup(
            int(np.prod(each.sends)), RELAY, threshold=eq.SPIKE, reset=RELAY_RESET, name=f"relay{index}"
        )
        relay.run_regularly(RELAY_TURN, dt=self._period, when="start", order=0)
        relay.run_regularly(RELAY_STEP, when="groups")
        gates = b2.Synapses(self._groups[-1], relay, on_pre=LEAD, name=f"gates{index}")
        pre, post = blocks(each)
        gates.connect(i=pre, j=post)
        self._others.append(gates)
        self._groups.append(relay)

    def _assignments(self, maps: Maps) -> list[tuple[Any, str, Any]]:
        values: list[tuple[Any, str, Any]] = [(self._groups[0], "neurons", float(maps.input.neurons))]
        for index, (each, soma) in enumerate(zip(maps.layers, self._somata, strict=True)):
            _, height, width = each.shape
            values += [
                (soma, "neurons", float(each.soma.neurons)),
                (soma, "bias", np.repeat(each.bias, height * width)),
                (self._synapses[index], "w", connections(maps, index)[2]),
            ]
        return values

    def _shape(self, maps: Maps) -> tuple[Any, ...]:
        layers = tuple((replace(each.layer, name=""), each.w.shape, each.below) for each in maps.layers)
        return maps.timing, maps.pooling, layers

    def _relayed(self, maps: Maps, each: LayerOfMaps) -> bool:
        return each.layer.pool > 1 and maps.pooling != "mean"

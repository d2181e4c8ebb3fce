"""An unrolled encoder of sound in Brian2: one C++ program, all presentations in one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from . import equations as eq
from .compiled import BIAS_STEP, SYNAPSE, Compiled
from .unrolled import ON_OFF, Array, LayerInTime, Unrolled, connections
from .windows import Windows

SOMA = """
v : 1
packet : 1
count : 1
drive : 1
inside : 1
neurons : 1 (shared)
bias : 1
position : integer (constant)
"""
SOMA_TURN = "count = 0; v = 0.5; drive = 0; inside = place(t, position)"
OUTSIDE = "packet *= inside"


class CompiledEncoder(Compiled[Unrolled]):
    """An encoder compiled to a C++ program that runs up to ``presentations`` presentations per call.

    The same program serves every encoder of the same layers and timing, whatever its weights and scales.
    """

    def __init__(self, unrolled: Unrolled, presentations: int, folder: Path) -> None:
        self._synapses: list[Any] = []
        self._places: list[Any] = []
        super().__init__(unrolled, unrolled.timing, unrolled.input.units, presentations, folder)

    def run(self, unrolled: Unrolled, shown: Windows) -> list[Array]:
        """Return the spike counts of the input and of every layer, each (presentations, positions, units)."""
        inside = (each.astype(float) for each in shown.inside[1:])
        counts = self.counts(unrolled, shown.charges, dict(zip(self._places, inside, strict=True)))
        units = [ON_OFF, *(each.units for each in unrolled.layers)]
        return [count.reshape(len(shown), -1, each) for count, each in zip(counts, units, strict=True)]

    def _build(self, unrolled: Unrolled) -> None:
        for index, each in enumerate(unrolled.layers):
            self._add(index, each, unrolled)

    def _add(self, index: int, each: LayerInTime, unrolled: Unrolled) -> None:
        """Add a layer's somata, and the synapses on them from the group below."""
        b2 = self._program.b2
        place = b2.TimedArray(
            np.zeros((self.presentations, each.positions)), dt=self._period, name=f"place{index}"
        )
        soma = b2.NeuronGroup(
            each.soma.units,
            SOMA,
            threshold=eq.SPIKE,
            reset=eq.RESET,
            namespace={**self._clock, "place": place, "late": index + 1},
            name=f"soma{index}",
        )
        soma.position = np.repeat(np.arange(each.positions), each.units)
        soma.run_regularly(SOMA_TURN, dt=self._period, when="start", order=0)
        soma.run_regularly("\n".join((BIAS_STEP, eq.SOMA_STEP, OUTSIDE)), when="groups")
        synapses = b2.Synapses(self._groups[-1], soma, "w : 1", on_pre=SYNAPSE, name=f"basal{index}")
        pre, post, _ = connections(unrolled, index)
        synapses.connect(i=pre, j=post)
        self._places.append(place)
        self._synapses.append(synapses)
        self._others.append(synapses)
        self._groups.append(soma)

    def _assignments(self, unrolled: Unrolled) -> list[tuple[Any, str, Any]]:
        values: list[tuple[Any, str, Any]] = [(self._groups[0], "neurons", float(unrolled.input.neurons))]
        for index, each in enumerate(unrolled.layers):
            soma = self._groups[index + 1]
            values += [
                (soma, "neurons", float(each.soma.neurons)),
                (soma, "bias", np.tile(each.bias, each.positions)),
                (self._synapses[index], "w", connections(unrolled, index)[2]),
            ]
        return values

    def _shape(self, unrolled: Unrolled) -> tuple[Any, ...]:
        layers = tuple(
            (replace(each.layer, name=""), each.w.shape, each.positions) for each in unrolled.layers
        )
        return unrolled.timing, layers

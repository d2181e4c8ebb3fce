"""An unrolled encoder of sound in Brian2: one C++ program, all presentations in one run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from . import equations as eq
from .standalone import Program, longest
from .unrolled import ON_OFF, Array, LayerInTime, Unrolled, connections
from .windows import Windows

INPUT = "v : 1\npacket : 1\ncount : 1\ncharge : 1\nneurons : 1 (shared)"
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
INPUT_TURN = "count = 0; v = 0.5; charge = stimulus(t, i)"
SOMA_TURN = "count = 0; v = 0.5; drive = 0; inside = place(t, position)"
BIAS_STEP = (
    "v += bias * int(timestep(t, dt) % steps >= late) * int(timestep(t, dt) % steps < late + steps_on)"
)
OUTSIDE = "packet *= inside"
SYNAPSE = "drive_post += w * packet_pre"


class CompiledEncoder:
    """An encoder compiled to a C++ program that runs up to ``presentations`` presentations per call.

    The same program serves every encoder of the same layers and timing, whatever its weights and scales.
    """

    def __init__(self, unrolled: Unrolled, presentations: int, folder: Path) -> None:
        began, timing = time.monotonic(), unrolled.timing
        most = longest(timing.period, timing.steps, timing.dt, presentations)
        if presentations > most:
            allowed = f"must be at most {most}: Brian2's clocks part after that"
            raise InputError("CompiledEncoder", "presentations", presentations, allowed)
        self.presentations, self._shape = presentations, _shape(unrolled)
        self._program = Program(folder)
        self._build(unrolled)
        for owner, name, value in self._assignments(unrolled):
            setattr(owner, name, value)
        b2 = self._program.b2
        self._network.run((presentations * timing.period + timing.dt) * b2.second)
        self._program.compile()
        self.build_seconds = time.monotonic() - began

    def run(self, unrolled: Unrolled, shown: Windows) -> list[Array]:
        """Return the spike counts of the input and of every layer, each (presentations, positions, units)."""
        if _shape(unrolled) != self._shape:
            raise ValueError("this program was compiled for an encoder of other layers, or another timing")
        if len(shown) > self.presentations:
            raise InputError(
                "presentations", None, len(shown), f"this program runs at most {self.presentations}"
            )
        missing = self.presentations - len(shown)
        arguments: dict[Any, Any] = {
            getattr(owner, name): value for owner, name, value in self._assignments(unrolled)
        }
        arguments[self._stimulus] = np.pad(shown.charges, ((0, missing), (0, 0)))
        for place, inside in zip(self._places, shown.inside[1:], strict=True):
            arguments[place] = np.pad(inside.astype(float), ((0, missing), (0, 0)))
        with self._program.run(arguments):
            # The first record of a monitor is from before the first presentation.
            counts = [np.array(monitor.count).T[1 : len(shown) + 1] for monitor in self._monitors]
        units = [ON_OFF, *(each.units for each in unrolled.layers)]
        return [count.reshape(len(shown), -1, each) for count, each in zip(counts, units, strict=True)]

    def _build(self, unrolled: Unrolled) -> None:
        b2, timing = self._program.b2, unrolled.timing
        period = timing.period * b2.second
        b2.defaultclock.dt = timing.dt * b2.second
        # Units send until the presentation ends: nothing is released.
        clock = {"steps": timing.steps, "steps_on": timing.steps_on, "release": timing.steps}
        self._stimulus = b2.TimedArray(
            np.zeros((self.presentations, unrolled.input.units)), dt=period, name="stimulus"
        )
        source = b2.NeuronGroup(
            unrolled.input.units,
            INPUT,
            threshold=eq.SPIKE,
            reset=eq.RESET,
            namespace={**clock, "stimulus": self._stimulus},
            name="input",
        )
        source.run_regularly(INPUT_TURN, dt=period, when="start", order=0)
        source.run_regularly(eq.INPUT_STEP, when="groups")
        self._groups: list[Any] = [source]
        self._synapses: list[Any] = []
        self._places: list[Any] = []
        for index, each in enumerate(unrolled.layers):
            self._add(index, each, unrolled, clock, period)
        self._monitors = [
            b2.StateMonitor(group, "count", True, dt=period, when="start", order=-1) for group in self._groups
        ]
        self._network = b2.Network(*self._groups, *self._synapses, *self._monitors)

    def _add(
        self, index: int, each: LayerInTime, unrolled: Unrolled, clock: dict[str, int], period: Any
    ) -> None:
        """Add a layer's somata, and the synapses on them from the group below."""
        b2 = self._program.b2
        place = b2.TimedArray(np.zeros((self.presentations, each.positions)), dt=period, name=f"place{index}")
        soma = b2.NeuronGroup(
            each.soma.units,
            SOMA,
            threshold=eq.SPIKE,
            reset=eq.RESET,
            namespace={**clock, "place": place, "late": index + 1},
            name=f"soma{index}",
        )
        soma.position = np.repeat(np.arange(each.positions), each.units)
        soma.run_regularly(SOMA_TURN, dt=period, when="start", order=0)
        soma.run_regularly("\n".join((BIAS_STEP, eq.SOMA_STEP, OUTSIDE)), when="groups")
        synapses = b2.Synapses(self._groups[-1], soma, "w : 1", on_pre=SYNAPSE, name=f"basal{index}")
        pre, post, _ = connections(unrolled, index)
        synapses.connect(i=pre, j=post)
        self._places.append(place)
        self._synapses.append(synapses)
        self._groups.append(soma)

    def _assignments(self, unrolled: Unrolled) -> list[tuple[Any, str, Any]]:
        """Return (group, variable, value) of all that differs from one encoder to the next."""
        values: list[tuple[Any, str, Any]] = [(self._groups[0], "neurons", float(unrolled.input.neurons))]
        for index, each in enumerate(unrolled.layers):
            soma = self._groups[index + 1]
            values += [
                (soma, "neurons", float(each.soma.neurons)),
                (soma, "bias", np.tile(each.bias, each.positions)),
                (self._synapses[index], "w", connections(unrolled, index)[2]),
            ]
        return values


def _shape(unrolled: Unrolled) -> tuple[Any, ...]:
    layers = tuple((replace(each.layer, name=""), each.w.shape, each.positions) for each in unrolled.layers)
    return unrolled.timing, layers

"""Feed-forward networks without plasticity in Brian2: one C++ program, all presentations in one run."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import equations as eq
from .populations import Timing
from .standalone import Program, longest
from .unrolled import Array

INPUT = "v : 1\npacket : 1\ncount : 1\ncharge : 1\nneurons : 1 (shared)"
INPUT_TURN = "count = 0; v = 0.5; charge = stimulus(t, i)"
BIAS_STEP = (
    "v += bias * int(timestep(t, dt) % steps >= late) * int(timestep(t, dt) % steps < late + steps_on)"
)
SYNAPSE = "drive_post += w * packet_pre"

Network = TypeVar("Network")


class Compiled(ABC, Generic[Network]):
    """A network compiled to a C++ program that runs up to ``presentations`` presentations per call.

    The same program serves every network of the same shape and timing, whatever its weights and scales.
    """

    def __init__(
        self, network: Network, timing: Timing, inputs: int, presentations: int, folder: Path
    ) -> None:
        began = time.monotonic()
        most = longest(timing.period, timing.steps, timing.dt, presentations)
        if presentations > most:
            allowed = f"must be at most {most}: Brian2's clocks part after that"
            raise InputError(type(self).__name__, "presentations", presentations, allowed)
        self.presentations, self._shaped = presentations, self._shape(network)
        self._program = Program(folder)
        b2 = self._program.b2
        self._period = timing.period * b2.second
        b2.defaultclock.dt = timing.dt * b2.second
        # Units send until the presentation ends: nothing is released.
        self._clock = {"steps": timing.steps, "steps_on": timing.steps_on, "release": timing.steps}
        self._stimulus = b2.TimedArray(np.zeros((presentations, inputs)), dt=self._period, name="stimulus")
        self._groups: list[Any] = [self._input(inputs)]
        self._others: list[Any] = []
        self._build(network)
        monitors = [
            b2.StateMonitor(group, "count", True, dt=self._period, when="start", order=-1)
            for group in self._groups
        ]
        self._monitors = monitors
        self._network = b2.Network(*self._groups, *self._others, *monitors)
        for owner, name, value in self._assignments(network):
            setattr(owner, name, value)
        self._network.run((presentations * timing.period + timing.dt) * b2.second)
        self._program.compile()
        self.build_seconds = time.monotonic() - began

    def counts(
        self, network: Network, charges: Array, values: dict[Any, NDArray[np.floating]]
    ) -> list[Array]:
        """Return the spike counts of every group, each (presentations, units).

        ``charges`` (presentations, inputs); ``values`` (presentations, ...) of further timed arrays.
        """
        if self._shape(network) != self._shaped:
            raise ValueError("this program was compiled for an encoder of other layers, or another timing")
        shown = len(charges)
        if shown > self.presentations:
            raise InputError("presentations", None, shown, f"this program runs at most {self.presentations}")
        missing = ((0, self.presentations - shown), (0, 0))
        arguments: dict[Any, Any] = {
            getattr(owner, name): value for owner, name, value in self._assignments(network)
        }
        for timed, value in {self._stimulus: charges, **values}.items():
            arguments[timed] = np.pad(value, missing)
        with self._program.run(arguments):
            # The first record of a monitor is from before the first presentation.
            return [np.array(monitor.count).T[1 : shown + 1] for monitor in self._monitors]

    def _input(self, units: int) -> Any:
        b2 = self._program.b2
        source = b2.NeuronGroup(
            units,
            INPUT,
            threshold=eq.SPIKE,
            reset=eq.RESET,
            namespace={**self._clock, "stimulus": self._stimulus},
            name="input",
        )
        source.run_regularly(INPUT_TURN, dt=self._period, when="start", order=0)
        source.run_regularly(eq.INPUT_STEP, when="groups")
        return source

    @abstractmethod
    def _build(self, network: Network) -> None:
        """Add groups above the input to ``_groups``, and everything else to ``_others``."""

    @abstractmethod
    def _assignments(self, network: Network) -> list[tuple[Any, str, Any]]:
        """Return (group, variable, value) of all that differs from one network to the next."""

    @abstractmethod
    def _shape(self, network: Network) -> tuple[Any, ...]:
        """Return what two networks must share to be run by one program."""

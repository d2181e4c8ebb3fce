"""The input population: activities become packets."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from neuroclapp.onchip.clock import Clock
from neuroclapp.onchip.integer import INPUT_THRESHOLD, IntegerSomata
from neuroclapp.onchip.lava.processes.counter import Counter


class InputPopulation(AbstractProcess):
    """Input units: ``v += charge_i`` in each of the first ``steps_on`` steps of a presentation.

    ``charge`` (presentations, units) is in thresholds per step, in fixed point in steps of 2^-12 of one;
    after the last presentation the first one follows again. ``s_out`` carries packets, and replays in the
    learn windows, which the fixed-point model does not have.
    """

    def __init__(self, charge: NDArray[Any], neurons: int, clock: Clock, **options: Any) -> None:
        super().__init__(charge=charge, neurons=neurons, clock=clock, **options)
        self.s_out = OutPort(shape=(charge.shape[1],))


@implements(proc=InputPopulation, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class InputPopulationModel(PyLoihiProcessModel):  # type: ignore[misc]
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._charge, self._clock = proc_params["charge"], proc_params["clock"]
        self._units = Counter(self._charge.shape[1], proc_params["neurons"], self._clock)

    def run_spk(self) -> None:
        presentation, phase = divmod(self.time_step - 1, self._clock.period)
        if phase == 0:
            self._units.turn()
        if phase >= self._clock.steps:
            self.s_out.send(self._units.replay(phase))
            return
        on, charge = phase < self._clock.steps_on, self._charge[presentation % len(self._charge)]
        self.s_out.send(self._units.step(charge if on else 0.0, phase))


@implements(proc=InputPopulation, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class InputPopulationModelFixed(PyLoihiProcessModel):  # type: ignore[misc]
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._charge, self._clock = proc_params["charge"], proc_params["clock"]
        shape = self._charge.shape[1:]
        self._units = IntegerSomata(shape, proc_params["neurons"], INPUT_THRESHOLD, self._clock)

    def run_spk(self) -> None:
        presentation, phase = divmod(self.time_step - 1, self._clock.period)
        if phase == 0:
            self._units.turn()
        on, charge = phase < self._clock.steps_on, self._charge[presentation % len(self._charge)]
        self.s_out.send(self._units.step(charge if on else 0, phase))

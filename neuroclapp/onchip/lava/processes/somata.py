"""A layer that does not learn: somata alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from neuroclapp.onchip.clock import Clock
from neuroclapp.onchip.integer import IntegerSomata
from neuroclapp.onchip.lava.processes.counter import Counter


class Somata(AbstractProcess):
    """Packet integrate-and-fire units with subtractive reset, fed by a connection process.

    ``a_in`` is what arrives in this step [thresholds]; a ``Dense`` delivers in step s + 1 what was sent in
    step s. ``bias`` (units,) adds to it in the first ``steps_on`` steps. What arrives in the first step of a
    presentation belongs to the one before and is dropped. In fixed point all of these are integers, of which
    ``threshold`` make one threshold; in floating point it is 1.
    """

    def __init__(
        self, bias: NDArray[Any], neurons: int, clock: Clock, threshold: int = 1, **options: Any
    ) -> None:
        super().__init__(bias=bias, neurons=neurons, clock=clock, threshold=threshold, **options)
        self.a_in = InPort(shape=bias.shape)
        self.s_out = OutPort(shape=bias.shape)


@implements(proc=Somata, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class SomataModel(PyLoihiProcessModel):  # type: ignore[misc]
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._bias, self._clock = proc_params["bias"], proc_params["clock"]
        self._units = Counter(len(self._bias), proc_params["neurons"], self._clock)

    def run_spk(self) -> None:
        phase = (self.time_step - 1) % self._clock.period
        arriving = self.a_in.recv()
        if phase >= self._clock.steps:
            self.s_out.send(self._units.replay(phase))
            return
        if phase == 0:
            self._units.turn()
            arriving = np.zeros_like(arriving)
        if phase < self._clock.steps_on:
            arriving = arriving + self._bias
        self.s_out.send(self._units.step(arriving, phase))


@implements(proc=Somata, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SomataModelFixed(PyLoihiProcessModel):  # type: ignore[misc]
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._bias, self._clock = proc_params["bias"], proc_params["clock"]
        neurons, threshold = proc_params["neurons"], proc_params["threshold"]
        self._units = IntegerSomata(self._bias.shape, neurons, threshold, self._clock)

    def run_spk(self) -> None:
        phase = (self.time_step - 1) % self._clock.period
        arriving = self.a_in.recv()
        if phase == 0:
            self._units.turn()
            arriving = np.zeros_like(arriving)
        if phase < self._clock.steps_on:
            arriving = arriving + self._bias
        self.s_out.send(self._units.step(arriving, phase))

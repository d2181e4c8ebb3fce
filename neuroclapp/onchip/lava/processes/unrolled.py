"""Populations of an unrolled convolution, each in floating point and in integers: see `unrolled2d`."""

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


class Pixels(AbstractProcess):
    """ON and OFF units: ``v += charge`` (patches, units) in the first ``steps_on`` steps of each patch."""

    def __init__(
        self, charge: NDArray[Any], threshold: float, neurons: int, steps: int, steps_on: int, **options: Any
    ) -> None:
        values = {"threshold": threshold, "neurons": neurons, "steps": steps, "steps_on": steps_on}
        super().__init__(charge=charge, **values, **options)
        self.s_out = OutPort(shape=(charge.shape[1],))


class Maps(AbstractProcess):
    """Somata; ``bias`` (units,) acts while ``late`` <= step < ``late + steps_on``."""

    def __init__(
        self,
        bias: NDArray[Any],
        threshold: float,
        neurons: int,
        late: int,
        steps: int,
        steps_on: int,
        **options: Any,
    ) -> None:
        values = {"threshold": threshold, "neurons": neurons, "steps": steps, "steps_on": steps_on}
        super().__init__(bias=bias, late=late, **values, **options)
        self.a_in = InPort(shape=bias.shape)
        self.s_out = OutPort(shape=bias.shape)


class Relays(AbstractProcess):
    """``units`` relays of ``block`` gates each, adjacent at ``a_in``: send by how much the largest leads."""

    def __init__(self, units: int, block: int, steps: int, **options: Any) -> None:
        super().__init__(units=units, block=block, steps=steps, **options)
        self.a_in = InPort(shape=(units * block,))
        self.s_out = OutPort(shape=(units,))


class _Membranes:
    """``n = clip(v div threshold, 0, neurons); v -= n threshold``, in the type of the charges."""

    def __init__(self, units: int, threshold: float, neurons: int, kind: type) -> None:
        self.start: NDArray[Any] = np.full(units, threshold / 2).astype(kind)
        self.threshold, self.neurons = kind(threshold), neurons
        self.v = self.start

    def step(self, charge: NDArray[Any]) -> NDArray[Any]:
        v = self.v + charge
        packets = np.clip(v // self.threshold, 0, self.neurons)
        self.v = v - packets * self.threshold
        return packets.astype(self.start.dtype)


class _PixelsModel(PyLoihiProcessModel):  # type: ignore[misc]
    kind: type

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._charge = proc_params["charge"].astype(self.kind)
        self._steps, self._steps_on = proc_params["steps"], proc_params["steps_on"]
        units = self._charge.shape[1]
        self._units = _Membranes(units, proc_params["threshold"], proc_params["neurons"], self.kind)

    def run_spk(self) -> None:
        patch, phase = divmod(self.time_step - 1, self._steps)
        if phase == 0:
            self._units.v = self._units.start
        charge = self._charge[patch % len(self._charge)]
        self.s_out.send(self._units.step(charge if phase < self._steps_on else np.zeros_like(charge)))


class _MapsModel(PyLoihiProcessModel):  # type: ignore[misc]
    kind: type

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._bias, self._steps = proc_params["bias"].astype(self.kind), proc_params["steps"]
        self._on = range(proc_params["late"], proc_params["late"] + proc_params["steps_on"])
        units = len(self._bias)
        self._units = _Membranes(units, proc_params["threshold"], proc_params["neurons"], self.kind)

    def run_spk(self) -> None:
        phase = (self.time_step - 1) % self._steps
        charge = self.a_in.recv()
        if phase == 0:
            self._units.v, charge = self._units.start, np.zeros_like(charge)
        if phase in self._on:
            charge = charge + self._bias
        self.s_out.send(self._units.step(charge))


class _RelaysModel(PyLoihiProcessModel):  # type: ignore[misc]
    kind: type

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._steps = proc_params["steps"]
        self._gates = np.zeros((proc_params["units"], proc_params["block"]), self.kind)

    def run_spk(self) -> None:
        arriving = self.a_in.recv().reshape(self._gates.shape)
        if (self.time_step - 1) % self._steps == 0:
            self._gates, arriving = np.zeros_like(self._gates), np.zeros_like(self._gates)
        gates = self._gates + arriving
        packets = np.maximum(gates.max(axis=1), 0)
        self._gates = gates - packets[:, None]
        self.s_out.send(packets.astype(self._gates.dtype))


@implements(proc=Pixels, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PixelsModelFloat(_PixelsModel):
    kind = np.float64
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=Pixels, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PixelsModelFixed(_PixelsModel):
    kind = np.int32
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


@implements(proc=Maps, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class MapsModelFloat(_MapsModel):
    kind = np.float64
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=Maps, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class MapsModelFixed(_MapsModel):
    kind = np.int32
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


@implements(proc=Relays, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class RelaysModelFloat(_RelaysModel):
    kind = np.float64
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=Relays, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RelaysModelFixed(_RelaysModel):
    kind = np.int32
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

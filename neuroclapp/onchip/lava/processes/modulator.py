"""The neuromodulator population, and the site at which its two halves release gamma."""

from __future__ import annotations

from pathlib import Path
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


class ModulatorPopulation(AbstractProcess):
    """``units`` fixation and as many saccade units: they integrate silently and fire at the release.

    ``a_in`` (2 * units,) is evidence for a score, through the coincidence synapses. At the release unit m
    of a half sends ``clip(floor(tonic + (m + 1/2) / units + resolution (1 -+ evidence)), 0, burst)``.
    """

    def __init__(
        self, units: int, tonic: float, resolution: float, burst: float, clock: Clock, **options: Any
    ) -> None:
        super().__init__(units=units, tonic=tonic, resolution=resolution, burst=burst, clock=clock, **options)
        self.a_in = InPort(shape=(2 * units,))
        self.s_out = OutPort(shape=(2 * units,))


@implements(proc=ModulatorPopulation, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class ModulatorPopulationModel(PyLoihiProcessModel):  # type: ignore[misc]
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        units = proc_params["units"]
        self._clock, self._burst = proc_params["clock"], proc_params["burst"]
        self._resolution = proc_params["resolution"]
        self._rest = proc_params["tonic"] + np.tile((np.arange(units) + 0.5) / units, 2)
        self._direction = np.repeat([-1.0, 1.0], units)
        self._evidence = np.zeros(2 * units)

    def run_spk(self) -> None:
        phase = (self.time_step - 1) % self._clock.period
        arriving = self.a_in.recv()
        self._evidence = np.zeros_like(arriving) if phase == 0 else self._evidence + arriving
        packets = np.zeros_like(arriving)
        if phase == self._clock.release:
            drive = self._rest + self._resolution * (1 + self._direction * self._evidence)
            packets = np.clip(np.floor(drive), 0, self._burst)
        self.s_out.send(packets)


class ReleaseSite(AbstractProcess):
    """Release gamma: the sign, where the half that the sign selects fires more than its tonic level.

    ``sign`` (presentations,) is that of each pair: +1 fixation, -1 saccade, 0 no pair. It tells which half
    may release; the score reaches the site only as spikes at ``a_in``. ``gamma_out`` (layer_units,) carries
    gamma to all somata in the step of the release. ``record`` (.npy) gets each half's spikes,
    (presentations, 2).
    """

    def __init__(
        self,
        units: int,
        tonic: float,
        sign: NDArray[np.int8],
        layer_units: int,
        clock: Clock,
        record: Path,
        **options: Any,
    ) -> None:
        values = {"units": units, "tonic": tonic, "sign": sign, "layer_units": layer_units, "clock": clock}
        super().__init__(**values, record=str(record), **options)
        self.a_in = InPort(shape=(2 * units,))
        self.gamma_out = OutPort(shape=(layer_units,))


@implements(proc=ReleaseSite, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class ReleaseSiteModel(PyLoihiProcessModel):  # type: ignore[misc]
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    gamma_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._sign, self._clock, self._units = proc_params["sign"], proc_params["clock"], proc_params["units"]
        self._baseline = proc_params["units"] * proc_params["tonic"]
        self._silence = np.zeros(proc_params["layer_units"])
        self._totals = np.zeros((len(self._sign), 2))
        self._record = proc_params["record"]

    def run_spk(self) -> None:
        presentation, phase = divmod(self.time_step - 1, self._clock.period)
        arriving = self.a_in.recv()
        gamma = 0.0
        if phase == self._clock.release and presentation < len(self._sign):
            total = self._totals[presentation] = arriving[: self._units].sum(), arriving[self._units :].sum()
            sign = float(self._sign[presentation])
            if sign != 0 and total[0 if sign > 0 else 1] > self._baseline:
                gamma = sign
            if presentation == len(self._sign) - 1:
                np.save(self._record, self._totals, allow_pickle=False)
        self.gamma_out.send(self._silence + gamma)

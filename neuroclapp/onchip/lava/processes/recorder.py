"""Keep what a port sends, and leave it in a file: reading a Lava variable back costs 47 us per number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Recorder(AbstractProcess):
    """Write the first ``steps`` vectors that arrive at ``a_in`` to the .npy file ``path``: (steps, units).

    ``dtype`` must hold every value: packets are small integers.
    """

    def __init__(self, units: int, steps: int, path: Path, dtype: str = "uint32", **options: Any) -> None:
        super().__init__(units=units, steps=steps, path=str(path), dtype=dtype, **options)
        self.a_in = InPort(shape=(units,))


class _Keeping(PyLoihiProcessModel):  # type: ignore[misc]
    a_in: PyInPort

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._path = proc_params["path"]
        self._kept = np.zeros((proc_params["steps"], proc_params["units"]), dtype=proc_params["dtype"])

    def run_spk(self) -> None:
        arriving = self.a_in.recv()
        index = self.time_step - 1
        if index < len(self._kept):
            self._kept[index] = arriving
        if index == len(self._kept) - 1:
            np.save(self._path, self._kept, allow_pickle=False)


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class RecorderModel(_Keeping):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecorderModelFixed(_Keeping):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

"""Lava's fixed-point LearningDense under a microscope: spikes from an array, all state after every step."""

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
from lava.proc.dense.models import PyLearningDenseModelBitApproximate
from lava.proc.dense.process import LearningDense
from numpy.typing import NDArray

Array = NDArray[np.int32]

#: What is kept after each step, as Lava names it.
KEPT = ("weights", "tag_1", "tag_2", "x1", "x2", "y1", "y2", "y3")


class Stimulus(AbstractProcess):
    """Send arrays, step by step, and keep what comes back.

    ``spikes`` (steps, pre), ``back`` (steps, post), ``written`` (steps, 3, post). After the last step the
    file ``path`` holds what arrived at ``a_in`` and ``z_in``, (steps, post) each.
    """

    def __init__(self, spikes: Array, back: Array, written: Array, path: Path, **options: Any) -> None:
        super().__init__(spikes=spikes, back=back, written=written, path=str(path), **options)
        post = (back.shape[1],)
        self.s_out = OutPort(shape=(spikes.shape[1],))
        self.back_out = OutPort(shape=post)
        self.y1_out, self.y2_out, self.y3_out = (OutPort(shape=post) for _ in range(3))
        self.a_in, self.z_in = InPort(shape=post), InPort(shape=post)
        # Lava runs what is connected: a token joins networks that share nothing else.
        self.token_in, self.token_out = InPort(shape=(1,)), OutPort(shape=(1,))


@implements(proc=Stimulus, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class StimulusModel(PyLoihiProcessModel):  # type: ignore[misc]
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    back_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    y1_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    y2_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    y3_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    z_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    token_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    token_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._sent = {name: proc_params[name] for name in ("spikes", "back", "written")}
        self._path = proc_params["path"]
        self._came: Any = {name: np.zeros_like(proc_params["back"]) for name in ("arriving", "fired")}

    def run_spk(self) -> None:
        index = self.time_step - 1
        self.token_out.send(np.zeros(1, np.int32))
        self.token_in.recv()
        self.s_out.send(self._sent["spikes"][index])
        self.back_out.send(self._sent["back"][index])
        for port, values in zip(
            (self.y1_out, self.y2_out, self.y3_out), self._sent["written"][index], strict=True
        ):
            port.send(values)
        self._came["arriving"][index] = self.a_in.recv()
        self._came["fired"][index] = self.z_in.recv()
        if index == len(self._came["fired"]) - 1:
            np.savez(self._path, **self._came)


class RecordedDense(LearningDense):
    """A LearningDense that leaves its state after each of ``steps`` steps in the file ``path``."""


@implements(proc=RecordedDense, protocol=LoihiProtocol)
class RecordedDenseModel(PyLearningDenseModelBitApproximate):  # type: ignore[misc]
    """Lava's own model, which is not changed: what it computes is copied after it is done."""

    implements_process = None  # Lava refuses a model that inherits another process

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._steps, self._path = proc_params["steps"], proc_params["path"]
        self._states: dict[str, list[NDArray[Any]]] = {name: [] for name in KEPT}

    def run_spk(self) -> None:
        super().run_spk()
        if not self.lrn_guard():
            self._keep()

    def run_lrn(self) -> None:
        super().run_lrn()
        self._keep()

    def _keep(self) -> None:
        for name, kept in self._states.items():
            kept.append(np.array(getattr(self, name)))
        if self.time_step == self._steps:
            states: dict[str, Any] = {name: np.stack(kept) for name, kept in self._states.items()}
            np.savez(self._path, **states)

"""A layer that learns: somata with apical and retro dendrites, and the traces that they show to synapses."""

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

from neuroclapp.onchip.clock import Clock, Window
from neuroclapp.onchip.lava.processes.counter import Counter
from neuroclapp.onchip.products import Series
from neuroclapp.plasticity import GATES, Factor, Gate

_CONNECTED = ("w_ff", "w_pred", "w_retro")
_TRACES = ("y1", "y2", "y3")


class LearningSomata(AbstractProcess):
    """Somata (see `Somata`) with two dendrites; ``series`` says what they fold into which trace, and when.

    ``apical_in`` and ``retro_in`` take W_pred n and W_retro n, ``gamma_in`` the third factor. The apical
    dendrite holds W_pred c from one presentation through the next. ``s_out`` carries packets and replays,
    ``coincidence_out`` graded spikes ``apical_j n_j quantum`` for the modulators. Where gates are separate,
    ``coincidence_retro_out`` carries ``retro_j c_j`` in the step before the release, and ``gamma_retro_in``
    takes the second gate; else these two are not connected. The ports ``w_ff_y1`` ... carry traces to the
    learning connections. ``bias`` (units,) is per step, in thresholds, and follows the rule "bias" if
    ``series`` has it. After ``presentations`` presentations, ``record`` (an .npz file) holds ``count``,
    ``charge``, ``apical``, ``retro`` (presentations, units), ``gamma`` and ``gamma_retro`` (presentations,),
    and the bias.
    """

    def __init__(
        self,
        bias: NDArray[np.float64],
        neurons: int,
        quantum: float,
        clock: Clock,
        series: tuple[Series, ...],
        presentations: int,
        record: Path,
        **options: Any,
    ) -> None:
        values = {"bias": bias, "neurons": neurons, "quantum": quantum, "clock": clock, "series": series}
        super().__init__(**values, presentations=presentations, record=str(record), **options)
        for name in ("a_in", "apical_in", "retro_in", "gamma_in", "gamma_retro_in"):
            setattr(self, name, InPort(shape=bias.shape))
        for name in (
            "s_out",
            "coincidence_out",
            "coincidence_retro_out",
            *(f"{target}_{y}" for target in _CONNECTED for y in _TRACES),
        ):
            setattr(self, name, OutPort(shape=bias.shape))


@implements(proc=LearningSomata, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class LearningSomataModel(PyLoihiProcessModel):  # type: ignore[misc]
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    apical_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    retro_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    gamma_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    gamma_retro_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    coincidence_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    coincidence_retro_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    w_ff_y1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    w_ff_y2: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    w_ff_y3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    w_pred_y1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    w_pred_y2: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    w_pred_y3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    w_retro_y1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    w_retro_y2: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    w_retro_y3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._bias, self._clock, self._quantum = (
            proc_params["bias"],
            proc_params["clock"],
            proc_params["quantum"],
        )
        self._series = {one.target: one for one in proc_params["series"]}
        units = len(self._bias)
        self._units = Counter(units, proc_params["neurons"], self._clock)
        self._silence = np.zeros(units)
        self._slope = self._slope_context = self._silence
        self._held = self._next = self._collected = self._silence
        self._gates: dict[Gate, float] = dict.fromkeys(GATES, 0.0)
        names = ("count", "charge", "apical", "retro")
        self._kept = {name: np.zeros((proc_params["presentations"], units)) for name in names}
        self._kept |= {gate: np.zeros(proc_params["presentations"]) for gate in GATES}
        self._record = proc_params["record"]

    def run_spk(self) -> None:
        presentation, phase = divmod(self.time_step - 1, self._clock.period)
        basal, apical, retro = self.a_in.recv(), self.apical_in.recv(), self.retro_in.recv()
        gammas = self.gamma_in.recv(), self.gamma_retro_in.recv()
        if phase == 0:
            self._turn()
            basal = self._silence
        elif phase <= self._clock.steps:
            self._next = self._next + apical
            self._collected = self._collected + retro
        if phase < self._clock.steps:
            charge = basal + self._bias if phase < self._clock.steps_on else basal
            packets = self._units.step(charge, phase)
            self.s_out.send(packets)
            self.coincidence_out.send(self._held * packets * self._quantum)
        else:
            self.s_out.send(self._units.replay(phase))
            self.coincidence_out.send(self._silence)
        before_release = phase == self._clock.release - 1
        remembered = self._units.count_context * self._quantum
        self.coincidence_retro_out.send(self._collected * remembered if before_release else self._silence)
        if phase == self._clock.release:
            self._gates = {gate: float(gamma[0]) for gate, gamma in zip(GATES, gammas, strict=True)}
            self._slope = (self._units.charge > 0).astype(float)
            self._keep(presentation)
        self._show(self._clock.open_window(phase))
        if phase == self._clock.period - 1:
            self._learn_bias()
            self._leave(presentation)

    def _turn(self) -> None:
        self._units.turn()
        self._slope_context = self._slope
        self._held, self._next = self._next, self._silence
        self._collected, self._gates = self._silence, dict.fromkeys(GATES, 0.0)

    def _fold(self, target: str, trace: str, window: Window | None) -> NDArray[np.float64]:
        """Return what a trace shows in this window: 0 outside its own."""
        series = self._series.get(target)
        fold = next((one for one in series.folds if one.trace == trace), None) if series else None
        if fold is None or fold.window != window:
            return self._silence
        factors = {
            Factor("z", "sample"): self._units.count * self._quantum,
            Factor("z", "context"): self._units.count_context * self._quantum,
            Factor("rho", "sample"): self._slope,
            Factor("rho", "context"): self._slope_context,
            Factor("d", "sample"): self._held,
            Factor("r", "sample"): self._collected,
        }
        return fold.value(factors, self._gates)

    def _show(self, window: Window | None) -> None:
        """Send all traces; only connected ports have a receiver."""
        for target in _CONNECTED:
            for trace in _TRACES:
                value = self._silence if window is None else self._fold(target, trace, window)
                getattr(self, f"{target}_{trace}").send(value)

    def _learn_bias(self) -> None:
        series = self._series.get("bias")
        if series is not None:
            for term, fold in zip(series.terms, series.folds, strict=True):
                change = self._fold("bias", fold.trace, fold.window)
                self._bias = self._bias + np.ldexp(float(term.mantissa), term.exponent) * change

    def _keep(self, presentation: int) -> None:
        if presentation < len(self._kept["gamma"]):
            values = (self._units.count, self._units.charge, self._held, self._collected)
            for name, value in zip(("count", "charge", "apical", "retro"), values, strict=True):
                self._kept[name][presentation] = value
            for gate, gamma in self._gates.items():
                self._kept[gate][presentation] = gamma

    def _leave(self, presentation: int) -> None:
        if presentation == len(self._kept["gamma"]) - 1:
            kept: dict[str, Any] = {"bias": self._bias, **self._kept}
            np.savez(self._record, **kept)

"""A network that learns in a chip's integers: its populations, modulators and release, as Lava processes.

Written step by step from `neuroclapp.onchip.fixed.program`; plastic connections are Lava's own
``LearningDense``. All ports carry integers.
"""

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

from neuroclapp.onchip.clock import Clock, Window
from neuroclapp.onchip.fixed.program import FRACTION, FixedAxon, FixedConnection, FixedLayer, FixedUnits
from neuroclapp.onchip.fixed.program import FixedModulator as Modulator
from neuroclapp.onchip.integer import INPUT_THRESHOLD, IntegerSomata
from neuroclapp.plasticity import GATES, Factor, Gate

Integers = NDArray[np.signedinteger[Any]]

#: y1 and y3 at rest and in an open window, in traces of seven bits.
_MIDDLE = 64


def _replay(units: FixedUnits, count: Integers, before: Integers, clock: Clock, phase: int) -> Integers:
    """Return the graded spikes of a step after a presentation's own: twice x1 in a window's first step."""
    window = clock.open_window(phase)
    if window is None or phase != clock.window(window)[0]:
        return np.zeros_like(count)
    chosen = count if window == "sample" else before
    return 2 * np.minimum((chosen + ((1 << units.replay) >> 1)) >> units.replay, 127)


class FixedInput(AbstractProcess):
    """Input units; ``charge`` (presentations, units) is in 2^-12 thresholds per step."""

    def __init__(self, charge: NDArray[Any], units: FixedUnits, clock: Clock, **options: Any) -> None:
        super().__init__(charge=charge, units=units, clock=clock, **options)
        self.s_out = OutPort(shape=(units.units,))


@implements(proc=FixedInput, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedInputModel(PyLoihiProcessModel):  # type: ignore[misc]
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._charge, self._of, self._clock = (proc_params[key] for key in ("charge", "units", "clock"))
        self._units = IntegerSomata((self._of.units,), self._of.neurons, INPUT_THRESHOLD, self._clock)
        self._before = self._units.count

    def run_spk(self) -> None:
        presentation, phase = divmod(self.time_step - 1, self._clock.period)
        if phase == 0:
            self._before = self._units.count
            self._units.turn()
        if phase >= self._clock.steps:
            self.s_out.send(_replay(self._of, self._units.count, self._before, self._clock, phase))
            return
        on = phase < self._clock.steps_on
        charge = self._charge[presentation % len(self._charge)] if on else 0
        self.s_out.send(self._units.step(charge, phase))


class FixedAlways(AbstractProcess):
    """The axon that is always on, whose synapses are a layer's biases."""

    def __init__(self, axon: FixedAxon, clock: Clock, **options: Any) -> None:
        super().__init__(axon=axon, clock=clock, **options)
        self.s_out = OutPort(shape=(1,))


@implements(proc=FixedAlways, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedAlwaysModel(PyLoihiProcessModel):  # type: ignore[misc]
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._axon, self._clock = proc_params["axon"], proc_params["clock"]

    def run_spk(self) -> None:
        phase = (self.time_step - 1) % self._clock.period
        window = self._clock.open_window(phase)
        sent = self._axon.payload if phase < self._clock.steps_on else 0
        if window is not None and phase == self._clock.window(window)[0]:
            sent = 2 * self._axon.replay
        self.s_out.send(np.array([sent]))


class FixedSomata(AbstractProcess):
    """Somata with apical and retro dendrites, in integers; ports as of the floating-point ``LearningSomata``.

    ``record`` (.npz) gets ``count``, ``charge``, ``apical``, ``retro`` (presentations, units), ``gamma`` and
    ``gamma_retro`` (presentations,).
    """

    def __init__(
        self, layer: FixedLayer, clock: Clock, presentations: int, record: Path, **options: Any
    ) -> None:
        values = {"layer": layer, "clock": clock, "presentations": presentations, "record": str(record)}
        super().__init__(**values, **options)
        shape = (layer.soma.units,)
        for name in ("a_in", "apical_in", "retro_in", "gamma_in", "gamma_retro_in"):
            setattr(self, name, InPort(shape=shape))
        for name in ("s_out", "coincidence_out", "coincidence_retro_out", *_TRACE_PORTS):
            setattr(self, name, OutPort(shape=shape))


_TRACE_PORTS = tuple(f"{target}_{y}" for target in ("w_ff", "w_pred", "w_retro") for y in ("y1", "y3"))


@implements(proc=FixedSomata, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedSomataModel(PyLoihiProcessModel):  # type: ignore[misc]
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    apical_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    retro_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    gamma_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    gamma_retro_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    coincidence_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    coincidence_retro_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    w_ff_y1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    w_ff_y3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    w_pred_y1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    w_pred_y3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    w_retro_y1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    w_retro_y3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        layer, self._clock = proc_params["layer"], proc_params["clock"]
        self._soma, self._connections = layer.soma, layer.connections
        self._coincidence = {gate: m.coincidence for gate, m in layer.modulators.items()}
        self._record = proc_params["record"]
        units = layer.soma.units
        self._units = IntegerSomata((units,), layer.soma.neurons, layer.soma.threshold, self._clock)
        self._none = np.zeros(units, dtype=np.int64)
        self._before = self._held = self._ahead = self._retro = self._none
        self._charge = self._charge_before = self._none
        self._gates: dict[Gate, int] = dict.fromkeys(GATES, 0)
        self._rest = {
            (one.target, number): np.zeros(units, dtype=np.int64)
            for one in self._connections
            for number in range(len(one.folds))
        }
        self._shown: dict[str, Integers] = {}
        names = ("count", "charge", "apical", "retro")
        self._kept = {name: np.zeros((proc_params["presentations"], units), dtype=np.int64) for name in names}
        self._kept |= {gate: np.zeros(proc_params["presentations"], dtype=np.int64) for gate in GATES}

    def run_spk(self) -> None:
        presentation, phase = divmod(self.time_step - 1, self._clock.period)
        basal, apical, retro = self.a_in.recv(), self.apical_in.recv(), self.retro_in.recv()
        gammas = self.gamma_in.recv(), self.gamma_retro_in.recv()
        if phase == 0:
            self._turn()
            basal = np.zeros_like(basal)
        elif phase <= self._clock.steps:
            self._ahead, self._retro = self._ahead + apical, self._retro + retro
        if phase < self._clock.steps:
            packets = self._units.step(basal, phase)
            self.s_out.send(packets)
            self.coincidence_out.send(self._coincide("gamma", self._held, packets))
        else:
            self.s_out.send(_replay(self._soma, self._units.count, self._before, self._clock, phase))
            self.coincidence_out.send(np.zeros_like(basal))
        retro = self._none
        if phase == self._clock.release - 1:
            retro = self._coincide("gamma_retro", self._retro, self._before)
        self.coincidence_retro_out.send(retro)
        if phase == self._clock.release:
            self._gates = {gate: int(gamma[0]) for gate, gamma in zip(GATES, gammas, strict=True)}
            net = self._units.count.astype(np.int64) * self._soma.threshold + self._units.v
            self._charge = net - self._soma.threshold // 2
            self._keep(presentation)
        self._show(presentation, phase)

    def _turn(self) -> None:
        self._before, self._charge_before = self._units.count, self._charge
        self._units.turn()
        self._held, self._ahead, self._retro = self._ahead, self._none, self._none
        self._gates = dict.fromkeys(GATES, 0)

    def _coincide(self, gate: Gate, held: Integers, count: Integers) -> Integers:
        """Return what a dendrite and spikes bring to the modulator of a gate, 0 where there is none."""
        coincidence = self._coincidence.get(gate)
        if coincidence is None:
            return self._none
        return ((held + ((1 << coincidence) >> 1)) >> coincidence) * count

    def _show(self, presentation: int, phase: int) -> None:
        """Send y1 and y3; a fold is computed in its window's first step, since it changes its rest."""
        window = self._clock.open_window(phase)
        if window is None or phase == self._clock.window(window)[0]:
            self._shown = {} if window is None else self._folds(window, presentation)
        for port in _TRACE_PORTS:
            getattr(self, port).send(self._shown.get(port, self._none + (_MIDDLE if port[-1] == "1" else 0)))

    def _folds(self, window: Window, presentation: int) -> dict[str, Integers]:
        shown: dict[str, Integers] = {}
        for one in self._connections:
            if one.part or one.target == "bias":  # it sees the y1 and y3 of the first part, or of w_ff
                continue
            for number, fold in enumerate(one.folds):
                if fold.window == window and self._gates[fold.gate]:
                    shown[f"{one.target}_y1"] = _MIDDLE + self._fold(one, number)
                    shown[f"{one.target}_y3"] = self._none + (0 if one.every else _MIDDLE)
            if one.every and window == "context" and (presentation + 1) % one.every == 0:
                shown[f"{one.target}_y3"] = self._none + _MIDDLE
        return shown

    def _fold(self, one: FixedConnection, number: int) -> Integers:
        fold, key = one.folds[number], (one.target, number)
        own = {
            Factor("z", "sample"): self._units.count,
            Factor("z", "context"): self._before,
            Factor("rho", "sample"): self._charge > 0,
            Factor("rho", "context"): self._charge_before > 0,
            Factor("d", "sample"): self._held,
            Factor("r", "sample"): self._retro,
        }
        value, shows = self._none + self._gates[fold.gate] * fold.multiplier, self._none + 1
        for factor in fold.post:
            value = value * own[factor]
            shows = shows * own[factor] if factor.symbol == "rho" else shows
        value = value + self._rest[key] if fold.keeps else value
        half = (1 << fold.shift) >> 1
        y = np.clip((value + half) >> fold.shift, -fold.most, fold.most)
        if fold.keeps:
            left = np.clip(value - (y << fold.shift), -half, half)
            self._rest[key] = np.where(shows == 1, left, self._rest[key])
        return np.where(shows == 1, y * fold.stride, 0)

    def _keep(self, presentation: int) -> None:
        if presentation >= len(self._kept["gamma"]):
            return
        values = (self._units.count, self._charge, self._held, self._retro)
        for name, value in zip(("count", "charge", "apical", "retro"), values, strict=True):
            self._kept[name][presentation] = value
        for gate, gamma in self._gates.items():
            self._kept[gate][presentation] = gamma
        if presentation == len(self._kept["gamma"]) - 1:
            np.savez(self._record, **self._kept)  # type: ignore[arg-type]


class FixedModulator(AbstractProcess):
    """Both halves of a modulator: evidence (2 * units,) at ``a_in``, spikes at the release."""

    def __init__(self, modulator: Modulator, clock: Clock, **options: Any) -> None:
        super().__init__(modulator=modulator, clock=clock, **options)
        self.a_in = InPort(shape=modulator.rest.shape)
        self.s_out = OutPort(shape=modulator.rest.shape)


@implements(proc=FixedModulator, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedModulatorModel(PyLoihiProcessModel):  # type: ignore[misc]
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._of, self._clock = proc_params["modulator"], proc_params["clock"]
        self._direction = np.repeat([-1, 1], len(self._of.rest) // 2)
        self._evidence = np.zeros(len(self._of.rest), dtype=np.int64)

    def run_spk(self) -> None:
        phase = (self.time_step - 1) % self._clock.period
        arriving = self.a_in.recv()
        self._evidence = np.zeros_like(self._evidence) if phase == 0 else self._evidence + arriving
        packets = np.zeros_like(arriving)
        if phase == self._clock.release:
            scaled = (self._evidence * self._of.multiplier + ((1 << self._of.shift) >> 1)) >> self._of.shift
            drive = self._of.rest + self._of.resolution + self._direction * scaled
            packets = np.clip(drive >> FRACTION, 0, self._of.burst)
        self.s_out.send(packets)


class FixedSite(AbstractProcess):
    """Release gamma where the half that the ``sign`` (presentations,) selects fires above its baseline."""

    def __init__(self, modulator: Modulator, sign: NDArray[np.int8], clock: Clock, **options: Any) -> None:
        super().__init__(modulator=modulator, sign=sign, clock=clock, **options)
        self.a_in = InPort(shape=modulator.rest.shape)
        self.gamma_out = OutPort(shape=modulator.listens.shape[1:])


@implements(proc=FixedSite, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedSiteModel(PyLoihiProcessModel):  # type: ignore[misc]
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    gamma_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        modulator, self._sign, self._clock = (proc_params[key] for key in ("modulator", "sign", "clock"))
        self._half, self._baseline = len(modulator.rest) // 2, modulator.baseline
        self._none = np.zeros(modulator.listens.shape[1], dtype=np.int64)

    def run_spk(self) -> None:
        presentation, phase = divmod(self.time_step - 1, self._clock.period)
        arriving = self.a_in.recv()
        gamma = 0
        if phase == self._clock.release and presentation < len(self._sign):
            sign = int(self._sign[presentation])
            half = arriving[: self._half] if sign > 0 else arriving[self._half :]
            gamma = sign if half.sum() > self._baseline else 0
        self.gamma_out.send(self._none + gamma)


class FixedPlastic(LearningDense):  # type: ignore[misc]
    """Lava's own ``LearningDense`` in fixed point; ``record`` (.npz) gets weights and tags after ``steps``
    steps.
    """

    def __init__(self, *, steps: int, record: Path, **options: Any) -> None:
        super().__init__(steps=steps, record=str(record), **options)


@implements(proc=FixedPlastic, protocol=LoihiProtocol)
class FixedPlasticModel(PyLearningDenseModelBitApproximate):  # type: ignore[misc]
    implements_process = None  # Lava refuses a model that inherits another process

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._steps, self._record = proc_params["steps"], proc_params["record"]

    def run_lrn(self) -> None:
        super().run_lrn()
        if self.time_step == self._steps:
            np.savez(self._record, weights=self.weights, tags=self.tag_1)

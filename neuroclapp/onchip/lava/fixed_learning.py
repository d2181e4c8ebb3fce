"""A fixed-point program -> real Lava processes that learn; all layers at once.

`neuroclapp.onchip.lava.shim.import_lava` must have been called before this module is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.magma.core.learning.learning_rule import Loihi3FLearningRule
from lava.proc.dense.process import Dense
from lava.utils.weightutils import SignMode
from numpy.typing import NDArray

from .. import series
from ..clock import Clock
from ..fixed.presented import input_charge
from ..fixed.program import FixedConnection, FixedLayer, FixedProgram
from .processes.fixed_learning import (
    FixedAlways,
    FixedInput,
    FixedModulator,
    FixedPlastic,
    FixedSite,
    FixedSomata,
)

#: Any positive value makes a Dense take payloads instead of single spikes.
_PAYLOAD_BITS = 24
#: A decay constant [steps] so long that exp(-1 / tau) is exactly 1, and that 64 bits hold.
_NO_DECAY = 2**62


def build(
    program: FixedProgram, inputs: NDArray[np.float64], sign: NDArray[np.int8], folder: Path
) -> tuple[FixedInput, dict[str, Path]]:
    """Build the network; return its input process and the files that it leaves, by layer and matrix.

    ``inputs`` (presentations, inputs) and ``sign`` (presentations,) are the stream.
    """
    clock, count = program.clock, len(sign)
    source = FixedInput(input_charge(program.input, inputs, clock), program.input, clock, name="input")
    below: Any = source
    files: dict[str, Path] = {}
    for layer in program.layers:
        name = layer.soma.name
        files[name] = folder / f"{name}.npz"
        somata = FixedSomata(layer, clock, count, files[name], name=name)
        dendrites = {"w_ff": somata.a_in, "w_pred": somata.apical_in, "w_retro": somata.retro_in}
        dendrites["bias"] = somata.a_in
        for one in layer.connections:
            full = f"{name}.{one.key}"
            files[full] = folder / f"{full}.npz"
            (shift,) = (shift for other, shift in layer.parts(one.target) if other is one)
            dense = _plastic(one, shift, clock, count * clock.period, files[full], full)
            _source(one, layer, below, somata, clock).s_out.connect(dense.s_in)
            dense.a_out.connect(dendrites[one.target])
            for trace in ("y1", "y3"):
                shows = "w_ff" if one.target == "bias" else one.target
                getattr(somata, f"{shows}_{trace}").connect(getattr(dense, f"s_in_{trace}"))
        for gate, m in layer.modulators.items():
            second = gate.removeprefix("gamma")
            modulator = FixedModulator(m, clock, name=f"{name}_modulator{second}")
            site = FixedSite(m, sign, clock, name=f"{name}_site{second}")
            listens = Dense(
                weights=m.listens.astype(np.int32),
                num_weight_bits=8,
                sign_mode=SignMode.EXCITATORY,
                num_message_bits=_PAYLOAD_BITS,
                name=f"{name}_listens{second}",
            )
            getattr(somata, f"coincidence{second}_out").connect(listens.s_in)
            listens.a_out.connect(modulator.a_in)
            modulator.s_out.connect(site.a_in)
            site.gamma_out.connect(getattr(somata, f"{gate}_in"))
        below = somata
    return source, files


def _source(one: FixedConnection, layer: FixedLayer, below: Any, somata: Any, clock: Clock) -> Any:
    """Return the process whose spikes a connection gets."""
    if one.target == "bias" and layer.axon is not None:
        return FixedAlways(layer.axon, clock, name=f"{layer.soma.name}_always")
    return below if one.target == "w_ff" else somata


def _plastic(
    one: FixedConnection, shift: int, clock: Clock, steps: int, record: Path, name: str
) -> FixedPlastic:
    rule = Loihi3FLearningRule(
        dw=series.text(one.dw),
        dt=series.text(one.dt) if one.dt else None,
        x1_tau=_NO_DECAY,
        x2_tau=_NO_DECAY,
        t_epoch=clock.epoch,
        rng_seed=1,
    )
    rule.y1_tau = rule.y2_tau = rule.y3_tau = _NO_DECAY
    return FixedPlastic(
        steps=steps,
        record=record,
        weights=one.weights.astype(np.int32),
        tag_1=one.tags.astype(np.int32),
        weight_exp=shift,
        num_weight_bits=8,
        sign_mode=SignMode.MIXED,
        num_message_bits=_PAYLOAD_BITS,
        learning_rule=rule,
        graded_spike_cfg=GradedSpikeCfg.OVERWRITE,
        name=name,
    )

"""Making the Brian2 objects of a spiking network: its input, layer upon layer, and what is recorded."""

from __future__ import annotations

from typing import Any

import brian2 as b2

from ..errors import InputError
from ..plasticity import Control
from ..presentations import Presentations
from . import equations as eq
from . import steps as st
from .drawn import NOTHING, Drawn, stimulus
from .layers import Making, axon, layer_of, predicting, taught
from .model import Model
from .populations import Populations
from .steps import Found
from .variants import Decaying, Poisson


def build(
    populations: Populations,
    stream: Presentations,
    control: Control | None = None,
    steps: bool = False,
    drawn: Drawn = NOTHING,
    code: type | None = None,
) -> Model:
    """Make the Brian2 objects of a network, to be run on the stream once the values are assigned.

    ``drawn`` holds what is random in these populations, `neuroclapp.spiking.drawn`. The objects are made for
    what ``control`` does to dendrites; its other values are assigned. ``steps`` records every spike,
    dendrite, modulator and gamma in every time step, for looking at a few presentations. ``code`` is that of
    `Model`. Raises InputError where a control cannot be built.
    """
    timing, found = populations.timing, found_by(populations, control or Control())
    period = timing.period * b2.second
    b2.defaultclock.dt = timing.dt * b2.second
    step = timing.dt * b2.second
    shown = b2.TimedArray(
        stimulus(populations, stream, drawn),
        dt=step if isinstance(populations.code, Poisson) else period,
        name="stimulus",
    )
    gaze = b2.TimedArray(stream.sign.astype(float), dt=period, name="gaze")
    clock = {"steps": timing.steps, "steps_on": timing.steps_on, "release": timing.release}

    model = Model(populations, len(stream), found, None, None, [], shown, gaze, [], code)
    unit, leaves = populations.input, populations.input_axon
    source = model.input = b2.NeuronGroup(
        unit.units,
        eq.INPUT + st.axon(leaves, timing.dt) + eq.knows(taught(populations, -1)),
        threshold=st.spike(leaves),
        reset=st.input_reset(populations),
        events=eq.teaches(taught(populations, -1)),
        namespace={
            **clock,
            "neurons": unit.neurons,
            "stimulus": shown,
            **axon(model, 0, leaves, unit.neurons, drawn),
        },
        name="input",
    )
    source.quantum = unit.quantum
    source.run_regularly(st.input_turn(populations), dt=period, when="start", order=0)
    source.run_regularly(st.input_step(populations), when="groups")

    objects: list[Any] = [source]
    below = source
    for n, layer in enumerate(populations.layers):
        permutation = None
        if control is not None and control.permutations is not None:
            permutation = b2.TimedArray(
                control.permutations[:, n].astype(float), dt=period, name=f"permutation{n}"
            )
            model.permutations.append(permutation)
        made, others = layer_of(Making(model, n, layer, clock, period, drawn), below, permutation)
        model.layers.append(made)
        objects += [made.soma, made.modulator, made.site, *others]
        below = made.soma
    for n, each in enumerate(model.layers):
        context = model.layers[populations.context_of(n)].soma
        each.synapses["w_pred"] = predicting(model, n, context, each.soma)
        objects += each.synapses.values()
    model.monitors = _monitors(model, period, steps)
    model.network = b2.Network(*objects, *model.monitors.values())
    return model


def found_by(populations: Populations, control: Control) -> Found:
    """Return what somata find in their dendrites; raise InputError where Brian2 has no such control."""
    if control.delay:
        allowed = "in Brian2 gamma comes in its own presentation; the engine delays it"
        raise InputError("Brian2", "control.delay", control.delay, allowed)
    if control.permutations is not None:
        return "permuted"
    if control.dendrite == "mean" and isinstance(populations.dendrite, Decaying):
        allowed = "in Brian2 a mean over units needs dendrites that hold their charge; the engine takes both"
        raise InputError("Brian2", "control.dendrite", control.dendrite, allowed)
    return "constant" if control.dendrite == "absent" else control.dendrite


def _monitors(model: Model, period: Any, steps: bool) -> dict[str, Any]:
    """Record what each presentation leaves, at its very end; with ``steps``, also every time step."""
    monitors = {"input": b2.StateMonitor(model.input, "count", True, dt=period, when="start", order=-1)}
    for n, layer in enumerate(model.layers):
        soma = ["count", "v", "next_held", *model.populations.layers[n].gates]
        monitors[f"soma{n}"] = b2.StateMonitor(layer.soma, soma, True, dt=period, when="start", order=-1)
        monitors[f"site{n}"] = b2.StateMonitor(layer.site, "total", True, dt=period, when="start", order=-1)
    if steps:
        monitors["input_spikes"] = b2.SpikeMonitor(model.input, variables="packet")
        for n, layer in enumerate(model.layers):
            monitors[f"soma{n}_spikes"] = b2.SpikeMonitor(layer.soma, variables="packet")
            monitors[f"modulator{n}_spikes"] = b2.SpikeMonitor(layer.modulator, variables="packet")
            shown = ["apical", *model.populations.layers[n].gates]
            monitors[f"soma{n}_steps"] = b2.StateMonitor(layer.soma, shown, True, when="end")
            monitors[f"modulator{n}_steps"] = b2.StateMonitor(layer.modulator, "evidence", True, when="end")
    return monitors

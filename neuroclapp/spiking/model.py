"""The Brian2 objects of a spiking network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import brian2 as b2
import numpy as np
from numpy.typing import NDArray

from ..plasticity import Control, Target
from ..presentations import Presentations
from ..weights import Weights
from . import equations as eq
from . import steps as st
from .drawn import NOTHING, Drawn, stimulus
from .grid import rounded
from .populations import LayerPopulations, Populations
from .single_neurons import single_neurons
from .state import LayerState, State
from .variants import Poisson

Array = NDArray[np.float64]


@dataclass
class LayerModel:
    """One layer's groups and synapses; ``synapses`` holds the plastic ones by target."""

    soma: Any
    modulator: Any
    site: Any
    synapses: dict[Target, Any]


@dataclass
class Model:
    """A network of Brian2 objects, all of them reachable, for ``presentations`` presentations."""

    populations: Populations
    presentations: int
    network: Any
    input: Any
    layers: list[LayerModel]
    stimulus: Any
    gaze: Any
    permutations: list[Any]
    noise: list[Any]
    monitors: dict[str, Any] = field(default_factory=dict)

    @property
    def duration(self) -> Any:
        """All presentations, and the one time step that closes the last of them."""
        timing = self.populations.timing
        return (self.presentations * timing.period + timing.dt) * b2.second

    def assignments(
        self, state: State, weights: Weights, learn: bool, control: Control
    ) -> list[tuple[Any, str, Any]]:
        """Return (group, variable, value) of all that differs from one call to the next.

        Weights are rounded to the grid, where there is one.
        """
        grid = self.populations.grid
        bound = min(control.bound, 1e300)  # the C++ program cannot read an infinite value
        values: list[tuple[Any, str, Any]] = [(self.input, "count", state.input_count)]
        for layer, model, held in zip(self.populations.layers, self.layers, state.layers, strict=True):
            eta, eta_pred = (layer.eta, layer.eta_pred) if learn else (0.0, 0.0)
            values += [(model.soma, name, getattr(held, name)) for name in ("count", "v", "next_held")]
            values += [(model.site, "always_open", float(control.always_open))]
            if layer.bias:
                bias = weights[f"{layer.name}.bias"]
                values += [
                    (model.soma, "bias", rounded(bias, grid)),
                    (model.soma, "eta_bias", eta),
                    (model.soma, "bound_bias", bound),
                ]
            for target, synapses in model.synapses.items():
                values += [
                    (synapses, "w", rounded(weights[f"{layer.name}.{target}"], grid).T.ravel()),
                    (synapses, "eta", eta if target == "w_ff" else eta_pred),
                    (synapses, "bound", bound),
                ]
        return values

    def read_weights(self, before: Weights) -> Weights:
        """Return the weights as they stand after a run."""
        arrays = {}
        for layer, model in zip(self.populations.layers, self.layers, strict=True):
            if layer.bias:
                arrays[f"{layer.name}.bias"] = np.array(model.soma.bias[:])
            for target, synapses in model.synapses.items():
                name = f"{layer.name}.{target}"
                arrays[name] = np.array(synapses.w[:]).reshape(before[name].shape[::-1]).T
        return before.replace(arrays)

    def read_state(self, record: int = -1) -> State:
        """Return what the network held after the last presentation, or when it started (``record`` 0)."""

        def read(monitor: str, name: str) -> Array:
            return np.array(getattr(self.monitors[monitor], name)[:, record])

        names = ("count", "v", "next_held")
        layers = [LayerState(*(read(f"soma{n}", name) for name in names)) for n in range(len(self.layers))]
        return State(read("input", "count"), layers)


def build(
    populations: Populations,
    stream: Presentations,
    control: Control | None = None,
    steps: bool = False,
    drawn: Drawn = NOTHING,
) -> Model:
    """Make the Brian2 objects of a network, to be run on the stream once the values are assigned.

    ``drawn`` holds what is random in these populations, `neuroclapp.spiking.drawn`.
    With ``control.permutations`` the dendrites pass through a permutation of units. ``steps`` records every
    spike, dendrite, modulator and gamma in every time step, for looking at a few presentations.
    """
    timing = populations.timing
    period = timing.period * b2.second
    b2.defaultclock.dt = timing.dt * b2.second
    step = timing.dt * b2.second
    shown = b2.TimedArray(
        stimulus(populations, stream, drawn),
        dt=step if isinstance(populations.code, Poisson) else period,
        name="stimulus",
    )
    noise = [
        b2.TimedArray(each.reshape(-1, each.shape[-1]), dt=step, name=f"noise{n}")
        for n, each in enumerate(drawn.thresholds)
    ]
    gaze = b2.TimedArray(stream.sign.astype(float), dt=period, name="gaze")
    clock = {"steps": timing.steps, "steps_on": timing.steps_on, "release": timing.release}

    unit = populations.input
    source = b2.NeuronGroup(
        unit.units,
        eq.INPUT,
        threshold=eq.SPIKE,
        reset=eq.RESET,
        namespace={**clock, "neurons": unit.neurons, "stimulus": shown},
        name="input",
    )
    source.quantum = unit.quantum
    source.run_regularly(st.input_turn(populations), dt=period, when="start", order=0)
    source.run_regularly(st.input_step(populations), when="groups")

    model = Model(populations, len(stream), None, source, [], shown, gaze, [], noise)
    objects: list[Any] = [source]
    below = source
    for n, layer in enumerate(populations.layers):
        permutation = None
        if control is not None and control.permutations is not None:
            permutation = b2.TimedArray(
                control.permutations[:, n].astype(float), dt=period, name=f"permutation{n}"
            )
            model.permutations.append(permutation)
        made, others = _layer(model, n, layer, below, clock, permutation, period)
        model.layers.append(made)
        objects += [made.soma, made.modulator, made.site, *made.synapses.values(), *others]
        below = made.soma
    model.monitors = _monitors(model, period, steps)
    model.network = b2.Network(*objects, *model.monitors.values())
    return model


def _layer(
    model: Model,
    n: int,
    layer: LayerPopulations,
    below: Any,
    clock: Mapping[str, int],
    permutation: Any,
    period: Any,
) -> tuple[LayerModel, list[Any]]:
    """Make one layer: soma with its dendrites, modulator, release sites, and the synapses between them."""
    populations, permuted = model.populations, permutation is not None
    plasticity, units, grid = populations.plasticity, layer.soma.units, populations.grid
    others: list[Any] = []

    events = {"learn": eq.LEARN}
    if permuted:
        events |= {"turn": "timestep(t, dt) % steps == 0", "recall": "timestep(t, dt) % steps == release + 1"}
    namespace: dict[str, Any] = {**clock, "neurons": layer.soma.neurons, **st.constants(populations)}
    if model.noise:
        namespace["noise"] = model.noise[n]
    soma = b2.NeuronGroup(
        units,
        st.soma(populations, layer.bias, permuted),
        threshold=eq.SPIKE,
        reset=st.soma_reset(populations),
        events=events,
        namespace=namespace,
        name=f"soma{n}",
    )
    soma.quantum = layer.soma.quantum
    soma.run_regularly(st.soma_turn(populations, permuted), dt=period, when="start", order=0)
    soma.run_regularly(st.soma_step(populations, layer.bias, permuted), when="groups")
    if layer.bias:
        soma.run_on_event("learn", eq.bias_learning(plasticity, grid))
    if populations.unit == "neurons":
        others += single_neurons(str(n), soma, layer.soma, populations, namespace, layer.bias, period)

    modulator = b2.NeuronGroup(
        2 * layer.modulator.units,
        eq.MODULATOR,
        threshold=eq.SPIKE,
        namespace={
            **clock,
            **{k: float(getattr(layer.modulator, k)) for k in ("tonic", "resolution", "burst")},
        },
        name=f"modulator{n}",
    )
    half = np.arange(layer.modulator.units)
    modulator.direction = np.repeat([-1.0, 1.0], layer.modulator.units)
    modulator.stagger = np.tile((half + 0.5) / layer.modulator.units, 2)
    modulator.run_regularly("evidence = 0", dt=period, when="start", order=0)
    modulator.run_regularly(eq.MODULATOR_STEP, when="groups")

    site = b2.NeuronGroup(
        2, eq.SITE, threshold=eq.SITE_SPIKE, namespace={**clock, "gaze": model.gaze}, name=f"site{n}"
    )
    site.polarity = [1.0, -1.0]
    site.baseline = layer.modulator.units * layer.modulator.tonic
    site.run_regularly("total = 0", dt=period, when="start", order=0)

    listens = b2.Synapses(
        soma,
        modulator,
        "w : 1",
        on_pre="evidence_post += w * apical_pre * packet_pre * quantum_pre",
        name=f"listens{n}",
    )
    who, whom = np.nonzero(layer.listens.T)
    listens.connect(i=who, j=whom)
    listens.w = layer.listens[whom, who]
    release = b2.Synapses(modulator, site, on_pre="total_post += packet_pre", name=f"release{n}")
    release.connect(i=np.arange(2 * len(half)), j=np.repeat([0, 1], len(half)))
    diffuse = b2.Synapses(site, soma, on_pre="gamma_post = polarity_pre", name=f"diffuse{n}")
    diffuse.connect()
    others += [listens, release, diffuse]

    delivers: dict[Target, dict[str, str]] = {
        "w_ff": {"pre": "drive_post += w * packet_pre * (quantum_pre / quantum_post)"},
        "w_pred": {"pre": "next_held_post += w * packet_pre * quantum_pre"},
        "w_retro": {"pre": "collected_post += w * packet_pre * quantum_pre"},
    }
    on_post: dict[Target, dict[str, str]] = {}
    if plasticity.prediction.feedback == "symmetric":
        on_post["w_pred"] = {"post": "collected_pre += w * packet_post * quantum_post"}
    synapses: dict[Target, Any] = {}
    for target in plasticity.targets:
        if target == "bias":
            continue
        source = below if target == "w_ff" else soma
        synapses[target] = _plastic(
            f"{target}{n}",
            source,
            soma,
            delivers[target],
            on_post.get(target, {}),
            eq.learning(plasticity, target, grid),
        )
    if permutation is not None:
        for name, event, text in (
            ("turned", "turn", "apical_post += held_pre * int(permutation(t, j) == i)"),
            (
                "recalled",
                "recall",
                f"retro_post += {eq.rounded('collected_pre', grid)} * int(permutation(t, j) == i)",
            ),
        ):
            gather = b2.Synapses(
                soma,
                soma,
                on_pre={event: text},
                on_event={event: event},
                namespace={"permutation": permutation},
                name=f"{name}{n}",
            )
            gather.connect()
            others.append(gather)
    return LayerModel(soma, modulator, site, synapses), others


def _plastic(
    name: str, source: Any, target: Any, on_pre: dict[str, str], on_post: dict[str, str], learning: str
) -> Any:
    """Make all-to-all synapses, presynaptic index outermost, that learn when the soma's gate opens."""
    synapses = b2.Synapses(
        source,
        target,
        eq.WEIGHT,
        on_pre=on_pre,
        on_post={**on_post, "learn": learning},
        on_event={"learn": "learn"},
        name=name,
    )
    pre, post = np.divmod(np.arange(len(source) * len(target)), len(target))
    synapses.connect(i=pre, j=post)
    return synapses


def _monitors(model: Model, period: Any, steps: bool) -> dict[str, Any]:
    """Record what each presentation leaves, at its very end; with ``steps``, also every time step."""
    monitors = {"input": b2.StateMonitor(model.input, "count", True, dt=period, when="start", order=-1)}
    for n, layer in enumerate(model.layers):
        soma = ["count", "v", "next_held", "gamma"]
        monitors[f"soma{n}"] = b2.StateMonitor(layer.soma, soma, True, dt=period, when="start", order=-1)
        monitors[f"site{n}"] = b2.StateMonitor(layer.site, "total", True, dt=period, when="start", order=-1)
    if steps:
        monitors["input_spikes"] = b2.SpikeMonitor(model.input, variables="packet")
        for n, layer in enumerate(model.layers):
            monitors[f"soma{n}_spikes"] = b2.SpikeMonitor(layer.soma, variables="packet")
            monitors[f"modulator{n}_spikes"] = b2.SpikeMonitor(layer.modulator, variables="packet")
            monitors[f"soma{n}_steps"] = b2.StateMonitor(layer.soma, ["apical", "gamma"], True, when="end")
            monitors[f"modulator{n}_steps"] = b2.StateMonitor(layer.modulator, "evidence", True, when="end")
    return monitors

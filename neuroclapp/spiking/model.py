"""The Brian2 objects of a spiking network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import brian2 as b2
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..plasticity import Control, Gate, Target
from ..presentations import Presentations
from ..weights import Weights
from . import equations as eq
from . import steps as st
from .axons import sent
from .drawn import NOTHING, Drawn, stimulus
from .grid import rounded
from .populations import LayerPopulations, Populations
from .single_neurons import single_neurons
from .state import LayerState, State
from .steps import Found
from .variants import Axon, Decaying, Poisson

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
    """A network of Brian2 objects, all of them reachable, for ``presentations`` presentations.

    ``found``: what somata find in their dendrites. ``random``: each array of random numbers with how it is
    filled.
    """

    populations: Populations
    presentations: int
    found: Found
    network: Any
    input: Any
    layers: list[LayerModel]
    stimulus: Any
    gaze: Any
    permutations: list[Any]
    random: list[tuple[Any, Callable[[Drawn], Array]]] = field(default_factory=list)
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
            if self.found == "constant":
                level = np.array(control.level if control.dendrite == "constant" else 0.0)
                values += [(model.soma, "level", float(rounded(level, grid)))]
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

    ``drawn`` holds what is random in these populations, `neuroclapp.spiking.drawn`. The objects are made for
    what ``control`` does to dendrites; its other values are assigned. ``steps`` records every spike,
    dendrite, modulator and gamma in every time step, for looking at a few presentations. Raises InputError
    where a control cannot be built.
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

    model = Model(populations, len(stream), found, None, None, [], shown, gaze, [])
    unit, axon = populations.input, populations.input_axon
    source = model.input = b2.NeuronGroup(
        unit.units,
        eq.INPUT + st.axon(axon, timing.dt) + eq.knows(taught(populations, -1)),
        threshold=st.spike(axon),
        reset=st.input_reset(populations),
        events=eq.teaches(taught(populations, -1)),
        namespace={
            **clock,
            "neurons": unit.neurons,
            "stimulus": shown,
            **_axon(model, 0, axon, unit.neurons, drawn),
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
        made, others = _layer(model, n, layer, below, clock, permutation, period, drawn)
        model.layers.append(made)
        objects += [made.soma, made.modulator, made.site, *others]
        below = made.soma
    for n, each in enumerate(model.layers):
        context = model.layers[populations.context_of(n)].soma
        each.synapses["w_pred"] = _predicting(populations, n, context, each.soma)
        objects += each.synapses.values()
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
    drawn: Drawn,
) -> tuple[LayerModel, list[Any]]:
    """Make one layer: soma with its dendrites, modulator, release sites, and the synapses between them.

    Those of ``w_pred`` are made when all layers are there.
    """
    populations, found, dt = model.populations, model.found, model.populations.timing.dt
    plasticity, units, grid = populations.rules_of(n), layer.soma.units, populations.grid
    others: list[Any] = []

    separate = "gamma_retro" in layer.gates
    events = {"learn": eq.LEARN_SEPARATE, "replay": eq.REPLAY} if separate else {"learn": eq.LEARN}
    if found in eq.GATHERED:
        events |= {"turn": "timestep(t, dt) % steps == 0", "recall": "timestep(t, dt) % steps == release + 1"}
    namespace: dict[str, Any] = {**clock, "neurons": layer.soma.neurons, **st.constants(populations)}
    namespace |= _axon(model, n + 1, populations.axon, layer.soma.neurons, drawn)
    if drawn.thresholds:
        namespace["noise"] = _given(
            model, f"noise{n}", drawn, dt, lambda drawn: _by_step(drawn.thresholds[n])
        )
    teaches = taught(populations, n)
    soma = b2.NeuronGroup(
        units,
        st.soma(populations, layer, found) + eq.knows(teaches),
        threshold=st.spike(populations.axon),
        reset=st.soma_reset(populations),
        events=events | eq.teaches(teaches),
        namespace=namespace,
        name=f"soma{n}",
    )
    soma.quantum = layer.soma.quantum
    soma.run_regularly(st.soma_turn(populations, layer, found), dt=period, when="start", order=0)
    soma.run_regularly(st.soma_step(populations, layer.bias, found), when="groups")
    if layer.bias:
        soma.run_on_event("learn", eq.bias_learning(plasticity, grid))
    if populations.unit == "neurons":
        others += single_neurons(str(n), soma, layer.soma, populations, namespace, layer.bias, period)

    heard = {k: float(getattr(layer.modulator, k)) for k in ("tonic", "resolution", "burst")}
    added: dict[str, Any] = {}
    if drawn.noise:
        added = {"added": _given(model, f"added{n}", drawn, period, lambda drawn: drawn.noise[n])}
    gates = layer.gates
    modulator = b2.NeuronGroup(
        len(layer.listens),
        eq.MODULATOR,
        threshold=eq.SPIKE,
        namespace={**clock, **heard, **added},
        name=f"modulator{n}",
    )
    halves, half = 2 * len(gates), np.arange(layer.modulator.units)
    modulator.direction = np.repeat(np.tile([-1.0, 1.0], len(gates)), len(half))
    modulator.stagger = np.tile((half + 0.5) / len(half), halves)
    modulator.run_regularly("evidence = 0", dt=period, when="start", order=0)
    modulator.run_regularly(eq.modulator_step(bool(drawn.noise)), when="groups")

    site = b2.NeuronGroup(
        halves, eq.SITE, threshold=eq.SITE_SPIKE, namespace={**clock, "gaze": model.gaze}, name=f"site{n}"
    )
    site.polarity = np.tile([1.0, -1.0], len(gates))
    site.baseline = layer.modulator.units * layer.modulator.tonic
    site.run_regularly("total = 0", dt=period, when="start", order=0)

    fails = bool(drawn.works)
    works: dict[str, Any] = {}
    if fails:
        works = {
            "works": _given(
                model, f"works{n}", drawn, period, lambda drawn: drawn.works[n].astype(np.float64)
            )
        }
    who, whom = np.nonzero(layer.listens.T)
    hears: dict[Gate, dict[str, Any]] = {
        "gamma": {"on_pre": eq.listening(fails)},
        "gamma_retro": {
            "on_pre": {"replay": eq.listening_retro(fails, found)},
            "on_event": {"replay": "replay"},
        },
    }
    for number, gate in enumerate(gates):
        suffix = gate.removeprefix("gamma") + str(n)
        listens = b2.Synapses(
            soma,
            modulator,
            eq.LISTENS + (eq.FAILS if fails else ""),
            **hears[gate],
            namespace=works,
            name=f"listens{suffix}",
        )
        own = np.flatnonzero((whom >= layer.rows(gate).start) & (whom < layer.rows(gate).stop))
        listens.connect(i=who[own], j=whom[own])
        listens.w = layer.listens[whom[own], who[own]]
        if fails:
            listens.number = own
        if gate == "gamma_retro":
            listens.replay.order = 2  # after the last packets, and what controls gather of them, have come
        diffuse = b2.Synapses(site, soma, on_pre=f"{gate}_post = polarity_pre", name=f"diffuse{suffix}")
        diffuse.connect(i=np.repeat([2 * number, 2 * number + 1], units), j=np.tile(np.arange(units), 2))
        others += [listens, diffuse]
    release = b2.Synapses(modulator, site, on_pre="total_post += packet_pre", name=f"release{n}")
    release.connect(i=np.arange(halves * len(half)), j=np.repeat(np.arange(halves), len(half)))
    others.append(release)

    delivers: dict[Target, tuple[Any, str]] = {
        "w_ff": (below, "drive_post += w * packet_pre * (quantum_pre / quantum_post)"),
        "w_retro": (soma, "collected_post += w * packet_pre * quantum_pre"),
    }
    synapses = {
        target: _plastic(
            target, n, source, soma, layer.gates, {"pre": text}, {}, eq.learning(plasticity, target, grid)
        )
        for target, (source, text) in delivers.items()
        if target in plasticity.targets
    }
    if found in eq.GATHERED:
        retro = eq.rounded("collected_pre", grid)
        turn, recall = eq.GATHERED[found]
        gathered = [("turned", "turn", turn, -2), ("recalled", "recall", recall, -2)]
        if separate:
            gathered.append(("overheard", "replay", eq.OVERHEARING[found], 1))
        for name, event, text, order in gathered:
            gather = b2.Synapses(
                soma,
                soma,
                on_pre={event: text.format(retro=retro)},
                on_event={event: event},
                namespace={} if permutation is None else {"permutation": permutation},
                name=f"{name}{n}",
            )
            gather.connect()
            getattr(gather, event).order = order  # -2: before somata that send in this very step
            others.append(gather)
    return LayerModel(soma, modulator, site, synapses), others


def taught(populations: Populations, number: int) -> dict[int, tuple[Gate, ...]]:
    """Return the gates of the other layers that learn in synapses from layer ``number`` (-1: the input)."""
    return {
        n: layer.gates
        for n, layer in enumerate(populations.layers)
        if n != number and number in (n - 1, populations.context_of(n))
    }


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


def _predicting(populations: Populations, n: int, context: Any, soma: Any) -> Any:
    """Make the synapses of ``w_pred``, from the layer that predicts onto a soma."""
    plasticity, on_post = populations.rules_of(n), {}
    if plasticity.prediction.feedback == "symmetric":
        on_post = {"post": "collected_pre += w * packet_post * quantum_post"}
    on_pre = {"pre": "next_held_post += w * packet_pre * quantum_pre"}
    learning = eq.learning(plasticity, "w_pred", populations.grid)
    gates = populations.layers[n].gates
    return _plastic("w_pred", n, context, soma, gates, on_pre, on_post, learning)


def _given(model: Model, name: str, drawn: Drawn, dt: Any, values: Callable[[Drawn], Array]) -> Any:
    """Make an array of random numbers in time, and remember how it is filled; ``dt`` of an entry [s]."""
    array = b2.TimedArray(values(drawn), dt=dt if isinstance(dt, b2.Quantity) else dt * b2.second, name=name)
    model.random.append((array, values))
    return array


def _axon(model: Model, number: int, axon: Axon, neurons: int, drawn: Drawn) -> dict[str, Any]:
    """Return what the time step of an unreliable axon names; input is number 0."""
    dt, names = model.populations.timing.dt, {}
    if axon.loss:
        names["lot"] = _given(model, f"lot{number}", drawn, dt, lambda drawn: _by_step(drawn.lots[number]))
        names["sent"] = b2.TimedArray(sent(axon.loss, neurons), dt=1 * b2.second, name=f"sent{number}")
    if axon.jitter:
        names["lateness"] = _given(
            model, f"lateness{number}", drawn, dt, lambda drawn: _by_step(drawn.late[number])
        )
    return names


def _by_step(array: NDArray | None) -> Array:
    """Return what was drawn for steps of presentations, step after step."""
    if array is None:
        raise ValueError("nothing was drawn for this axon")
    return array.reshape(-1, array.shape[-1]).astype(np.float64)


def _plastic(
    weight: Target,
    n: int,
    source: Any,
    target: Any,
    gates: Sequence[Gate],
    on_pre: dict[str, str],
    on_post: dict[str, str],
    learning: str,
) -> Any:
    """Make all-to-all synapses, presynaptic index outermost, that learn when a gate of the soma opens.

    Their sources are told, so that synapses learn in the order of memory. Target by target they would lie as
    far apart as a layer is wide: with 1024 units all on lines of the cache that displace each other, which
    takes ten times as long.
    """
    event = "learn"
    if source is not target:
        event = f"teach{n}"
        everyone = np.zeros(len(source), dtype=int)  # gates are layer-wide: that of the first unit is all's
        for gate in gates:
            setattr(source, eq.known(gate, n), b2.linked_var(target, gate, index=everyone))
    synapses = b2.Synapses(
        source,
        target,
        eq.WEIGHT,
        on_pre={**on_pre, "learn": learning},
        on_post=on_post,
        on_event={"learn": event},
        name=f"{weight}{n}",
    )
    pre, post = np.divmod(np.arange(len(source) * len(target)), len(target))
    synapses.connect(i=pre, j=post)
    return synapses


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

"""Making the Brian2 objects of a layer: somata, modulators, release sites, and synapses between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import brian2 as b2
import numpy as np
from numpy.typing import NDArray

from ..plasticity import Gate, Target
from . import equations as eq
from . import steps as st
from .axons import sent
from .drawn import Drawn
from .model import Array, LayerModel, Model
from .populations import LayerPopulations, Populations
from .single_neurons import single_neurons
from .variants import Axon


@dataclass(frozen=True)
class Making:
    """What layer ``n`` is made from: its network, its description, the clock, and random numbers."""

    model: Model
    n: int
    layer: LayerPopulations
    clock: Mapping[str, int]
    period: Any
    drawn: Drawn

    @property
    def populations(self) -> Populations:
        return self.model.populations

    @property
    def separate(self) -> bool:
        """Whether the layer has two gates."""
        return "gamma_retro" in self.layer.gates


def layer_of(making: Making, below: Any, permutation: Any) -> tuple[LayerModel, list[Any]]:
    """Make one layer, and return it with all other objects that it needs.

    Its synapses of ``w_pred`` are made when all layers are there (`predicting`).
    """
    n, populations, gates = making.n, making.populations, making.layer.gates
    plasticity, grid = populations.rules_of(n), populations.grid
    soma, others = _soma(making)
    modulator, site = _modulator(making), _site(making)
    delivers: dict[Target, tuple[Any, str]] = {
        "w_ff": (below, "drive_post += w * packet_pre * (quantum_pre / quantum_post)"),
        "w_retro": (soma, "collected_post += w * packet_pre * quantum_pre"),
    }
    synapses = {
        target: _plastic(
            target,
            n,
            source,
            soma,
            gates,
            {"pre": text},
            {},
            eq.learning(plasticity, target, grid),
            making.model.code,
        )
        for target, (source, text) in delivers.items()
        if target in plasticity.targets
    }
    others += _between(making, soma, modulator, site)
    if making.model.found in eq.GATHERED:
        others += _gathering(making, soma, permutation)
    return LayerModel(soma, modulator, site, synapses), others


def _soma(making: Making) -> tuple[Any, list[Any]]:
    """Make the somata with their dendrites, and the single neurons of units that are simulated one by one."""
    model, n, layer, clock = making.model, making.n, making.layer, making.clock
    period, drawn, populations, found = making.period, making.drawn, making.populations, making.model.found
    events = {"learn": eq.LEARN_SEPARATE, "replay": eq.REPLAY} if making.separate else {"learn": eq.LEARN}
    if found in eq.GATHERED:
        events |= {"turn": "timestep(t, dt) % steps == 0", "recall": "timestep(t, dt) % steps == release + 1"}
    namespace: dict[str, Any] = {**clock, "neurons": layer.soma.neurons, **st.constants(populations)}
    namespace |= axon(model, n + 1, populations.axon, layer.soma.neurons, drawn)
    if drawn.thresholds:
        dt = populations.timing.dt
        namespace["noise"] = model.given(f"noise{n}", drawn, dt, lambda drawn: by_step(drawn.thresholds[n]))
    teaches = taught(populations, n)
    soma = b2.NeuronGroup(
        layer.soma.units,
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
        soma.run_on_event("learn", eq.bias_learning(populations.rules_of(n), populations.grid))
    if populations.unit != "neurons":
        return soma, []
    return soma, single_neurons(str(n), soma, layer.soma, populations, namespace, layer.bias, period)


def _modulator(making: Making) -> Any:
    """Make the units of the layer's modulators, both halves of each."""
    n, layer, drawn, period = making.n, making.layer, making.drawn, making.period
    heard = {k: float(getattr(layer.modulator, k)) for k in ("tonic", "resolution", "burst")}
    added: dict[str, Any] = {}
    if drawn.noise:
        added = {"added": making.model.given(f"added{n}", drawn, period, lambda drawn: drawn.noise[n])}
    modulator = b2.NeuronGroup(
        len(layer.listens),
        eq.MODULATOR,
        threshold=eq.SPIKE,
        namespace={**making.clock, **heard, **added},
        name=f"modulator{n}",
    )
    half = np.arange(layer.modulator.units)
    modulator.direction = np.repeat(np.tile([-1.0, 1.0], len(layer.gates)), len(half))
    modulator.stagger = np.tile((half + 0.5) / len(half), 2 * len(layer.gates))
    modulator.run_regularly("evidence = 0", dt=period, when="start", order=0)
    modulator.run_regularly(eq.modulator_step(bool(drawn.noise)), when="groups")
    return modulator


def _site(making: Making) -> Any:
    """Make the sites at which modulators release, two for each gate: for fixations and for saccades."""
    gates, modulator = len(making.layer.gates), making.layer.modulator
    namespace = {**making.clock, "gaze": making.model.gaze}
    site = b2.NeuronGroup(
        2 * gates, eq.SITE, threshold=eq.SITE_SPIKE, namespace=namespace, name=f"site{making.n}"
    )
    site.polarity = np.tile([1.0, -1.0], gates)
    site.baseline = modulator.units * modulator.tonic
    site.run_regularly("total = 0", dt=making.period, when="start", order=0)
    return site


def _between(making: Making, soma: Any, modulator: Any, site: Any) -> list[Any]:
    """Make what leads from somata over modulators to gamma: listening, release, and diffusion."""
    model, n, layer, drawn, others = making.model, making.n, making.layer, making.drawn, []
    fails = bool(drawn.works)
    works: dict[str, Any] = {}
    if fails:
        period = making.period
        works["works"] = model.given(f"works{n}", drawn, period, lambda drawn: drawn.works[n].astype(float))
    who, whom = np.nonzero(layer.listens.T)
    hears: dict[Gate, dict[str, Any]] = {
        "gamma": {"on_pre": eq.listening(fails)},
        "gamma_retro": {
            "on_pre": {"replay": eq.listening_retro(fails, model.found)},
            "on_event": {"replay": "replay"},
        },
    }
    for number, gate in enumerate(layer.gates):
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
        diffuse.connect(
            i=np.repeat([2 * number, 2 * number + 1], len(soma)), j=np.tile(np.arange(len(soma)), 2)
        )
        others += [listens, diffuse]
    release = b2.Synapses(modulator, site, on_pre="total_post += packet_pre", name=f"release{n}")
    release.connect(i=np.arange(len(modulator)), j=np.repeat(np.arange(len(site)), layer.modulator.units))
    return [*others, release]


def _gathering(making: Making, soma: Any, permutation: Any) -> list[Any]:
    """Make what controls gather in a unit's dendrites from those of others."""
    others: list[Any] = []
    retro = eq.rounded("collected_pre", making.populations.grid)
    turn, recall = eq.GATHERED[making.model.found]
    gathered = [("turned", "turn", turn, -2), ("recalled", "recall", recall, -2)]
    if making.separate:
        gathered.append(("overheard", "replay", eq.OVERHEARING[making.model.found], 1))
    for name, event, text, order in gathered:
        gather = b2.Synapses(
            soma,
            soma,
            on_pre={event: text.format(retro=retro)},
            on_event={event: event},
            namespace={} if permutation is None else {"permutation": permutation},
            name=f"{name}{making.n}",
        )
        gather.connect()
        getattr(gather, event).order = order  # -2: before somata that send in this very step
        others.append(gather)
    return others


def predicting(model: Model, n: int, context: Any, soma: Any) -> Any:
    """Make the synapses of ``w_pred``, from the layer that predicts onto a soma."""
    populations = model.populations
    plasticity, on_post = populations.rules_of(n), {}
    if plasticity.prediction.feedback == "symmetric":
        on_post = {"post": "collected_pre += w * packet_post * quantum_post"}
    on_pre = {"pre": "next_held_post += w * packet_pre * quantum_pre"}
    learning = eq.learning(plasticity, "w_pred", populations.grid)
    gates = populations.layers[n].gates
    return _plastic("w_pred", n, context, soma, gates, on_pre, on_post, learning, model.code)


def _plastic(
    weight: Target,
    n: int,
    source: Any,
    target: Any,
    gates: Sequence[Gate],
    on_pre: dict[str, str],
    on_post: dict[str, str],
    learning: str,
    code: type | None,
) -> Any:
    """Make all-to-all synapses that learn when a gate of the soma opens; ``code`` as in `Model`.

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
        delay=dict.fromkeys([*on_pre, *on_post, "learn"], 0 * b2.second),  # one for all, not one for each
        codeobj_class=code,
        name=f"{weight}{n}",
    )
    synapses.connect()  # presynaptic index outermost
    return synapses


def taught(populations: Populations, number: int) -> dict[int, tuple[Gate, ...]]:
    """Return the gates of the other layers that learn in synapses from layer ``number`` (-1: the input)."""
    return {
        n: layer.gates
        for n, layer in enumerate(populations.layers)
        if n != number and number in (n - 1, populations.context_of(n))
    }


def axon(model: Model, number: int, axon: Axon, neurons: int, drawn: Drawn) -> dict[str, Any]:
    """Return what the time step of an unreliable axon names; input is number 0."""
    dt, names = model.populations.timing.dt, {}
    if axon.loss:
        names["lot"] = model.given(f"lot{number}", drawn, dt, lambda drawn: by_step(drawn.lots[number]))
        names["sent"] = b2.TimedArray(sent(axon.loss, neurons), dt=1 * b2.second, name=f"sent{number}")
    if axon.jitter:
        names["lateness"] = model.given(
            f"lateness{number}", drawn, dt, lambda drawn: by_step(drawn.late[number])
        )
    return names


def by_step(array: NDArray | None) -> Array:
    """Return what was drawn for steps of presentations, step after step."""
    if array is None:
        raise ValueError("nothing was drawn for this axon")
    return array.reshape(-1, array.shape[-1]).astype(np.float64)

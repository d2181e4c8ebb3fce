"""The Brian2 rendering of what a description's values choose: time steps of input, neuron, dendrite and axon.

Constants that the texts name: ``steps``, ``steps_on``, ``release`` and ``neurons``; ``keep`` and ``remain``,
what a time step leaves of a membrane's and of a dendrite's charge; ``noise(t, i)``, how far a threshold lies
above 1; ``lot(t, i)`` and ``lateness(t, i)`` of an axon, and ``sent``, the table that lots look into.
"""

from __future__ import annotations

from typing import Literal

from . import equations as eq
from .grid import decay, share
from .populations import LayerPopulations, Populations
from .variants import Axon, Decaying, EscapeNoise, Leaky, Poisson

#: What a soma finds in its dendrites: "constant" serves a level and its absence.
Found = Literal["intact", "permuted", "mean", "constant"]

_ON = "int(timestep(t, dt) % steps < steps_on)"
_SENDS = "int(timestep(t, dt) % steps < release)"


def constants(populations: Populations) -> dict[str, float]:
    """Return the decay factors."""
    dt, on_grid, found = populations.timing.dt, populations.grid is not None, {}
    if isinstance(populations.neuron, Leaky):
        found["keep"] = decay(dt, populations.neuron.tau, on_grid)
    if isinstance(populations.dendrite, Decaying):
        found["remain"] = decay(dt, populations.dendrite.tau, on_grid)
    return found


def is_unreliable(axon: Axon) -> bool:
    """Return whether what leaves a unit may differ from what it fired."""
    return axon.loss > 0 or axon.jitter > 0


def axon(axon: Axon, dt: float) -> str:
    """Return the variables of an axon: what was fired, and what leaves now, in a step, in two steps ..."""
    if not is_unreliable(axon):
        return ""
    return "fired : 1\n" + "".join(f"late{n} : 1\n" for n in _lateness(axon, dt))


def axon_turn(axon: Axon, dt: float) -> str:
    """Return what happens to an axon between two presentations."""
    return "".join(f"late{n} = 0\n" for n in _lateness(axon, dt))


def leaving(step: str, axon: Axon, dt: float) -> str:
    """Return the time step of a unit whose text sets ``packet``, with what leaves it in its place."""
    if not is_unreliable(axon):
        return step
    left = "sent(lot(t, i) * second, int(fired))" if axon.loss else "fired"
    step = step.replace("packet = ", "fired = ")
    if not axon.jitter:
        return f"{step}packet = {left}\n"
    steps = list(_lateness(axon, dt))
    shift = "".join(f"late{n} = late{n + 1}\n" for n in steps[:-1]) + f"late{steps[-1]} = 0\n"
    add = "".join(f"late{n} += leaves * int(lateness(t, i) == {n})\n" for n in steps)
    return f"{step}leaves = {left}\n{shift}{add}packet = late0 * {_SENDS}\n"


def spike(axon: Axon) -> str:
    """Return the condition under which something happens to a unit or leaves it."""
    return eq.UNRELIABLE_SPIKE if is_unreliable(axon) else eq.SPIKE


def _lateness(axon: Axon, dt: float) -> range:
    return range(axon.late(dt) + 1 if axon.jitter else 0)


def is_hard(populations: Populations) -> bool:
    """Return whether a spike sets the membrane to 0."""
    return isinstance(populations.neuron, Leaky) and populations.neuron.reset == "zero"


def input_turn(populations: Populations) -> str:
    """Return what happens to the input between two presentations."""
    turn = "count_context = count\ncount = 0\nv = 0.5\n"
    if not isinstance(populations.code, Poisson):
        turn = eq.INPUT_TURN if populations.grid is None else f"{turn}charge = stimulus(t, i)\n"
    return turn + axon_turn(populations.input_axon, populations.timing.dt)


def input_step(populations: Populations) -> str:
    """Return an input unit's time step: packets from its charge, or those that are given."""
    poisson = isinstance(populations.code, Poisson)
    step = f"packet = stimulus(t, i) * {_SENDS}\n" if poisson else eq.INPUT_STEP
    return leaving(step, populations.input_axon, populations.timing.dt)


def input_reset(populations: Populations) -> str:
    """Return what a packet does to its input unit."""
    return eq.UNRELIABLE_RESET if is_unreliable(populations.input_axon) else eq.RESET


def soma(populations: Populations, layer: LayerPopulations, found: Found) -> str:
    """Return the equations of a layer's somata."""
    part, grid = share(layer.soma.units, populations.grid is not None), populations.grid
    dendrites = eq.DENDRITES[found]
    if "gamma_retro" in layer.gates:
        dendrites += eq.RETRO_GATE + eq.OVERHEARD.get(found, "")
    dendrites = dendrites.format(
        retro=eq.rounded("collected", grid),
        mean=eq.rounded(f"pooled * {part!r}", grid),
        mean_retro=eq.rounded(f"pooled_retro * {part!r}", grid),
        mean_overheard=eq.rounded(f"pooled_overheard * {part!r}", grid),
    )
    members = eq.MEMBRANE if populations.unit == "neurons" else ""
    return (
        eq.SOMA
        + (eq.BIAS if layer.bias else "")
        + dendrites
        + members
        + axon(populations.axon, populations.timing.dt)
    )


def soma_turn(populations: Populations, layer: LayerPopulations, found: Found) -> str:
    """Return what happens to a layer's somata between two presentations."""
    turn = eq.SOMA_TURN.format(held=eq.rounded("next_held", populations.grid))
    if "gamma_retro" in layer.gates:
        cleared = {"permuted": "overheard = 0\n", "mean": "pooled_overheard = 0\n"}
        turn += "gamma_retro = 0\n" + cleared.get(found, "")
    return turn + eq.CLEARED.get(found, "") + axon_turn(populations.axon, populations.timing.dt)


def soma_step(populations: Populations, bias: bool, found: Found) -> str:
    """Return a soma's time step; neurons that are simulated one by one have taken theirs before it."""
    dendrites, dt = "", populations.timing.dt
    if isinstance(populations.dendrite, Decaying):
        charges = ["held", "next_held", "collected"] + (["apical", "retro"] if found == "permuted" else [])
        dendrites = "".join(
            f"{each} = {eq.rounded(f'{each} * remain', populations.grid)}\n" for each in charges
        )
    if populations.unit == "neurons":
        return leaving(f"{dendrites}v = membrane - 0.5 * (neurons - 1)\ndrive = 0\n", populations.axon, dt)
    step = eq.SOMA_STEP.replace("floor(v)", f"floor({_above_threshold(populations)})")
    return leaving(
        dendrites + _leak(populations) + (bias_step(populations, "v") if bias else "") + step,
        populations.axon,
        dt,
    )


def bias_step(populations: Populations, variable: str) -> str:
    """Return how a bias drives a soma: its ``v``, or the ``drive`` of its neurons."""
    if populations.grid is None:
        return eq.BIAS_STEP.replace("v +=", f"{variable} +=")
    return f"{variable} += {eq.rounded('bias / (quantum * steps_on)', populations.grid)} * {_ON}\n"


def soma_reset(populations: Populations) -> str:
    """Return what a packet does to its soma."""
    if populations.unit == "neurons":
        return "count += packet"
    if is_unreliable(populations.axon):
        return "v *= int(fired == 0); count += packet" if is_hard(populations) else eq.UNRELIABLE_RESET
    return "v = 0; count += packet" if is_hard(populations) else eq.RESET


def neuron_step(populations: Populations) -> str:
    """Return the time step of one of a unit's neurons."""
    fires = f"fired = int({_above_threshold(populations)} >= 1) * {_SENDS}\n"
    return f"{_leak(populations)}v += drive / neurons\n{fires}"


def neuron_sums(populations: Populations) -> str:
    """Return what a soma hears from its neurons: how many fired, and their membranes after the reset."""
    left = "v_pre * (1 - fired_pre)" if is_hard(populations) else "v_pre - fired_pre"
    heard = "fired" if is_unreliable(populations.axon) else "packet"
    return f"{heard}_post = fired_pre : 1 (summed)\nmembrane_post = {left} : 1 (summed)\n"


def neuron_reset(populations: Populations) -> str:
    """Return what a spike does to its neuron."""
    return "v = 0" if is_hard(populations) else "v -= 1"


def _leak(populations: Populations) -> str:
    leaky = isinstance(populations.neuron, Leaky)
    return f"v = {eq.rounded('0.5 + (v - 0.5) * keep', populations.grid)}\n" if leaky else ""


def _above_threshold(populations: Populations) -> str:
    return "v - noise(t, i)" if isinstance(populations.neuron, EscapeNoise) else "v"

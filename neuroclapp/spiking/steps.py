"""The Brian2 rendering of what a description's values choose: time steps of input, neuron and dendrite.

Constants that the texts name: ``steps``, ``steps_on``, ``release`` and ``neurons``; ``keep`` and ``remain``,
what a time step leaves of a membrane's and of a dendrite's charge; ``noise(t, i)``, how far a threshold lies
above 1.
"""

from __future__ import annotations

from . import equations as eq
from .grid import decay
from .populations import Populations
from .variants import Decaying, EscapeNoise, Leaky, Poisson

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


def is_hard(populations: Populations) -> bool:
    """Return whether a spike sets the membrane to 0."""
    return isinstance(populations.neuron, Leaky) and populations.neuron.reset == "zero"


def input_turn(populations: Populations) -> str:
    """Return what happens to the input between two presentations."""
    if isinstance(populations.code, Poisson):
        return "count_context = count\ncount = 0\nv = 0.5\n"
    if populations.grid is not None:
        return "count_context = count\ncount = 0\nv = 0.5\ncharge = stimulus(t, i)\n"
    return eq.INPUT_TURN


def input_step(populations: Populations) -> str:
    """Return an input unit's time step: packets from its charge, or those that are given."""
    poisson = isinstance(populations.code, Poisson)
    return f"packet = stimulus(t, i) * {_SENDS}\n" if poisson else eq.INPUT_STEP


def soma(populations: Populations, bias: bool, permuted: bool) -> str:
    """Return a soma's equations."""
    retro = eq.rounded("collected", populations.grid)
    dendrites = eq.PERMUTED if permuted else eq.INTACT.format(retro=retro)
    members = eq.MEMBRANE if populations.unit == "neurons" else ""
    return eq.SOMA + (eq.BIAS if bias else "") + dendrites + members


def soma_turn(populations: Populations, permuted: bool) -> str:
    """Return what happens to a soma between two presentations."""
    turn = eq.SOMA_TURN.format(held=eq.rounded("next_held", populations.grid))
    return turn + ("apical = 0\nretro = 0\n" if permuted else "")


def soma_step(populations: Populations, bias: bool, permuted: bool) -> str:
    """Return a soma's time step; neurons that are simulated one by one have taken theirs before it."""
    dendrites = ""
    if isinstance(populations.dendrite, Decaying):
        charges = ["held", "next_held", "collected"] + (["apical", "retro"] if permuted else [])
        dendrites = "".join(
            f"{each} = {eq.rounded(f'{each} * remain', populations.grid)}\n" for each in charges
        )
    if populations.unit == "neurons":
        return f"{dendrites}v = membrane - 0.5 * (neurons - 1)\ndrive = 0\n"
    step = eq.SOMA_STEP.replace("floor(v)", f"floor({_above_threshold(populations)})")
    return dendrites + _leak(populations) + (bias_step(populations, "v") if bias else "") + step


def bias_step(populations: Populations, variable: str) -> str:
    """Return how a bias drives a soma: its ``v``, or the ``drive`` of its neurons."""
    if populations.grid is None:
        return eq.BIAS_STEP.replace("v +=", f"{variable} +=")
    return f"{variable} += {eq.rounded('bias / (quantum * steps_on)', populations.grid)} * {_ON}\n"


def soma_reset(populations: Populations) -> str:
    """Return what a packet does to its soma."""
    if populations.unit == "neurons":
        return "count += packet"
    return "v = 0; count += packet" if is_hard(populations) else eq.RESET


def neuron_step(populations: Populations) -> str:
    """Return the time step of one of a unit's neurons."""
    fires = f"fired = int({_above_threshold(populations)} >= 1) * {_SENDS}\n"
    return f"{_leak(populations)}v += drive / neurons\n{fires}"


def neuron_sums(populations: Populations) -> str:
    """Return what a soma hears from its neurons: how many fired, and their membranes after the reset."""
    left = "v_pre * (1 - fired_pre)" if is_hard(populations) else "v_pre - fired_pre"
    return f"packet_post = fired_pre : 1 (summed)\nmembrane_post = {left} : 1 (summed)\n"


def neuron_reset(populations: Populations) -> str:
    """Return what a spike does to its neuron."""
    return "v = 0" if is_hard(populations) else "v -= 1"


def _leak(populations: Populations) -> str:
    leaky = isinstance(populations.neuron, Leaky)
    return f"v = {eq.rounded('0.5 + (v - 0.5) * keep', populations.grid)}\n" if leaky else ""


def _above_threshold(populations: Populations) -> str:
    return "v - noise(t, i)" if isinstance(populations.neuron, EscapeNoise) else "v"

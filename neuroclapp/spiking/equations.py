"""The Brian2 rendering: equations of the populations, and of the rule as text.

What depends on neuron, input code, dendrite and axon is in `neuroclapp.spiking.steps`. All quantities are
dimensionless: charge in thresholds of one neuron divided by ``neurons``, activity in rate units, time in
steps. See `neuroclapp.spiking.populations` for the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..plasticity import Factor, Gate, Plasticity, Rule, Target

#: Where a factor is found: (variable of the postsynaptic, of the presynaptic group).
_VARIABLES: dict[Factor, tuple[str, str]] = {
    Factor("x", "sample"): ("", "z_pre"),
    Factor("x", "context"): ("", "c_pre"),
    Factor("z", "sample"): ("z_post", "z_pre"),
    Factor("z", "context"): ("c_post", "c_pre"),
    Factor("rho", "sample"): ("rho_post", ""),
    Factor("rho", "context"): ("rho_context_post", ""),
    Factor("d", "sample"): ("apical_post", ""),
    Factor("r", "sample"): ("retro_post", ""),
}

COUNTER = """
v : 1
packet : 1
count : 1
count_context : 1
z = count * quantum : 1
c = count_context * quantum : 1
quantum : 1 (constant, shared)
"""

INPUT = COUNTER + "charge : 1\n"

SOMA = (
    COUNTER
    + """
drive : 1
rho = int(count + v > 0.5) : 1
rho_context : 1
held : 1
next_held : 1
collected : 1
gamma : 1
"""
)
#: The second gate of a layer in which they are separate.
RETRO_GATE = "gamma_retro : 1\n"

BIAS = """
bias : 1
eta_bias : 1 (shared)
bound_bias : 1 (shared)
"""

#: The dendrites as the rule sees them: as collected, or (controls) those of permuted units, the mean over a
#: layer's units, or a level whatever was collected.
DENDRITES = {
    "intact": "apical = held : 1\nretro = {retro} : 1\n",
    "permuted": "apical : 1\nretro : 1\n",
    "mean": "pooled : 1\npooled_retro : 1\napical = {mean} : 1\nretro = {mean_retro} : 1\n",
    "constant": "level : 1 (shared)\napical = level : 1\nretro = level : 1\n",
}
#: How a control's dendrites take over what other units collected: at the turn and at the recall.
GATHERED = {
    "permuted": (
        "apical_post += held_pre * int(permutation(t, j) == i)",
        "retro_post += {retro} * int(permutation(t, j) == i)",
    ),
    "mean": ("pooled_post += held_pre", "pooled_retro_post += {retro}"),
}
#: What the second modulator hears of a retro dendrite before it fires: what the rule finds there later, but
#: gathered from other units a first time, since dendrites that decay go on to do so.
OVERHEARD = {
    "permuted": "overheard : 1\n",
    "mean": "pooled_overheard : 1\noverheard = {mean_overheard} : 1\n",
}
OVERHEARING = {
    "permuted": "overheard_post += {retro} * int(permutation(t, j) == i)",
    "mean": "pooled_overheard_post += {retro}",
}
#: What they hold from one presentation to the next: nothing.
CLEARED = {
    "permuted": "apical = 0\nretro = 0\n",
    "mean": "pooled = 0\npooled_retro = 0\n",
}

#: One of a unit's neurons, where they are simulated one by one; a soma then knows the sum of membranes.
NEURON = """
v : 1
fired : 1
drive : 1 (linked)
origin : 1 (constant)
"""
MEMBRANE = "membrane : 1\n"

MODULATOR = """
evidence : 1
packet : 1
direction : 1 (constant)
stagger : 1 (constant)
"""

SITE = """
total : 1
polarity : 1 (constant)
baseline : 1 (constant, shared)
always_open : 1 (shared)
"""

INPUT_STEP = """
v += charge * int(timestep(t, dt) % steps < steps_on)
packet = clip(floor(v), 0, neurons) * int(timestep(t, dt) % steps < release)
"""

SOMA_STEP = """
v += drive
drive = 0
packet = clip(floor(v), 0, neurons) * int(timestep(t, dt) % steps < release)
"""

BIAS_STEP = "v += bias * int(timestep(t, dt) % steps < steps_on) / (quantum * steps_on)\n"

SPIKE = "packet > 0"
RESET = "v -= packet; count += packet"
#: With an unreliable axon: what is fired resets the membrane, what leaves is counted.
UNRELIABLE_SPIKE = "fired > 0 or packet > 0"
UNRELIABLE_RESET = "v -= fired; count += packet"

MODULATOR_STEP = """
packet = clip(floor(tonic + stagger + resolution * (1 + direction * {evidence})), 0, burst)
packet *= int(timestep(t, dt) % steps == release)
"""

#: A modulator's synapses; where they fail, each has a number among those of its layer.
LISTENS = "w : 1\n"
FAILS = "number : integer (constant)\n"

SITE_SPIKE = (
    "timestep(t, dt) % steps == release + 1 and polarity * gaze(t) > 0"
    " and (total > baseline or always_open > 0)"
)

#: What happens between two presentations.
INPUT_TURN = """
count_context = count
count = 0
v = 0.5
charge = stimulus(t, i) / (quantum * steps_on)
"""

SOMA_TURN = """
rho_context = rho
count_context = count
count = 0
v = 0.5
drive = 0
held = {held}
next_held = 0
collected = 0
gamma = 0
"""

LEARN = "gamma != 0"
LEARN_SEPARATE = "gamma != 0 or gamma_retro != 0"
#: When a soma replays the count of the presentation before, for the second modulator: after the last packets.
REPLAY = "timestep(t, dt) % steps == release - 1"

WEIGHT = """
w : 1
eta : 1 (shared)
bound : 1 (shared)
"""


def known(gate: Gate, n: int) -> str:
    """Return the name under which a unit knows a gate of another layer."""
    return f"{gate}_of{n}"


def knows(layers: Mapping[int, Sequence[Gate]]) -> str:
    """Return what a unit knows of the layers in which synapses from it learn: their gates."""
    return "".join(f"{known(gate, n)} : 1 (linked)\n" for n, gates in layers.items() for gate in gates)


def teaches(layers: Mapping[int, Sequence[Gate]]) -> dict[str, str]:
    """Return the event of a unit when a gate of such a layer is open, for each of them."""
    return {
        f"teach{n}": " or ".join(f"{known(gate, n)} != 0" for gate in gates) for n, gates in layers.items()
    }


def modulator_step(noisy: bool) -> str:
    """Return a modulator unit's time step; ``added(t, i)`` is the noise of its estimate."""
    return MODULATOR_STEP.format(evidence="(evidence + added(t, i))" if noisy else "evidence")


def listening(fails: bool) -> str:
    """Return what a soma's packet does to a modulator unit; ``works(t, number)``: whether a synapse does."""
    weight = "w * works(t, number)" if fails else "w"
    return f"evidence_post += {weight} * apical_pre * packet_pre * quantum_pre"


def listening_retro(fails: bool, found: str) -> str:
    """Return what a soma's replay does to a unit of the second modulator; see `listening`.

    ``found`` is what somata find in their dendrites.
    """
    weight = "w * works(t, number)" if fails else "w"
    retro = "overheard" if found in OVERHEARD else "retro"
    return f"evidence_post += {weight} * {retro}_pre * count_context_pre * quantum_pre"


def change(rule: Rule) -> str:
    """Return a weight's change per unit of learning rate, e.g. ``gamma_post * (0.5 * z_post * c_pre)``."""
    parts: dict[str, list[str]] = {}
    for product in rule.products:
        names = [_VARIABLES[factor][0] for factor in product.post] + [
            _VARIABLES[factor][1] for factor in product.pre
        ]
        coefficient = [] if product.coefficient == 1 else [repr(product.coefficient)]
        parts.setdefault(product.gate, []).append(" * ".join(coefficient + names))
    return " + ".join(f"{gate}_post * ({' + '.join(terms)})" for gate, terms in parts.items())


def learning(plasticity: Plasticity, target: Target, grid: float | None = None) -> str:
    """Return the statement that changes the weights ``w`` of one target."""
    changed = rounded(f"w + eta * {_bracketed(change(plasticity.rule(target)))}", grid)
    return f"w = clip({changed}, -bound, bound)"


def bias_learning(plasticity: Plasticity, grid: float | None = None) -> str:
    """Return the statement that changes a soma's bias, a weight from a constant input of 1."""
    text = _bracketed(change(plasticity.rule("bias"))).replace("_post", "")
    return f"bias = clip({rounded(f'bias + eta_bias * {text}', grid)}, -bound_bias, bound_bias)"


def _bracketed(text: str) -> str:
    """Return a sum over gates as one factor."""
    return f"({text})" if ") + gamma" in text else text


def rounded(text: str, grid: float | None) -> str:
    """Return an expression rounded to the grid, as `neuroclapp.spiking.grid.rounded` rounds an array."""
    return text if grid is None else f"floor(({text}) / {grid!r} + 0.5) * {grid!r}"

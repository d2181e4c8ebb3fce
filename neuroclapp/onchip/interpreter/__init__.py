"""An integer interpreter of neurons, traces and rules: Lava's fixed point bit by bit, without Lava."""

from .dense import StaticDense
from .neurons import LIF, Membrane
from .once import apply_once
from .plastic import Learning, PlasticDense
from .random import LavaNumbers, Numbers, OwnNumbers
from .rules import Rule, apply
from .state import State
from .stretch import loop, run
from .traces import NO_DECAY, Graded, Trace
from .words import LAVA_WORDS, MODES, Mode, Sign, Words, rate

__all__ = [
    "LAVA_WORDS",
    "LIF",
    "MODES",
    "NO_DECAY",
    "Graded",
    "LavaNumbers",
    "Learning",
    "Membrane",
    "Mode",
    "Numbers",
    "OwnNumbers",
    "PlasticDense",
    "Rule",
    "Sign",
    "State",
    "StaticDense",
    "Trace",
    "Words",
    "apply",
    "apply_once",
    "loop",
    "rate",
    "run",
]

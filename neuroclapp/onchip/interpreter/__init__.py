"""An integer interpreter of neurons, traces and rules: Lava's fixed point bit by bit, without Lava."""

from .rules import Rule, apply
from .words import LAVA_WORDS, MODES, Mode, Sign, Words, rate

__all__ = ["LAVA_WORDS", "MODES", "Mode", "Rule", "Sign", "Words", "apply", "rate"]

"""The clock of a chip program: a presentation's steps, the release, and the learn windows after them.

A presentation takes ``steps`` steps as in `neuroclapp.spiking.populations`, the first ``steps_on`` of them
with input. On a chip a weight changes only at the end of a learning epoch, from what its traces hold then.
So the presentation is lengthened:

    steps 0 .. steps - 1            as everywhere else; units are silent in the last three of them
    step  steps                     the last arrivals are collected; modulators fire and gamma is released
    window "sample", one epoch      presynaptic units replay their counts of the sample presentation
    window "context", one epoch     presynaptic units replay their counts of the context presentation

Windows begin at a multiple of ``epoch``, so that the weights change at the end of each window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Window = Literal["sample", "context"]
WINDOWS: tuple[Window, ...] = ("sample", "context")
#: Steps at the end of a presentation in which no unit sends: `neuroclapp.spiking.populations.Timing.release`.
_SILENT = 3


@dataclass(frozen=True)
class Clock:
    """Steps of one presentation; ``dt`` [s] is the duration that a step stands for.

    With ``epoch = 0`` there is no learning: a presentation is its ``steps`` and nothing more.
    """

    dt: float
    steps: int
    steps_on: int
    epoch: int = 0

    def __post_init__(self) -> None:
        if not self.dt > 0:
            raise ValueError(f"dt = {self.dt} must be positive")
        if not 0 < self.steps_on < self.steps:
            raise ValueError(f"steps_on = {self.steps_on} must be positive and below steps = {self.steps}")
        if self.epoch < 0:
            raise ValueError(f"epoch = {self.epoch} must be positive, or 0 for no learning")

    @property
    def silent(self) -> int:
        """The first step in which no unit sends any more: what a saturated one still holds is lost."""
        return self.steps - _SILENT

    @property
    def release(self) -> int:
        """The step in which modulators fire and gamma is released."""
        return self.steps

    def window(self, name: Window) -> tuple[int, int]:
        """Return the first step of a learn window and the step after its last."""
        first = -(-(self.release + 1) // self.epoch) + WINDOWS.index(name)
        return first * self.epoch, (first + 1) * self.epoch

    @property
    def period(self) -> int:
        """Steps from one presentation's begin to the next one's."""
        return self.window("context")[1] if self.epoch else self.steps

    def open_window(self, phase: int) -> Window | None:
        """Return the learn window that is open in step ``phase`` of a presentation, if any."""
        if self.epoch:
            for name in WINDOWS:
                first, end = self.window(name)
                if first <= phase < end:
                    return name
        return None

"""What each condition of a study means: its networks, its streams, and the engine's simulations of it.

All that a condition does to the stream, to the rule or to spikes is decided here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..analysis.readout import few
from ..data import digits
from ..errors import InputError
from ..network import Network, Prediction, load_network
from ..plasticity import Control
from ..presentations import Presentations, fixations, generator, survey
from ..settings import Settings
from ..spiking.drawn import Drawn, blank, draw
from ..spiking.engine import Simulation
from ..spiking.grid import rounded
from ..spiking.mapping import populations
from ..spiking.populations import Populations
from ..spiking.state import State
from ..study import Condition, Study
from ..weights import Weights, shapes

#: Presentations of a stretch, and random numbers in one, at most.
STRETCH, RANDOM_NUMBERS = 500, 2**23


@dataclass(frozen=True)
class Worlds:
    """The networks and streams of a condition."""

    settings: Settings
    data: digits.Split

    @cached_property
    def network(self) -> Network:
        network, feedback = load_network(self.settings.model), self.settings.feedback
        prediction = network.prediction if feedback is None else Prediction(feedback)
        if self.settings.gate is not None:
            if prediction.feedback != "split":
                allowed = f"only a split has halves: feedback = {prediction.feedback!r}"
                raise InputError("", "gate", self.settings.gate, allowed)
            prediction = replace(prediction, gate=self.settings.gate)
        return replace(network, prediction=prediction)

    @cached_property
    def populations(self) -> Populations:
        """The spiking network; its modulators are wired alike in all seeds, which run side by side."""
        learning = self.settings.learning
        return populations(
            self.network,
            self.settings.spiking,
            learning.eta,
            learning.eta_pred,
            generator(0, "wiring"),
            self.settings.context,
        )

    def initial(self, seed: int) -> Weights:
        """Draw where the worlds of a seed start; matrices that variants share are alike in all of them."""
        context = self.settings.context
        most = replace(self.network, prediction=Prediction("split"))
        drawn = self.settings.initial.draw(most, generator(seed, "weights"), context)
        return Weights({name: drawn[name] for name in shapes(self.network, context)})

    def stream(self, seed: int) -> Presentations:
        """The presentations that every world of this seed learns from."""
        data = self.settings.data
        images = self.data.training.images
        seen = fixations(images, self.data.mean, data.presentations, data.glimpse, generator(seed, "stream"))
        return self.settings.order.arranged(seen, generator(seed, "order"))

    def trial(self, seed: int, count: int) -> Presentations:
        """Presentations of validation images, from which nothing learns but what is being chosen."""
        data, images = self.settings.data, self.data.validation.images
        return fixations(images, self.data.mean, count, data.glimpse, generator(seed, "trial"))

    def surveys(self, seed: int) -> dict[str, Presentations]:
        """Glimpses of every training, validation and test image, the same for every world of this seed."""
        shown, data = generator(seed, "survey"), self.settings.data
        rounds = {"training": 1, "validation": 1, "test": data.test_glimpses}
        return {
            name: survey(getattr(self.data, name).images, self.data.mean, data.glimpse, shown, times)
            for name, times in rounds.items()
        }

    @property
    def stretch(self) -> int:
        """Presentations that are simulated, and whose random numbers are drawn, at a time."""
        random = sum(math.prod(shape) for shape in blank(self.populations, 1).shapes() if shape is not None)
        return max(1, min(STRETCH, RANDOM_NUMBERS // max(1, random)))

    def drawn(self, seed: int, purpose: str, first: int, shown: Presentations) -> Drawn:
        """Draw what is random in presentations from ``first`` on; the same whenever it is asked for."""
        return draw(self.populations, shown, generator(seed, f"{purpose} {first}"))

    def control(self, seed: int) -> Control:
        """Return what is done to the rule in spikes."""
        units = [layer.units for layer in self.network.scaled_layers]
        presentations = self.settings.presentations
        return self.settings.control.control(presentations, units, generator(seed, "permutation"))


@dataclass
class Learner:
    """One seed of a condition on its way: what a stretch of it starts from."""

    worlds: Worlds
    seed: int
    stream: Presentations
    control: Control
    weights: Weights
    state: State | None = None

    @classmethod
    def begin(cls, worlds: Worlds, seed: int) -> Learner:
        grid, initial = worlds.populations.grid, worlds.initial(seed)
        weights = Weights({name: rounded(array, grid) for name, array in initial.items()})
        return cls(worlds, seed, worlds.stream(seed), worlds.control(seed), weights)

    def simulation(self, first: int, last: int) -> Simulation:
        """Return the engine's simulation of presentations ``first`` to ``last``."""
        shown = self.stream[first:last]
        drawn = self.worlds.drawn(self.seed, "drawn", first, shown)
        return Simulation(shown, self.weights, self.state, self.control[first:last], drawn)


def check(study: Study, source: object) -> None:
    """Raise InputError, which names ``source``, where the parts of a condition do not fit together."""
    for condition in study.conditions:
        try:
            _check(condition)
        except InputError as error:
            key = f"conditions.{condition.name}: {error.key}" if error.key else f"conditions.{condition.name}"
            raise InputError(source, key, error.value, error.allowed) from None


def _check(condition: Condition) -> None:
    worlds = Worlds(condition.settings, digits.load())
    inputs = int(np.prod(worlds.network.input))
    if inputs != 2 * digits.PIXELS:
        raise InputError(
            "", "model", condition.settings.model, f"the data have {2 * digits.PIXELS} inputs, ON and OFF"
        )
    if condition.settings.presentations < 1:
        allowed = f"must be at least 2: order {condition.settings.order.kind!r} shows pairs"
        raise InputError("", "data.presentations", condition.settings.data.presentations, allowed)
    few(digits.load().training.labels, condition.settings.data.few_labels, generator(0, "few"))
    _ = worlds.populations, worlds.control(0)

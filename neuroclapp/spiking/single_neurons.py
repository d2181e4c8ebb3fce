"""The Brian2 objects of a unit's neurons, where they are simulated one by one.

The soma stays one object with the unit's dendrites: it drives its neurons and sends what they fire together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import equations as eq
from . import steps
from .populations import Population, Populations
from .standalone import brian2


def single_neurons(
    name: str,
    soma: Any,
    population: Population,
    populations: Populations,
    namespace: dict[str, Any],
    bias: bool,
    period: Any,
) -> list[Any]:
    """Make the neurons of all units, unit by unit, and what tells the soma of their spikes.

    In a time step: bias (order -3), neurons (-2), their sums (-1), soma (0).
    """
    b2, units, neurons = brian2(), population.units, population.neurons
    unit = np.repeat(np.arange(units), neurons)
    group = b2.NeuronGroup(
        units * neurons,
        eq.NEURON,
        threshold="fired > 0",
        reset=steps.neuron_reset(populations),
        namespace=namespace,
        name=f"neurons_{name}",
    )
    group.drive = b2.linked_var(soma, "drive", index=unit)
    group.origin = np.tile((np.arange(neurons) + 0.5) / neurons, units)
    group.run_regularly("v = origin", dt=period, when="start", order=0)
    if bias:
        soma.run_regularly(steps.bias_step(populations, "drive"), when="groups", order=-3)
    group.run_regularly(steps.neuron_step(populations), when="groups", order=-2)
    heard = b2.Synapses(group, soma, steps.neuron_sums(populations), name=f"heard_{name}")
    heard.connect(i=np.arange(units * neurons), j=unit)
    return [group, heard]

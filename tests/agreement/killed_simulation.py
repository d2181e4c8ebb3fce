"""A simulation in a process of its own, for a test to kill.

python killed_simulation.py FOLDER VALUES PRESENTATIONS
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from agreement.small_spiking import VALUES, initial, network, spiking_network, stream

from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.long_run import Conditions, simulate
from neuroclapp.spiking.noise import Noise
from neuroclapp.spiking.recording import ALL, Recording
from neuroclapp.spiking.variants import Poisson

EVERY = 20


def simulation(values, presentations):
    """Return populations, stream, weights and conditions; ``values``: a name, or NAME+poisson."""
    name, _, poisson = values.partition("+")
    spiking = replace(VALUES[name], code=Poisson()) if poisson else VALUES[name]
    made, shown = spiking_network(network(), spiking), stream(presentations)
    return made, shown, initial(network()), Conditions(drawn=Noise(made, shown, seed=5))


if __name__ == "__main__":
    made, shown, weights, conditions = simulation(sys.argv[2], int(sys.argv[3]))
    recording = Recording({"a.w_ff": None, "b.w_pred": np.array([0, 7])}, every=15, activity=ALL)
    simulate(Engine(made), shown, weights, Path(sys.argv[1]), EVERY, recording, conditions)

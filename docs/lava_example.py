"""Take exported CLAPP layers into a Lava graph of your own.

    python docs/lava_example.py FOLDER

FOLDER holds `network.nir` and `plasticity.json` (`neuroclapp export`). All layers learn on chip while a
process of ours, connected to the spikes of layer 1, counts them.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from neuroclapp.onchip.lava.shim import import_lava

import_lava()  # before any `import lava...`: it makes lava-nc 0.10.0 importable on Python 3.11 and later

from lava.magma.core.run_conditions import RunSteps  # noqa: E402
from lava.magma.core.run_configs import Loihi2SimCfg  # noqa: E402
from lava.proc.io.sink import RingBuffer  # noqa: E402

from neuroclapp.onchip import nir  # noqa: E402
from neuroclapp.onchip.lava import graph  # noqa: E402

PRESENTATIONS = 4


def main(folder: Path) -> None:
    network = nir.read(folder)
    layer = network.layers[0].soma
    draw = np.random.default_rng(0)
    inputs = np.repeat(draw.random((PRESENTATIONS // 2, network.input.units)), 2, axis=0)
    sign = np.array([0, 1, -1, 1])  # no pair, fixation, saccade, fixation

    with tempfile.TemporaryDirectory() as records:
        learning = graph.learning(folder, inputs, sign, Path(records))
        first = learning.layers[layer.name]
        steps = PRESENTATIONS * learning.clock.period

        # Any Lava process with an InPort of this shape can stand here; s_out carries packets (graded spikes).
        ours = RingBuffer(shape=(layer.units,), buffer=steps)
        first.somata.s_out.connect(ours.a_in)

        ours.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="floating_pt"))
        seen = np.array(ours.data.get())
        ours.stop()
        files = graph.learned_files(Path(records), layer.name, first.plastic)
        weights = np.load(files["w_ff"])  # in one piece; Lava's own get() takes 47 us for each weight
        with np.load(files["somata"]) as left:
            gamma = left["gamma"]

    seen = seen.reshape(layer.units, PRESENTATIONS, learning.clock.period)
    spikes = seen[:, :, : learning.clock.steps].sum(axis=(0, 2))  # later steps are learn windows: replays
    change = np.linalg.norm(weights - network.layers[0].weights)
    print(f"{layer.name}: spikes in each presentation {spikes.astype(int).tolist()}")
    print(f"{layer.name}: gamma {gamma.astype(int).tolist()}, |change of W| {change:.3g} thresholds/spike")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

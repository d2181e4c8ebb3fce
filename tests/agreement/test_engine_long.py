"""Thousands of presentations with learning on, in each of Brian2's targets: no mismatch with the engine.

Run with ``pytest -m slow tests/agreement/test_engine_long.py -s`` to see the figures of docs/spiking.md.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from agreement.small_spiking import VALUES, initial, network, spiking_network, stream
from agreement.test_engine import mismatches, opens_and_learns

from neuroclapp.experiment import load_experiment
from neuroclapp.network import Prediction, load_network
from neuroclapp.presentations import generator
from neuroclapp.run.directory import RunDirectory
from neuroclapp.spiking.drawn import NOTHING, draw
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.state import Stretch, join

pytest.importorskip("brian2")
from neuroclapp.spiking.simulation import CompiledNetwork, run_all, run_steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def threads():
    """Return a function that sets the number of OpenMP threads (0: none) of programs to be compiled."""
    import brian2

    def use(count):
        brian2.prefs.devices.cpp_standalone.openmp_threads = count

    yield use
    use(0)


def compiled(folder, made, shown, weights, drawn=NOTHING, **options):
    """Compile a program and run the stream in stretches of 500."""
    records = []
    network = CompiledNetwork(made, 500, folder / "build", **options)
    after, state = run_all(
        network, shown, weights, drawn=drawn, after=lambda done, stretch: records.append(stretch.record)
    )
    return Stretch(join(records), after, state)


def assert_identical(what, found, expected, before):
    counts = sum(int(layer.count.sum()) for layer in expected.record.layers)
    gates = [
        float(np.mean(gamma != 0)) for layer in expected.record.layers for gamma in layer.gammas().values()
    ]
    wrong = mismatches(found, expected)
    presentations = len(expected.record.input_count)
    print(f"\n{what}: {presentations} presentations, {counts} spikes, gates open {gates}: {wrong} mismatches")
    assert opens_and_learns(expected, before)
    assert wrong == 0


@pytest.mark.parametrize(("openmp", "gate"), [(0, "shared"), (2, "shared"), (0, "separate")])
def test_the_quickstart_on_a_grid(tmp_path, threads, openmp, gate):
    """64 + 64 units that learn digits: 5000 presentations on one thread, 3000 on two, which take longer."""
    run = RunDirectory(Path())
    run.__dict__["experiment"] = experiment = load_experiment("quickstart", {"spiking.grid": "24"})[0]
    run.__dict__["network"] = replace(load_network(experiment.model), prediction=Prediction("split", gate))
    shown = run.stream(0)[: 3000 if openmp else 5000]
    weights = experiment.initial.draw(run.network, generator(0, "weights"))
    threads(openmp)
    found = compiled(tmp_path, run.populations, shown, weights)
    assert_identical(
        f"C++, {openmp} threads, gate {gate}", found, Engine(run.populations).run(shown, weights), weights
    )


@pytest.mark.parametrize("name", ["neurons", "hard_reset", "escape_noise", "all"])
def test_every_value_in_a_compiled_program(tmp_path, threads, name):
    net = network(bias=name == "neurons")
    made, weights, shown = spiking_network(net, VALUES[name], 0.02), initial(net), stream(3000)
    drawn = draw(made, shown, np.random.default_rng(1))
    threads(0)
    found = compiled(tmp_path, made, shown, weights, drawn)
    assert_identical(f"C++, {name}", found, Engine(made).run(shown, weights, drawn=drawn), weights)


@pytest.mark.parametrize(("feedback", "queues"), [("symmetric", False), ("split", True)])
def test_synapses_row_by_row_and_in_queues(tmp_path, threads, feedback, queues):
    """Both ways of a C++ program; symmetric feedback goes back along synapses, others are above."""
    net = network(feedback)
    made, weights, shown = spiking_network(net, VALUES["packet"], 0.02), initial(net), stream(1000)
    threads(0)
    found = compiled(tmp_path, made, shown, weights, queues=queues)
    what = f"C++, {feedback} feedback, {'queues' if queues else 'rows'}"
    assert_identical(what, found, Engine(made).run(shown, weights), weights)


@pytest.mark.parametrize("target", ["numpy", "cython"])
@pytest.mark.parametrize("name", ["packet", "escape_noise_alone"])
def test_without_a_program(target, name):
    net = network()
    made, weights, shown = spiking_network(net, VALUES[name], 0.02), initial(net), stream(2000)
    drawn = draw(made, shown, np.random.default_rng(1))
    found, _ = run_steps(made, shown, weights, steps=False, target=target, drawn=drawn)
    assert_identical(f"{target}, {name}", found, Engine(made).run(shown, weights, drawn=drawn), weights)

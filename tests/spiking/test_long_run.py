"""Checkpoints: wherever it is stopped, a simulation ends in the same bits as one that was not."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from agreement import killed_simulation
from agreement.killed_simulation import simulation
from agreement.small_spiking import BASE, UNITS, VALUES, initial, network, spiking_network, stream
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroclapp.errors import InputError, RunError
from neuroclapp.plasticity import Control, permuted_dendrites
from neuroclapp.spiking.checkpoint import load
from neuroclapp.spiking.drawn import draw
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.long_run import Conditions, simulate
from neuroclapp.spiking.noise import Noise
from neuroclapp.spiking.recorded import Recorded
from neuroclapp.spiking.recording import Recording
from neuroclapp.spiking.state import rest
from neuroclapp.spiking.variants import EscapeNoise, Poisson

NOISY = replace(VALUES["escape_noise"], code=Poisson())


def bits(weights, state):
    """Return all bits of weights and state."""
    layers = [array.tobytes() for layer in state.layers for array in vars(layer).values()]
    return [array.tobytes() for array in weights.values()], state.input_count.tobytes(), layers


def stop_at(presentation):
    def after(done, stretch):
        if done >= presentation:
            raise KeyboardInterrupt

    return after


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["packet", "escape_noise", "poisson", "all"])
def test_stopped_and_taken_up_it_ends_like_a_single_call(name, library, tmp_path):
    made, shown = spiking_network(network(), VALUES[name]), stream(23)
    drawn, weights = draw(made, shown, np.random.default_rng(1)), initial(network())
    engine = Engine(made, library, device=None if library == "numpy" else "cpu")
    expected = engine.run(shown, weights, drawn=drawn)
    given = (5, Recording({"a.w_ff": None}, every=2), Conditions(drawn=drawn))
    for stop in (3, 7, 8, 12, 22):
        with pytest.raises(KeyboardInterrupt):
            simulate(engine, shown, weights, tmp_path, *given, stop_at(stop))
    seen = []
    found = simulate(engine, shown, weights, tmp_path, *given, lambda n, _: seen.append(n))
    assert bits(*found) == bits(expected.weights, expected.state)
    assert seen == [22, 23]  # it was stopped at 22, after the checkpoint at 20
    assert bits(*simulate(engine, shown, weights, tmp_path, *given)) == bits(*found)


@pytest.mark.parametrize("name", ["permuted", "delayed", "bounded"])
def test_controls_are_taken_up_where_they_were(name, tmp_path):
    made, shown, weights = spiking_network(network(), BASE), stream(19), initial(network())
    control = {
        "permuted": permuted_dendrites(len(shown), 2, UNITS, np.random.default_rng(9)),
        "delayed": Control(delay=3),  # gammas that are on their way are part of the state
        "bounded": Control(always_open=True, bound=0.5),
    }[name]
    expected = Engine(made).run(shown, weights, control=control)
    conditions = Conditions(control=control)
    for stop in (3, 10):
        with pytest.raises(KeyboardInterrupt):
            simulate(Engine(made), shown, weights, tmp_path, 4, None, conditions, stop_at(stop))
    found = simulate(Engine(made), shown, weights, tmp_path, 4, None, conditions)
    assert bits(*found) == bits(expected.weights, expected.state)


def killed_until_done(folder, values, presentations, kills, generator):
    """Run a simulation, kill it ``kills`` times at random moments after its start of work, let it end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path)])}
    command = [sys.executable, killed_simulation.__file__, str(folder), values, str(presentations)]
    before = 0
    for attempt in range(kills + 1):
        process = subprocess.Popen(command, env=environment)
        if attempt == kills:
            assert process.wait(timeout=120) == 0
            return before
        while process.poll() is None and not list(folder.glob("recording/.*")):
            time.sleep(0.002)  # until it records
        time.sleep(generator.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        before += process.wait() == -signal.SIGKILL
    raise AssertionError


def assert_like_a_single_call(folder, values, presentations):
    made, shown, weights, conditions = simulation(values, presentations)
    expected = Engine(made).run(shown, weights, drawn=conditions.drawn[0:presentations])
    kept = load(folder / "checkpoint.safetensors", weights, rest(made))
    assert kept.done == presentations
    assert bits(kept.weights, kept.state) == bits(expected.weights, expected.state)
    columns = {}
    for _, part in Recorded(folder / "recording").activity():
        for name, array in part.items():
            columns.setdefault(name, []).append(array)
    for n, layer in enumerate(expected.record.layers):
        for key in ("count", "gamma", "total"):
            np.testing.assert_array_equal(np.concatenate(columns[f"{n}/{key}"]), getattr(layer, key))
    np.testing.assert_array_equal(np.concatenate(columns["input_count"]), expected.record.input_count)
    assert not [path for path in folder.rglob(".*") if path.is_file()]  # what was half-written is gone


def test_killed_at_random_moments_it_ends_in_the_same_spikes_and_bits(tmp_path):
    seed = time.time_ns() % 2**32
    print(f"seed {seed}")
    found = killed_until_done(tmp_path, "escape_noise+poisson", 300, 2, np.random.default_rng(seed))
    assert found >= 1  # it was killed while it worked
    assert_like_a_single_call(tmp_path, "escape_noise+poisson", 300)


@pytest.mark.slow
@pytest.mark.parametrize("values", ["packet", "neurons", "poisson", "escape_noise", "all"])
def test_killed_ten_times_it_ends_in_the_same_spikes_and_bits(values, tmp_path):
    seed = time.time_ns() % 2**32
    print(f"seed {seed}")
    assert killed_until_done(tmp_path, values, 1000, 10, np.random.default_rng(seed)) >= 5
    assert_like_a_single_call(tmp_path, values, 1000)


class Runtime:
    """Brian2's numpy runtime, a few presentations at a time."""

    def __init__(self, populations):
        self.populations = populations

    def run(self, *arguments):
        from neuroclapp.spiking.simulation import run_steps

        stream, weights, state, learn, control, drawn = arguments
        return run_steps(self.populations, stream, weights, state, learn, control, False, drawn=drawn)[0]


@pytest.mark.slow
def test_brian2_stopped_and_taken_up_ends_like_a_single_call(tmp_path):
    pytest.importorskip("brian2")
    made, shown, weights = spiking_network(network(), NOISY), stream(9), initial(network())
    conditions = Conditions(drawn=Noise(made, shown, 2))
    runtime = Runtime(made)
    expected = runtime.run(shown, weights, rest(made), True, conditions.control, conditions.drawn[0:9])
    for stop in (1, 5):
        with pytest.raises(KeyboardInterrupt):
            simulate(runtime, shown, weights, tmp_path, 3, None, conditions, stop_at(stop))
    found = simulate(runtime, shown, weights, tmp_path, 3, None, conditions)
    assert bits(*found) == bits(expected.weights, expected.state)


@pytest.mark.slow
def test_a_cpp_program_stopped_and_taken_up_ends_like_the_engine(tmp_path):
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import CompiledNetwork

    made, shown, weights = spiking_network(network(), NOISY), stream(60), initial(network())
    conditions = Conditions(drawn=Noise(made, shown, 2))
    expected = Engine(made).run(shown, weights, drawn=conditions.drawn[0:60])
    program = CompiledNetwork(made, 8, tmp_path / "program")
    with pytest.raises(KeyboardInterrupt):  # every 500, but it runs 8 presentations at a time
        simulate(program, shown, weights, tmp_path / "kept", 500, None, conditions, stop_at(30))
    found = simulate(program, shown, weights, tmp_path / "kept", 500, None, conditions)
    assert bits(*found) == bits(expected.weights, expected.state)


@settings(max_examples=30)
@given(edges=st.lists(st.integers(0, 12), max_size=4), seed=st.integers(0, 2**32))
def test_noise_of_a_presentation_depends_on_no_stretch(edges, seed):
    made, shown = spiking_network(network(), NOISY), stream(12)
    noise = Noise(made, shown, seed)
    whole, edges = noise[0:12], sorted({0, 12, *edges})
    parts = [noise[first:last] for first, last in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate([part.packets for part in parts]), whole.packets)
    for n in range(2):
        joined = np.concatenate([part.thresholds[n] for part in parts])
        np.testing.assert_array_equal(joined, whole.thresholds[n])
    assert not np.array_equal(whole.thresholds[0][0], whole.thresholds[0][1])
    assert noise[5:5].packets.shape == (0, *whole.packets.shape[1:])


def test_noise_has_the_distribution_of_what_is_drawn_at_once():
    """Escape thresholds lie width * (ln E - ln(rate dt)) above 1, and the mean of ln E is -0.5772."""
    made, shown = spiking_network(network(), NOISY), stream(40)
    above = np.concatenate([each.ravel() for each in Noise(made, shown, 1)[0:40].thresholds])
    neuron = EscapeNoise()
    expected = neuron.width * (-0.5772 - np.log(neuron.rate * 0.001))
    error = neuron.width * np.pi / np.sqrt(6) / np.sqrt(above.size)
    assert abs(above.mean() - expected) < 4 * error


CHANGES = {
    "stream.inputs": {"stream": lambda s: replace(s, inputs=s.inputs * (1 + 1e-15))},
    "stream.sign": {"stream": lambda s: replace(s, sign=-s.sign)},
    "weights.b.w_pred": {"weights": lambda w: w.replace({"b.w_pred": w["b.w_pred"] + 1e-9})},
    "populations.layers.1.eta": {
        "made": lambda p: replace(p, layers=(p.layers[0], replace(p.layers[1], eta=0.5)))
    },
    "populations.neuron.width": {"made": lambda p: replace(p, neuron=EscapeNoise(width=0.06))},
    "noise.seed": {"conditions": lambda c: replace(c, drawn=replace(c.drawn, seed=6))},
    "learn": {"conditions": lambda c: replace(c, learn=False)},
    "control.bound": {"conditions": lambda c: replace(c, control=replace(c.control, bound=2.0))},
    "recording.every": {"recording": lambda r: replace(r, every=3)},
    "simulator": {"library": lambda _: "torch"},
}


@pytest.mark.parametrize("key", CHANGES)
def test_a_checkpoint_of_another_simulation_is_refused_with_what_differs(key, tmp_path):
    made, shown = spiking_network(network(), VALUES["escape_noise"]), stream(12)
    parts = {
        "made": made,
        "stream": shown,
        "weights": initial(network()),
        "conditions": Conditions(drawn=Noise(made, shown, 5)),
        "recording": Recording({"a.w_ff": None}, every=4),
        "library": "numpy",
    }

    def run(made, stream, weights, conditions, recording, library):
        engine = Engine(made, library, device=None if library == "numpy" else "cpu")
        return simulate(engine, stream, weights, tmp_path, 6, recording, conditions)

    run(**parts)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    changed = {name: change(parts[name]) for name, change in CHANGES[key].items()}
    with pytest.raises(InputError, match="begun with") as caught:
        run(**{**parts, **changed})
    assert caught.value.key == key
    assert "checkpoint.safetensors" in str(caught.value)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run(**parts)


def test_a_longer_stream_that_begins_alike_goes_on(tmp_path):
    made, shown, weights = spiking_network(network(), BASE), stream(30), initial(network())
    simulate(Engine(made), shown[0:13], weights, tmp_path, 5)
    seen = []
    found = simulate(Engine(made), shown, weights, tmp_path, 5, after=lambda n, _: seen.append(n))
    expected = Engine(made).run(shown, weights)
    assert bits(*found) == bits(expected.weights, expected.state)
    assert seen == [15, 20, 25, 30]
    with pytest.raises(InputError, match="must be at least the 30 that are done"):
        simulate(Engine(made), shown[0:13], weights, tmp_path, 5)


@pytest.mark.parametrize("content", [b"", b"weights", None])
def test_a_file_that_is_no_checkpoint_is_named(content, tmp_path):
    made, shown, weights = spiking_network(network(), BASE), stream(4), initial(network())
    path = tmp_path / "checkpoint.safetensors"
    weights.save(path) if content is None else path.write_bytes(content)
    with pytest.raises(RunError, match=r"checkpoint.safetensors: not a checkpoint"):
        simulate(Engine(made), shown, weights, tmp_path)


def test_every_presentation_can_be_a_checkpoint(tmp_path):
    made, shown, weights = spiking_network(network(), BASE), stream(4), initial(network())
    for every in (0, -3):
        with pytest.raises(InputError, match="must be at least 1 presentation"):
            simulate(Engine(made), shown, weights, tmp_path, every)
    found = simulate(Engine(made), shown, weights, tmp_path, 1)
    expected = Engine(made).run(shown, weights)
    assert bits(*found) == bits(expected.weights, expected.state)

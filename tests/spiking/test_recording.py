"""Recording: every value is there once, memory stays below what was stated, whatever the length."""

import tracemalloc

import h5py
import numpy as np
import pytest
from agreement.small_spiking import BASE, INPUTS, UNITS, initial, network, spiking_network, stream

from neuroclapp.errors import InputError, RunError
from neuroclapp.presentations import Presentations
from neuroclapp.report.weights import Moving, norms, single_weights
from neuroclapp.run.trajectory import walk
from neuroclapp.spiking.engine import Engine
from neuroclapp.spiking.long_run import simulate
from neuroclapp.spiking.recorded import Recorded
from neuroclapp.spiking.recording import ALL, HDF5, Recording, synapses
from neuroclapp.spiking.state import LayerRecord, Record, Stretch, scores
from neuroclapp.weights import Weights


@pytest.fixture(scope="module")
def made():
    return spiking_network(network(), BASE)


@pytest.mark.parametrize("memory", ["4.2 MB", "64 MB"])
@pytest.mark.parametrize(("every", "checkpoints"), [(1, 7), (4, 7), (7, 5), (50, 6)])
def test_snapshots_are_the_weights_at_their_presentations(every, checkpoints, memory, made, tmp_path):
    shown, weights, some = stream(23), initial(network()), np.array([3, 8, 20])
    recording = Recording({"a.w_ff": some, "b.w_pred": None}, every, memory=memory)
    simulate(Engine(made), shown, weights, tmp_path, checkpoints, recording)
    found = list(Recorded(tmp_path / "recording").snapshots())
    assert [at for at, _ in found] == sorted({0, *range(0, 24, every), 23})
    for at, arrays in found:
        expected = weights if at == 0 else Engine(made).run(shown[0:at], weights).weights
        if at == 0:
            expected = {name: expected[name] for name in arrays}
        np.testing.assert_array_equal(arrays["a.w_ff"], expected["a.w_ff"].ravel()[some])
        np.testing.assert_array_equal(arrays["b.w_pred"], expected["b.w_pred"])
    np.testing.assert_array_equal(Recorded(tmp_path / "recording").synapses["a.w_ff"], some)


def test_both_gates_are_recorded_and_read_back(tmp_path):
    separate = spiking_network(network(gate="separate"), BASE)
    shown, weights = stream(23), initial(network())
    expected = Engine(separate).run(shown, weights).record
    simulate(Engine(separate), shown, weights, tmp_path, 7, Recording({"a.w_ff": None}, 23, ALL))
    recorded = Recorded(tmp_path / "recording")
    recorded.join(tmp_path / "joined.h5")
    with h5py.File(tmp_path / "joined.h5") as file:
        for n, layer in enumerate(expected.layers):
            second = scores(layer, separate, n, shown.sign, "gamma_retro")
            np.testing.assert_array_equal(file[f"{n}/score_retro"], second)
    [(first, record, _)] = walk(tmp_path / "joined.h5")
    assert first == 0
    for found, layer in zip(record.layers, expected.layers, strict=True):
        for key in ("gamma", "total", "gamma_retro", "total_retro"):
            np.testing.assert_array_equal(getattr(found, key), getattr(layer, key))
        assert not np.array_equal(found.gamma, found.gamma_retro)


def test_stopped_again_and_again_it_records_everything_once(made, tmp_path):
    shown, weights = stream(41), initial(network())
    recording = Recording({"a.w_ff": None}, 3, ALL, memory="4.2 MB")

    def stop(done, stretch):
        if done in stops:
            stops.remove(done)
            raise KeyboardInterrupt

    stops = [3, 9, 12, 15, 27, 40, 41]
    for _ in range(len(stops)):
        with pytest.raises(KeyboardInterrupt):
            simulate(Engine(made), shown, weights, tmp_path, 10, recording, after=stop)
    simulate(Engine(made), shown, weights, tmp_path, 10, recording, after=stop)
    assert not stops
    recorded, expected = Recorded(tmp_path / "recording"), Engine(made).run(shown, weights).record
    assert recorded.weights()[0].tolist() == [*range(0, 40, 3), 41]
    assert recorded.presentations == 41
    recorded.join(tmp_path / "joined.h5")
    with h5py.File(tmp_path / "joined.h5") as file:
        np.testing.assert_array_equal(file["input_count"], expected.input_count)
        np.testing.assert_array_equal(file["at"], recorded.weights()[0])
        np.testing.assert_array_equal(file["weights/a.w_ff"], recorded.weights()[1]["a.w_ff"])
        for n, layer in enumerate(expected.layers):
            for key in ("count", "gamma", "total"):
                np.testing.assert_array_equal(file[f"{n}/{key}"], getattr(layer, key))
            np.testing.assert_array_equal(file[f"{n}/charge"], layer.charge.astype(np.float32))
            np.testing.assert_array_equal(file[f"{n}/score"], scores(layer, made, n, shown.sign))


class Still:
    """A simulator that does nothing and holds nothing, so that what is measured is the recording's."""

    def __init__(self, populations, weights):
        self.populations, self.weights = populations, weights

    def run(self, stream, weights, state, learn, control, drawn):
        count = len(stream)
        layer = LayerRecord(
            np.zeros((count, UNITS)), np.zeros((count, UNITS)), np.zeros(count), np.zeros((count, 2))
        )
        return Stretch(Record(np.zeros((count, INPUTS)), [layer, layer]), self.weights, state)


def peak(folder, made, weights, recording, presentations, every=100):
    """Return the most memory [bytes] that numpy held in a simulation, in parts of ``every``."""
    shown = Presentations(
        np.zeros((presentations, INPUTS)), np.zeros(presentations, np.int8), np.arange(presentations)
    )
    tracemalloc.start()
    simulate(Still(made, weights), shown, weights, folder, every, recording)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


@pytest.mark.parametrize("memory", [4.6e6, 5e6, 8e6])
def test_memory_stays_below_what_was_stated_in_a_run_ten_times_as_long(memory, made, tmp_path):
    """A snapshot is 131 kB here; the longer run leaves 51 of them in ten parts, 6.6 MB.

    What is stated holds 4.2 MB for HDF5 and its Python objects, which numpy's arrays must leave free.
    """
    weights = Weights({"a.w_ff": np.random.default_rng(0).random((128, 128))})
    recording = Recording({"a.w_ff": None}, 20, ALL, memory)
    without = peak(tmp_path / "without", made, weights, None, 1000)
    for presentations in (100, 1000):
        found = peak(tmp_path / str(presentations), made, weights, recording, presentations)
        assert found - without < memory - HDF5 + 1e5
    assert len(Recorded(tmp_path / "1000" / "recording").weights()[0]) == 51


def test_more_memory_is_used_where_it_is_given(made, tmp_path):
    weights = Weights({"a.w_ff": np.random.default_rng(0).random((128, 128))})
    peaks = [
        peak(tmp_path / str(memory), made, weights, Recording({"a.w_ff": None}, 5, memory=memory), 500, 500)
        for memory in (5e6, 8e6)
    ]
    assert peaks[1] > peaks[0] + 1e6


def test_memory_for_less_than_a_row_is_refused_with_what_is_needed(made, tmp_path):
    """A row is the weights' 64 + 8 bytes, and what HDF5 needs."""
    weights = Weights({"a.w_ff": np.zeros((4, 2))})
    recording = Recording({"a.w_ff": None}, memory=HDF5)
    with pytest.raises(InputError, match=r"must be at least 4\.2 MB for one row"):
        simulate(Still(made, weights), stream(3), weights, tmp_path, 5, recording)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"every": 0}, "every"),
        ({"activity": ("counts",)}, "activity"),
        ({"memory": "64"}, "memory"),
        ({"memory": "64 s"}, "memory"),
        ({"memory": "much"}, "memory"),
        ({"weights": {"c.w_ff": None}}, "weights"),
        ({"weights": {"a.w_ff": np.array([UNITS * INPUTS])}}, "weights.a.w_ff"),
        ({"weights": {"a.w_ff": np.array([-1])}}, "weights.a.w_ff"),
        ({"weights": {"a.w_ff": np.array([], dtype=int)}}, "weights.a.w_ff"),
    ],
)
def test_wrong_values_are_named(values, key, made, tmp_path):
    with pytest.raises(InputError) as caught:
        simulate(Engine(made), stream(3), initial(network()), tmp_path, 5, Recording(**values))
    assert caught.value.key == key
    assert not list(tmp_path.iterdir())


def test_synapses_are_drawn_without_repetition():
    array = np.zeros((5, 7))
    found = synapses(array, 20, np.random.default_rng(3))
    assert len(set(found)) == 20
    assert set(found) <= set(range(35))
    assert found.tolist() == synapses(array, 20, np.random.default_rng(3)).tolist()
    with pytest.raises(InputError, match="must be from 1 to 35"):
        synapses(array, 36, np.random.default_rng(3))


def test_a_part_that_is_missing_is_named(made, tmp_path):
    shown, weights, recording = stream(12), initial(network()), Recording({"a.w_ff": None})
    simulate(Engine(made), shown, weights, tmp_path, 4, recording)
    (tmp_path / "recording" / "000000004.h5").unlink()
    with pytest.raises(RunError, match="lacks the presentations from 4 to 8"):
        Recorded(tmp_path / "recording")
    with pytest.raises(RunError, match="lacks the presentations from 4 to 8"):
        simulate(Engine(made), stream(20), weights, tmp_path, 4, recording)
    (tmp_path / "recording" / "000000000.h5").write_bytes(b"weights")
    with pytest.raises(RunError, match=r"000000000.h5: not a part of a recording"):
        Recorded(tmp_path / "recording")
    with pytest.raises(RunError, match="no recording"):
        Recorded(tmp_path / "nowhere")


def test_dynamics_of_some_synapses_are_drawn(made, tmp_path):
    shown, weights = stream(12), initial(network())
    chosen = {name: synapses(weights[name], 10, np.random.default_rng(1)) for name in weights}
    simulate(Engine(made), shown, weights, tmp_path, 4, Recording(chosen, every=2))
    at, arrays = Recorded(tmp_path / "recording").weights()
    moving = Moving("spiking", at, arrays)
    (line,) = norms([moving], ["a", "b"]).axes[0].get_lines()
    change = np.sqrt(((arrays["a.w_ff"] - arrays["a.w_ff"][0]) ** 2).sum(1))
    np.testing.assert_allclose(line.get_ydata(), change)
    axes = single_weights([moving], ["a", "b"], count=3).axes[1]
    assert len(axes.get_lines()) == 3
    assert axes.get_title() == "b, W: the 3 that moved most, learned in spikes"

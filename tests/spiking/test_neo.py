"""Spike trains in Neo: every spike is there once, at its time, from the neuron that fired it."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from agreement.small_spiking import BASE, INPUTS, UNITS, VALUES, initial, network, spiking_network, stream
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.errors import InputError, MissingPackageError
from neuroclapp.spiking.neo import block
from neuroclapp.spiking.packets import packets_of, senders
from neuroclapp.spiking.populations import Population
from neuroclapp.spiking.variants import Axon, Poisson

pytest.importorskip("neo")


@pytest.fixture(scope="module")
def made():
    return spiking_network(network(), BASE)


def some_packets(made, seed=0, presentations=3):
    """Return packets of all populations, as large as they may be."""
    draw = np.random.default_rng(seed)
    names = {"input": made.input, **{layer.name: layer.soma for layer in made.layers}}
    shape = (presentations, made.timing.steps)
    return {
        name: draw.integers(0, each.neurons + 1, (*shape, each.units), dtype=np.uint8)
        * (draw.random((*shape, each.units)) < 0.3)
        for name, each in names.items()
    }


@given(charges=st.lists(st.floats(-20, 30), min_size=1, max_size=30), neurons=st.integers(1, 9))
def test_a_spike_is_that_of_the_neuron_that_fires(charges, neurons):
    """Neurons one by one by their equation: v_i = (i + 1/2) / K, then + q / K, then - 1 where v_i >= 1."""
    v = (np.arange(neurons) + 0.5) / neurons
    fired = []
    for step, charge in enumerate(np.round(np.array(charges) * 64) / 64 + 1 / 128):
        v = v + charge / neurons
        who = np.flatnonzero(v >= 1)
        v[who] -= 1
        fired += [(step, neuron) for neuron in who]
    packets = np.zeros((1, len(charges), 1), dtype=np.uint8)
    for step, _ in fired:
        packets[0, step, 0] += 1
    _, steps, _, neuron = senders(packets, Population("a", 1, neurons, 1.0))
    assert sorted(zip(steps, neuron, strict=True)) == sorted(fired)


@pytest.mark.parametrize("by", ["neuron", "unit"])
def test_trains_hold_the_counts_and_times_of_the_packets(by, made):
    packets = some_packets(made)
    (segment,) = block(made, packets, by=by).segments
    found = {name: np.zeros_like(each) for name, each in packets.items()}
    for train in segment.spiketrains:
        where = np.round(train.rescale("ms").magnitude).astype(int)  # a step is 1 ms
        presentation, step = np.divmod(where, made.timing.steps)
        if by == "neuron":
            assert len(set(where)) == len(where)  # a neuron fires at most once in a step
        about = train.annotations
        np.add.at(found[about["layer"]], (presentation, step, about["unit"]), 1)
        assert float(train.t_stop.rescale("s")) == pytest.approx(3 * 0.026)
    for name, each in packets.items():
        np.testing.assert_array_equal(found[name], each)
    trains = INPUTS + 2 * UNITS
    assert len(segment.spiketrains) == (trains * 8 if by == "neuron" else trains)


def test_epochs_are_presentations_and_events_are_releases(made):
    shown = stream(3)
    (segment,) = block(made, some_packets(made), shown, {"a": np.array([0.0, 1.0, -1.0])}).segments
    (epoch,), (event,) = segment.epochs, segment.events
    np.testing.assert_allclose(epoch.rescale("ms").magnitude, [0, 26, 52])
    np.testing.assert_allclose(epoch.durations.rescale("ms").magnitude, 26)
    assert epoch.labels.tolist() == ["no pair", "fixation", "saccade"]
    assert epoch.array_annotations["image"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(event.rescale("ms").magnitude, [23, 49, 75])  # three steps before the end
    assert event.labels.tolist() == ["0", "+1", "-1"]


def written_and_read(name, folder, made):
    neo_io = pytest.importorskip("neo.io")
    if name == "matlab":
        path = str(folder / "spikes.mat")
        neo_io.NeoMatlabIO(path).write_block(made)
        return neo_io.NeoMatlabIO(path).read_block()
    pytest.importorskip("nixio")
    path = str(folder / "spikes.nix")
    for mode, call in (("ow", lambda io: io.write_block(made)), ("ro", lambda io: io.read_block())):
        io = neo_io.NixIO(path, mode)
        found = call(io)
        io.close()
    return found


@pytest.mark.parametrize("name", ["matlab", "nix"])
def test_files_hold_what_was_written(name, made, tmp_path):
    packets = {"b": some_packets(made)["b"]}
    before = block(made, packets, stream(3), by="unit")
    after = written_and_read(name, tmp_path, before)
    ours, theirs = before.segments[0].spiketrains, after.segments[0].spiketrains
    assert len(ours) == len(theirs) == UNITS
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other.rescale("s").magnitude, one.rescale("s").magnitude, atol=1e-12)
        assert other.annotations["layer"] == "b"
        assert int(other.annotations["unit"]) == one.annotations["unit"]
    if name == "nix":
        assert after.segments[0].epochs[0].labels.tolist() == ["no pair", "fixation", "saccade"]


@pytest.mark.slow
def test_packets_of_brian2_are_its_spikes(made):
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import run_steps

    stretch, model = run_steps(made, stream(3), initial(network()))
    found = packets_of(model)
    np.testing.assert_array_equal(found["input"].sum(1), stretch.record.input_count)
    for name, layer in zip("ab", stretch.record.layers, strict=True):
        np.testing.assert_array_equal(found[name].sum(1), layer.count)
    (segment,) = block(made, found).segments
    spikes = sum(len(train) for train in segment.spiketrains)
    assert spikes == stretch.record.input_count.sum() + sum(
        layer.count.sum() for layer in stretch.record.layers
    )
    assert spikes > 100


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"neuron": VALUES["leaky"].neuron, "unit": "neurons"}, "a"),
        ({"neuron": VALUES["escape_noise"].neuron, "unit": "neurons"}, "b"),
        ({"code": Poisson()}, "input"),
        ({"axon": Axon(loss=0.1)}, "a"),
    ],
)
def test_neurons_are_refused_where_packets_do_not_tell_them(changes, name, made):
    other = spiking_network(network(), replace(BASE, **changes))
    packets = {name: some_packets(made)[name]}
    with pytest.raises(InputError, match=f"{name}: packets do not tell which neuron fires") as caught:
        block(other, packets)
    assert caught.value.key == "by"
    assert block(other, packets, by="unit").segments[0].spiketrains


@pytest.mark.parametrize(
    ("packets", "key"),
    [
        ({}, "packets"),
        ({"c": np.zeros((1, 26, UNITS), np.uint8)}, "packets"),
        ({"a": np.zeros((1, 26, UNITS + 1), np.uint8)}, "packets.a"),
        ({"a": np.zeros((0, 26, UNITS), np.uint8)}, "packets.a"),
        ({"a": np.zeros((1, 26, UNITS), np.uint8), "b": np.zeros((2, 26, UNITS), np.uint8)}, "packets"),
    ],
)
def test_packets_that_do_not_fit_are_named(packets, key, made):
    with pytest.raises(InputError) as caught:
        block(made, packets)
    assert caught.value.key == key


def test_without_neo_the_line_that_installs_it_is_said(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "neo", None)
    with pytest.raises(MissingPackageError, match=r'pip install "neuroclapp\[neo\]"'):
        block(made, some_packets(made))

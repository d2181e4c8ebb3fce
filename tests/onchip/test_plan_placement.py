"""Cores: memory by hand, every limit of every core recounted from plain matrices, and bounds."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neuroclapp.network import Layer, Network, load_network
from neuroclapp.onchip.chip import Chip, Limits, Neurons, SynapseLists, Widths, load_chip
from neuroclapp.onchip.demand import demand
from neuroclapp.onchip.plan_cores import limits, list_bits
from neuroclapp.onchip.plan_cost import Activity, traffic
from neuroclapp.onchip.plan_learning import unroll_learning
from neuroclapp.onchip.plan_placement import fewest_cores, place
from neuroclapp.onchip.plan_wiring import unroll

LOIHI1 = load_chip("loihi1")
LISTS = SynapseLists(8, (0, 6, 7, 8), 10, 64, 64, "a source")


@pytest.mark.parametrize(
    ("synapses", "neurons", "skips", "bits"),
    [
        (1, 1, False, 64),  # 8 + 10 bits fill a word
        (6, 6, False, 64),  # 6 * 8 + 10 = 58
        (7, 7, False, 128),  # 66
        (64, 64, False, 576),  # 64 * 8 + 10 = 522
        (65, 65, False, 576 + 64),
        (64, 100, True, 1024),  # an index of 7 bits: 64 * 15 + 10 = 970
        (3, 64, True, 64),  # of 6 bits: 3 * 14 + 10 = 52
        (3, 65, True, 64),  # of 7 bits: 3 * 15 + 10 = 55
        (200, 1024, True, 3 * 1216 + 192),  # of 10 bits: 3 * (64 * 18 + 10 -> 1216), 8 * 18 + 10 = 154
    ],
)
def test_a_list_takes_the_bits_counted_by_hand(synapses, neurons, skips, bits):
    assert list_bits(LOIHI1, np.array([synapses]), neurons, skips).tolist() == [bits]


def test_without_a_stated_layout_memory_is_that_of_the_weights():
    assert list_bits(load_chip("loihi2"), np.array([65]), 100, True).tolist() == [65 * 8]


def test_learning_digits_take_the_memory_of_loihi1_counted_by_hand():
    placement = place(unroll_learning(load_network("digits"), 32, 32).wiring, LOIHI1)
    found = {core.population.name: core for core in placement.cores}
    assert placement.chips_needed == 1
    layer1 = found["layer1"]
    # Lists of 64 synapses take 576 bits: 128 of W_ff, 64 each of W_pred and W_retro, 2 of the release sites.
    assert layer1.lists == 128 + 64 + 64 + 2
    assert layer1.bits == layer1.lists * 576
    assert layer1.compartments == 2 * 64
    # Each soma sends to its own core for W_pred and W_retro, to its modulators and to layer 2.
    assert layer1.edges == 64 * 4
    assert found["layer2"].edges == 64 * 3
    assert found["input"].edges == 128


def matrix(one):
    """The synapses of a projection as (post, pre), neuron by neuron; of some neurons only where it skips."""
    made = np.zeros((one.post.positions, one.post.units, one.pre.positions, one.pre.units), bool)
    for place_, (start, end) in enumerate(zip(one.window.start[:-1], one.window.start[1:], strict=True)):
        for heard in one.window.pre[start:end]:
            for unit in range(one.post.units):
                # Relays hear the soma of their own channel; all others hear all.
                some = slice(None) if one.full else slice(unit * one.heard, (unit + 1) * one.heard)
                made[place_, unit, heard, some] = True
    return made.reshape(one.post.neurons, one.pre.neurons)


chips = st.builds(
    lambda neurons, compartments, memory, fan_in, fan_out, cores: Chip(
        name="c",
        title="c",
        neurons=Neurons(True, compartments),
        synapses=LISTS,
        limits=Limits(
            cores=cores,
            neurons_per_core=neurons,
            synaptic_memory_per_core=memory,
            fan_in=fan_in,
            fan_out=fan_out,
        ),
    ),
    st.integers(2, 40),
    st.integers(1, 2),
    st.integers(200, 4000).map(float),
    st.integers(10, 200),
    st.integers(4, 200),
    st.integers(1, 6),
)
convolutional = st.builds(
    lambda channels, side, first, second, pool, top: Network(
        "n",
        (channels, side, side),
        (
            Layer("a", first, "conv", pool=pool),
            Layer("b", second, "conv", kernel=2, padding=0),
            Layer("c", top),
        ),
    ),
    st.integers(1, 2),
    st.integers(4, 6),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 2),
    st.integers(1, 9),
)


@settings(max_examples=80, deadline=None)
@given(convolutional, chips)
def test_every_core_keeps_its_limits_recounted_from_plain_matrices(network, chip):
    wiring = unroll(network).wiring
    placement = place(wiring, chip)
    assume(not placement.refused)
    synapses = {one.name: matrix(one) for one in wiring.projections}
    total = sum(made.sum() for made in synapses.values())
    assert total == demand(wiring).synapses == sum(core.synapses for core in placement.cores)
    for population in wiring.populations:  # every neuron lies in one core
        taken = [neuron for core in placement.of(population) for neuron in range(core.first, core.end)]
        assert taken == list(range(population.neurons))
    for core in placement.cores:
        lists = bits = edges = 0
        for one in wiring.into(core.population):
            lengths = synapses[one.name][core.first : core.end].sum(0)
            lists += np.count_nonzero(lengths)
            for length in lengths[lengths > 0]:
                skips = bool((lengths[lengths > 0] != core.neurons).any()) or not one.full
                index = next(b for b in LISTS.index if 2**b >= core.neurons) if skips else 0
                while length > 0:
                    bits += -(-(min(length, 64) * (8 + index) + 10) // 64) * 64
                    length -= 64
        for one in wiring.out_of(core.population):
            for other in placement.of(one.post):
                sent = synapses[one.name][other.first : other.end, core.first : core.end].any(0)
                edges += np.count_nonzero(sent)
        assert (core.lists, core.bits) == (lists, bits)
        assert edges <= core.edges
        assert core.neurons * chip.neurons.compartments <= chip.limits.neurons_per_core
        assert lists <= chip.limits.fan_in
        assert bits <= 8 * chip.limits.synaptic_memory_per_core
        assert core.edges <= chip.limits.fan_out
    assert np.bincount(placement.chips).max() <= chip.limits.cores
    assert len(placement.cores) >= fewest_cores(wiring, chip)


@settings(max_examples=40, deadline=None)
@given(convolutional, chips)
def test_messages_are_those_counted_from_plain_matrices(network, chip):
    """Of fully connected populations; relays are counted as if each heard another soma."""
    wiring = unroll(network).wiring
    placement = place(wiring, chip)
    assume(not placement.refused)
    rates = {one.name: float(index + 1) for index, one in enumerate(wiring.populations)}
    wanted = np.zeros(3)
    for core, chip_ in zip(placement.cores, placement.chips, strict=True):
        for one in wiring.into(core.population):
            heard = matrix(one)[core.first : core.end].any(0)
            for source, its in zip(placement.cores, placement.chips, strict=True):
                if source.population == one.pre:
                    kind = 0 if source is core else 1 if its == chip_ else 2
                    wanted[kind] += rates[one.pre.name] * heard[source.first : source.end].sum()
    found = traffic(wiring, placement, Activity({}, rates, ""))
    measured = np.array([found.within_cores, found.between_cores, found.between_chips])
    if all(one.full for one in wiring.projections):
        np.testing.assert_allclose(measured, wanted)
    np.testing.assert_allclose(measured.sum(), wanted.sum())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=2, max_size=4), st.integers(0, 3), st.integers(1, 20), chips)
def test_more_units_never_need_fewer_cores(units, which, more, chip):
    layers = [Layer(f"l{index}", number) for index, number in enumerate(units[1:])]
    which = which % len(layers)
    wider = [*layers]
    wider[which] = replace(layers[which], units=layers[which].units + more)
    placed = []
    for each in (layers, wider):
        wiring = unroll(Network("n", (units[0],), tuple(each))).wiring
        placed.append((place(wiring, chip), fewest_cores(wiring, chip)))
    (narrow, narrow_bound), (wide, wide_bound) = placed
    assert wide_bound >= narrow_bound
    if narrow.refused:
        assert wide.refused
    elif not wide.refused:
        assert len(wide.cores) >= len(narrow.cores)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 30), st.integers(1, 8), chips)
def test_populations_that_hear_each_other_settle_within_their_limits(units, inputs, modulators, chip):
    network = Network("n", (inputs,), (Layer("a", units), Layer("b", units)))
    listened = max(1, units // modulators)
    wiring = unroll_learning(network, modulators, listened).wiring
    placement = place(wiring, chip)
    if placement.refused:
        return
    number = {population.name: len(placement.of(population)) for population in wiring.populations}
    for core in placement.cores:
        # Every soma reaches all cores of what hears it fully, and at most those of the modulators.
        full = [one for one in wiring.out_of(core.population) if one.full]
        assert core.edges >= core.neurons * sum(number[one.post.name] for one in full)
        for limit in limits(chip):
            assert limit.held is None or getattr(core, limit.use) <= limit.held


@pytest.mark.parametrize(
    ("held", "term", "said"),
    [
        (Limits(fan_in=99), "layer.w_ff", "fan-in 100 of one neuron takes 100 lists.*has 99.*limits.fan_in"),
        (Limits(synaptic_memory_per_core=99.0), "layer.w_ff", "takes 800 bits.*has 792"),
        (Limits(cores=2, synapses=198), "layer.w_ff", "takes 100 synapses, a core has 99"),
    ],
)
def test_a_neuron_that_fits_no_core_is_named_with_its_limit(held, term, said):
    chip = Chip(name="c", title="c", widths=Widths(weight=8), limits=held)
    placement = place(unroll(Network("n", (100,), (Layer("layer", 3),))).wiring, chip)
    assert [(one.layer, one.term) for one in placement.refused] == [("layer", term)]
    assert re.search(said, placement.refused[0].why)


def test_chips_are_filled_by_neurons_and_synapses_too():
    network = Network("n", (10,), tuple(Layer(f"l{n}", 10) for n in range(6)))
    wiring = unroll(network).wiring

    def chips_needed(**held):
        return place(wiring, Chip(name="c", title="c", limits=Limits(**held))).chips_needed

    assert chips_needed() == 1
    assert chips_needed(cores=3) == 3  # seven populations
    assert chips_needed(neurons=20) == 4  # of seventy neurons
    assert chips_needed(synapses=250) == 3  # of six times a hundred synapses

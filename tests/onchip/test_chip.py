"""Chips from the catalogue, and programs that do not fit them."""

import re

import pytest

from neuroclapp import catalog
from neuroclapp.errors import InputError
from neuroclapp.onchip.chip import Chip, Limits, Widths, load_chip
from neuroclapp.onchip.demand import check, demand, wiring
from neuroclapp.onchip.export import export, program


@pytest.mark.parametrize("name", catalog.names("hardware"))
def test_every_shipped_chip_loads_under_its_own_name(name):
    assert load_chip(name).name == name


def test_loihi1_energies_are_the_published_ones_with_their_source():
    chip = load_chip("loihi1")
    assert chip.energy("synaptic operation").energy == pytest.approx(23.6e-12)
    assert chip.energy("synaptic update").energy == pytest.approx(120e-12)
    assert all("IEEE Micro" in one.source for one in chip.energies)
    assert chip.limits.synaptic_memory_per_core == 128 * 1024


def test_no_energy_of_loihi2_is_invented():
    assert load_chip("loihi2").energies == ()
    assert load_chip("loihi2").energy("synaptic operation") is None


def test_energy_without_source_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name="m"\ntitle="m"\n[[energies]]\noperation="spike"\nenergy="1 pJ"\nsource=" "\n')
    with pytest.raises(InputError, match=r"mine\.toml: energies\.0.*source is empty"):
        load_chip(str(path))


@pytest.mark.parametrize("limit", ["[limits]\ncores = 4\n", '[limits]\nsynaptic_memory_per_core = "1 KiB"\n'])
def test_an_unlimited_chip_has_no_limits(limit, tmp_path):
    assert load_chip("ideal").unlimited
    assert not load_chip("loihi2").unlimited
    path = tmp_path / "mine.toml"
    path.write_text('name = "m"\ntitle = "m"\nunlimited = true\n' + limit)
    with pytest.raises(InputError, match=r"mine\.toml.*unlimited = true: such a chip has neither limits nor"):
        load_chip(str(path))


def test_unknown_key_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name="m"\ntitle="m"\n[widths]\nwieght=8\n')
    with pytest.raises(InputError, match=r"mine\.toml: widths\.wieght = 8: unknown key"):
        load_chip(str(path))


def test_demand_counts_neurons_and_synapses(small):
    made, weights = small()
    need = demand(wiring(program(made, weights, Chip(name="c", title="c"))))
    # input 6; somata 5 + 4; two modulators of 2 * 4 units; two sites in each layer
    assert need.neurons == 6 + 5 + 4 + 2 * 8 + 2 * 2
    # w_ff, w_pred and w_retro; 8 modulators that listen to 3 somata each, fire at a site; sites to somata
    assert need.synapses == 5 * 6 + 4 * 5 + 2 * (25 + 16) + 2 * (8 * 3 + 8) + 2 * (5 + 4)
    assert need.fan_in == 6 + 2 * 5 + 2


@pytest.mark.parametrize(
    ("chip", "said"),
    [
        (Chip(name="c", title="c", graded_spikes=False), "graded_spikes = False"),
        (Chip(name="c", title="c", three_factor=False), "three_factor = False"),
        (Chip(name="c", title="c", limits=Limits(neurons=34)), r"limits\.neurons = 34: the network needs 35"),
        (Chip(name="c", title="c", limits=Limits(cores=2, neurons_per_core=17)), r"limits\.neurons = 34"),
        (Chip(name="c", title="c", limits=Limits(synapses=200)), r"limits\.synapses = 200"),
        (Chip(name="c", title="c", limits=Limits(fan_in=17)), r"limits\.fan_in = 17: the network needs 18"),
        (Chip(name="c", title="c", limits=Limits(epoch=4)), r"limits\.epoch = 4: the network needs 8"),
        (
            Chip(name="c", title="c", widths=Widths(payload=7)),
            r"widths\.payload = 7: layer1 may replay 200.*8 bits",
        ),
    ],
)
def test_export_names_the_limit_that_is_exceeded_and_writes_nothing(chip, said, small, tmp_path):
    with pytest.raises(InputError, match=f"hardware 'c': {said}"):
        export(*small(), chip, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_small_network_fits_loihi2_but_not_loihi1(small):
    made, weights = small()
    check(program(made, weights, load_chip("loihi2")), load_chip("loihi2"))
    with pytest.raises(InputError, match="graded_spikes"):
        check(program(made, weights, load_chip("loihi1")), load_chip("loihi1"))


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
def test_every_number_of_a_real_chip_has_its_source(name):
    """A comment in its line, or a key ``source`` in its table."""
    text = catalog.find("hardware", name).read_text(encoding="utf-8")
    for table in re.split(r"\n(?=\[)", text)[1:]:
        sourced = re.search(r'^source = "\S', table, re.MULTILINE)
        for line in table.splitlines():
            if re.match(r"\w+ = ", line):
                assert sourced or "#" in line, f"{name}: {line}"


@pytest.mark.parametrize("name", catalog.names("hardware"))
def test_a_chip_has_three_factors_where_its_neurons_write_traces(name):
    chip = load_chip(name)
    assert chip.three_factor == (chip.engine.third_factor == "neuron")


def test_loihi1_is_as_its_paper_states_it():
    """Davies et al. (2018): constraints 1 to 4 of a core, table 1 and table 2."""
    chip = load_chip("loihi1")
    held = chip.limits
    assert (held.cores, held.neurons_per_core, held.fan_in, held.fan_out) == (128, 1024, 4096, 4096)
    assert held.epoch == 63
    assert (chip.widths.weight, chip.widths.tag, chip.widths.trace, chip.widths.delay) == (8, 8, 7, 6)
    assert chip.synapses.weights == tuple(range(1, 10))
    energies = {one.operation: one.energy for one in chip.energies}
    assert energies == pytest.approx(
        {
            "synaptic operation": 23.6e-12,
            "synaptic update": 120e-12,
            "neuron update": 81e-12,
            "idle neuron update": 52e-12,
            "spike": 1.7e-12,
        }
    )
    times = {one.operation: one.time for one in chip.times}
    assert times == pytest.approx(
        {"synaptic operation": 3.5e-9, "synaptic update": 6.1e-9, "neuron update": 8.4e-9, "barrier": 465e-9}
    )


def test_no_time_and_no_memory_of_a_core_of_loihi2_is_invented():
    chip = load_chip("loihi2")
    assert chip.times == ()
    assert chip.synapses is None
    assert chip.limits.synaptic_memory_per_core is None
    assert chip.limits.fan_in is None
    assert chip.limits.fan_out is None


def test_time_without_source_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name="m"\ntitle="m"\n[[times]]\noperation="barrier"\ntime="1 us"\nsource=""\n')
    with pytest.raises(InputError, match=r"mine\.toml: times\.0.*source is empty"):
        load_chip(str(path))

"""Chips from the catalogue, and programs that do not fit them."""

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

"""Plans: operations, energies and times by hand, what does not fit and what would, and the command."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import tomli_w

from neuroclapp import catalog
from neuroclapp.cli import main
from neuroclapp.network import Layer, Network, Prediction, load_network
from neuroclapp.onchip.chip import Chip, Engine, Limits, Widths, load_chip
from neuroclapp.onchip.plan import plan
from neuroclapp.onchip.plan_case import Coding
from neuroclapp.onchip.plan_placement import place
from neuroclapp.onchip.plan_table import table, text
from neuroclapp.onchip.plan_wiring import unroll
from neuroclapp.run.plan import Options, plans
from neuroclapp.spiking.populations import Modulator, Timing

TIMING = Timing(duration=0.1, flush=0.025, dt=0.005)
DIGITS = load_network("digits")


def coding(**change):
    return Coding(TIMING, 64, 8.0, (4.0,), Modulator(units=32, fan_in=32), "said", **change)


def test_operations_energy_and_time_of_digits_on_loihi1_are_those_counted_by_hand():
    """One neuron per unit: inputs fire 8 times, somata 4 times, in 25 steps of 2 compartments."""
    found = plan(DIGITS, load_chip("loihi1"), replace(coding(), neurons=1), "inference")
    assert found.fits
    operations = 8 * 128 * 64 + 4 * 64 * 64
    updates, spikes = 25 * 2 * (128 + 64 + 64), 8 * 128 + 4 * 64 + 4 * 64
    assert found.steps == 25
    assert found.operations.synaptic_operations == operations
    assert found.operations.neuron_updates == updates
    assert found.operations.messages == spikes
    sent = operations * 23.6e-12 + spikes * 1.7e-12
    assert found.energies.least == pytest.approx(sent + updates * 52e-12)
    assert found.energies.most == pytest.approx(sent + updates * 81e-12)
    # The busiest core is layer 1's.
    busiest = 25 * 2 * 64 * 8.4e-9 + 8 * 128 * 64 * 3.5e-9
    assert found.seconds == pytest.approx(busiest + 25 * 465e-9)
    # Inputs go to layer 1's core, its somata to layer 2's.
    assert found.traffic.between_cores == 8 * 128 + 4 * 64
    assert found.traffic.within_cores == found.traffic.between_chips == 0


def test_a_packet_unit_sends_one_message_in_a_step_at_most():
    found = plan(DIGITS, load_chip("loihi2"), coding(), "inference")
    assert found.activity.spikes == {"input": 512, "layer1": 256, "layer2": 256}
    assert set(found.activity.messages.values()) == {20}
    quiet = plan(DIGITS, load_chip("loihi2"), coding(activity=0.01), "inference")
    assert quiet.activity.messages["layer1"] == pytest.approx(64 * 4 * 0.01)


def test_an_update_of_digits_is_counted_by_hand():
    """Split feedback: W_ff has two products, the others one; each plastic synapse hears two replays."""
    found = plan(DIGITS, load_chip("loihi2"), coding(), "learning")
    assert found.fits
    w_ff, square = 64 * 128 + 64 * 64, 2 * 64 * 64
    assert found.operations.synaptic_updates == 2 * w_ff + 2 * square
    assert found.operations.replayed == 2 * (w_ff + 2 * square)
    # 25 steps and the release, then two windows of 8 that begin at a multiple of 8: steps 32 to 47.
    assert found.steps == 48
    # Each soma sends 20 messages to its own core for W_pred and 20 for W_retro.
    assert found.traffic.within_cores == 2 * 2 * 20 * 64
    assert found.energies is None
    assert "no source states" in text(found)


def test_energy_of_an_update_takes_the_stated_ones():
    found = plan(DIGITS, load_chip("loihi1"), coding(), "learning")
    counted = found.operations
    wanted = counted.synaptic_updates * 120e-12 + counted.replayed * 23.6e-12
    assert found.energies.update == pytest.approx(wanted)


def test_every_population_on_the_way_takes_a_step():
    layers = tuple(Layer(f"l{n}", 3) for n in range(9))
    found = plan(Network("n", (4,), layers), load_chip("ideal"), coding(), "inference")
    assert found.steps == 20 + 9


@pytest.mark.parametrize("mode", ["inference", "learning"])
def test_digits_fit_loihi2_and_the_ideal_chip(mode):
    for name in ("loihi2", "ideal"):
        assert plan(DIGITS, load_chip(name), coding(), mode).fits


def test_limits_that_no_source_states_are_named_as_not_checked():
    found = plan(DIGITS, load_chip("loihi2"), coding(), "inference")
    said = text(found)
    for key in ("limits.fan_in", "limits.fan_out", "limits.synaptic_memory_per_core"):
        assert re.search(rf"not checked, as no source states it:.*{re.escape(key)}", said)
    assert "fits, as far as its limits are stated" in said
    assert plan(DIGITS, load_chip("loihi1"), replace(coding(), neurons=1), "inference").unchecked == ()


@pytest.mark.parametrize("mode", ["inference", "learning"])
def test_a_chip_without_limits_by_definition_has_none_that_is_not_checked(mode):
    """Whoever reads that a limit is not stated would look for a source: of `ideal` there is none."""
    found = plan(DIGITS, load_chip("ideal"), coding(), mode)
    assert found.unchecked == ()
    said = text(found)
    assert "not checked" not in said
    assert "fits, as by definition this chip has no limits" in said


def test_learning_on_loihi1_names_graded_spikes_and_the_third_factor():
    found = plan(DIGITS, load_chip("loihi1"), coding(), "learning")
    assert {one.term for one in found.refused} == {"graded spikes", "third factor"}
    assert "its reward is one signal for all synapses of a core" in text(found)


@pytest.mark.parametrize(
    ("change", "term", "said"),
    [
        ({"limits": Limits(epoch=7)}, "epoch", "a learn window has 8 steps, an epoch 7"),
        ({"widths": Widths(payload=11)}, "replay", "takes 12 bits, a payload 11"),  # 2 * 64 * 25 = 3200
        ({"widths": Widths(payload=6)}, "packets", "a packet of 64 spikes is more than 6 bits"),
        (
            {"engine": Engine(("x1",), ("y1",), ("w",), ("x0", "u"), "neuron", "s")},
            "w_ff: x0*x1*y2",
            "y2 is not one of the engine's",
        ),
        (
            {"engine": Engine(("x1",), ("y1", "y2"), ("w",), ("y0",), "neuron", "s")},
            "w_pred: x0*x1*y1",
            "dependency x0 is not one of y0",
        ),
        (
            {"engine": Engine(("x1",), ("y1", "y2"), ("w",), ("x0", "u"), "neuron", "s", products=1)},
            "w_ff",
            "2 products, a rule has 1",
        ),
    ],
)
def test_what_an_engine_lacks_is_named_with_the_term(change, term, said):
    found = plan(DIGITS, Chip(name="c", title="c", **change), coding(), "learning")
    named = {re.sub(r"2\^-?\d+\*", "", one.term): one.why for one in found.refused}
    assert said in named[term]


def options(said):
    """The options that a plan proposes, as keyword arguments."""
    words = said.split()
    given = dict(zip(words[::2], words[1::2], strict=True))
    kinds = {"--chips": int, "--neurons": int, "--width": float, "--pooling": str}
    return {name[2:]: kinds[name](value) for name, value in given.items()}


@pytest.mark.parametrize(
    ("model", "chip", "given"),
    [
        ("digits", "loihi1", {}),
        ("vgg6", "loihi2", {}),
        ("vgg6", "loihi1", {"width": 0.25, "neurons": 1}),
        ("vgg6", "loihi1", {"width": 0.125, "neurons": 2, "chips": 2}),
        ("vgg6", "loihi1", {"width": 0.25, "neurons": 1, "pooling": "mean"}),
    ],
)
def test_what_would_fit_does(model, chip, given):
    (found,) = plans(Options(model, chip, ("inference",), **given))
    assert not found.fits
    for said in found.refused[0].instead.split(", or "):
        (changed,) = plans(Options(model, chip, ("inference",), **{**given, **options(said)}))
        assert changed.fits, said


def test_full_vgg6_on_loihi1_names_the_layers_that_fit_no_core():
    """conv5 hears 9 positions of 512 channels, more than 4096 lists; conv6 hears 4 of 1024, just as many."""
    chip = load_chip("loihi1")
    (refused,) = place(unroll(load_network("vgg6")).wiring, chip).refused
    assert (refused.layer, refused.term) == ("conv5", "conv5.w_ff")
    assert "fan-in 9 positions x 512 = 4608 of one neuron takes 4608 lists" in refused.why
    # Means hear all four somata of a block.
    means = place(unroll(load_network("vgg6"), pooling="mean").wiring, chip).refused
    said = {one.layer: re.search(r"\d+ positions x \d+", one.why)[0] for one in means}
    wanted = {"conv3": (36, 256), "conv5": (36, 512), "conv6": (16, 1024)}
    assert said == {layer: f"{places} positions x {units}" for layer, (places, units) in wanted.items()}


@pytest.mark.parametrize(
    ("held", "chips", "fits"),
    [
        (Limits(cores=1), 3, True),  # three populations
        (Limits(cores=1), 2, False),
        (Limits(cores=1, chips=2), 3, False),
        (Limits(synapses=8192), 1, False),
        (Limits(synapses=8192), 2, True),
    ],
)
def test_chips_are_as_many_as_there_are(held, chips, fits):
    chip = Chip(name="c", title="c", limits=held)
    found = plan(DIGITS, chip, coding(), "inference", chips)
    assert found.fits == fits
    if not fits:
        assert [one.term for one in found.refused] == ["chips"]


def test_relays_are_named_where_neurons_run_no_program():
    narrow = replace(load_network("vgg6"), width=0.0625)
    found = plan(narrow, load_chip("loihi1"), replace(coding(), neurons=1), "inference")
    assert [(one.layer, one.term, one.instead) for one in found.refused] == [
        (layer, "max-pool", "--pooling mean") for layer in ("conv2", "conv4", "conv5", "conv6")
    ]


def test_full_vgg6_on_loihi2_needs_three_chips():
    """234 361 856 synapses are more than one chip's 120 000 000."""
    found = plan(load_network("vgg6"), load_chip("loihi2"), coding(), "inference")
    assert found.demand.synapses == 234_361_856
    assert [(one.layer, one.term) for one in found.refused] == [("all layers", "chips")]
    assert found.refused[0].instead.startswith("--chips 3")


@pytest.mark.parametrize("model", catalog.names("models"))
@pytest.mark.parametrize("chip", catalog.names("hardware"))
def test_every_shipped_model_is_planned_on_every_chip(model, chip):
    options = Options(model, chip, neurons=1, width=0.125 if model in ("vgg6", "resnet50", "audio") else None)
    for found in plans(options):
        assert json.loads(json.dumps(table(found)))["fits"] == found.fits
        assert text(found).startswith(found.title)
        if "gru" in {layer.kind for layer in load_network(model).layers}:
            assert any(one.layer == "gru" for one in found.refused)


def test_command_ends_with_0_where_all_fits_and_1_where_not(capsys):
    assert main(["plan", "digits", "--chip", "loihi2"]) == 0
    assert main(["plan", "digits", "--chip", "loihi1", "--inference", "--neurons", "1"]) == 0
    assert capsys.readouterr().out.count("fits") >= 3
    assert main(["plan", "digits", "--chip", "loihi1"]) == 1
    assert "does not fit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing", "--chip", "loihi2"], "models: name = 'nothing'"),
        (["digits", "--chip", "loihi3"], "hardware: name = 'loihi3'"),
        (["digits", "--chip", "loihi2", "--width", "0"], "--width: WIDTH = 0.0: must be positive"),
        (["digits", "--chip", "loihi2", "--chips", "0"], "--chips: N = 0: must be 1 or more"),
        (
            ["digits", "--chip", "loihi2", "--rates", "inf"],
            "--rates: ACTIVITY = inf: must be positive and finite",
        ),
        (
            ["digits", "--chip", "loihi2", "--rates", "nan"],
            "--rates: ACTIVITY = nan: must be positive and finite",
        ),
        (
            ["digits", "--chip", "loihi2", "--width", "inf"],
            "--width: WIDTH = inf: must be positive and finite",
        ),
        (["digits", "--chip", "loihi2", "--rates", "-1"], "--rates: ACTIVITY = -1.0: must be positive"),
        (["digits", "--chip", "loihi1", "--weight-bits", "10"], "--weight-bits: N = 10: loihi1 has 1, 2"),
        (["digits", "--chip", "ideal", "--weight-bits", "4"], "its weights are not integers"),
        (["digits", "--chip", "loihi2", "--experiment", "table1"], "an experiment with a [spiking] table"),
        (["digits", "--chip", "loihi2", "--run", "/nowhere"], "not a run's directory"),
    ],
)
def test_wrong_input_ends_with_2_and_one_line(arguments, said, capsys):
    assert main(["plan", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == 1


def test_a_run_of_another_kind_is_named(tmp_path, capsys):
    (tmp_path / "experiment.toml").write_text('kind = "speech"')
    assert main(["plan", "digits", "--chip", "loihi2", "--run", str(tmp_path)]) == 2
    assert f"{tmp_path / 'experiment.toml'}: kind = 'speech': must be left out" in capsys.readouterr().err


def test_bits_of_a_weight_change_memory(capsys):
    bits = []
    for number in ("8", "4"):
        main(["plan", "digits", "--chip", "loihi2", "--inference", "--json", "--weight-bits", number])
        bits.append(json.loads(capsys.readouterr().out)["inference"]["synaptic_memory_bits"])
    assert bits == [8 * 12288, 4 * 12288]


@pytest.fixture
def run(tmp_path):
    """A run's directory with the recording of two presentations: spikes of input 0 and of layer1's unit 3."""
    path = catalog.find("experiments", "quickstart")
    (tmp_path / "experiment.toml").write_text(tomli_w.dumps(catalog.read_toml(path)))
    (tmp_path / "seed0").mkdir()
    packets = {"input": [10, 20, 0, 34], "soma0": [64, 64, 128], "soma1": []}
    arrays = {f"{name}_spikes/packet": np.array(sent) for name, sent in packets.items()}
    np.savez(tmp_path / "seed0" / "steps.npz", sign=np.zeros(2, np.int8), **arrays)
    return tmp_path


def test_a_run_gives_measured_spikes_and_messages(run):
    (found,) = plans(Options("digits", "loihi2", ("inference",), run=run))
    assert found.activity.spikes == {"input": 64 / 256, "layer1": 256 / 128, "layer2": 0}
    assert found.activity.messages == {"input": 3 / 256, "layer1": 3 / 128, "layer2": 0}
    assert "measured in" in text(found)


def test_a_run_of_another_network_is_refused(run):
    from neuroclapp.errors import InputError

    with pytest.raises(InputError, match="a run of layers"):
        plans(Options("digits", "loihi2", width=0.5, run=run))


def test_symmetric_feedback_needs_a_second_matrix():
    symmetric = replace(DIGITS, prediction=Prediction("symmetric"))
    blocked = replace(DIGITS, prediction=Prediction("blocked"))
    more = plan(symmetric, load_chip("loihi2"), coding(), "learning").demand.synapses
    less = plan(blocked, load_chip("loihi2"), coding(), "learning").demand.synapses
    assert more - less == 2 * 64 * 64

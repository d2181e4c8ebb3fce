"""Descriptions: what the catalogue holds loads; what is wrong is named with file, key and value."""

import pytest
import tomli_w

from neuroclapp import catalog
from neuroclapp.errors import InputError
from neuroclapp.experiment import Experiment, load_experiment
from neuroclapp.network import Network, load_network
from neuroclapp.onchip.chip import Chip
from neuroclapp.resolve import load_systems
from neuroclapp.run.image_spikes import ImageSpikesRun
from neuroclapp.run.kinds import KINDS as KINDS_OF_RUNS
from neuroclapp.run.kinds import kind_of
from neuroclapp.run.placed import load_placed
from neuroclapp.run.spoken_spikes import SpokenSpikesRun
from neuroclapp.study import load_study

KINDS = {"models": Network, "hardware": Chip}
ENTRIES = [(kind, name) for kind in KINDS for name in catalog.names(kind)]
LOADERS = {
    KINDS_OF_RUNS["worlds"]: load_experiment,
    KINDS_OF_RUNS["systems"]: load_systems,
    KINDS_OF_RUNS["speech_in_spikes"]: SpokenSpikesRun.load,
    KINDS_OF_RUNS["images_in_spikes"]: ImageSpikesRun.load,
    KINDS_OF_RUNS["places"]: load_placed,
    KINDS_OF_RUNS["study"]: load_study,
}


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_loads_and_has_a_title(kind, name):
    assert catalog.load(kind, name, KINDS[kind]).title


@pytest.mark.parametrize("name", catalog.names("experiments"))
def test_every_experiment_loads_as_its_kind(name):
    load = LOADERS[kind_of(catalog.find("experiments", name))]
    assert load(name)[0].title


def test_the_catalogue_holds_what_the_quickstart_needs():
    assert {"digits", "vgg6"} <= set(catalog.names("models"))
    assert {"ideal", "loihi2"} <= set(catalog.names("hardware"))
    assert "quickstart" in catalog.names("experiments")


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(InputError, match="did you mean 'digits'"):
        load_network("digitz")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("spiking.timing.duration", "100", "spiking.timing.duration = 100: has no unit; write it with one"),
        ("spiking.timing.duration", '"100"', "spiking.timing.duration = '100': has no unit"),
        ("spiking.timing.duration", '"100 mV"', "spiking.timing.duration = '100 mV': has the wrong unit"),
        ("spiking.timing.duration", '"soon"', "spiking.timing.duration = 'soon': cannot be read"),
        (
            "spiking.timing.duration",
            '"100.5 ms"',
            "spiking.timing = .*: duration = 0.1005 s must be a multiple of dt",
        ),
        ("spiking.timing.dt", '"0 ms"', r"spiking.timing = .*: dt = 0.0 s must be positive"),
        ("spiking.timing.dt", '"-5 ms"', r"spiking.timing = .*: dt = -0.005 s must be positive"),
        ("spiking.timing.duration", '"inf ms"', "spiking.timing.duration = inf: should be a finite number"),
        ("spiking.timing.flush", '"nan ms"', "spiking.timing.flush = nan: should be a finite number"),
        ("spiking.timing.duration", '"1e300 s"', r"duration = 1e\+300 s must be less than 2147483648 steps"),
        ("spiking.timing.dt", '"1e-320 s"', "duration = 0.1 s must be less than 2147483648 steps"),
        *(
            (key, text.format(value), rf"{key}(\.0)? = {value}: should be a finite number")
            for value in ("inf", "-inf", "nan")
            for key, text in (
                ("spiking.gain", "[{}, 4.0]"),
                ("spiking.input_gain", "{}"),
                ("spiking.modulator.resolution", "{}"),
                ("learning.eta", "[{}, 0.1]"),
                ("learning.bound", "{}"),
                ("initial.w_ff", "{}"),
                ("data.glimpse.noise", "{}"),
                ("data.glimpse.contrast", "{}"),
            )
        ),
        ("data.presentations", "-5", "data.presentations = -5: should be greater than 0"),
        ("data.presentations", '"many"', "data.presentations = 'many': should be a valid integer"),
        ("data.name", '"stl10"', "data.name = 'stl10': should be 'digits'"),
        ("seeds", "[1, 1]", r"seeds = \[1, 1\] must be one or more different numbers"),
        ("learning.etta", "1.0", "learning.etta = 1.0: unknown key; did you mean 'eta'"),
        ("spiking.timing.duratoin", "1.0", "unknown key; did you mean 'duration'"),
        ("spiking.timing.xyz", "1.0", "spiking.timing.xyz = 1.0: unknown key$"),
        ("modle", '"digits"', "modle = 'digits': unknown key; did you mean 'model'"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_key(key, value, message):
    with pytest.raises(InputError, match=message) as caught:
        load_experiment("quickstart", {key: value})
    assert "quickstart.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "not a TOML file"),
        ('title = "x"\ninput = [4]\nlayers = []', "a network needs at least one layer"),
        (
            'title = "x"\ninput = [4]\nmodules = [2]\n[[layers]]\nname = "a"\nunits = 3',
            r"modules = \[2\] count 2 layers of 1",
        ),
        ('title = "x"\ninput = [4]\n[[layers]]\nname = "a"\nunits = 3\nkind = "conv"', "a convolution needs"),
        ('title = "x"\ninput = [4]\n[[layers]]\nunits = 3', "layers.0.name = .*: this key is missing"),
        (
            'title = "x"\ninput = [4]\n[prediction]\ngate = "separate"\n[[layers]]\nname = "a"\nunits = 3',
            "needs feedback = 'split'",
        ),
    ],
)
def test_a_wrong_model_file_is_refused(tmp_path, text, message):
    path = tmp_path / "model.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_network(str(path))
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.toml: no such file"):
        load_network(str(tmp_path / "nowhere.toml"))


def test_settings_replace_values_and_nothing_else():
    plain, _ = load_experiment("quickstart")
    changed, table = load_experiment(
        "quickstart", {"data.glimpse.noise": "0.5", "seeds": "[7]", "title": "mine"}
    )
    assert (changed.data.glimpse.noise, changed.seeds, changed.title) == (0.5, (7,), "mine")
    assert changed.learning == plain.learning
    assert catalog.describe(table, Experiment, "again") == changed


def test_the_resolved_experiment_reads_back_the_same(tmp_path):
    experiment, table = load_experiment("quickstart", {"title": '"a \\"title\\" with 𐀀 and \\u007f"'})
    path = tmp_path / "experiment.toml"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    assert catalog.describe(catalog.read_toml(path), Experiment, path) == experiment

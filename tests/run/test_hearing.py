"""A small run of audio systems from beginning to end, on speech that is written here."""

import weakref
from itertools import product

import numpy as np
import pytest
import soundfile
import torch
from run import small_speech
from run.checks import assert_refused, results_of
from run.small_speech import FRAMES, LABELLED, PHONES, spoken
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import conv1d, relu

from neuroclapp.cli import main
from neuroclapp.data.spectra import mfcc
from neuroclapp.data.speech import SpeechData, load
from neuroclapp.resolve import load_systems
from neuroclapp.run.hearing import Hearing
from neuroclapp.run.systems import SystemsRun

EXPERIMENT = """
title = "small speech"
kind = "speech"
scale = "all"
model = "{folder}/model.toml"
seeds = [0, 1]
figures = ["accuracy", "layers", "training"]
[data]
name = "librispeech"
path = "{folder}"
excerpt = 3200
validation_speakers = 1
[recipe]
updates = 6
batch = 4
checkpoint = 4
learning_rate = 1e-3
[contrast]
steps = 3
skip = 0
[in_time]
window = 12
[[systems]]
name = "mfcc"
title = "MFCC"
learns = "nothing"
features = "mfcc"
seeds = [0]
[[systems]]
name = "random"
title = "Random"
learns = "nothing"
[[systems]]
name = "clapp"
title = "CLAPP"
[[systems]]
name = "eprop"
title = "e-prop"
[systems.in_time]
recurrent = "eprop"
[[systems]]
name = "cpc"
title = "CPC"
modules = [3]
[systems.contrast]
loss = "info_nce"
[[systems]]
name = "greedy"
title = "Greedy supervised"
learns = "labels"
"""
SYSTEMS = ["mfcc", "random", "clapp", "eprop", "cpc", "greedy"]


def pcm(wave):
    """Sound as a file of 16 bits gives it back."""
    return np.round(np.clip(wave, -1, 1) * 32767) / 32768


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    small_speech.write(folder)
    path = folder / "small.toml"
    path.write_text(EXPERIMENT.format(folder=folder))
    return path


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    assert main(["run", str(experiment), "--out", str(folder)]) == 0
    return folder


def test_results_hold_every_system_with_frames_spoken_frames_and_speakers(finished):
    results = results_of(finished)
    assert list(results["systems"]) == SYSTEMS
    for name, one in results["systems"].items():
        layers = ["mfcc"] if name == "mfcc" else ["conv1", "conv2", "gru"]
        assert one["layers"] == layers
        assert one["seeds"] == ([0] if name == "mfcc" else [0, 1])
        assert one["updates"] == (0 if name in ("mfcc", "random") else 6)
        for figures in (one["test"], one["validation"], one["besides"]["spoken"], one["besides"]["speaker"]):
            assert np.shape(figures["per_seed"]) == (len(one["seeds"]), len(layers))
            assert all(0 <= value <= 100 for seed in figures["per_seed"] for value in seed)
        assert ("untrained" in one["besides"]) == (name not in ("mfcc", "random"))


def test_report_and_table_say_what_the_columns_mean(finished, capsys):
    assert main(["compare", str(finished)]) == 0
    assert main(["plot", str(finished)]) == 0
    said = capsys.readouterr().out
    assert "spoken frames" in said
    page = (finished / "report.html").read_text()
    assert "phones by frame of 10 ms" in page
    assert "The most frequent phone" in page
    assert page.count("<img") == 3


def test_notes_count_what_is_there(finished):
    notes = results_of(finished)["notes"]
    assert notes["utterances"]["training"] == 9
    assert notes["utterances"]["validation"] == 3
    assert notes["utterances"]["test"] == 4
    test = np.concatenate([spoken(10 * speaker + 3)[1][:LABELLED] for speaker in range(4)])
    shares = [100 * np.mean(test == phone) for phone in range(PHONES)]
    heard = [100 * np.mean(test[test > 0] == phone) for phone in range(1, PHONES)]
    assert any(notes["majority"] == pytest.approx(share) for share in shares)
    assert any(notes["spoken_majority"] == pytest.approx(share) for share in heard)


def test_accuracies_equal_those_of_an_independent_readout(finished, experiment):
    """The first two layers of the random encoder, convolved by torch, read out by frame."""
    found, _ = load_systems(str(experiment))
    run = SystemsRun(finished)
    row = next(row for row in found.systems if row.name == "random")
    w = {name: torch.from_numpy(each) for name, each in load_file(run.kept(row, 0)).items()}
    held = {each.speaker for each in load(found.data).validation}
    kept = [10 * n + m for n in range(4) if str(n + 1) not in held for m in range(3)]
    parts = {"training": kept, "test": [10 * n + 3 for n in range(4)]}
    sounds = {part: [pcm(spoken(seed)[0]) for seed in seeds] for part, seeds in parts.items()}
    labels = {
        part: np.concatenate([spoken(seed)[1][:LABELLED] for seed in seeds]) for part, seeds in parts.items()
    }
    joined = np.concatenate(sounds["training"])
    mean, std = joined.mean(), joined.std()

    def frames(sound, layer):
        x = torch.from_numpy(((sound - mean) / std).astype(np.float32))[None, None]
        x = relu(conv1d(x, w["conv1.w_ff"], w["conv1.bias"], 10, 5))
        if layer == 0:
            return x[0].T[: FRAMES * 16].reshape(FRAMES, 16, -1).mean(1).numpy()
        return relu(conv1d(x, w["conv2.w_ff"], w["conv2.bias"], 16, 8))[0].T[:FRAMES].numpy()

    for layer in range(2):
        x = {
            part: np.concatenate([frames(each, layer)[:LABELLED] for each in sounds[part]]) for part in parts
        }
        centre, scale = x["training"].mean(0), x["training"].std(0)
        fitted = LogisticRegression(max_iter=60).fit((x["training"] - centre) / scale, labels["training"])
        right = np.mean(fitted.predict((x["test"] - centre) / scale) == labels["test"])
        ours = results_of(finished)["systems"]["random"]["test"]["per_seed"][0][layer]
        assert ours == pytest.approx(100 * right, abs=0.6)  # one of 192 frames may fall otherwise


def test_speakers_are_told_apart_on_the_published_lists(finished):
    """A fit made here to mean MFCC of all twelve training utterances, scored on the four for testing."""
    means, speakers = {}, {"train": np.repeat(range(4), 3), "test": np.arange(4)}
    for part, takes in (("train", range(3)), ("test", [3])):
        sounds = [pcm(spoken(10 * n + take)[0]) for n, take in product(range(4), takes)]
        means[part] = np.stack([mfcc(sound.astype(np.float32)).mean(0) for sound in sounds])
    centre, scale = means["train"].mean(0), means["train"].std(0)
    model = LogisticRegression(C=0.1, max_iter=200).fit((means["train"] - centre) / scale, speakers["train"])
    right = 100 * model.score((means["test"] - centre) / scale, speakers["test"])
    results = results_of(finished)
    assert results["notes"]["utterances"]["speaker_training"] == 12
    assert results["notes"]["utterances"]["speaker_test"] == 4
    assert results["systems"]["mfcc"]["besides"]["speaker"]["mean"] == [pytest.approx(right)]


def test_speakers_of_training_in_the_test_are_noted_and_reported(finished):
    notes = results_of(finished)["notes"]
    assert (notes["test_speakers"], notes["shared_speakers"]) == (4, 4)
    page = (finished / "report.html").read_text()
    assert "4 of 4 speakers in the test are in training or validation as well" in page


def test_a_readout_keeps_no_utterance_s_frames(experiment):
    """While the next utterance is heard, what was heard before is gone, but for the last."""
    found, _ = load_systems(str(experiment))
    row = next(row for row in found.systems if row.name == "random")
    hearing, before = Hearing(found), []
    ear = hearing.ear(row, 0, hearing.learner(row, 0))

    def spy(utterance):
        assert sum(one() is not None for one in before) <= 3  # one utterance has three layers
        features = {name: each.copy() for name, each in ear(utterance).items()}
        before.extend(weakref.ref(each) for each in features.values())
        return features

    hearing.ear = lambda *_: spy
    score = hearing.read_out(row, 0, None, lambda done: None)
    assert len(before) == 3 * hearing.work
    assert len(score["besides"]["speaker"]) == 3


def test_untrained_recurrent_units_stand_over_the_trained_layers_below(finished):
    for name in ("clapp", "eprop", "cpc", "greedy"):
        one = results_of(finished)["systems"][name]
        learned, top = one["besides"]["learned minus untrained"], one["test"]
        for seed in range(2):
            before = one["besides"]["untrained"]["per_seed"][seed][0]
            assert learned["per_seed"][seed][0] == pytest.approx(top["per_seed"][seed][-1] - before)


def test_eprop_and_bptt_start_alike_and_part(finished, experiment):
    found, _ = load_systems(str(experiment))
    run = SystemsRun(finished)
    kept = {row.name: load_file(run.kept(row, 0)) for row in found.systems if row.features == "encoder"}
    for name in ("conv1.w_ff", "conv1.bias"):  # neither the units nor how they learn reach below conv2
        assert np.array_equal(kept["clapp"][name], kept["eprop"][name])
        assert not np.array_equal(kept["clapp"][name], kept["random"][name])
    assert not np.array_equal(kept["clapp"]["gru.w_hh"], kept["eprop"]["gru.w_hh"])


def test_a_run_that_was_cut_off_goes_on_to_the_same_bits(finished, experiment, tmp_path):
    """Checkpoints are those of update 4; what follows is what would have followed."""
    arguments = ["run", str(experiment), "--out", str(tmp_path / "runs" / "small")]
    cut = [*arguments, "--set", "recipe.updates=4"]
    assert main(cut) == 0
    short = {
        path.name.split("-")[0]: path for path in (tmp_path / "runs" / "trained").glob("*seed0*.safetensors")
    }
    (tmp_path / "again" / "trained").mkdir(parents=True)
    whole = {
        path.name.split("-")[0]: path for path in (finished.parent / "trained").glob("*seed0*.safetensors")
    }
    for name in ("clapp", "eprop", "cpc", "greedy"):
        target = tmp_path / "again" / "trained" / whole[name].name
        target.write_bytes(short[name].read_bytes())
    assert main([*arguments[:2], "--out", str(tmp_path / "again" / "small")]) == 0
    for name in ("clapp", "eprop", "cpc", "greedy"):
        again, first = load_file(tmp_path / "again" / "trained" / whole[name].name), load_file(whole[name])
        for key, array in first.items():
            if not key.startswith("history/"):
                assert np.array_equal(array, again[key]), (name, key)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("systems.mfcc.learns=contrast", "not learned"),
        ("data.excerpt=3201", "multiple of 160"),
        ("contrast.steps=12", "only 12 are compared"),
        ("contrast.task=views", "rows"),
        ("data.path=/nowhere", "LibriSpeech"),
        ("in_time.recurrent=rtrl", "recurrent"),
        ("data.validation_speakers=9", "at most 3"),
        ("model=vgg6", "convolution needs"),
        ("recipe.batch=10", "must be 1 to 9"),
        (("recipe.batch=1", "contrast.source=one_image"), "recipe.batch = 1: source = 'one_image' needs two"),
        (("recipe.batch=1", "contrast.source=same_place"), "recipe.batch = 1: source = 'same_place' needs"),
    ],
)
def test_a_wrong_value_gets_one_line_and_exit_code_2(setting, said, experiment, tmp_path, capsys):
    out = tmp_path / "runs"
    settings = [f"--set={each}" for each in ((setting,) if isinstance(setting, str) else setting)]
    assert_refused(["run", str(experiment), "--out", str(out), *settings], said, tmp_path, capsys)
    assert not out.exists()


def test_the_papers_readout_reads_while_excerpts_pass(finished, experiment, tmp_path):
    """A readout by Adam of enough epochs finds nearly what logistic regression does; systems are shared."""
    out = tmp_path / "runs" / "small"
    out.parent.mkdir()
    (out.parent / "trained").symlink_to(finished.parent / "trained")
    probe = ["probe.kind=adam", "probe.epochs=60", "probe.batch=3", "probe.learning_rate=0.02"]
    assert main(["run", str(experiment), "--out", str(out), *[f"--set={each}" for each in probe]]) == 0
    ours, theirs = results_of(out)["systems"], results_of(finished)["systems"]
    for name in ("random", "mfcc"):
        assert ours[name]["test"]["mean"][0] == pytest.approx(theirs[name]["test"]["mean"][0], abs=8)


def run_of_spectra(folder):
    """Run what needs no training; return its results and the page of its report."""
    rows = EXPERIMENT.index('[[systems]]\nname = "clapp"')
    (folder / "small.toml").write_text(EXPERIMENT[:rows].format(folder=folder).replace("[0, 1]", "[0]"))
    out = folder / "runs" / "small"
    assert main(["run", str(folder / "small.toml"), "--out", str(out)]) == 0
    return results_of(out), (out / "report.html").read_text()


def test_a_file_broken_in_its_middle_is_skipped_and_named(tmp_path):
    """It is a test utterance's, and is found when the first readout hears it."""
    small_speech.write(tmp_path)
    path = small_speech.break_in_its_middle(tmp_path, "2-1-0003")
    assert load(SpeechData("librispeech", str(tmp_path), 3200, 1)).skipped == ()
    results, page = run_of_spectra(tmp_path)
    ((name, why),) = results["notes"]["skipped"]
    assert name == "2-1-0003"
    assert str(path) in why
    assert "1 utterances were skipped" in page


def test_utterances_shorter_than_an_excerpt_are_noted_and_not_counted(tmp_path, capsys):
    """A tenth of a second is left of one utterance that is learned from; the others have half a second."""
    small_speech.write(tmp_path)
    held = {each.speaker for each in load(SpeechData("librispeech", str(tmp_path), 3200, 1)).validation}
    name = next(f"{speaker}-1-0001" for speaker in "1234" if speaker not in held)
    (path,) = tmp_path.glob(f"**/{name}.flac")
    soundfile.write(path, spoken(0)[0][:1600], 16000, subtype="PCM_16")
    lists = tmp_path / "converted_aligned_phones.txt"
    lines = [line.split() for line in lists.read_text().splitlines()]
    lists.write_text("".join(" ".join(line[:9] if line[0] == name else line) + "\n" for line in lines))
    capsys.readouterr()
    results, page = run_of_spectra(tmp_path)
    notes = results["notes"]
    assert notes["too_short"] == [[name, "1600 samples, and an excerpt has 3200"]]
    assert notes["skipped"] == []
    assert notes["hours"] == pytest.approx(8 * 0.5 / 3600)
    assert "1 utterances are too short to be learned from" in page
    assert capsys.readouterr().err.count("1 utterances are shorter than an excerpt of 3200 samples") == 1

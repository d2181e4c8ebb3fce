"""A small run of encoders of speech in spikes, from beginning to end, on speech that is written here."""

import json

import numpy as np
import pytest
from run import small_speech
from run.checks import assert_refused
from run.small_speech import FRAMES, spoken

from neuroclapp.cli import main

EXPERIMENT = """
title = "small speech in spikes"
kind = "{kind}"
scale = "all"
model = "{folder}/model.toml"
seeds = [0, 1]
[data]
name = "librispeech"
path = "{folder}"
excerpt = 3200
validation_speakers = 1
[recipe]
updates = 6
batch = 4
learning_rate = 1e-3
[contrast]
steps = 3
skip = 0
[in_time]
window = 12
recurrent = "eprop"
[[systems]]
name = "random"
title = "Random"
learns = "nothing"
[[systems]]
name = "eprop"
title = "e-prop"
"""
SPIKES = """
[spikes]
neurons = [1, 64]
utterances = 3
presentations = 12
[spikes.resolution]
spikes = 8.0
percentile = 100.0
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    small_speech.write(folder)
    path = folder / "small.toml"
    path.write_text(EXPERIMENT.format(folder=folder, kind="speech_in_spikes") + SPIKES)
    (folder / "rates.toml").write_text(EXPERIMENT.format(folder=folder, kind="speech"))
    return path


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory):
    pytest.importorskip("brian2")
    folder = tmp_path_factory.mktemp("runs") / "spikes"
    assert main(["run", str(experiment), "--out", str(folder)]) == 0
    return folder


def test_results_compare_spikes_with_rates(finished):
    results = json.loads((finished / "results.json").read_text())
    assert results["neurons"] == [1, 64]
    assert results["utterances"] == {"training": 3, "test": 3}
    assert results["brian2"]["presentations"] == 12
    assert results["brian2"]["different"] == [0, 0]
    for one in results["systems"].values():
        assert one["layers"] == ["conv1", "conv2"]  # recurrent units are not mapped
        # By hand: a step hears 32 steps of 20 samples, 10 apart; ON and OFF units double the lowest synapses.
        assert one["network"]["samples"] == 31 * 10 + 20
        assert one["network"]["units"] == [32 * 8, 6]
        assert one["network"]["synapses"] == 2 * 32 * 8 * 20 + 6 * 8 * 32
        assert one["frames"]["all"] == 3 * (FRAMES - 2)
        assert one["frames"]["spoken"] < one["frames"]["all"]
        coarse, fine = np.array(one["correlation"]["mean"])
        assert (fine > coarse).all()
        assert fine.min() > 0.99
        for which in ("all", "spoken"):
            # 64 neurons per unit: the readout of rates gives the same frames the same phones, but for a few.
            assert abs(one["unchanged_minus_rate"][which]["mean"][1]) < 3
    for name in ("accuracy", "layers"):
        assert (finished / "figures" / f"{name}.png").stat().st_size > 10000
    assert "Random" in (finished / "report.html").read_text()


def test_a_run_of_rates_beside_it_shares_the_trained_systems(finished, experiment):
    before = sorted(path.name for path in (finished.parent / "trained").glob("*.safetensors"))
    assert (
        main(["run", str(experiment.with_name("rates.toml")), "--out", str(finished.parent / "rates")]) == 0
    )
    after = sorted(path.name for path in (finished.parent / "trained").glob("*.safetensors"))
    assert len(before) == 4
    assert after == before


def test_scales_are_set_on_training_utterances_alone(finished):
    """With 100 % the scale is the largest sample of the training utterances that run in spikes."""
    numbers = [(speaker, number) for speaker in range(4) for number in range(3)]
    waves = [spoken(10 * speaker + number)[0] for speaker, number in numbers]
    pcm = [np.round(np.clip(wave, -1, 1) * 32767) / 32768 for wave in waves]
    found = json.loads((finished / "spikes" / "random-seed0.json").read_text())["largest"][0]
    # One of the four speakers is set apart, so that one of four statistics is the one that was used.
    candidates = []
    for held in range(4):
        kept = [wave for wave, (speaker, _) in zip(pcm, numbers, strict=True) if speaker != held]
        every = np.concatenate(kept)
        chosen = np.concatenate([kept[0], kept[4], kept[8]])
        candidates.append(np.abs((chosen - every.mean()) / every.std()).max())
    assert min(abs(found - each) for each in candidates) < 1e-4 * found


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("spikes.neurons=[5, 1]", "neurons = [5, 1] must be one or more rising"),
        ("spikes.neurons=[0]", "spikes.neurons.0 = 0"),
        ("spikes.resolution.spikes=30", "must be at most 20"),
        ('spikes.resolution.timing.flush="1 ms"', "2 layers need as many steps"),
        ("spikes.utterance=3", "unknown key"),
        ("probe.kind=adam", "must be 'logistic' here"),
        ("systems.random.features=mfcc", "only an encoder runs in spikes"),
    ],
)
def test_a_wrong_value_gets_one_line_and_exit_code_2(setting, said, experiment, tmp_path, capsys):
    out = tmp_path / "runs"
    assert_refused(["run", str(experiment), "--out", str(out), "--set", setting], said, tmp_path, capsys)
    assert not out.exists()


def test_files_broken_in_their_middle_are_left_out_and_named(tmp_path):
    """One more is missing altogether, which is told of before."""
    small_speech.write(tmp_path)
    text = EXPERIMENT.format(folder=tmp_path, kind="speech_in_spikes").replace("[0, 1]", "[0]")
    rows = text.index('[[systems]]\nname = "eprop"')
    few = SPIKES.replace("presentations = 12", "presentations = 0").replace("[1, 64]", "[1]")
    (tmp_path / "small.toml").write_text(text[:rows] + few)
    broken, missing = [small_speech.break_in_its_middle(tmp_path, f"{who}-1-0003") for who in (2, 3)]
    missing.unlink()
    out = tmp_path / "runs" / "spikes"
    assert main(["run", str(tmp_path / "small.toml"), "--out", str(out), "--set", "spikes.utterances=4"]) == 0
    results = json.loads((out / "results.json").read_text())
    assert results["utterances"] == {"training": 4, "test": 2}
    assert [name for name, _ in results["skipped"]] == ["3-1-0003", "2-1-0003"]
    assert str(missing) in results["skipped"][0][1]
    assert str(broken) in results["skipped"][1][1]

"""Readouts of speech against fits that are made here."""

import weakref

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from neuroclapp.analysis.frames import Frames, Heads, Voices, frame_accuracy, speaker_accuracy
from neuroclapp.data.utterances import Utterance
from neuroclapp.systems import Probe

CENTRES = np.array([[0, 0], [4, 0], [0, 4]], dtype=np.float32)


def utterance(seed, frames=60, speaker="s", known=None):
    """Two features per frame around the centre of its phone, and labels with a gap at the end."""
    draw = np.random.default_rng(seed)
    phones = draw.integers(0, 3, frames)
    features = CENTRES[phones] + draw.standard_normal((frames, 2)).astype(np.float32)
    labels = phones.astype(np.int16)
    labels[frames if known is None else known :] = -1
    return Utterance(f"u{seed}", speaker, frames * 160, labels, None), {"layer": features}


def parts():
    seeds = {"training": range(8), "validation": range(20, 23), "test": range(30, 33)}
    return {part: Frames.of(utterance(seed, known=50) for seed in each) for part, each in seeds.items()}


def test_frames_without_a_label_are_left_out():
    frames = parts()["training"]
    assert frames.features["layer"].shape == (8 * 50, 2)
    assert frames.labels.min() == 0


def test_an_utterance_without_phones_is_left_out():
    first, features = utterance(0)
    mute = Utterance("mute", "s", first.samples, None, None)
    frames = Frames.of([(mute, features), (first, features)])
    assert len(frames.labels) == 60


@pytest.mark.parametrize("without", [(), (0,)])
def test_accuracy_equals_a_fit_made_here(without):
    found = parts()
    accuracy = frame_accuracy(found, "layer", without)
    x, y = (found["training"].features["layer"], found["training"].labels)
    counts = ~np.isin(y, without)
    mean, std = x[counts].mean(0), x[counts].std(0)
    model = LogisticRegression(max_iter=200).fit((x[counts] - mean) / std, y[counts])
    for part in ("validation", "test"):
        seen = ~np.isin(found[part].labels, without)
        right = model.predict((found[part].features["layer"][seen] - mean) / std) == found[part].labels[seen]
        assert accuracy[part] == pytest.approx(100 * right.mean(), abs=1.0)


@pytest.mark.parametrize("without", [(), (0,)])
def test_heads_step_as_adam_does_by_autograd(without):
    draw = torch.Generator().manual_seed(0)
    heads = Heads(Probe("adam", learning_rate=0.01), 3, without, seed=5)
    start = torch.Generator().manual_seed(5)
    w = ((torch.rand((3, 4), generator=start) * 2 - 1) * 0.5).requires_grad_()
    b = ((torch.rand(3, generator=start) * 2 - 1) * 0.5).requires_grad_()
    adam = torch.optim.Adam([w, b], lr=0.01)
    for _ in range(5):
        x = torch.randn((2, 7, 4), generator=draw)
        y = torch.randint(-1, 3, (2, 7), generator=draw)
        heads.learn({"layer": x}, y)
        counts = (y >= 0) & (y != without[0]) if without else y >= 0
        adam.zero_grad()
        torch.nn.functional.cross_entropy(x[counts] @ w.T + b, y[counts]).backward()
        adam.step()
    torch.testing.assert_close(heads.weights["layer"][0], w.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(heads.weights["layer"][1], b.detach(), rtol=1e-5, atol=1e-6)


def test_heads_count_right_frames_and_start_again():
    heads = Heads(Probe("adam", learning_rate=0.05), 3, (), seed=0)
    for seed in range(200):
        one, features = utterance(seed)
        heads.learn(
            {"layer": torch.from_numpy(features["layer"])[None]}, torch.from_numpy(one.phones[None]).long()
        )
    test = [utterance(seed) for seed in range(900, 905)]
    for one, features in test:
        heads.judge(one, features)
    w, b = heads.weights["layer"]
    guesses = [(torch.from_numpy(f["layer"]) @ w.T + b).argmax(1).numpy() == u.phones for u, f in test]
    share = heads.shares()["layer"]
    assert share == pytest.approx(100 * np.concatenate(guesses).mean())
    assert share > 85
    assert heads.shares() == {}


def test_speakers_are_told_apart_by_their_mean():
    people = {
        part: Voices.of(
            (
                utterance(10 * number + take, speaker=str(number))[0],
                {"layer": np.full((5, 3), number, np.float32)},
            )
            for number in range(3)
            for take in takes
        )
        for part, takes in (("training", (0, 1)), ("test", (2,)))
    }
    assert speaker_accuracy(people, "layer") == 100


def voice(seed, who):
    """Frames of one speaker, who has a place of her own but is hard to tell from the others."""
    one, features = utterance(seed, frames=20 + seed % 7, speaker=str(who))
    return one, {"layer": features["layer"] + np.float32(0.4 * who)}


def test_speaker_accuracy_equals_a_fit_made_here_on_means_of_utterances():
    heard = {
        part: [voice(100 * who + take, who) for who in range(4) for take in takes]
        for part, takes in (("training", range(6)), ("test", range(6, 16)))
    }
    x = {
        part: np.array([f["layer"].sum(0) / len(f["layer"]) for _, f in each]) for part, each in heard.items()
    }
    y = {part: [one.speaker for one, _ in each] for part, each in heard.items()}
    mean, std = x["training"].mean(0), x["training"].std(0)
    model = LogisticRegression(C=0.1, max_iter=200).fit((x["training"] - mean) / std, y["training"])
    expected = 100 * model.score((x["test"] - mean) / std, y["test"])
    found = speaker_accuracy({part: Voices.of(each) for part, each in heard.items()}, "layer")
    assert found == pytest.approx(expected, abs=1e-9)
    assert 30 < found < 95  # a fit that can be told from guessing and from knowing


def test_voices_keep_no_frames():
    before = []

    def heard():
        for seed in range(9):
            assert sum(one() is not None for one in before) <= 1  # the one that was just taken
            each = voice(seed, seed % 3)
            before.append(weakref.ref(each[1]["layer"]))
            yield each
            del each

    found = Voices.of(heard())
    assert found.features["layer"].shape == (9, 2)
    assert len(before) == 9

"""How a set of speech is divided, the same for every seed, and what is said of utterances left out."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.catalog import describe
from neuroclapp.data import speech
from neuroclapp.data.speech import Corpus, SpeechData, Statistics, hold_out, load
from neuroclapp.data.utterances import Utterance
from neuroclapp.errors import InputError


class Constant:
    """A sound of one value."""

    def __init__(self, value):
        self.value = value

    def read(self, start, count):
        return np.full(count, self.value, dtype=np.float32)


def utterance(name, speaker, value=0.0, aligned=True, samples=320):
    phones = np.zeros(samples // 160, dtype=np.int16) if aligned else None
    return Utterance(name, speaker, samples, phones, Constant(value))


def several(part, speakers, count=3):
    return [
        utterance(f"{part}-{name}-{number}", name, value=number / 10)
        for name in speakers
        for number in range(count)
    ]


@pytest.fixture
def given_corpus(monkeypatch):
    """Let `load` find a corpus that the test gives."""

    def give(training, test, skipped=()):
        corpus = Corpus(Path("set"), ("SIL", "AA"), (0,), tuple(training), tuple(test), tuple(skipped))
        module = type("module", (), {"read": staticmethod(lambda data: corpus)})
        monkeypatch.setattr(speech, "import_module", lambda *_: module)

    return give


def names(utterances):
    return {each.name for each in utterances}


def people(utterances):
    return {each.speaker for each in utterances}


def test_validation_has_speakers_of_its_own(given_corpus):
    training = several("train", "abcdefgh")
    given_corpus(training, several("test", "xyz"))
    found = load(SpeechData("textgrids", validation_speakers=3))
    assert len(people(found.validation)) == 3
    for one, other in combinations([found.training, found.validation, found.test], 2):
        assert not people(one) & people(other)
    assert names(found.training) | names(found.validation) == names(training)
    assert found.shared_speakers == ()


def test_more_validation_speakers_include_fewer(given_corpus):
    given_corpus(several("train", "abcdefgh"), several("test", "xyz"))
    chosen = [
        people(load(SpeechData("textgrids", validation_speakers=count)).validation) for count in (1, 2, 5)
    ]
    assert chosen[0] < chosen[1] < chosen[2]


def test_utterances_without_phones_are_learned_from_but_not_read_out(given_corpus):
    bare = [utterance(f"bare-{name}", name, aligned=False) for name in "abcd"]
    given_corpus(
        several("train", "abcd") + bare, [*several("test", "x"), utterance("mute", "x", aligned=False)]
    )
    found = load(SpeechData("textgrids", validation_speakers=1))
    (held,) = people(found.validation)
    assert names(found.unlabelled) == names(found.training) | (names(bare) - {f"bare-{held}"})
    assert all(each.phones is not None for each in (*found.training, *found.validation, *found.test))


def test_speakers_of_training_who_are_in_the_test_are_told(given_corpus):
    given_corpus(several("train", "abc"), several("test", "bcd"))
    assert load(SpeechData("textgrids", validation_speakers=1)).shared_speakers == ("b", "c")


@given(counts=st.lists(st.integers(1, 10), min_size=1, max_size=5))
def test_every_third_utterance_of_a_speaker_is_held_out(counts):
    everyone = [
        utterance(f"{name}{number}", name)
        for name, count in zip("abcde", counts, strict=False)
        for number in range(count)
    ]
    speakers, training, test = hold_out(everyone[::-1])
    assert speakers == tuple(name for name, count in zip("abcde", counts, strict=False) if count >= 3)
    for name, count in zip("abcde", counts, strict=False):
        held = {f"{name}{number}" for number in range(2, count, 3)}
        assert {each.name for each in test if each.speaker == name} == held
        rest = {f"{name}{number}" for number in range(count)} - held if count >= 3 else set()
        assert {each.name for each in training if each.speaker == name} == rest


def test_speakers_are_held_out_unless_all_of_them_are_in_the_test(given_corpus):
    """Lists that hold the same people are taken as they are; a stranger in the test is left out."""
    training = several("train", "abc")
    strangers = several("test", "abcx")
    for test, published in (
        (strangers, True),
        (several("test", "abx"), False),
        (several("test", "x"), False),
    ):
        given_corpus(training, test)
        found = load(SpeechData("textgrids", validation_speakers=1, excerpt=160))
        if published:
            assert found.speakers == ("a", "b", "c")
            assert names(found.speaker_training) == names(training)
            assert names(found.speaker_test) == {each.name for each in strangers if each.speaker != "x"}
        else:
            assert set(found.speakers) == people(found.training)
            assert {each.name[-1] for each in found.speaker_training} == {"0", "1"}
            assert {each.name[-1] for each in found.speaker_test} == {"2"}


def test_utterances_shorter_than_an_excerpt_are_told_once(given_corpus, capsys):
    long = [
        utterance(f"long-{name}", name, value=0.1 * place, samples=3200) for place, name in enumerate("abc")
    ]
    brief = [utterance(f"brief-{name}", name, samples=1599) for name in "abc"]
    given_corpus(long + brief, several("test", "x"))
    for _ in range(2):
        found = load(SpeechData("textgrids", validation_speakers=1, excerpt=1600))
    (held,) = people(found.validation)
    assert names(found.too_short) == names(brief) - {f"brief-{held}"}
    assert names(found.too_short) < names(found.unlabelled)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "2 utterances are shorter than an excerpt of 1600 samples" in told
    assert f"{found.too_short[0].name}: 1599 samples" in told


def test_statistics_are_those_of_all_samples():
    draw = np.random.default_rng(0)
    sounds = [draw.normal(0.1, 0.2, 1600).astype(np.float32) for _ in range(3)]

    class Stored:
        def __init__(self, samples):
            self.samples = samples

        def read(self, start, count):
            return self.samples[start : start + count]

    everyone = [Utterance(str(n), "a", 1600, None, Stored(each)) for n, each in enumerate(sounds)]
    mean, std = Statistics.of(everyone)
    assert mean == pytest.approx(np.concatenate(sounds).mean(dtype=np.float64), rel=1e-6)
    assert std == pytest.approx(np.concatenate(sounds).std(dtype=np.float64), rel=1e-6)


def test_statistics_of_many_utterances_read_a_thousand_spread_over_them(monkeypatch):
    read = []
    monkeypatch.setattr(
        Constant, "read", lambda self, start, count: read.append(self.value) or np.ones(count)
    )
    Statistics.of([utterance(str(n), "a", value=n) for n in range(5000)])
    assert len(read) == 1000
    assert (read[0], read[-1]) == (0, 4999)
    assert max(np.diff(read)) <= 6


def test_what_is_left_out_is_told_once(given_corpus, capsys):
    given_corpus(several("train", "ab"), several("test", "x"), [("lost", "no such file"), ("bad", "broken")])
    for _ in range(2):
        found = load(SpeechData("textgrids", validation_speakers=1, excerpt=160))
    assert found.skipped == (("lost", "no such file"), ("bad", "broken"))
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "2 utterances" in told
    assert "lost: no such file" in told


def test_too_many_validation_speakers_are_refused(given_corpus):
    given_corpus(several("train", "abc"), several("test", "x"))
    with pytest.raises(InputError, match=r"validation_speakers = 3: .* 3 training speakers .* at most 2"):
        load(SpeechData("textgrids", validation_speakers=3))


@pytest.mark.parametrize("part", ["training", "test"])
def test_a_part_without_phones_is_refused_with_the_first_reason(given_corpus, part):
    mute = [utterance("mute", "m", aligned=False)]
    parts = {"training": several("train", "ab"), "test": several("test", "x"), part: mute}
    given_corpus(parts["training"], parts["test"], [("mute", "no grid")])
    with pytest.raises(InputError, match=f"no {part} utterance .* mute: no grid"):
        load(SpeechData("textgrids", validation_speakers=1))


def test_a_set_of_silence_is_refused(given_corpus):
    given_corpus(several("train", "ab", count=1), several("test", "x"))
    with pytest.raises(InputError, match="are silent"):
        load(SpeechData("textgrids", validation_speakers=1))


def test_sets_lie_where_the_environment_says(monkeypatch):
    monkeypatch.setenv(speech.ROOT, "/sets")
    assert SpeechData("librispeech").folder == Path("/sets/librispeech")
    assert SpeechData("speechocean762").folder == Path("/sets/speechocean762_align")
    assert SpeechData("textgrids", path="mine").folder == Path("mine")
    monkeypatch.delenv(speech.ROOT)
    assert SpeechData("textgrids").folder == Path("data/textgrids")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "timit"}, "name"),
        ({"name": "textgrids", "excerpt": 159}, "excerpt = 159"),
        ({"name": "textgrids", "subset": "train-clean-360"}, "librispeech only"),
        ({"name": "textgrids", "validation_speakers": 0}, "validation_speakers = 0"),
        ({"name": "textgrids", "excerpts": 20480}, "did you mean 'excerpt'"),
    ],
)
def test_wrong_descriptions_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        describe(wrong, SpeechData, "experiment.toml")

"""Batches of excerpts: each a function of its step alone, and every label beside the samples it is of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.data.excerpts import Excerpts
from neuroclapp.data.speech import SpeechData, Statistics
from neuroclapp.data.utterances import Utterance
from neuroclapp.errors import InputError

DATA = SpeechData("textgrids", excerpt=1600)
PLAIN = Statistics(0.0, 1.0)


class Ramp:
    """Samples that say where they stand, and in which utterance."""

    def __init__(self, number):
        self.number = number

    def read(self, start, count):
        return (100_000 * self.number + np.arange(start, start + count)).astype(np.float32)


def utterances(lengths, aligned=True):
    """Utterances whose t-th phone is t."""
    return [
        Utterance(
            str(number),
            "a",
            length,
            np.arange(length // 160, dtype=np.int16) if aligned else None,
            Ramp(number),
        )
        for number, length in enumerate(lengths)
    ]


LENGTHS = st.lists(st.integers(1600, 9000), min_size=1, max_size=9)


@given(
    lengths=LENGTHS,
    seed=st.integers(0, 2**32 - 1),
    step=st.integers(0, 30),
    excerpt=st.integers(160, 1600),
    part=st.floats(0, 1),
)
def test_labels_are_those_of_the_samples_beside_them(lengths, seed, step, excerpt, part):
    batch = 1 + int(part * (len(lengths) - 1))
    data = SpeechData("textgrids", excerpt=excerpt)
    found = Excerpts(utterances(lengths), data, PLAIN, batch, seed, labelled=True)[step]
    assert found.patches.shape == (batch, excerpt)
    assert found.labels.shape == (batch, excerpt // 160)
    assert (found.patches.dtype, found.labels.dtype) == (np.float32, np.int64)
    for samples, labels, number, frames in zip(
        found.patches, found.labels, found.index, found.columns, strict=True
    ):
        places = samples - 100_000 * number
        np.testing.assert_array_equal(np.diff(places), 1)
        assert places[0] % 160 == 0
        assert places[0] >= 0
        assert places[-1] < lengths[number]
        np.testing.assert_array_equal(labels, places[: 160 * len(labels) : 160] / 160)
        np.testing.assert_array_equal(frames, labels)


@given(lengths=LENGTHS, seed=st.integers(0, 2**32 - 1), steps=st.permutations(range(12)))
def test_a_step_is_the_same_in_whatever_order_steps_are_asked_for(lengths, seed, steps):
    def fresh():
        return Excerpts(utterances(lengths), DATA, PLAIN, 1, seed, labelled=True)

    used = fresh()
    for step in steps:
        one, other = used[step], fresh()[step]
        for name in ("patches", "labels", "index", "columns"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@given(lengths=LENGTHS, seed=st.integers(0, 2**32 - 1), epoch=st.integers(0, 3))
def test_an_epoch_visits_every_long_utterance_once(lengths, seed, epoch):
    mixed = [length for each in lengths for length in (each, 1599)]
    excerpts = Excerpts(utterances(mixed), DATA, PLAIN, 1, seed, labelled=False)
    assert excerpts.per_epoch == len(lengths)
    steps = range(epoch * len(lengths), (epoch + 1) * len(lengths))
    seen = [int(excerpts[step].index[0]) for step in steps]
    assert sorted(seen) == list(range(0, len(mixed), 2))


def test_epochs_and_seeds_differ_in_order_and_place():
    def seen(seed, epoch):
        excerpts = Excerpts(utterances([9000] * 20), DATA, PLAIN, 20, seed, labelled=False)
        return excerpts[epoch].index.tolist(), excerpts[epoch].columns[:, 0].tolist()

    orders, places = zip(*[seen(*each) for each in [(0, 0), (0, 1), (1, 0)]], strict=True)
    assert len({tuple(each) for each in orders}) == 3
    assert len({tuple(each) for each in places}) == 3


def test_every_place_is_seen_to_the_last():
    # Frames 0, 1 and 2 may be the first: 2 * 160 + 1600 = 1920 samples are there, 2080 are not.
    excerpts = Excerpts(utterances([2079]), DATA, PLAIN, 1, 0, labelled=False)
    firsts = [int(excerpts[step].columns[0, 0]) for step in range(300)]
    assert set(firsts) == {0, 1, 2}
    assert min(firsts.count(each) for each in (0, 1, 2)) > 70


def test_samples_are_standardised():
    (one,) = utterances([1600])
    found = Excerpts([one], DATA, Statistics(100.0, 4.0), 1, 0, labelled=False)[0]
    np.testing.assert_allclose(found.patches[0], (np.arange(1600) - 100) / 4, rtol=1e-6)
    assert found.labels is None


def test_phones_that_are_not_known_are_minus_one():
    found = Excerpts(utterances([1600], aligned=False), DATA, PLAIN, 1, 0, labelled=True)[0]
    np.testing.assert_array_equal(found.labels, np.full((1, 10), -1))


@pytest.mark.parametrize(
    ("lengths", "batch", "message"),
    [
        ([1599, 800], 1, "textgrids: excerpt = 1600: .* the longest has 1599"),
        ([], 1, "textgrids: excerpt = 1600"),
        ([1600, 800], 2, "textgrids: batch = 2: must be 1 to 1"),
        ([1600, 800], 0, "textgrids: batch = 0"),
    ],
)
def test_too_few_long_utterances_are_refused(lengths, batch, message):
    with pytest.raises(InputError, match=message):
        Excerpts(utterances(lengths), DATA, PLAIN, batch, 0, labelled=False)


def test_a_step_before_the_first_is_refused():
    with pytest.raises(IndexError):
        Excerpts(utterances([1600]), DATA, PLAIN, 1, 0, labelled=False)[-1]


class Broken:
    """A file that is broken from a sample on."""

    def __init__(self, good):
        self.good = good

    def read(self, start, count):
        if start + count > self.good:
            raise InputError("broken.flac", "sample", start, "cannot be read")
        return np.zeros(count, np.float32)


def test_the_next_that_can_be_read_stands_in_for_a_broken_file(capsys):
    heard = [*utterances([3200] * 2), Utterance("broken", "a", 3200, None, Broken(0)), *utterances([3200])]
    whole = Excerpts(utterances([3200] * 4), DATA, PLAIN, 2, 3, labelled=True)
    found = Excerpts(heard, DATA, PLAIN, 2, 3, labelled=True)
    seen = 0
    for step in range(8):
        expected, batch = whole[step], found[step]
        for place in range(2):
            if expected.index[place] == 2:
                seen += 1
                assert batch.index[place] == 3
                assert batch.patches[place, 0] == 160 * batch.columns[place, 0]  # its ramp is number 0
                assert np.array_equal(batch.labels[place], batch.columns[place])
            else:
                assert batch.index[place] == expected.index[place]
                assert np.array_equal(batch.columns[place], expected.columns[place])
        again = found[step]
        assert np.array_equal(again.patches, batch.patches)
    assert seen == 4
    assert capsys.readouterr().err.count("broken.flac") == 1


def test_files_that_are_all_broken_are_an_error():
    heard = [Utterance(f"{number}", "a", 3200, None, Broken(0)) for number in range(2)]
    with pytest.raises(InputError, match="no utterance can be read"):
        Excerpts(heard, DATA, PLAIN, 2, 3, labelled=False)[0]

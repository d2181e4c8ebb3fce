"""What is read of an utterance: the samples that were written, wherever one begins."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.data.utterances import Recording, Utterance
from neuroclapp.errors import InputError


@pytest.fixture(scope="module")
def ramp(tmp_path_factory):
    """A file whose n-th sample is n - 16000, of which the file is 32000 long."""
    path = tmp_path_factory.mktemp("audio") / "ramp.flac"
    soundfile.write(path, np.arange(-16000, 16000).astype(np.int16), 16000, subtype="PCM_16")
    return Utterance("ramp", "a", 32000, None, Recording(path))


@given(start=st.integers(0, 32000), count=st.integers(0, 32000))
def test_samples_are_read_where_they_were_written(ramp, start, count):
    count = min(count, 32000 - start)
    samples = ramp.read(start, count)
    np.testing.assert_array_equal(samples * 32768, np.arange(start, start + count) - 16000)
    assert samples.dtype == np.float32


def test_without_arguments_everything_is_read(ramp):
    assert len(ramp.read()) == 32000
    assert len(ramp.read(31000)) == 1000


@pytest.mark.parametrize(("start", "count"), [(-1, 5), (31999, 2), (0, 32001), (5, -1)])
def test_samples_that_there_are_not_are_refused(ramp, start, count):
    with pytest.raises(IndexError, match="ramp"):
        ramp.read(start, count)


def test_threads_read_without_disturbing_each_other(ramp):
    starts = np.random.default_rng(0).integers(0, 31000, 200).tolist()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda start: ramp.read(start, 100), starts))
    for start, samples in zip(starts, found, strict=True):
        np.testing.assert_array_equal(samples * 32768, np.arange(start, start + 100) - 16000)


def test_labels_must_belong_to_the_samples(ramp):
    with pytest.raises(ValueError, match="ramp"):
        Utterance("ramp", "a", 32000, np.zeros(199, dtype=np.int16), ramp.sound)


def test_length_is_that_of_the_file(ramp):
    assert ramp.sound.length() == 32000


@pytest.mark.parametrize(("rate", "shape"), [(8000, (4000,)), (16000, (4000, 2)), (16000, (159,))])
def test_other_rates_channels_and_too_few_samples_are_refused(tmp_path, rate, shape):
    path = tmp_path / "other.wav"
    soundfile.write(path, np.zeros(shape, dtype=np.int16), rate)
    with pytest.raises(InputError, match=r"other\.wav"):
        Recording(path).length()


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_found(tmp_path, part):
    path = tmp_path / "cut.flac"
    noise = np.random.default_rng(0).integers(-9000, 9000, 100_000).astype(np.int16)
    soundfile.write(path, noise, 16000)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(InputError, match=r"cut\.flac"):
        Recording(path).length()

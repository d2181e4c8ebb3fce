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


@pytest.mark.parametrize(("subtype", "width"), [("PCM_16", 2), ("PCM_24", 3), ("FLOAT", 4)])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("part", [0.3, 0.99])
def test_a_wav_file_that_was_cut_short_is_found(tmp_path, subtype, width, form, part):
    """Samples follow the word "data" and their size; their reader takes what there is for the whole."""
    path = tmp_path / "cut.wav"
    soundfile.write(path, np.linspace(-0.5, 0.5, 16001), 16000, subtype=subtype, format=form)
    assert Recording(path).length() == 16001
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    missing = 16001 * width - (path.stat().st_size - whole.index(b"data") - 8)
    message = rf"cut\.wav: samples = \d+: the file was cut short: {missing} bytes of samples are missing"
    with pytest.raises(InputError, match=message):
        Recording(path).length()


@pytest.mark.parametrize("told", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_file_whose_writer_did_not_know_its_size_is_read(tmp_path, told):
    """As programs leave it that write into a pipe."""
    path = tmp_path / "piped.wav"
    soundfile.write(path, np.arange(3200).astype(np.int16), 16000)
    content = bytearray(path.read_bytes())
    size = content.index(b"data") + 4
    content[size : size + 4] = told.to_bytes(4, "little")
    path.write_bytes(content)
    assert Recording(path).length() == 3200
    np.testing.assert_array_equal(Recording(path).read(0, 3200) * 32768, np.arange(3200))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("place", [0, 1700, 3199])
def test_samples_that_are_not_finite_cannot_be_read(tmp_path, value, subtype, place):
    path = tmp_path / "wild.wav"
    samples = np.full(3200, 0.25)
    samples[place] = value
    soundfile.write(path, samples, 16000, subtype=subtype)
    for found in (lambda: Recording(path).read(0, 3200), Recording(path).length):
        with pytest.raises(InputError, match=rf"wild\.wav: sample {place} = .*: must be finite"):
            found()
    rest = range(3200) if place else range(1, 3200)
    first = next(start for start in rest if not start <= place < start + 100)
    np.testing.assert_array_equal(Recording(path).read(first, 100), np.float32(0.25))


def test_a_folder_in_the_place_of_a_recording_is_named(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(InputError, match=r"folder\.wav: not an audio file"):
        Recording(tmp_path / "folder.wav").length()

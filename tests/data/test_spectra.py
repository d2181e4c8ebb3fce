"""Spectra against what is known of them: tones, loudness, and time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.data.spectra import differences, log_mel, mfcc


def tone(frequency, samples=8000, amplitude=0.3):
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(samples) / 16000)).astype(np.float32)


def noise(samples=8000, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def mel(frequency):
    """O'Shaughnessy's mel scale, as HTK and Kaldi have it."""
    return 1127 * np.log(1 + frequency / 700)


@given(samples=st.integers(0, 3000))
def test_there_is_one_row_for_each_10_ms(samples):
    assert log_mel(noise(samples)).shape == (samples // 160, 40)
    assert mfcc(noise(samples)).shape == (samples // 160, 39)


@pytest.mark.parametrize("frequency", [300, 700, 1000, 2500, 6000])
def test_a_tone_is_loudest_in_the_band_at_its_frequency(frequency):
    centres = np.linspace(mel(20), mel(8000), 42)[1:-1]
    rows = log_mel(tone(frequency))[2:-2]
    assert set(rows.argmax(axis=1)) == {np.abs(centres - mel(frequency)).argmin()}


def test_twice_the_amplitude_is_four_times_the_energy():
    one, two = log_mel(noise()), log_mel(2 * noise())
    np.testing.assert_allclose(two - one, 2 * np.log(2), atol=1e-3)


def test_loudness_is_in_the_zeroth_coefficient_only():
    change = mfcc(2 * noise()) - mfcc(noise())
    # The orthonormal cosine transform of a constant over 23 bands.
    np.testing.assert_allclose(change[:, 0], np.sqrt(23) * 2 * np.log(2), rtol=1e-3)
    np.testing.assert_allclose(change[:, 1:], 0, atol=1e-2)


@pytest.mark.parametrize("frame", [3, 10, 20])
def test_a_frame_is_centred_80_samples_after_it_begins(frame):
    click = np.zeros(4800, dtype=np.float32)
    click[160 * frame + 80] = 0.5
    energy = log_mel(click).max(axis=1)
    assert energy.argmax() == frame
    # A window of 400 samples reaches the neighbours' centres at 160, but not those at 320.
    assert (np.delete(energy, [frame - 1, frame, frame + 1]) < energy[frame] - 10).all()
    assert energy[frame - 1] == pytest.approx(energy[frame + 1], abs=1.0)


def test_rows_are_the_same_every_time():
    np.testing.assert_array_equal(log_mel(noise()), log_mel(noise()))
    np.testing.assert_array_equal(mfcc(noise()), mfcc(noise()))


def test_differences_are_the_formula_of_htk():
    rows = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    held = np.concatenate([rows[[0, 0]], rows, rows[[-1, -1]]])
    expected = [
        sum(n * (held[t + 2 + n] - held[t + 2 - n]) for n in (1, 2)) / (2 * (1 + 4)) for t in range(12)
    ]
    np.testing.assert_allclose(differences(rows), expected, atol=1e-5)


def test_coefficients_stand_before_their_first_and_second_differences():
    rows = mfcc(noise())
    np.testing.assert_allclose(rows[:, 13:26], differences(rows[:, :13]), atol=1e-4)
    np.testing.assert_allclose(rows[:, 26:], differences(rows[:, 13:26]), atol=1e-4)


def test_silence_and_a_single_frame_are_finite():
    for samples in (np.zeros(1600, dtype=np.float32), noise(160)):
        assert np.isfinite(log_mel(samples)).all()
        assert np.isfinite(mfcc(samples)).all()

"""Spectra of speech as recognisers use them: cepstral coefficients and mel bands, one row for each 10 ms.

Kaldi's features, by kaldi-native-fbank: windows of 25 ms, the t-th centred at sample 160 t + 80, mirrored
at both ends of the samples, pre-emphasis 0.97, mel bands from 20 Hz to 8 kHz, natural logarithms, no dither.
"""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np
from scipy.signal import savgol_filter

from .utterances import FRAME, RATE, Array

MELS = 40
CEPSTRA = 13
#: Kaldi's samples are whole numbers of 16 bits.
SCALE = np.float32(32768)
#: Differences are slopes of a line through so many frames, as in HTK and Kaldi.
WINDOW = 5


def log_mel(samples: Array) -> Array:
    """Return the logarithm of the energy in 40 mel bands of samples in -1 to 1: (samples // 160, 40)."""
    options = kaldi_native_fbank.FbankOptions()
    _settings(options)
    options.mel_opts.num_bins = MELS
    options.use_energy = False
    return _rows(kaldi_native_fbank.OnlineFbank(options), samples, MELS)


def mfcc(samples: Array) -> Array:
    """Return 13 cepstral coefficients of samples in -1 to 1 and their first and second differences.

    They are (samples // 160, 39); the coefficients are those of 23 mel bands, the zeroth among them.
    """
    options = kaldi_native_fbank.MfccOptions()
    _settings(options)
    options.mel_opts.num_bins = 23
    options.num_ceps = CEPSTRA
    options.use_energy = False
    cepstra = _rows(kaldi_native_fbank.OnlineMfcc(options), samples, CEPSTRA)
    if len(cepstra) == 0:
        return np.empty((0, 3 * CEPSTRA), dtype=np.float32)
    first = differences(cepstra)
    return np.concatenate([cepstra, first, differences(first)], axis=1)


def differences(rows: Array) -> Array:
    """Return the slope of each column over five rows, the first and last row repeated: like ``rows``."""
    slopes = savgol_filter(rows.astype(np.float64), WINDOW, polyorder=1, deriv=1, axis=0, mode="nearest")
    return slopes.astype(np.float32)


def _settings(options: kaldi_native_fbank.FbankOptions | kaldi_native_fbank.MfccOptions) -> None:
    frames = options.frame_opts
    frames.samp_freq, frames.frame_shift_ms, frames.frame_length_ms = RATE, 1000 * FRAME / RATE, 25.0
    frames.dither, frames.snip_edges = 0.0, False


def _rows(
    extractor: kaldi_native_fbank.OnlineFbank | kaldi_native_fbank.OnlineMfcc, samples: Array, width: int
) -> Array:
    count = len(samples) // FRAME
    rows = np.empty((count, width), dtype=np.float32)
    if count:
        extractor.accept_waveform(RATE, (samples * SCALE).tolist())
        extractor.input_finished()
    for number in range(count):
        rows[number] = extractor.get_frame(number)
    return rows

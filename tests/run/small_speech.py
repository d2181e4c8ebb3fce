"""A little speech, written in the format of LibriSpeech, and an encoder for it."""

import numpy as np
import soundfile

#: Of 50 frames the alignment has 48: Kaldi's windows of 25 ms end sooner.
PHONES, FRAMES, LABELLED = 4, 50, 48


MODEL = """
title = "small"
input = [1, 3200]
[[layers]]
name = "conv1"
kind = "conv1d"
units = 8
kernel = 20
stride = 10
padding = 5
[[layers]]
name = "conv2"
kind = "conv1d"
units = 6
kernel = 32
stride = 16
padding = 8
[[layers]]
name = "gru"
kind = "gru"
units = 5
"""


def spoken(seed):
    """Half a second of sound: tones of 60 ms whose pitch is the phone's, in noise; phone 0 is silence."""
    draw = np.random.default_rng(seed)
    phones = np.repeat(draw.integers(0, PHONES, FRAMES // 6 + 1), 6)[:FRAMES]
    pitch = np.array([0, 400, 1500, 4000])[np.repeat(phones, 160)]
    wave = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / 16000) + 0.02 * draw.standard_normal(FRAMES * 160)
    return wave.astype(np.float32), phones


def write(folder):
    """Write four utterances of each of four speakers as LibriSpeech is published, and a small model.

    Utterance ``number`` of speaker ``n`` is ``spoken(10 * n + number)``; the last of each is for testing.
    """
    lines, parts = [], {"train": [], "test": []}
    for speaker in range(4):
        for number in range(4):
            name = f"{speaker + 1}-1-{number:04}"
            wave, phones = spoken(10 * speaker + number)
            path = folder / "LibriSpeech" / "train-clean-100" / str(speaker + 1) / "1" / f"{name}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, wave, 16000, subtype="PCM_16")
            lines.append(" ".join([name, *map(str, phones[:LABELLED])]))
            parts["test" if number == 3 else "train"].append(name)
    (folder / "converted_aligned_phones.txt").write_text("\n".join(lines) + "\n")
    for part, names in parts.items():
        (folder / f"{part}_split.txt").write_text("\n".join(names) + "\n")
    (folder / "model.toml").write_text(MODEL)


def break_in_its_middle(folder, name):
    """Overwrite bytes of an utterance's file whose header and end stay whole; return its path."""
    (path,) = folder.glob(f"**/{name}.flac")
    content = bytearray(path.read_bytes())
    place = 3 * len(content) // 10
    content[place : place + 200] = bytes(200)
    path.write_bytes(content)
    return path

"""An utterance: its samples, read when they are needed, and the phones that are known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[np.float32]
Phones = NDArray[np.int16]

#: Samples in a second.
RATE = 16000
#: Samples that share one label of a phone: 10 ms.
FRAME = 160
#: The label of a frame whose phone is not known.
UNKNOWN = -1


class Sound(Protocol):
    """Samples that can be read from any place, by any thread or process."""

    def read(self, start: int, count: int) -> Array:
        """Return samples (count,) in -1 to 1."""


@dataclass(frozen=True)
class Recording:
    """A file of one utterance. It is opened anew for each read, so threads and forks share nothing."""

    path: Path

    def read(self, start: int, count: int) -> Array:
        """Return samples (count,) in -1 to 1; raise InputError if the file cannot be read there."""
        import soundfile

        try:
            with soundfile.SoundFile(self.path) as file:
                file.seek(start)
                samples = file.read(count, dtype="float32")
        except (soundfile.SoundFileError, OSError) as error:
            raise InputError(self.path, "sample", start, f"cannot be read: {error}") from None
        if samples.shape != (count,):
            raise InputError(
                self.path, "samples", samples.shape, f"must be {count} of one channel from {start} on"
            )
        return samples

    def length(self) -> int:
        """Return how many samples there are; raise InputError unless all are there, in one channel at 16 kHz.

        The header does not tell whether a file was cut short, so the last sample is looked up.
        """
        import soundfile

        try:
            with soundfile.SoundFile(self.path) as file:
                rate, channels, count = file.samplerate, file.channels, file.frames
        except (soundfile.SoundFileError, OSError) as error:
            raise InputError(self.path, None, None, f"not an audio file that can be read: {error}") from None
        if rate != RATE:
            raise InputError(self.path, "rate", rate, f"must be {RATE} samples in a second")
        if channels != 1:
            raise InputError(self.path, "channels", channels, "must be 1")
        if count < FRAME:
            raise InputError(self.path, "samples", count, f"must be at least {FRAME}")
        self.read(count - 1, 1)
        return count


@dataclass(frozen=True, eq=False)
class Utterance:
    """An utterance of ``samples`` samples. ``phones`` (samples // 160,) are labels of 10 ms each.

    Label t belongs to the samples from 160 t on; it is -1 where the phone is not known. Without an
    alignment ``phones`` is None.
    """

    name: str
    speaker: str
    samples: int
    phones: Phones | None
    sound: Sound

    def __post_init__(self) -> None:
        if self.phones is not None and self.phones.shape != (self.samples // FRAME,):
            raise ValueError(
                f"{self.name}: {self.phones.shape} labels do not belong to {self.samples} samples"
            )

    def read(self, start: int = 0, count: int | None = None) -> Array:
        """Return samples (count,) in -1 to 1 from ``start`` on, without ``count`` to the end."""
        count = self.samples - start if count is None else count
        if start < 0 or count < 0 or start + count > self.samples:
            raise IndexError(
                f"{self.name}: samples {start} to {start + count} are not all in 0 to {self.samples}"
            )
        return self.sound.read(start, count)

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
#: Samples of these types may be infinite or not a number.
FLOATING = {"FLOAT", "DOUBLE"}
#: Formats whose header tells the size of the samples.
SIZED = {"WAV", "WAVEX"}
#: From here on the size [bytes] in such a header is that of a writer who did not know it: two gigabytes.
UNTOLD = 0x7FFF0000


class Sound(Protocol):
    """Samples that can be read from any place, by any thread or process."""

    def read(self, start: int, count: int) -> Array:
        """Return samples (count,) in -1 to 1."""


@dataclass(frozen=True)
class Recording:
    """A file of one utterance. It is opened anew for each read, so threads and forks share nothing."""

    path: Path

    def read(self, start: int, count: int) -> Array:
        """Return samples (count,) in -1 to 1; raise InputError if they cannot be read or are not finite."""
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
        wrong = ~np.isfinite(samples)
        if wrong.any():
            place = int(wrong.argmax())
            raise InputError(self.path, f"sample {start + place}", float(samples[place]), "must be finite")
        return samples

    def length(self) -> int:
        """Return how many samples there are; raise InputError unless all are there, in one channel at 16 kHz.

        The header of a FLAC file does not tell whether it was cut short, so the last sample is looked up; of
        a WAV file its reader counts what there is, so that is held against the header. Where samples need
        not be finite, all are read.
        """
        import soundfile

        try:
            with soundfile.SoundFile(self.path) as file:
                rate, channels, count = file.samplerate, file.channels, file.frames
                kind, floating = file.format, file.subtype in FLOATING
            missing = _missing(self.path) if kind in SIZED else 0
        except (soundfile.SoundFileError, OSError) as error:
            raise InputError(self.path, None, None, f"not an audio file that can be read: {error}") from None
        if rate != RATE:
            raise InputError(self.path, "rate", rate, f"must be {RATE} samples in a second")
        if channels != 1:
            raise InputError(self.path, "channels", channels, "must be 1")
        if count < FRAME:
            raise InputError(self.path, "samples", count, f"must be at least {FRAME}")
        if missing:
            allowed = f"the file was cut short: {missing} bytes of samples are missing"
            raise InputError(self.path, "samples", count, allowed)
        if floating:
            self.read(0, count)
        else:
            self.read(count - 1, 1)
        return count


def _missing(path: Path) -> int:
    """Return how many bytes of samples a WAV file lacks of those that its header tells."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            told = int.from_bytes(head[4:], "little")
            if head[:4] == b"data":
                return max(0, told - (size - file.tell())) if told < UNTOLD else 0
            file.seek(told + told % 2, 1)
    return 0


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

"""Progress with time left: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from tqdm import tqdm


class Progress:
    """Counts work up to ``total``; use it as a context manager, and call it with what is done so far."""

    def __init__(self, label: str, total: int, stream: TextIO | None = None, every: float = 10.0) -> None:
        self._stream = stream or sys.stderr
        self._label, self._total, self._every = label, max(total, 1), every
        self._start = self._said = time.monotonic()
        self._bar = tqdm(total=total, desc=label, file=self._stream) if self._stream.isatty() else None

    def __enter__(self) -> Progress:
        if self._bar is None:
            self._say("started")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None:
            self._say(f"done in {_clock(time.monotonic() - self._start)}")

    def __call__(self, done: int) -> None:
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if 0 < done < self._total and now - self._said >= self._every:
            left = (now - self._start) / done * (self._total - done)
            self._say(f"{100 * done // self._total} %, about {_clock(left)} left")
            self._said = now

    def say(self, text: str) -> None:
        """Write a message, above the bar where there is one."""
        if self._bar is not None:
            self._bar.write(f"{self._label}: {text}", file=self._stream)
        else:
            self._say(text)

    def _say(self, text: str) -> None:
        print(f"{self._label}: {text}", file=self._stream, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""Errors that a user can act on: each names what is wrong, where, and what would be right."""

from __future__ import annotations


class NeuroclappError(Exception):
    """Base of every error that the command line reports in one line, with exit code 2."""


class InputError(NeuroclappError):
    """A value in a file or an argument is not what it may be.

    The message reads ``SOURCE: KEY = VALUE: WHAT IS ALLOWED``.
    """

    def __init__(self, source: object, key: str | None, value: object, allowed: str) -> None:
        self.source, self.key, self.value, self.allowed = str(source), key, value, allowed
        place = self.source if key is None else f"{self.source}: {key} = {_short(value)}"
        super().__init__(f"{place}: {allowed}")


class MissingPackageError(NeuroclappError):
    """An optional package is needed; the message says the line that installs it."""

    def __init__(self, package: str, purpose: str, install: str) -> None:
        super().__init__(f"{package} is needed to {purpose}; install it with: {install}")


class RunError(NeuroclappError):
    """A run directory lacks what a step needs, or holds something else than expected."""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

"""Memory that is freed stays with the process, so that the next batch need not ask the system for it."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1


def keep_freed_memory(largest: int = 2**30) -> bool:
    """Tell glibc to keep freed blocks up to ``largest`` bytes; return whether that was possible.

    Activities of a batch are tens of megabytes. By default each is mapped anew, and the first touch of its
    pages costs up to a quarter of a training step (`benchmarks/training_step.py`).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, largest)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))

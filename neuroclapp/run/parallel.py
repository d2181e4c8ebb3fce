"""Seeds side by side on all cores, with one progress count."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from typing import Any

from ..progress import Progress

Report = Callable[[int], None]

# Inherited by the forked processes, so that work need not be pickled.
_counts: Any = None
_work: Callable[[int, Report], None] | None = None


def over_seeds(work: Callable[[int, Report], None], seeds: Sequence[int], label: str, units: int) -> None:
    """Call ``work(seed, report)`` for every seed, in processes forked from this one.

    ``units`` is the work per seed; ``report(done)`` says how much of it is done. The first error ends all.
    """
    global _counts, _work
    context = multiprocessing.get_context("fork")
    _counts, _work = context.Array("q", len(seeds)), work
    workers = min(os.cpu_count() or 1, len(seeds))
    with (
        Progress(label, units * len(seeds)) as progress,
        ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool,
    ):
        pending = {pool.submit(_call, seed, index) for index, seed in enumerate(seeds)}
        while pending:
            finished, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
            progress(sum(_counts))
            for future in finished:
                if future.exception() is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
                future.result()
            time.sleep(0.05)


def _call(seed: int, index: int) -> None:
    def report(done: int) -> None:
        _counts[index] = done

    if _work is not None:
        _work(seed, report)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)

"""Independent work side by side on all cores, with one progress count."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from typing import Any

from ..progress import Progress

Report = Callable[[int], None]
Job = Callable[[Report], None]

# Inherited by the forked processes, so that work need not be pickled.
_counts: Any = None
_jobs: Sequence[Job] = ()


def side_by_side(jobs: Sequence[Job], label: str, total: int) -> None:
    """Call every ``job(report)`` in processes forked from this one.

    ``report(done)`` says how much of its work a job has done; ``total`` is the work of all. The first error
    ends all.
    """
    global _counts, _jobs
    context = multiprocessing.get_context("fork")
    _counts, _jobs = context.Array("q", len(jobs)), jobs
    workers = min(os.cpu_count() or 1, len(jobs))
    with (
        Progress(label, total) as progress,
        ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool,
    ):
        pending = {pool.submit(_call, index) for index in range(len(jobs))}
        while pending:
            finished, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
            progress(sum(_counts))
            for future in finished:
                if future.exception() is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
                future.result()


def _call(index: int) -> None:
    def report(done: int) -> None:
        _counts[index] = done

    _jobs[index](report)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)

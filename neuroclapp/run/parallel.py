"""Independent work side by side on all cores, with one progress count."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from typing import Any

from ..errors import InputError, RunError
from ..progress import Progress

Report = Callable[[int], None]
Job = Callable[[Report], None]

# Inherited by the forked processes, so that work need not be pickled.
_counts: Any = None
_ended: Any = None
_jobs: Sequence[Job] = ()


def side_by_side(jobs: Sequence[Job], label: str, total: int) -> None:
    """Call every ``job(report)`` in processes forked from this one.

    ``report(done)`` says how much of its work a job has done; ``total`` is the work of all. The first error,
    or Ctrl-C, ends all: jobs that run at their next report, the others before they begin. It is raised when
    no process is left.
    """
    global _counts, _ended, _jobs
    context = multiprocessing.get_context("fork")
    _counts, _ended, _jobs = context.Array("q", len(jobs)), context.Event(), jobs
    workers = min(os.cpu_count() or 1, len(jobs))
    with (
        Progress(label, total) as progress,
        ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool,
    ):
        try:
            pending = {pool.submit(_call, index) for index in range(len(jobs))}
            while pending:
                finished, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
                progress(sum(_counts))
                for future in finished:
                    future.result()
        except BaseException:
            _ended.set()
            pool.shutdown(cancel_futures=True)
            raise


def _call(index: int) -> None:
    def report(done: int) -> None:
        _counts[index] = done
        if _ended.is_set():
            raise KeyboardInterrupt

    report(0)
    try:
        _jobs[index](report)
    except InputError as error:  # it is built from more than its message, so it cannot be sent as it is
        raise RunError(str(error)) from None


def _one_thread() -> None:
    """Let torch and BLAS compute in one thread of this process, for as long as it lives."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)

"""Independent jobs side by side, with one progress count; one that fails is named, and the others go on.

Where they run is a value: in processes of this machine (`Processes`), or on a cluster (`.cluster`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, ClassVar, Protocol

from ..errors import NeuroclappError, RunError
from ..progress import Progress

Report = Callable[[int], None]
Job = Callable[[Report], None]


@dataclass(frozen=True)
class Failure:
    """Why a job failed, in a line; ``trace`` where the reason is not the user's."""

    reason: str
    trace: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        if isinstance(error, NeuroclappError):
            return cls(str(error))
        return cls(f"{type(error).__name__}: {error}", traceback.format_exc())


class JobsFailedError(RunError):
    """Some jobs failed; ``failures`` holds the reason of each by its name."""

    def __init__(self, label: str, jobs: int, failures: Mapping[str, Failure]) -> None:
        self.failures = {name: failure.reason for name, failure in failures.items()}
        lines = [f"{name}: {reason}" for name, reason in self.failures.items()]
        said = f"{label}: {len(lines)} of {jobs} failed, the others are done (--resume runs what is missing)"
        super().__init__("\n  ".join([said, *lines]))


class Workers(Protocol):
    """Where jobs run.

    ``inherits``: whether jobs find what this process holds, which then need not be sent. ``elsewhere``: CPU
    time that jobs have taken outside this process and its children [s].
    """

    @property
    def inherits(self) -> bool: ...

    @property
    def elsewhere(self) -> float: ...

    def run(
        self,
        jobs: Mapping[str, Job],
        done: Callable[[int], object],
        failed: Callable[[str, Failure], object],
    ) -> None: ...


@dataclass(frozen=True)
class Processes:
    """Processes forked from this one, one for each job, ``most`` at a time (as many as there are cores)."""

    most: int | None = None
    inherits: ClassVar[bool] = True
    elsewhere: ClassVar[float] = 0.0

    def run(
        self,
        jobs: Mapping[str, Job],
        done: Callable[[int], object],
        failed: Callable[[str, Failure], object],
    ) -> None:
        """Run all jobs. Ctrl-C ends those that run at their next report; it is raised when none is left."""
        context = multiprocessing.get_context("fork")
        counts: Any = context.Array("q", len(jobs))
        ended = context.Event()
        waiting = list(jobs.items())
        running: dict[Any, tuple[str, Any, Connection]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < (self.most or os.cpu_count() or 1):
                    name, job = waiting.pop(0)
                    index = len(jobs) - len(waiting) - 1
                    ours, theirs = context.Pipe(duplex=False)
                    process = context.Process(target=_process, args=(job, counts, index, ended, theirs))
                    process.start()
                    theirs.close()
                    running[process.sentinel] = (name, process, ours)
                finished = wait(list(running), timeout=0.5)
                done(sum(counts))
                for sentinel in finished:
                    name, process, ours = running.pop(sentinel)
                    process.join()
                    failure = _received(ours) or _died(process.exitcode)
                    if failure is not None:
                        failed(name, failure)
        except BaseException:
            ended.set()
            _join([process for _, process, _ in running.values()])
            raise


def side_by_side(
    jobs: Mapping[str, Job] | Sequence[Job], label: str, total: int, workers: Workers | None = None
) -> None:
    """Call every ``job(report)``, by default in processes of this machine.

    ``report(done)`` says how much of its work a job has done; ``total`` is the work of all. Raises
    JobsFailedError at the end where jobs have failed, with the name and the reason of each.
    """
    if not isinstance(jobs, Mapping):
        jobs = {f"job {number}": job for number, job in enumerate(jobs, 1)}
    failures: dict[str, Failure] = {}
    with Progress(label, total) as progress:

        def failed(name: str, failure: Failure) -> None:
            failures[name] = failure
            progress.say(f"{name} failed: {failure.reason}\n{failure.trace}".rstrip())

        (workers or Processes()).run(jobs, progress, failed)
        if failures:
            raise JobsFailedError(label, len(jobs), failures)


def _process(job: Job, counts: Any, index: int, ended: Any, result: Connection) -> None:
    parent = os.getppid()

    def report(done: int) -> None:
        counts[index] = done
        if ended.is_set() or os.getppid() != parent:  # told to end, or nobody is left to be told
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all, and the parent tells us
    try:
        one_thread()
        report(0)
        job(report)
    except KeyboardInterrupt:
        pass
    except BaseException as error:
        result.send(Failure.of(error))


def _received(result: Connection) -> Failure | None:
    with result:
        try:
            return result.recv() if result.poll() else None
        except EOFError:
            return None


def _died(code: int | None) -> Failure | None:
    if not code:
        return None
    if code > 0:
        return Failure(f"its process ended with code {code}")
    why = " (out of memory?)" if -code == signal.SIGKILL else ""
    return Failure(f"its process was killed by {signal.Signals(-code).name}{why}")


def _join(processes: Sequence[Any]) -> None:
    """Wait for processes that were told to end; a second Ctrl-C does not wait."""
    try:
        for process in processes:
            process.join()
    except BaseException:
        for process in processes:
            process.kill()
            process.join()
        raise


def one_thread() -> None:
    """Let torch and BLAS compute in one thread of this process, for as long as it lives."""
    from threadpoolctl import threadpool_limits

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    for library in ("OMP", "OPENBLAS", "MKL"):  # of what is loaded later
        os.environ[f"{library}_NUM_THREADS"] = "1"
    threadpool_limits(1)

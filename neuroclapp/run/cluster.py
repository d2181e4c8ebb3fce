"""Jobs on a cluster by Dask: local processes, or workers of a scheduler that runs already.

A job is sent by value (a function of a module, and what it is called with); what it finds and leaves are
files in the run's directory. So that directory must lie on a file system that all workers share.
"""

from __future__ import annotations

import logging
import os
import resource
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from ..errors import MissingPackageError, RunError
from .parallel import Failure, Job, Workers, one_thread

#: A job says at most every so many seconds how far it is.
EVERY = 0.5


class Cluster:
    """The workers that ``client`` reaches, for jobs that work in ``folder``."""

    inherits: ClassVar[bool] = False

    def __init__(self, client: Any, folder: Path) -> None:
        self.client, self.folder, self.elsewhere = client, folder.absolute(), 0.0

    def run(
        self,
        jobs: Mapping[str, Job],
        done: Callable[[int], object],
        failed: Callable[[str, Failure], object],
    ) -> None:
        """Run all jobs. Ctrl-C ends those that run at their next report."""
        counts = [0] * len(jobs)

        def heard(event: Any) -> None:
            number, count = event[1]
            counts[number] = max(counts[number], count)

        with _sign(self.folder) as sign:
            self._check(sign)
            topic, here = f"neuroclapp {sign.name}", os.getcwd()
            self.client.subscribe_topic(topic, heard)
            pending = {
                self.client.submit(_call, job, number, topic, sign, here, key=f"{name} {sign.name}"): (
                    number,
                    name,
                )
                for number, (name, job) in enumerate(jobs.items())
            }
            try:
                while pending:
                    for future in _first(list(pending)):
                        number, name = pending.pop(future)
                        counts[number], failure = self._end(future)
                        if failure is not None:
                            failed(name, failure)
                    done(sum(counts))
            finally:
                self.client.cancel(list(pending))
                self.client.unsubscribe_topic(topic)

    def _end(self, future: Any) -> tuple[int, Failure | None]:
        """Return how much of its work a job has done, and why it failed."""
        if future.status == "finished":
            count, failure, seconds = future.result()
            self.elsewhere += seconds
            return count, failure
        # The workers that had it died, each time.
        error = future.exception() if future.status == "error" else RunError("it was cancelled")
        return 0, Failure(f"{type(error).__name__}: {error}")

    def _check(self, sign: Path) -> None:
        """Raise RunError that says which worker cannot do the work, and why."""
        address, threads = self.client.scheduler.address, self.client.nthreads()
        for worker, count in threads.items():
            if count > 1:
                raise RunError(
                    f"{address}: worker {worker} has {count} threads; each needs one, since Brian2 and torch "
                    "belong to a process (dask worker --nthreads 1)"
                )
        for worker, answer in self.client.run(_sees, sign, on_error="return").items():
            if isinstance(answer, BaseException):
                raise RunError(f"{address}: worker {worker} cannot run jobs ({answer})")
            if not answer:
                raise RunError(
                    f"{address}: worker {worker} cannot see {sign.parent}; the run's directory must lie on a "
                    "file system that all workers share (choose it with --out)"
                )


@contextmanager
def cluster(
    folder: Path, scheduler: str | None = None, workers: int | None = None, patience: float = 10
) -> Iterator[Workers]:
    """Yield the workers of the scheduler at an address, or of ``workers`` local processes.

    Raises RunError where no scheduler answers, or none that has a worker, within ``patience`` [s].
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingPackageError(
            "Dask", "run jobs on a cluster", 'pip install "neuroclapp[dask]"'
        ) from error
    if scheduler is None:
        local = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=None,
            silence_logs=logging.ERROR,
        )
        with local, Client(local) as client:
            yield Cluster(client, folder)
        return
    try:
        client = Client(scheduler, timeout=patience)
        client.wait_for_workers(1, timeout=patience)
    except (OSError, ValueError, TimeoutError) as error:
        raise RunError(f"--scheduler {scheduler}: no scheduler with a worker answers ({error})") from None
    with client:
        yield Cluster(client, folder)


@contextmanager
def _sign(folder: Path) -> Iterator[Path]:
    """Yield a file by which workers see the folder, and that the run goes on: without it jobs end."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(".running-*"):  # of a run that was killed
        old.unlink(missing_ok=True)
    sign = folder / f".running-{uuid.uuid4().hex}"
    sign.touch()
    try:
        yield sign
    finally:
        sign.unlink(missing_ok=True)


def _first(futures: list[Any]) -> set[Any]:
    from distributed import wait

    try:
        return wait(futures, timeout=EVERY, return_when="FIRST_COMPLETED").done
    except TimeoutError:
        return set()


def _sees(sign: Path) -> bool:
    return sign.is_file()


def _call(job: Job, number: int, topic: str, sign: Path, here: str) -> tuple[int, Failure | None, float]:
    """Run a job in a worker; return how much it did, why it failed, and the CPU time that it took [s]."""
    from distributed import get_worker

    worker, said, used, last = get_worker(), time.monotonic(), _cpu(), 0

    def report(done: int) -> None:
        nonlocal said, last
        last = done
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            worker.log_event(topic, (number, done))
            if not sign.is_file():
                raise RunError("the run was ended")

    before = os.getcwd()
    try:
        if not sign.is_file():
            raise RunError(f"the run was ended, or this worker cannot see {sign.parent}")
        if os.path.isdir(here):
            os.chdir(here)  # paths of data may be relative
        one_thread()
        job(report)
    except Exception as error:
        return last, Failure.of(error), _cpu() - used
    finally:
        os.chdir(before)
    return last, None, _cpu() - used


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

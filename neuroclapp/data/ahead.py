"""Items made on one background thread, ahead of who needs them."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T], Iterator[T]):
    """Iterates over ``make(n)`` for n from ``first`` to before ``last``, at most ``depth`` items ahead.

    ``waited`` is the time for which the consumer had to wait [s]. What ``make`` raises is raised in the
    consumer, at the item's turn. With ``depth`` 0 items are made when they are asked for, without a thread.
    Use it as a context manager, or close it; the thread also ends when nobody holds the iterator any more.
    """

    def __init__(self, make: Callable[[int], T], first: int, last: int, depth: int = 4) -> None:
        if depth < 0:
            raise ValueError(f"depth = {depth} must not be negative")
        self.waited = 0.0
        self._make, self._next, self._last = make, first, last
        self._ready: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()
        self._room, stop = Semaphore(depth), Event()
        self._thread: Thread | None = None
        self._stop = weakref.finalize(self, _stop, stop, self._room)
        if depth and first < last:
            # The thread holds no reference to this object, so that an abandoned one is collected.
            work = (make, range(first, last), self._ready, self._room, stop)
            self._thread = Thread(target=_work, args=work, name="ahead", daemon=True)
            self._thread.start()

    def __iter__(self) -> Ahead[T]:
        return self

    def __next__(self) -> T:
        if self._next >= self._last:
            self.close()
            raise StopIteration
        start = time.perf_counter()
        try:
            item = self._make(self._next) if self._thread is None else self._take()
        except BaseException:
            self.close()
            raise
        finally:
            self.waited += time.perf_counter() - start
        self._next += 1
        return item

    def __enter__(self) -> Ahead[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Make no more items, and wait until the thread has ended."""
        self._next = self._last
        self._stop()
        if self._thread is not None:
            self._thread.join()

    def _take(self) -> T:
        item, error = self._ready.get()
        if error is not None:
            raise error
        self._room.release()
        return item  # type: ignore[return-value]  # without an error it is an item


def _work(make: Callable[[int], T], numbers: range, ready: SimpleQueue, room: Semaphore, stop: Event) -> None:
    for number in numbers:
        room.acquire()
        if stop.is_set():
            return
        try:
            ready.put((make(number), None))
        except BaseException as error:  # raised where the item is taken
            ready.put((None, error))
            return


def _stop(stop: Event, room: Semaphore) -> None:
    stop.set()
    room.release()

"""Items made ahead: in order, not too many, with their errors, and without a thread left behind."""

import gc
import threading
import time

import pytest

from neuroclapp.data.ahead import Ahead


def running():
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


def ended(seconds=5.0):
    """Whether no thread is left within some time [s]."""
    end = time.monotonic() + seconds
    while running() and time.monotonic() < end:
        time.sleep(0.005)
    return not running()


@pytest.mark.parametrize("depth", [0, 1, 4, 100])
def test_items_come_in_order(depth):
    assert list(Ahead(lambda n: n * n, 3, 20, depth)) == [n * n for n in range(3, 20)]
    assert list(Ahead(lambda n: n, 5, 5, depth)) == []
    assert ended()


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_an_error_is_raised_at_its_items_turn(depth):
    seen = []
    items = Ahead(lambda n: seen.append(6 // (3 - n)), 0, 10, depth)
    for _ in range(3):
        next(items)
    with pytest.raises(ZeroDivisionError):
        next(items)
    assert seen == [2, 3, 6]
    assert list(items) == []
    assert ended()


def test_no_more_items_than_the_depth_are_made_ahead():
    made = []
    with Ahead(lambda n: made.append(n) or n, 0, 50, depth=3) as items:
        for taken in range(1, 6):
            next(items)
            time.sleep(0.02)
            assert len(made) <= taken + 3
    assert len(made) < 50


def test_one_other_thread_makes_all_items():
    threads = set(Ahead(lambda n: threading.get_ident(), 0, 20, depth=2))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    assert set(Ahead(lambda n: threading.get_ident(), 0, 3, depth=0)) == {threading.get_ident()}


def test_closing_early_ends_the_thread_and_the_items():
    with Ahead(lambda n: n, 0, 10**9) as items:
        assert next(items) == 0
        assert running()
    assert not running()
    assert list(items) == []
    items.close()


def test_an_abandoned_iterator_ends_its_thread():
    for item in Ahead(lambda n: n, 0, 10**9):
        if item == 3:
            break
    gc.collect()
    assert ended()


@pytest.mark.parametrize("depth", [0, 2])
def test_the_time_waited_is_that_of_slow_items(depth):
    with Ahead(lambda n: time.sleep(0.02), 0, 5, depth) as items:
        list(items)
    # Five items of 20 ms; the consumer does nothing else, and the clock of a busy machine adds to it.
    assert 0.08 < items.waited < 5


def test_a_negative_depth_is_refused():
    with pytest.raises(ValueError, match="depth = -1"):
        Ahead(lambda n: n, 0, 1, depth=-1)

"""Jobs for tests of side-by-side work; workers on a cluster import them from here."""

import json
import os
import signal
import time


def write(path, report):
    """Leave a file, and the process that wrote it."""
    report(1)
    path.write_text(json.dumps({"pid": os.getpid(), "cwd": os.getcwd()}))


def fail(error, report):
    raise error


def fail_once(path, report):
    """Fail where a file is missing, and leave it."""
    if not path.is_file():
        path.touch()
        raise ValueError("the first time")
    report(1)


def die(report):
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path, report):
    """Kill this process the first time."""
    if not path.is_file():
        path.touch()
        die(report)
    write(path, report)


def wait_long(folder, report):
    """Say that it began, and go on until it is told to end; then it leaves no file ``ended``."""
    with (folder / "began").open("a") as file:
        for _ in range(2000):
            file.write(".")
            file.flush()
            report(0)
            time.sleep(0.01)
    (folder / "ended").touch()


def compute(seconds, report):
    """Compute for so many seconds of CPU time."""
    start = time.process_time()
    while time.process_time() - start < seconds:
        report(0)


def sees_nothing(sign):
    return False


def cannot(sign):
    raise ModuleNotFoundError("no neuroclapp here")

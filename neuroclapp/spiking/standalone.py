"""Brian2 and its C++ programs: one build, then many runs with other values."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingPackageError, RunError


def brian2() -> Any:
    """Return the package, its log kept to errors; raise MissingPackageError where it is absent."""
    try:
        with _without_handler():
            import brian2
    except ImportError as error:
        raise MissingPackageError("Brian2", "simulate spikes", 'pip install "neuroclapp[brian2]"') from error
    logging.getLogger("brian2").setLevel(logging.ERROR)
    return brian2


@contextlib.contextmanager
def _without_handler() -> Iterator[None]:
    """Let Brian2 be imported outside the main thread, where it cannot set its handler of Ctrl-C."""
    if threading.current_thread() is threading.main_thread():
        yield
        return
    setting = signal.signal
    signal.signal = lambda number, handler: None  # type: ignore[assignment]
    try:
        yield
    finally:
        signal.signal = setting


class Program:
    """A C++ program that Brian2 writes into a folder.

    Brian2's standalone device belongs to the process: only one such object may be in use at a time. It is
    made first, then the Brian2 objects and their ``run``, then it is compiled.
    """

    def __init__(self, folder: Path) -> None:
        self.b2, self.folder = brian2(), folder
        self.b2.set_device("cpp_standalone", build_on_run=False, directory=str(folder))
        self.b2.device.reinit()
        self.b2.device.activate(build_on_run=False, directory=str(folder))

    def compile(self) -> None:
        """Compile what Brian2 wrote, on all cores.

        A network of many small groups is a hundred small C++ files that all read the same header. Where
        GCC can read it once, compiled beforehand, and make need not look for dependencies, it takes half
        the time.
        """
        b2, folder, jobs = self.b2, self.folder, f"-j{os.cpu_count() or 1}"
        b2.prefs.devices.cpp_standalone.extra_make_args_unix = [jobs]
        precompile = sys.platform == "linux" and shutil.which("g++") is not None
        b2.device.build(directory=str(folder), compile=not precompile, run=False)
        if precompile:
            openmp = " -fopenmp" if b2.prefs.devices.cpp_standalone.openmp_threads else ""
            flags = f"-Wno-write-strings $(OPTIMISATIONS) -I.{openmp}"
            header = f"objects.h.gch: ; $(CXX) {flags} -x c++-header objects.h -o $@"
            (folder / "make.deps").touch()
            for arguments in (
                ["--eval", header, "objects.h.gch"],
                [jobs, f"CXXFLAGS=-c -include objects.h {flags}", "main"],
            ):
                made = subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True)
                if made.returncode != 0:
                    raise RunError(
                        f"{folder}: the spiking network could not be compiled: {made.stderr[-2000:]}"
                    )

    @contextlib.contextmanager
    def run(self, arguments: Mapping[Any, Any]) -> Iterator[Path]:
        """Run with these values of variables and timed arrays; its monitors can be read within the block."""
        workspace = self._workspace()
        device = self.b2.device
        self.b2.devices.get_device().project_dir = str(workspace)  # where the argument files are written
        device.run(
            directory=str(workspace),
            results_directory="results",
            with_output=False,
            run_args=dict(arguments),
        )
        yield workspace
        for name in set(device.run_args_arrays):
            (workspace / "static_arrays" / name).unlink(missing_ok=True)
            (workspace / "static_arrays" / f"{name}.lock").unlink(missing_ok=True)

    def _workspace(self) -> Path:
        """Return this process's own copy of the program.

        Brian2 names argument files by their content, so that processes side by side would share them.
        """
        workspace = self.folder / f"process{os.getpid()}"
        if not workspace.is_dir():
            shutil.copytree(self.folder / "static_arrays", workspace / "static_arrays")
            shutil.copy2(self.folder / "main", workspace / "main")
        return workspace


def longest(period: float, steps: int, dt: float, wanted: int) -> int:
    """Return for how many of ``wanted`` presentations of ``steps`` a program's two clocks keep in step.

    Brian2's C++ programs take times of two clocks for the same if they differ by at most 1e-14 s, which
    from 64 s on is less than the last bit of a double. ``period`` and ``dt`` [s].
    """
    n = np.arange(1, wanted + 1)
    apart = np.abs(n * period - (n * steps) * dt) > 1e-14
    return int(np.argmax(apart)) if apart.any() else wanted


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield a temporary folder for a compiled network."""
    folder = Path(tempfile.mkdtemp(prefix="neuroclapp-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

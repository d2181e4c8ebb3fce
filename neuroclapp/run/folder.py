"""The directory of a run of any kind, and the steps that are done in it."""

from __future__ import annotations

import hashlib
import resource
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ..errors import InputError, RunError
from ..files import read_json, read_npz, write_json, write_text
from .parallel import Processes, Workers

Run = TypeVar("Run", bound="RunFolder")


def experiment_file(folder: Path) -> Path:
    """Return the experiment's file of a run; raise RunError where there is none."""
    path = folder / "experiment.toml"
    if not path.is_file():
        raise RunError(f"{folder}: not a run's directory (no experiment.toml); make one with neuroclapp run")
    return path


class RunFolder(ABC):
    """The directory of a run of any kind: its experiment, its steps, and which of them are done."""

    #: The steps in their order, and the files that each writes.
    products: ClassVar[dict[str, tuple[str, ...]]] = {}
    #: Where its jobs run.
    workers: Workers = Processes()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getstate__(self) -> dict[str, Any]:
        """Return what is sent to another process: where the folder is. All else is read there."""
        return {"folder": self.folder.absolute()}

    @classmethod
    def create(cls: type[Run], folder: Path, text: str, resume: bool) -> Run:
        """Start a run with this experiment (TOML text), or take up the one that is there.

        Without ``resume`` the one that is there is moved to FOLDER.1, or the first number that is free.
        """
        run, path = cls(folder), folder / "experiment.toml"
        if resume and path.is_file():
            if path.read_text(encoding="utf-8") != text:
                raise RunError(
                    f"{path}: holds another experiment; run without --resume, or with another --out"
                )
            return run
        if path.is_file():
            run.move_aside()
        elif folder.exists() and any(folder.iterdir()):
            raise InputError(
                "--out", "DIR", str(folder), "holds files that are not a run's; choose another directory"
            )
        write_text(path, text)
        return run

    @classmethod
    @abstractmethod
    def resolve(cls, reference: str, settings: Mapping[str, str], source: Path) -> tuple[str, dict[str, Any]]:
        """Return title and resolved table of an experiment, once it and its data are known to fit.

        ``reference`` is its name or file, ``settings`` are laid over it, and ``source`` is what errors name.
        """

    @property
    def file(self) -> Path:
        """The experiment's file; raise RunError where there is none."""
        return experiment_file(self.folder)

    def move_aside(self) -> None:
        """Give a run that has begun another name, so that a new one may have its own."""
        if {each.name for each in self.folder.iterdir()} == {"experiment.toml"}:
            return
        here = self.folder.resolve()
        free = next(path for n in count(1) if not (path := here.with_name(f"{here.name}.{n}")).exists())
        here.rename(free)
        print(f"neuroclapp: the run that was in {self.folder} is in {free} now", file=sys.stderr)

    def clear(self, step: str) -> None:
        """Remove what this step and all later ones have written."""
        names = list(self.products)
        for name in names[names.index(step) :]:
            for pattern in (f"steps/{name}.json", *self.products[name]):
                for path in self.folder.glob(pattern):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def arrays(self, path: Path) -> dict[str, Any]:
        """Read an .npz file of this run; raise RunError that names it when it is absent or broken."""
        if not path.is_file():
            raise RunError(f"{path}: no such file; the step that writes it has not been run")
        return read_npz(path)

    def check(self) -> None:
        """Raise where this is not a run's directory, or where its experiment does not fit."""
        _ = self.file

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.file.read_bytes()).hexdigest()[:16]

    def done(self, step: str) -> bool:
        """Return whether a step was finished for this very experiment."""
        path = self.folder / "steps" / f"{step}.json"
        return path.is_file() and read_json(path).get("experiment") == self.digest

    def cost(self) -> dict[str, Any]:
        """Return wall and CPU time of the steps that are done [s]."""
        found = {path.stem: read_json(path) for path in sorted((self.folder / "steps").glob("*.json"))}
        return {name: {k: v for k, v in stamp.items() if k != "experiment"} for name, stamp in found.items()}

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Mark a step as done when its block succeeds; what the block puts into the yielded dict is kept."""
        _ = self.file
        stamp = self.folder / "steps" / f"{name}.json"
        start, used = time.monotonic(), self._cpu()
        notes: dict[str, Any] = {}
        yield notes
        cost = {
            "wall_s": round(time.monotonic() - start, 2),
            "cpu_s": round(self._cpu() - used, 2),
        }
        write_json(stamp, {"experiment": self.digest, **cost, **notes})

    def _cpu(self) -> float:
        """Return the CPU time [s] of this process, of its children that have ended, and on other machines."""
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        used = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        return used + self.workers.elsewhere

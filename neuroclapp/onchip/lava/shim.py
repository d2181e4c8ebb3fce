"""Make lava-nc 0.10.0 importable on Python 3.11 and later.

Lava gives dataclass instances as defaults of dataclass fields. Python 3.11 refuses defaults that cannot be
hashed, and a dataclass that defines ``__eq__`` is one. While Lava is first imported, dataclasses defined in
its own modules get a hash; the change is undone as soon as the import is over.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import MissingPackageError

INSTALL = "pip install asteval networkx && pip install --no-deps --ignore-requires-python lava-nc==0.10.0"

#: All of Lava that a run needs, its lazily imported compiler and runtime included.
_MODULES = (
    "lava.magma.core.process.process",
    "lava.magma.core.process.neuron",
    "lava.magma.core.learning.learning_rule",
    "lava.magma.core.run_configs",
    "lava.magma.core.run_conditions",
    "lava.magma.compiler.compiler",
    "lava.magma.runtime.runtime",
    "lava.proc.dense.process",
    "lava.proc.dense.models",
)


def import_lava() -> None:
    """Import Lava, so that plain ``import lava...`` statements work from here on.

    Raises MissingPackageError, with the line that installs it, where Lava or what it needs is absent.
    """
    try:
        with _hashable_dataclasses("lava."):
            for name in _MODULES:
                importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{error.name} (for lava-nc 0.10.0)", "run a network in Lava", INSTALL
        ) from error


@contextmanager
def _hashable_dataclasses(prefix: str) -> Iterator[None]:
    """Give dataclasses of modules whose name starts with ``prefix`` a hash while the block runs."""
    original = dataclasses.dataclass

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        def decorate(target: type) -> Any:
            if target.__module__.startswith(prefix):
                options.setdefault("unsafe_hash", True)
            return original(target, **options)

        return decorate if cls is None else decorate(cls)

    patched: Callable[..., Any] = dataclass
    dataclasses.dataclass = patched  # type: ignore[assignment]
    try:
        yield
    finally:
        dataclasses.dataclass = original

"""Versions of Python and of the packages that figures depend on."""

from __future__ import annotations

import importlib.metadata
import platform

_PACKAGES = ("neuroclapp", "numpy", "scipy", "scikit-learn", "torch", "brian2", "lava-nc", "nir")


def versions() -> dict[str, str]:
    """Return the version of each, ``"not installed"`` where there is none."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found

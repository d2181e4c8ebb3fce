"""What is installed, what is missing, and the line that installs it."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil

#: Package -> (what needs it, the line that installs it).
PACKAGES = {
    "torch": ("the rate world", "pip install torch"),
    "brian2": ("the spiking world", 'pip install "neuroclapp[brian2]"'),
    "nir": ("export", 'pip install "neuroclapp[nir]"'),
    "lava-nc": (
        "running exported files",
        'pip install "neuroclapp[lava]" && pip install --no-deps --ignore-requires-python lava-nc==0.10.0',
    ),
    "neo": ("spike trains as Neo objects", 'pip install "neuroclapp[neo]"'),
    "dask": ("many runs on a cluster", 'pip install "neuroclapp[dask]"'),
    "matplotlib": ("figures", "pip install matplotlib"),
    "h5py": ("trajectories", "pip install h5py"),
    "soundfile": ("speech", "pip install soundfile"),
    "praatio": ("speech with TextGrids", "pip install praatio"),
    "kaldi-native-fbank": ("spectra of speech", "pip install kaldi-native-fbank"),
}


def report() -> str:
    """Return one line per package and tool."""
    lines = [f"{'python':18s} {platform.python_version():12s} {platform.platform()}"]
    for name, (purpose, line) in PACKAGES.items():
        try:
            lines.append(f"{name:18s} {importlib.metadata.version(name):12s} {purpose}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{name:18s} {'missing':12s} {purpose}; install it with: {line}")
    for name in ("g++", "make"):
        found = shutil.which(name)
        lines.append(f"{name:18s} {'found' if found else 'missing':12s} {found or 'Brian2 compiles with it'}")
    return "\n".join(lines)

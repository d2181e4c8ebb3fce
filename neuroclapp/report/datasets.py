"""Plain names of data sets."""

from __future__ import annotations

from typing import Any

DATA = {
    "stl10": "STL-10",
    "cifar10": "CIFAR-10",
    "imagenette96": "Imagenette",
    "folder": "a folder of images",
    "npz": "an .npz file of images",
    "librispeech": "LibriSpeech",
    "speechocean762": "speechocean762",
    "textgrids": "a folder of speech",
}
SPEECH = ("librispeech", "speechocean762", "textgrids")


def data_name(results: dict[str, Any]) -> str:
    """Return the plain name of the data set."""
    return DATA.get(results["data"], results["data"])


def paper_of(results: dict[str, Any]) -> str:
    """Return the data set of the paper's values."""
    return "librispeech" if results["data"] in SPEECH else "stl10"

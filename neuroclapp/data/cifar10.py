"""CIFAR-10, as published in binary: 50 000 training and 10 000 test images of 32x32 pixels.

Krizhevsky (2009), Learning multiple layers of features from tiny images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .images import Images, Published
from .published import labels, lines, present, records

SIDE = 32
BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
#: Images of each file.
IMAGES = dict.fromkeys((*BATCHES, "test_batch.bin"), 10_000)
ORIGIN = "Download cifar-10-binary.tar.gz (the binary version) from Toronto's page of CIFAR-10 and unpack it"


def read(folder: Path) -> Published:
    """Read the files of the archive."""
    inner = folder / "cifar-10-batches-bin"  # what the archive unpacks to
    folder = inner if inner.is_dir() else folder
    classes = lines(present(folder / "batches.meta.txt", ORIGIN))
    batches = [_images(folder / batch, len(classes)) for batch in IMAGES]
    pixels = np.concatenate([batch.pixels for batch in batches[:-1]])
    known = np.concatenate([batch.labels for batch in batches[:-1] if batch.labels is not None])
    return Published(folder, classes, Images(pixels, known), batches[-1])


def _images(path: Path, classes: int) -> Images:
    # A record is a label, then red, green and blue, each row by row.
    stored = records(present(path, ORIGIN), 1 + 3 * SIDE * SIDE, IMAGES[path.name])
    pixels = stored[:, 1:].reshape(-1, 3, SIDE, SIDE)
    return Images(pixels, labels(path, np.asarray(stored[:, 0]), len(stored), classes))

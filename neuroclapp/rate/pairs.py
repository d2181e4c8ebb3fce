"""Which places are compared: contexts with the samples they predict, and with negatives.

A batch's places are numbered ``image * places + place``, ``place = row * columns + column``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..objective import Contrast

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Pairs of places that share a prediction matrix, the same in every image."""

    matrix: int
    context: tuple[int, ...]
    sample: tuple[int, ...]


@dataclass(frozen=True)
class Pairs:
    """All comparisons of a batch, group after group, m of them.

    ``context`` and ``sample`` (m,), ``negative`` (m, negatives) number places of the batch; ``group`` holds
    where each group ends. ``positive_weight`` and ``negative_weight`` (m,) are what a pair counts in the mean
    over pairs; where an image has only positives or only negatives they differ.
    """

    context: Tensor
    sample: Tensor
    negative: Tensor
    bounds: tuple[tuple[int, int, int], ...]
    positive_weight: Tensor
    negative_weight: Tensor


def groups(contrast: Contrast, rows: int, columns: int) -> tuple[Group, ...]:
    """Return the groups of a grid of ``rows`` x ``columns`` places; raise ValueError if it has no pair."""
    if contrast.task == "views":
        if rows * columns != 2:
            raise ValueError(f"task = 'views' needs two views of each image, not {rows} x {columns} places")
        return (Group(0, (0,), (1,)), Group(0, (1,), (0,)))
    found = []
    for matrix, (down, right) in enumerate(contrast.offsets):
        places = [
            (row, column)
            for row in range(max(0, -down), min(rows, rows - down))
            for column in range(max(0, -right), min(columns, columns - right))
        ]
        if places:
            context = tuple(row * columns + column for row, column in places)
            sample = tuple((row + down) * columns + column + right for row, column in places)
            found.append(Group(matrix, context, sample))
    if not found:
        raise ValueError(
            f"a grid of {rows} x {columns} places has none {contrast.skip + 1} rows below another"
        )
    return tuple(found)


def draw(
    contrast: Contrast, images: int, rows: int, columns: int, generator: np.random.Generator, like: Tensor
) -> Pairs:
    """Return the pairs of a batch, with negatives drawn afresh; weights have the type of ``like``."""
    fixed = _fixed(contrast, images, rows, columns)
    negative = np.concatenate(
        [_negatives(contrast, images, rows * columns, group, generator) for group in fixed.groups]
    )
    positive_weight = negative_weight = fixed.weight
    if contrast.pairs == "either":
        positive = generator.integers(2, size=images) == 0
        share = positive.mean()
        chosen = positive[fixed.context // (rows * columns)]
        positive_weight = fixed.weight * chosen / max(share, 1 / images)
        negative_weight = fixed.weight * ~chosen / max(1 - share, 1 / images)
    device = like.device
    return Pairs(
        torch.from_numpy(fixed.context).to(device),
        torch.from_numpy(fixed.sample).to(device),
        torch.from_numpy(negative).to(device),
        fixed.bounds,
        torch.from_numpy(positive_weight).to(like),
        torch.from_numpy(negative_weight).to(like),
    )


@dataclass(frozen=True)
class _Fixed:
    groups: tuple[Group, ...]
    context: Index
    sample: Index
    weight: NDArray[np.float64]
    bounds: tuple[tuple[int, int, int], ...]


@lru_cache(maxsize=16)
def _fixed(contrast: Contrast, images: int, rows: int, columns: int) -> _Fixed:
    found = groups(contrast, rows, columns)
    ends = np.cumsum([images * len(group.context) for group in found])
    sizes = np.diff(ends, prepend=0)
    bounds = tuple(
        (group.matrix, int(end - size), int(end)) for group, end, size in zip(found, ends, sizes, strict=True)
    )
    weight = np.concatenate([np.full(size, 1 / (size * len(found))) for size in sizes])
    everywhere = [_everywhere(images, rows * columns, group.context) for group in found]
    samples = [_everywhere(images, rows * columns, group.sample) for group in found]
    return _Fixed(found, np.concatenate(everywhere), np.concatenate(samples), weight, bounds)


def _everywhere(images: int, places: int, chosen: tuple[int, ...]) -> Index:
    return (np.arange(images)[:, None] * places + np.array(chosen)).reshape(-1)


def _negatives(
    contrast: Contrast, images: int, places: int, group: Group, generator: np.random.Generator
) -> Index:
    """Return places (images * pairs of the group, negatives) among the group's samples of the batch."""
    pairs, sample = len(group.sample), np.array(group.sample)
    if contrast.source == "anywhere":
        any_one = generator.integers(images * pairs, size=(images * pairs, contrast.negatives))
        return any_one // pairs * places + sample[any_one % pairs]
    if contrast.source == "same_image":
        drawn = generator.integers(pairs, size=(images, pairs, contrast.negatives))
        inside = np.arange(images)[:, None, None] * places + sample[drawn]
        return inside.reshape(-1, contrast.negatives)
    if images < 2:
        raise ValueError(f"source = {contrast.source!r} needs batches of at least two images")
    each = (images, pairs) if contrast.source == "same_place" else (images, 1)
    other = (np.arange(images)[:, None] + generator.integers(1, images, size=each)) % images
    return (other * places + sample).reshape(-1, 1)

"""The presentations of a sound: what the steps of the top layer hear, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .counting import Counted
from .unrolled import Array, Indices, Unrolled


@dataclass(frozen=True)
class Windows:
    """Presentations: the charge of each input unit in a time step, and which positions are in the sound.

    ``charges`` (presentations, inputs). ``inside`` (presentations, positions) and ``first`` (presentations,),
    the first position in the steps of the whole sound, are of the input and of each layer above it. A
    position outside is padding: it sends nothing.
    """

    charges: Array
    inside: tuple[NDArray[np.bool_], ...]
    first: tuple[Indices, ...]

    def __len__(self) -> int:
        return len(self.charges)


def windows(unrolled: Unrolled, samples: NDArray[np.floating], steps: Sequence[int]) -> Windows:
    """Return the presentations of these steps of the top layer for a sound (samples,).

    Raises ValueError where the top layer has no such step.
    """
    lengths = [len(samples)]
    for each in unrolled.layers:
        layer = each.layer
        lengths.append((lengths[-1] + 2 * layer.padding - layer.kernel) // layer.stride + 1)
    chosen = np.asarray(steps, dtype=np.int64)
    wrong = chosen[(chosen < 0) | (chosen >= lengths[-1])]
    if len(wrong):
        raise ValueError(f"step {wrong[0]} of {unrolled.layers[-1].layer.name!r}: it has {lengths[-1]} steps")
    first = unrolled.first(chosen)
    counts = [unrolled.samples, *(each.positions for each in unrolled.layers)]
    heard, known = _placed(first[0], counts[0], lengths[0])
    charges = np.where(known[..., None], unrolled.charges(samples)[heard], 0.0)
    inside = [_placed(*each)[1] for each in zip(first, counts, lengths, strict=True)]
    return Windows(charges.reshape(len(chosen), -1), tuple(inside), tuple(first))


def seen(counted: Sequence[Counted], shown: Windows) -> list[Array]:
    """Return the counts of input and layers in each presentation, (presentations, positions, units)."""
    found = []
    for each, first, inside in zip(counted, shown.first, shown.inside, strict=True):
        places, _ = _placed(first, inside.shape[1], len(each.count))
        found.append(np.where(inside[..., None], each.count[places], 0.0))
    return found


def _placed(first: Indices, count: int, length: int) -> tuple[Indices, NDArray[np.bool_]]:
    """Return places (presentations, count) kept within ``length``, and which of them were there anyhow."""
    places = first[:, None] + np.arange(count)
    return np.clip(places, 0, length - 1), (places >= 0) & (places < length)

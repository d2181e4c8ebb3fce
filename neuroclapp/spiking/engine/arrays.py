"""One interface to numpy and torch: the few functions that the engine needs and that they spell differently.

All else (arithmetic, ``@``, ``clip``, ``sum``, ``reshape``, ``swapaxes``) is spelled alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Library = Literal["numpy", "torch"]

#: Share of packets that are not 0 below which a product goes from event to event.
SPARSE = 0.2
#: Numbers that a processor's cache holds while several operations go over them.
CACHED = 2**16


@dataclass(frozen=True)
class Arrays:
    """Arrays of float64 on a ``device``: numpy's, or torch's on a processor or a GPU."""

    library: Any
    device: str = "cpu"

    @property
    def is_numpy(self) -> bool:
        return self.library is np

    def array(self, values: ArrayLike, kind: type = np.float64) -> Any:
        """Return a copy of numpy's ``values`` here."""
        copy: NDArray = np.array(values, dtype=kind, order="C")
        return copy if self.is_numpy else self.library.from_numpy(copy).to(self.device)

    def numpy(self, array: Any) -> NDArray[np.float64]:
        """Return an array as numpy's."""
        return array if self.is_numpy else array.cpu().numpy()

    def full(self, shape: tuple[int, ...], value: float) -> Any:
        """Return a new array filled with a value."""
        if self.is_numpy:
            return np.full(shape, value)
        return self.library.full(shape, value, dtype=self.library.float64, device=self.device)

    def floor(self, array: Any) -> Any:
        return self.library.floor(array)

    def number(self, condition: Any) -> Any:
        """Return 1.0 where a condition holds, else 0.0."""
        return condition.astype(np.float64) if self.is_numpy else condition.double()

    def joined(self, parts: list[Any], axis: int) -> Any:
        """Return arrays joined along an axis that they have."""
        return np.concatenate(parts, axis) if self.is_numpy else self.library.cat(parts, axis)

    def stacked(self, parts: list[Any], axis: int) -> Any:
        """Return arrays joined along a new axis."""
        return self.library.stack(parts, axis)

    def picked(self, array: Any, index: Any | None) -> Any:
        """Return ``array[b, index[b, j]]`` (batch, units); None picks all in their order."""
        if index is None:
            return array
        return np.take_along_axis(array, index, 1) if self.is_numpy else array.gather(1, index)

    def looked_up(self, table: Any, rows: Any, columns: Any) -> Any:
        """Return ``table[rows, columns]`` for two arrays of one shape that hold whole numbers."""
        if self.is_numpy:
            return table[rows, columns.astype(np.int64)]
        return table[rows, columns.long()]

    def running_maximum(self, array: Any) -> Any:
        """Return the largest entry so far along the second axis."""
        return np.maximum.accumulate(array, 1) if self.is_numpy else array.cummax(1).values

    def rounded(self, array: Any, step: float | None) -> Any:
        """Round to multiples of ``step``, as `neuroclapp.spiking.grid.rounded` does."""
        return array if step is None else self.floor(array / step + 0.5) * step

    def round_in_place(self, array: Any, step: float | None) -> None:
        """Round an array itself to multiples of ``step``."""
        if step is not None:
            array /= step
            array += 0.5
            self.library.floor(array, out=array)
            array *= step

    def product(self, w: Any, x: Any) -> Any:
        """Return ``W x`` for ``x`` (batch, pre) or (batch, steps, pre), ``w`` (post, pre) or one for each."""
        if w.ndim == 2:
            return (x.reshape(-1, x.shape[-1]) @ w.T).reshape(*x.shape[:-1], len(w))
        if x.ndim == 2:
            return (w @ x[:, :, None])[:, :, 0]
        return x @ w.swapaxes(1, 2)

    def heard(self, w: Any, packets: Any) -> Any:
        """Return ``W packets`` (batch, steps, post); numpy skips silence where most packets are 0."""
        if not self.is_numpy:
            return self.product(w, packets)
        from . import kernels

        arriving = np.empty((*packets.shape[:-1], w.shape[-2]))
        # Each simulation for itself, so that none depends on those beside it.
        parts = [(w, packets, arriving)] if w.ndim == 2 else zip(w, packets, arriving, strict=True)
        for weights, sent, brought in parts:
            rows, brought = sent.reshape(-1, sent.shape[-1]), brought.reshape(-1, len(weights))
            first, source, size, few = kernels.events(rows, int(SPARSE * rows.size))
            if few:
                kernels.propagate(weights, first, source, size, brought)
            else:
                np.matmul(rows, weights.T, out=brought)
        return arriving

    def change(
        self,
        weights: Any,
        chosen: NDArray[np.int64],
        posts: list[Any],
        pres: list[Any],
        grid: float | None,
        bound: NDArray[np.float64],
    ) -> None:
        """Add ``sum of post pre^T`` to each chosen matrix of weights (batch, post, pre) itself.

        ``posts`` (chosen, post) and ``pres`` (chosen, pre) of each product; none of these for biases (batch,
        post). Weights are then rounded to ``grid``, and clipped to ``bound`` (chosen,).
        """
        if self.is_numpy and 1 <= len(pres) <= 2:
            from . import kernels

            kernels.change(weights, chosen, np.array(posts), np.array(pres), grid or 0.0, bound)
            return
        which: Any = slice(None) if len(chosen) == len(weights) else self.array(chosen, np.int64)
        most = self.array(bound) if np.isfinite(bound).any() else None
        for rows in self.blocks(weights.shape):
            part = weights[which, rows]
            for number, post in enumerate(posts):
                part += post[:, rows, None] * pres[number][:, None] if pres else post[:, rows]
            self.round_in_place(part, grid)
            if most is not None:
                limit = most.reshape(-1, *(1,) * (part.ndim - 1))
                part = part.clip(-limit, limit)
            weights[which, rows] = part

    def blocks(self, shape: tuple[int, ...]) -> list[slice]:
        """Return the parts of the second axis to work on one after the other, small enough for the cache."""
        if self.device != "cpu":
            return [slice(None)]
        rows = max(1, CACHED * shape[1] // max(1, int(np.prod(shape))))
        return [slice(first, first + rows) for first in range(0, shape[1], rows)]


def arrays(library: Library, device: str | None = None) -> Arrays:
    """Return the interface to a library; torch takes a GPU where there is one, unless ``device`` is given."""
    if library == "numpy":
        return Arrays(np)
    import torch

    return Arrays(torch, device or ("cuda" if torch.cuda.is_available() else "cpu"))

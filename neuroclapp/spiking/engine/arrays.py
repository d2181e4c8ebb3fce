"""One interface to numpy and torch: the few functions that the engine needs and that they spell differently.

All else (arithmetic, ``@``, ``clip``, ``sum``, ``reshape``, ``swapaxes``) is spelled alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.blas import dgemm

Library = Literal["numpy", "torch"]

#: Share of packets that are not 0 below which a product goes from event to event.
SPARSE = 0.1
#: Weights of a matrix from which on its change is one product of BLAS, which reads and writes it once.
LARGE = 2**15
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

    def shared(self, weights: NDArray) -> Any:
        """Return a copy of weights (post, pre) that is read by presynaptic unit."""
        kept = self.array(weights.T)
        return kept.T if self.is_numpy else kept.permute(*reversed(range(kept.ndim)))

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
        """Return ``W packets`` (batch, steps, post); with `shared` weights numpy skips silence."""
        if self.is_numpy and w.ndim == 2:
            flat = packets.reshape(-1, packets.shape[-1])
            if np.count_nonzero(flat) < SPARSE * flat.size:
                return (scipy.sparse.csr_array(flat) @ w.T).reshape(*packets.shape[:-1], -1)
        return self.product(w, packets)

    def add_products(
        self, weights: Any, chosen: NDArray[np.int64], posts: list[Any], pres: list[Any]
    ) -> bool:
        """Add ``sum of post pre^T`` to each chosen matrix of weights (batch, post, pre) itself, if large.

        Returns whether it was done. ``posts`` (chosen, post) and ``pres`` (chosen, pre) of each product.
        """
        if not self.is_numpy or weights[0].size < LARGE or not weights.flags.c_contiguous:
            return False
        for number, each in enumerate(chosen):
            post = np.stack([one[number] for one in posts], axis=1)
            pre = np.stack([one[number] for one in pres], axis=1)
            dgemm(1.0, pre, post, beta=1.0, c=weights[each].T, trans_b=True, overwrite_c=True)
        return True

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

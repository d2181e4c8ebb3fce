"""One matrix product, by the fastest library at hand.

For float32 on a CPU torch calls MKL, which on processors that are not Intel's runs at less than half of what
oneDNN, also inside torch, reaches (`benchmarks/matmul.py`). For small products the call itself is the cost.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Multiply-adds from which on oneDNN's higher cost per call is worth it.
LARGE = 2**21


def _onednn_is_there() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


_ONEDNN = _onednn_is_there()


def matmul(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``a @ b.T + bias`` for ``a`` (m, k), ``b`` (n, k), ``bias`` (n,).

    Each is a matrix in row or column order.
    """
    large = a.shape[0] * a.shape[1] * b.shape[0] >= LARGE
    if large and _ONEDNN and a.dtype == torch.float32 and a.device.type == "cpu":
        return torch.ops.mkldnn._linear_pointwise(_dense(a), _dense(b), bias, "none", [], "")
    return a @ b.T if bias is None else torch.addmm(bias, a, b.T)


def _dense(a: Tensor) -> Tensor:
    """Return ``a``, copied where its rows or columns are not side by side: oneDNN is very slow on those."""
    return a if a.is_contiguous() or a.T.is_contiguous() else a.contiguous()

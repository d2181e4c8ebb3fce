"""A layer of gated recurrent units (Eqs. 15-18): its response in time, and backpropagation through time.

    r_t = sigma(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
    z_t = sigma(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
    n_t = tanh(W_in x_t + b_in + r_t m_t),   m_t = W_hn h_{t-1} + b_hn
    h_t = (1 - z_t) n_t + z_t h_{t-1},       h_0 = 0

The arrays are PyTorch's: ``w_ih`` (3 units, inputs), ``w_hh`` (3 units, units), ``b_ih`` and ``b_hh``
(3 units), with the rows of r, z and n one below another. How it learns forward in time is in `eprop`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .matmul import matmul

#: Steps that are worked on at once where all could be: more would leave the processor's cache.
BLOCK = 64

ARRAYS = ("w_ih", "w_hh", "b_ih", "b_hh")

Arrays = Mapping[str, Tensor]


@dataclass(frozen=True)
class Steps:
    """What there is to see at the synapses in consecutive steps.

    ``x`` (batch, steps, inputs), ``before`` (batch, steps, units) with h_{t-1} at t, and ``gates``
    (batch, steps, 4 units): r, z, n and m side by side.
    """

    x: Tensor
    before: Tensor
    gates: Tensor

    def __getitem__(self, part: slice) -> Steps:
        return Steps(self.x[:, part], self.before[:, part], self.gates[:, part])

    @property
    def r(self) -> Tensor:
        """The reset gate, (batch, steps, units)."""
        return self._part(0)

    @property
    def z(self) -> Tensor:
        """The update gate, which holds on to the old state, (batch, steps, units)."""
        return self._part(1)

    @property
    def n(self) -> Tensor:
        """The new state, (batch, steps, units)."""
        return self._part(2)

    @property
    def m(self) -> Tensor:
        """What the layer itself adds to the new state before it is reset, (batch, steps, units)."""
        return self._part(3)

    def _part(self, index: int) -> Tensor:
        units = self.before.shape[2]
        return self.gates[..., index * units : (index + 1) * units]


def respond(arrays: Arrays, x: Tensor, h0: Tensor | None = None) -> Tensor:
    """Return the states (batch, steps, units) of input ``x`` (batch, steps, inputs).

    The layer starts from ``h0`` (batch, units), or from rest.
    """
    blocks, state = [], h0
    for first in range(0, x.shape[1], BLOCK):
        h = follow(arrays, x[:, first : first + BLOCK], state)[1]
        state = h[:, -1]
        blocks.append(h)
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks, 1)


@torch.no_grad()
def follow(arrays: Arrays, x: Tensor, h0: Tensor | None = None) -> tuple[Steps, Tensor]:
    """Return what the synapses see while the layer responds to ``x``, and the states, as in `respond`."""
    w_hh, units = arrays["w_hh"], arrays["w_hh"].shape[1]
    batch, count = x.shape[:2]
    states = x.new_empty((batch, count + 1, units))
    states[:, 0] = 0 if h0 is None else h0
    steps = Steps(x, states[:, :-1], x.new_empty((batch, count, 4 * units)))
    ih, hh = _from_input(arrays, x), x.new_empty((batch, 3 * units))
    from_layer, w_t, b_m = _split(hh), w_hh.T, arrays["b_hh"][2 * units :]
    # The views of all steps are made before the loop: in it, each call costs as much as its arithmetic.
    outs = zip(*(part.unbind(1) for part in _outs(steps)), strict=True)
    ins = zip(*(part.unbind(1) for part in _split(ih)), strict=True)
    h = states.unbind(1)
    for out, from_input, z, old, new in zip(outs, ins, steps.z.unbind(1), h, h[1:], strict=False):
        torch.mm(old, w_t, out=hh)
        _open(out, from_input, from_layer, b_m)
        torch.lerp(out[2], old, z, out=new)  # Eq. 18
    return steps, states[:, 1:]


@torch.no_grad()
def recall(arrays: Arrays, x: Tensor, before: Tensor) -> Steps:
    """Return what the synapses see, from ``x`` and the states ``before`` each step."""
    units = before.shape[2]
    steps = Steps(x, before, x.new_empty((*before.shape[:2], 4 * units)))
    for first in range(0, x.shape[1], BLOCK):
        part = steps[first : first + BLOCK]
        hh = matmul(part.before.reshape(-1, units), arrays["w_hh"]).view(*part.before.shape[:2], -1)
        _open(_outs(part), _split(_from_input(arrays, part.x)), _split(hh), arrays["b_hh"][2 * units :])
    return steps


def partials(steps: Steps) -> tuple[Tensor, Tensor]:
    """Return how h_t follows the sums of the rows of ``w_ih`` and of ``w_hh``, h_{t-1} held fixed.

    Each is (batch, steps, 3 units).
    """
    r, z, n, m = steps.r, steps.z, steps.n, steps.m
    kept = 1 - z
    p_z = (steps.before - n).mul_(z).mul_(kept)
    p_n = kept.addcmul_(kept, n * n, value=-1)
    p_m = p_n * r
    p_r = (1 - r).mul_(p_m).mul_(m)
    return torch.cat([p_r, p_z, p_n], 2), torch.cat([p_r, p_z, p_m], 2)


def bptt(
    arrays: Arrays, x: Tensor, delta: Tensor, *, to_input: bool = False
) -> tuple[dict[str, Tensor], Tensor | None]:
    """Return the changes per unit of learning rate by backpropagation through time, and what reaches ``x``.

    ``delta`` (batch, steps, units) is the negative gradient of the loss with respect to each h_t alone, its
    effect on later states left out: that is what is propagated back here. What reaches ``x``, shaped like it,
    is None unless asked for with ``to_input``.
    """
    leaves = [arrays[name].detach().requires_grad_() for name in ARRAYS]
    with torch.enable_grad():
        x = x.detach().requires_grad_(to_input)
        h0 = x.new_zeros((1, len(x), arrays["w_hh"].shape[1]))
        h, _ = torch.gru(x, h0, leaves, True, 1, 0.0, False, False, True)
    found = torch.autograd.grad(h, [*leaves, x] if to_input else leaves, delta)
    return dict(zip(ARRAYS, found, strict=False)), found[-1] if to_input else None


def _from_input(arrays: Arrays, x: Tensor) -> Tensor:
    """Return ``W_i x + b_i`` (batch, steps, 3 units), to r and z with the other bias, which is only added."""
    units = arrays["w_hh"].shape[1]
    bias = arrays["b_ih"].clone()
    bias[: 2 * units] += arrays["b_hh"][: 2 * units]
    return matmul(x.reshape(-1, x.shape[2]), arrays["w_ih"]).add_(bias).view(*x.shape[:2], -1)


def _split(a: Tensor) -> tuple[Tensor, Tensor]:
    """Return the columns of r and z, and those of n."""
    units = a.shape[-1] // 3
    return a[..., : 2 * units], a[..., 2 * units :]


def _outs(steps: Steps) -> tuple[Tensor, ...]:
    """Return r and z together, r, n and m."""
    return steps.gates[..., : 2 * steps.before.shape[2]], steps.r, steps.n, steps.m


def _open(out: tuple[Tensor, ...], ih: tuple[Tensor, ...], hh: tuple[Tensor, ...], b_m: Tensor) -> None:
    """Write the gates, of one step or of many, from what comes from the input and from the layer itself."""
    rz, r, n, m = out
    torch.add(ih[0], hh[0], out=rz).sigmoid_()  # Eqs. 15 and 16
    torch.add(hh[1], b_m, out=m)
    torch.addcmul(ih[1], r, m, out=n).tanh_()  # Eq. 17

"""Gated recurrent units word for word: Eqs. 15-18 step by step, for autograd to go through."""

import torch


def layer(batch, steps, inputs, units, dtype=torch.float64, seed=0):
    """Return arrays, an input and learning signals; the layer hears itself as loudly as its input."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    shapes = {"w_ih": (3 * units, inputs), "w_hh": (3 * units, units)}
    arrays = {name: 1.5 * normal(*shape) / shape[-1] ** 0.5 for name, shape in shapes.items()}
    arrays["b_ih"], arrays["b_hh"] = normal(3 * units) / 2, normal(3 * units) / 2
    return arrays, normal(batch, steps, inputs), normal(batch, steps, units)


def states(arrays, x, blocked="nowhere"):
    """Return h_t (batch, steps, units) of ``x`` (batch, steps, inputs), from rest.

    ``blocked``: h_{t-1} in the ``"gates"``, as printed; ``"everywhere"``, in Eq. 18, too; or ``"nowhere"``.
    """
    w_ir, w_iz, w_in = arrays["w_ih"].chunk(3)
    w_hr, w_hz, w_hn = arrays["w_hh"].chunk(3)
    b_ir, b_iz, b_in = arrays["b_ih"].chunk(3)
    b_hr, b_hz, b_hn = arrays["b_hh"].chunk(3)
    h, found = torch.zeros(len(x), w_hr.shape[1], dtype=x.dtype), []
    for x_t in x.unbind(1):
        before = h if blocked == "nowhere" else h.detach()
        r = torch.sigmoid(x_t @ w_ir.T + b_ir + before @ w_hr.T + b_hr)
        z = torch.sigmoid(x_t @ w_iz.T + b_iz + before @ w_hz.T + b_hz)
        n = torch.tanh(x_t @ w_in.T + b_in + r * (before @ w_hn.T + b_hn))
        h = (1 - z) * n + z * (before if blocked == "everywhere" else h)
        found.append(h)
    return torch.stack(found, 1)

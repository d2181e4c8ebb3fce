"""The torch rendering of a plasticity rule: the closed form, no autograd."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..plasticity import Factor, Gate, Rule


def update(rule: Rule, factors: Mapping[Factor, Tensor], gates: Mapping[Gate, Tensor]) -> Tensor:
    """Return the change of ``rule.target`` per unit of learning rate, averaged over the batch.

    ``factors`` holds tensors (batch, units), ``gates`` tensors (batch,). The result is (post, pre), or
    (post,) for a bias: ``sum over products of coefficient * mean_b(gate_b * post_bj * pre_bi)``.
    """
    total: Tensor | None = None
    for product in rule.products:
        gate = gates[product.gate]
        post = product.coefficient / len(gate) * gate[:, None] * _product(product.post, factors)
        change = post.T @ _product(product.pre, factors) if product.pre else post.sum(0)
        total = change if total is None else total + change
    if total is None:
        raise ValueError(f"the rule of {rule.target} has no products")
    return total


def _product(names: tuple[Factor, ...], factors: Mapping[Factor, Tensor]) -> Tensor:
    result = factors[names[0]]
    for name in names[1:]:
        result = result * factors[name]
    return result


def slope(a: Tensor) -> Tensor:
    """Return rho'(a) of the rectifier: 1 where ``a > 0``, else 0 (also at 0)."""
    return (a > 0).to(a.dtype)

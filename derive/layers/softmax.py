"""Softmax: y[n,k] = exp(z[n,k]) / Σ_j exp(z[n,j])."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import exp

from chainrule.derive.index import Equation, Sum, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType
from chainrule.derive.library import PROBABILITIES
from chainrule.derive.prose import _

n, k, j = index("n"), index("k"), index("j")
N, K = size("N"), size("K")
x, y = tensor("x", N, K), tensor("y", N, K)

SOFTMAX = Equation(y[n, k], exp(x[n, k]) / Sum(exp(x[n, j]), (j, K)))


def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """Return the equation of softmax over the outputs of samples of shape (K,)."""
    return Forward((SOFTMAX,), {K: shape[0]})


LAYER = LayerType(
    "softmax",
    _("probabilities that sum to 1"),
    forward,
    input_rank=1,
    gives=PROBABILITIES,
    as_activation=True,
)

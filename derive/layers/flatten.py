"""Flatten: one row a sample, the last index fastest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy
from sympy import KroneckerDelta

from chainrule.derive.index import Equation, Sum, index, size, tensor
from chainrule.derive.layers.layer import Forward, LayerType
from chainrule.derive.prose import _


def forward(shape: tuple[int, ...], options: Mapping[str, Any]) -> Forward:
    """Return y[n, k] = x[n, i, j, c] at k = (i·W + j)·C + c, for samples of any rank."""
    batch, n, k = size("N"), index("n"), index("k")
    sizes = [size(f"D{axis}") for axis in range(1, len(shape) + 1)]
    indices = [index(name) for name in ("i", "j", "c", "d", "e", "f")[: len(shape)]]
    position = sympy.Integer(0)
    for symbol, extent in zip(indices, sizes, strict=True):
        position = position * extent + symbol
    x = tensor("x", batch, *sizes)
    y = tensor("y", batch, sympy.Mul(*sizes))
    body = KroneckerDelta(k, position) * x[(n, *indices)]
    equation = Equation(y[n, k], Sum(body, *zip(indices, sizes, strict=True)))
    return Forward((equation,), dict(zip(sizes, shape, strict=True)))


LAYER = LayerType("flatten", _("one row a sample: (H, W, C) becomes (H·W·C,)"), forward, moves_only=True)

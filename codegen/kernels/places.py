"""Where the entry of a tensor lies in memory, as an expression of its indices and of N, the batch size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy
from sympy import Expr

from chainrule.codegen.ir.program import BATCH, Extent, Shape
from chainrule.derive.network import N


def size(extent: Extent) -> Expr:
    """Return an extent as an expression."""
    return N if extent == BATCH else sympy.Integer(int(extent))


def volume(extents: Iterable[Extent]) -> Expr:
    """Return how many entries there are, as an expression of N."""
    return sympy.Mul(*map(size, extents))


def offset(subscripts: Sequence[Expr], shape: Shape) -> Expr:
    """Return the position of an entry, the last index fastest."""
    place: Expr = sympy.S.Zero
    for subscript, extent in zip(subscripts, shape, strict=True):
        place = place * size(extent) + subscript
    return sympy.expand(place)


__all__ = ["N", "offset", "size", "volume"]

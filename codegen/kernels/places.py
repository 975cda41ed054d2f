"""Where the entry of a tensor lies in memory, as an expression of its indices and of N, the batch size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy
from sympy import Expr

from chainrule.codegen.ir.box import size_of
from chainrule.codegen.ir.program import Extent, Shape
from chainrule.derive.network import N


def volume(extents: Iterable[Extent]) -> Expr:
    """Return how many entries there are, as an expression of N."""
    return sympy.Mul(*map(size_of, extents))


def offset(subscripts: Sequence[Expr], shape: Shape) -> Expr:
    """Return the position of an entry, the last index fastest."""
    place: Expr = sympy.S.Zero
    for subscript, extent in zip(subscripts, shape, strict=True):
        place = place * size_of(extent) + subscript
    return sympy.expand(place)


__all__ = ["N", "offset", "volume"]

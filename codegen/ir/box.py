"""Boxes: where affine subscripts lead, and where a body is 0 because it reads outside of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy
from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.program import BATCH, Extent, Shape
from chainrule.derive.index import Inside, Winner, access, tensor
from chainrule.derive.network import N

Extents = Mapping[Symbol, Extent]


def extent_of(size: Expr) -> Extent:
    return int(size) if size.is_Integer else BATCH


def size_of(extent: Extent) -> Expr:
    """Return an extent as an expression."""
    return N if extent == BATCH else sympy.Integer(int(extent))


def axes(rank: int) -> tuple[Symbol, ...]:
    """Return an index for each axis of a tensor, whatever equations call them."""
    return tuple(Symbol(f"axis{d}", integer=True) for d in range(rank))


def element(name: str, shape: Shape, subscripts: Iterable[object]) -> Indexed:
    """Return the element of a value of that shape at subscripts."""
    return access(tensor(name, *map(size_of, shape)), *subscripts)


def bounds(expression: Expr, extents: Extents) -> tuple[int, int] | None:
    """Return the least and greatest value of an affine expression, None where an index has no number."""
    constant, terms = expression.as_coeff_add()
    low = high = int(constant)
    for term in terms:
        slope, symbol = term.as_coeff_Mul()
        extent = extents.get(symbol)
        if not isinstance(extent, int) or not slope.is_Integer:
            return None
        reach = int(slope) * (extent - 1)
        low, high = low + min(0, reach), high + max(0, reach)
    return low, high


def placed(node: Expr) -> Iterable[tuple[Expr, Extent]]:
    """Return the subscripts, or what stands in their place, of an access, a guard or a winner."""
    match node:
        case Indexed():
            return zip(node.indices, map(extent_of, node.base.shape), strict=True)
        case Inside():
            return [(node.expression, extent_of(node.size))]
        case Winner():
            return zip(node.at, (extent_of(n) for _, n in node.axes), strict=True)
    return ()


def zero_outside(index: Symbol, body: Expr, extents: Extents) -> bool:
    """Whether a body is 0 where an index leaves its range."""
    return vanishes(body, zero_beyond(index, extents[index], body))


def vanishes(body: Expr, zeros: Iterable[Expr]) -> bool:
    """Whether a body is 0 wherever these parts of it are, whatever else it reads."""
    zeros = dict.fromkeys(zeros, sympy.S.Zero)
    return bool(zeros) and body.xreplace(zeros) == 0


def zero_beyond(part: Expr, extent: Extent, body: Expr) -> list[Expr]:
    """Return what is 0 where an affine part leaves 0 … extent − 1: accesses, guards and winners at it."""
    return [
        node
        for node in body.atoms(Indexed, Inside, Winner)
        if any(e == part and _within(n, extent) for e, n in placed(node))
    ]


def _within(extent: Extent, other: Extent) -> bool:
    """Whether an axis is no longer than another."""
    return extent == other or (BATCH not in (extent, other) and int(extent) <= int(other))


def finite_beyond(body: Expr, extents: Extents) -> bool:
    """Whether a body has a value where its windows leave what they read: it is computed there, too."""
    for read in body.atoms(Indexed):
        found = [bounds(e, extents) for e in read.indices]
        sizes = map(extent_of, read.base.shape)
        leaves = any(
            f and n != BATCH and (f[0] < 0 or f[1] >= int(n)) for f, n in zip(found, sizes, strict=True)
        )
        if leaves and body.xreplace({read: sympy.S.Zero}).has(sympy.zoo, sympy.oo, sympy.nan):
            return False
    return True

"""What subscripts say: which windows are the same, what is read as it lies, and how many points there are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import sympy
from sympy import Expr, Indexed, Mul, Symbol

from chainrule.codegen.ir.box import Extents, extent_of, placed
from chainrule.codegen.ir.program import BATCH, Extent
from chainrule.codegen.lower.copies import WindowKey
from chainrule.derive.index import name_of

NOMINAL_BATCH = 64  # for comparing sizes only


def window_key(read: Indexed, extents: Extents) -> WindowKey:
    """Return what two windows of a tensor share that hold the same values under other names."""
    axes = []
    for subscript in read.indices:
        constant, terms = subscript.as_coeff_add()
        pairs = (term.as_coeff_Mul() for term in terms)
        axes.append((int(constant), *sorted((int(slope), str(extents.get(i))) for slope, i in pairs)))
    return name_of(read.base), *axes


def is_plain(read: Indexed, extents: Extents) -> bool:
    """Whether an access has distinct subscripts that run over just the axes they read."""
    pairs = zip(read.indices, read.base.shape, strict=True)
    whole = all(isinstance(i, Symbol) and extents.get(i) == extent_of(n) for i, n in pairs)
    return whole and len(set(read.indices)) == len(read.indices)


def slopes(expression: Expr) -> list[tuple[int, Symbol]]:
    """Return the terms of an affine expression as (|slope|, index)."""
    terms = (term.as_coeff_Mul() for term in expression.as_coeff_add()[1])
    return [(abs(int(slope)), index) for slope, index in terms]


def nominal_volume(indices: Iterable[Symbol], extents: Extents) -> int:
    """Return the number of points of some indices, for a batch of nominal size."""
    sizes = (extents[i] for i in indices)
    return math.prod(NOMINAL_BATCH if e == BATCH else int(e) for e in sizes)


def affine_parts(body: Expr) -> Iterator[tuple[Expr, Extent]]:
    """Give every expression that stands as a subscript, guard or winner's place, with its extent."""
    for node in sympy.preorder_traversal(body):
        yield from placed(node)


def mixed_radix(expression: Expr, extents: Extents) -> tuple[Symbol, ...] | None:
    """Return the indices (i, j, …) of (i·J + j)·… : a position in row-major order; None if it is none."""
    terms = [t.as_coeff_Mul() for t in sympy.Add.make_args(sympy.expand(expression))]
    if any(not isinstance(s, Symbol) or s not in extents or extents[s] == BATCH for _, s in terms):
        return None
    ordered = sorted(terms, key=lambda t: (-int(t[0]), -int(extents[t[1]])))
    step = 1
    for slope, symbol in reversed(ordered):
        if slope != step:
            return None
        step *= int(extents[symbol])
    return tuple(s for _, s in ordered)


def factors(body: Expr) -> tuple[Expr, ...]:
    """Return the factors of a product."""
    return tuple(Mul.make_args(body))

"""Where a factor of a product lies: a base, and a stride for each index, in memory with zeros around it."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.box import bounds, element
from chainrule.codegen.ir.program import BATCH, Extent, Load, Program
from chainrule.codegen.kernels.places import N, offset
from chainrule.codegen.kernels.views import Views
from chainrule.codegen.kernels.work import Guarded
from chainrule.derive.index import name_of


@dataclass(frozen=True)
class Operand:
    """An affine access: memory, its entry at all indices 0, and the stride of each index.

    ``border`` has, for memory that is read outside its box, zeros before and after on each axis but the
    batch's: the access is then one of a sample's copy with these around it.
    """

    read: Expr
    memory: str
    start: int
    strides: dict[Symbol, int]
    border: tuple[tuple[int, int], ...] = ()
    shape: tuple[int, ...] = ()  # of a sample that is copied, without zeros

    def stride(self, index: Symbol) -> int:
        return self.strides.get(index, 0)


def operand(
    program: Program, views: Views, load: Load, extents: dict[Symbol, Extent], sample: Symbol | None
) -> Operand | None:
    """Return how a product reads a factor, None where it is no affine access of that kind."""
    shape = program.values[load.name].shape
    units = {i: sympy.S.Zero for i, e in extents.items() if e == 1}
    whole = views.resolved(element(load.name, shape, load.indices)).xreplace(units)
    read, guards = (whole.read, whole.guards) if isinstance(whole, Guarded) else (whole, ())
    if not isinstance(read, Indexed):
        return None
    name = name_of(read.base)
    sizes = program.values[name].shape
    memory = views.memory(name)
    if program.values[memory].truth or program.values[memory].integer:
        return None
    border, subscripts = [], list(read.indices)
    if guards:
        if sizes[:1] != (BATCH,) or sample is None or read.indices[0] != sample or BATCH in sizes[1:]:
            return None
        if any(all(g.args[0] != e for e in subscripts) for g in guards):
            return None
        for axis in range(1, len(sizes)):
            reach = bounds(subscripts[axis], extents)
            if reach is None:
                return None
            before, after = max(0, -reach[0]), max(0, reach[1] - int(sizes[axis]) + 1)
            border.append((before, after))
            subscripts[axis] += before
        sizes = (BATCH, *(int(n) + b + a for n, (b, a) in zip(sizes[1:], border, strict=True)))
    place = sympy.Poly(offset(subscripts, sizes).subs(N, 0), *sorted(extents, key=str))
    if BATCH in sizes[1:] or place.total_degree() > 1:
        return None
    strides = {i: int(place.coeff_monomial(i)) for i in extents}
    start = int(place.coeff_monomial(1))
    own = tuple(int(n) for n in program.values[name].shape[1:]) if border else ()
    return Operand(whole, memory, start, strides, tuple(border), own)

"""An exchange of axes for one, or one for several, in row-major order: the same values in another shape."""

from __future__ import annotations

from sympy import Indexed, KroneckerDelta, Symbol

from chainrule.codegen.ir.box import Extents
from chainrule.codegen.ir.program import Reshape
from chainrule.codegen.lower.emitter import extent
from chainrule.codegen.lower.subscripts import factors, is_plain, mixed_radix
from chainrule.derive.index import Equation, Sum, name_of


def reshaped(equation: Equation, number: int, extents: Extents) -> Reshape | None:
    """Recognise an exchange of axes for one, or one for several, in row-major order."""
    right, free = equation.right, equation.free
    if isinstance(right, Indexed):
        source, wanted = right, free
        parts = list(right.indices)
    elif isinstance(right, Sum):
        extents = {**extents, **{i: extent(n) for i, n in right.axes}}
        parts_of = factors(right.body)
        deltas = [f for f in parts_of if isinstance(f, KroneckerDelta) and not f.has(Indexed)]
        reads = [f for f in parts_of if isinstance(f, Indexed)]
        if len(reads) != 1 or len(deltas) + 1 != len(parts_of) or not is_plain(reads[0], extents):
            return None
        (source,), wanted = reads, tuple(reads[0].indices)
        place = {i: d.args[0] + d.args[1] - i for d in deltas for i in d.args if i in free}
        parts = [place.get(i, i) for i in free]
    else:
        return None
    order: list[Symbol] = []
    for part in parts:
        decoded = (part,) if isinstance(part, Symbol) else mixed_radix(part, extents)
        if decoded is None:
            return None
        order += decoded
    if tuple(order) != tuple(wanted) or all(isinstance(p, Symbol) for p in parts):
        return None
    return Reshape(equation.name, free, number, name_of(source.base))

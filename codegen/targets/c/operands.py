"""Where a factor of a product lies: in what memory, from where on, and with what stride for each index."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import sympy
from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.box import bounds, element
from chainrule.codegen.ir.program import BATCH, Extent, Load, Program
from chainrule.codegen.kernels.places import N, offset
from chainrule.codegen.kernels.views import Views
from chainrule.codegen.kernels.work import Guarded


@dataclass(frozen=True)
class Affine:
    """An affine access: ``memory``, the entry at all indices 0, and the stride of each index.

    ``border`` has, where memory is read outside its box, how many zeros stand before and after it on each
    axis of a sample; start and strides are then those of a sample's copy with these around it.
    """

    read: Expr
    memory: str
    start: int
    strides: dict[Symbol, int]
    shape: tuple[int, ...]  # of a sample, or of all where there are none
    border: tuple[tuple[int, int], ...]

    def stride(self, index: Symbol) -> int:
        return self.strides.get(index, 0)

    @property
    def around(self) -> list[int]:
        """Extents of a sample within its border."""
        return [size + before + after for size, (before, after) in zip(self.shape, self.border, strict=True)]

    @property
    def bordered(self) -> bool:
        return any(before or after for before, after in self.border)


def copying(factor: Affine, to: str, source: str, sample: str) -> list[str]:
    """Return the lines that copy a sample of ``source`` to ``to``, within its border there."""
    lines: list[str] = []
    place = at = indent = ""
    *outer, (size, whole, (before, _)) = zip(factor.shape, factor.around, factor.border, strict=True)
    while outer and size == whole:  # nothing stands between them: they are copied as one
        extent, wide, (first, _) = outer.pop()
        size, whole, before = extent * size, wide * size, first * size
    for axis, (extent, wide, (first, _)) in enumerate(outer):
        name = f"{'ijklm'[axis]}0"
        lines.append(f"{indent}for (long {name} = 0; {name} < {extent}; ++{name})")
        indent += "    "
        shown = f"{name} + {first}" if first else name
        place = f"{_factor(place)} * {wide} + {shown}" if place else shown
        at = f"{_factor(at)} * {extent} + {name}" if at else name
    behind = [f"{_factor(place)} * {whole}" if place else "", str(before) if before else ""]
    into = " + ".join([to, *(text for text in behind if text)])
    begin = " + ".join(
        [source, f"{sample} * {prod(factor.shape)}", *([f"{_factor(at)} * {size}"] if at else [])]
    )
    return [*lines, f"{indent}memcpy({into}, {begin}, {size} * sizeof(real));"]


def _factor(text: str) -> str:
    return f"({text})" if " " in text else text


def operand(
    program: Program, views: Views, load: Load, extents: dict[Symbol, Extent], sample: Symbol | None
) -> Affine | None:
    """Return how a product reads a factor, None where it is no affine access of numbers."""
    units = {i: sympy.S.Zero for i, e in extents.items() if e == 1}
    shape = program.values[load.name].shape
    whole = views.resolved(element(load.name, shape, load.indices)).xreplace(units)
    return lying(program, views, whole, extents, sample)


def lying(
    program: Program, views: Views, whole: Expr, extents: dict[Symbol, Extent], sample: Symbol | None
) -> Affine | None:
    """Return where an access, guarded or not, lies; None where it is no affine one of numbers."""
    read, guards = (whole.read, whole.guards) if isinstance(whole, Guarded) else (whole, ())
    if not isinstance(read, Indexed):
        return None
    name = read.base.label.name
    memory, sizes, subscripts = views.memory(name), program.values[name].shape, list(read.indices)
    value = program.values[memory]
    if value.truth or value.integer or BATCH in sizes[1:] or not sizes:
        return None
    first = 1 if sizes[0] == BATCH else 0
    border = [(0, 0)] * (len(sizes) - first)
    if guards:
        if not first or sample is None or subscripts[0] != sample:
            return None
        if any(guard.args[0] not in subscripts for guard in guards):
            return None
        for axis in range(1, len(sizes)):
            reach = bounds(subscripts[axis], extents)
            if reach is None:
                return None
            before, after = max(0, -reach[0]), max(0, reach[1] - int(sizes[axis]) + 1)
            border[axis - 1] = (before, after)
            subscripts[axis] += before
    inner = tuple(int(n) for n in sizes[first:])
    around = [n + b + a for n, (b, a) in zip(inner, border, strict=True)]
    place = sympy.expand(offset(subscripts, (*sizes[:first], *around)).subs(N, 0))
    strides = {i: place.coeff(i) for i in extents if place.has(i)}
    start = place.as_coeff_Add()[0]
    if not start.is_Integer or not all(s.is_Integer for s in strides.values()):
        return None
    return Affine(whole, memory, int(start), {i: int(s) for i, s in strides.items()}, inner, tuple(border))

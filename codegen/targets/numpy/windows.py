"""Windows and places in NumPy: a pattern in the text of the program says which subscripts are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sympy import Expr, Symbol

from chainrule.codegen.ir.contraction import distinct
from chainrule.codegen.ir.program import BATCH, Extent


class Letters:
    """Short names for the indices of one pattern, all different."""

    def __init__(self) -> None:
        self.names: dict[Symbol, str] = {}

    def of(self, index: Symbol) -> str:
        if index not in self.names:
            taken, count, name = set(self.names.values()), 1, index.name
            while name in taken:
                count += 1
                name = f"{index.name}{count}"
            self.names[index] = name
        return self.names[index]


def affine(expression: Expr, letters: Letters) -> str:
    """Return a subscript as it stands in a pattern: 2i+u-1."""
    constant, terms = expression.as_coeff_add()
    pairs = sorted((t.as_coeff_Mul() for t in terms), key=lambda p: (-abs(int(p[0])), letters.of(p[1])))
    text = ""
    for slope, index in pairs:
        sign = "-" if slope < 0 else "+" if text else ""
        text += sign + ("" if abs(slope) == 1 else str(abs(slope))) + letters.of(index)
    if constant != 0 or not text:
        text += f"{int(constant):+d}" if text else str(int(constant))
    return text


def pattern(
    subscripts: Iterable[Expr],
    shape: tuple[Extent, ...],
    order: Iterable[Symbol],
    extents: Mapping[Symbol, Extent],
) -> str:
    """Return the arguments of ``windows``: the pattern and the sizes that the array's shape does not show."""
    letters = Letters()
    subscripts, order = tuple(subscripts), tuple(order)
    for index in order:
        letters.of(index)
    first: dict[Symbol, tuple[Expr, Extent]] = {}  # where an index stands first its size is read
    for subscript, extent in zip(subscripts, shape, strict=True):
        first = {**dict.fromkeys(subscript.free_symbols, (subscript, extent)), **first}
    shown = {i for i, at in first.items() if at == (i, extents[i])}
    texts = " ".join(affine(s, letters) for s in subscripts)
    sizes = [f"{letters.of(i)}={extents[i]}" for i in order if i not in shown]
    return ", ".join([f'"{texts} -> {" ".join(map(letters.of, order))}"', *sizes])


def slices(
    subscripts: tuple[Expr, ...],
    shape: tuple[Extent, ...],
    order: tuple[Symbol, ...],
    extents: Mapping[Symbol, Extent],
) -> list[str] | None:
    """Return slices such as 1:-1 where every axis is read from a start to a stop, else None."""
    if len(subscripts) != len(order):
        return None
    sides = []
    for subscript, size, index in zip(subscripts, shape, order, strict=True):
        start = subscript - index
        if not start.is_Integer:
            return None
        stop = 0 if size == BATCH else int(start) + int(extents[index]) - int(size)
        sides.append(f"{int(start) or ''}:{stop or ''}")
    return sides


def looped(
    subscripts: Iterable[Expr], order: tuple[Symbol, ...], extents: Mapping[Symbol, Extent]
) -> tuple[int, ...]:
    """Return the axes of a tensor of windows that are added one by one: for each, no place comes twice."""
    fixed: set[Symbol] = set()
    for subscript in subscripts:
        terms = [(abs(int(s)), i) for s, i in (t.as_coeff_Mul() for t in subscript.as_coeff_add()[1])]
        while not distinct([t for t in terms if t[1] not in fixed], extents):
            fixed.add(
                min((t for t in terms if t[1] not in fixed), key=lambda t: (int(extents[t[1]]), t[1].name))[1]
            )
    return tuple(axis for axis, i in enumerate(order) if i in fixed)

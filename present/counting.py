"""Where indices count from on a page, and what is said about that: one origin, and 0 outside of a tensor."""

from __future__ import annotations

from collections.abc import Iterable

import sympy
from sympy import Add, Expr, Indexed, KroneckerDelta, Mul, Symbol

from chainrule.derive.index import Equation, Inside, Reduction, Winner, apart
from chainrule.derive.prose import _

FROM_ZERO = _("Indices count from 0, as in the program.")
LABELS_TOO = _("Indices count from 0, as in the program, and so do labels.")
OUTSIDE = _("A tensor that is read outside of its box is 0 there.")


def origin_of(equations: Iterable[Equation]) -> int:
    """Return what indices count from: 1, or 0 where one is calculated with or compared to a label."""
    return int(all(map(_counts_from_one, dict.fromkeys(e.pattern for e in equations))))


def _counts_from_one(equation: Equation) -> bool:
    """Whether every subscript is an index by itself, so that it may as well count from 1."""
    if (
        equation.right.has(Inside)
        or _calculates(equation.right)
        or any(d.has(Add, Mul) for d in equation.right.atoms(KroneckerDelta))
    ):
        return False
    return not compares_labels(equation) and all(
        isinstance(i, Symbol) for a in equation.right.atoms(Indexed) for i in a.indices
    )


def _calculates(node: Expr) -> bool:
    """Whether an index is a value in an expression, no subscript."""
    if isinstance(node, Indexed | KroneckerDelta | Inside):
        return False
    if isinstance(node, Reduction | Winner):
        return _calculates(node.body)
    return (isinstance(node, Symbol) and node.is_integer and not node.is_positive) or any(
        map(_calculates, node.args)
    )


def compares_labels(equation: Equation) -> bool:
    """Whether an index is compared to what a tensor holds."""
    return any(d.has(Indexed) for d in equation.right.atoms(KroneckerDelta))


def leaves_its_box(equation: Equation) -> bool:
    """Whether a subscript may be outside of the axis that it reads."""
    right = apart(equation.right)  # one letter may be bound by several sums, over axes of other sizes
    bound = [axis for node in right.atoms(Reduction, Winner) for axis in node.axes]
    sizes = {index: n for index, n in (*equation.axes, *bound)}
    return any(
        not _within(subscript, n, sizes)
        for read in right.atoms(Indexed)
        for subscript, n in zip(read.indices, read.base.shape, strict=True)
    )


def _within(subscript: Expr, extent: Expr, sizes: dict[Symbol, Expr]) -> bool:
    """Whether 0 ≤ subscript < extent for all values of its indices, as far as whole numbers tell."""
    if subscript in sizes:
        return bool(sympy.simplify(sizes[subscript] - extent).is_nonpositive)
    low = high = sympy.S.Zero
    for term in Add.make_args(sympy.expand(subscript)):
        factor, rest = term.as_coeff_Mul()
        most = sizes.get(rest)
        if most is None and rest != 1:
            return False
        ends = (factor, factor) if most is None else (sympy.S.Zero, factor * (most - 1))
        low, high = low + sympy.Min(*ends), high + sympy.Max(*ends)
    return bool(low.is_nonnegative) and bool((extent - 1 - high).is_nonnegative)


def sentences(equations: Iterable[Equation]) -> tuple[str, ...]:
    """Return what a page says before its equations."""
    found = tuple(dict.fromkeys(e.pattern for e in equations))
    said: list[str] = []
    if not origin_of(found):
        said.append(LABELS_TOO if any(map(compares_labels, found)) else FROM_ZERO)
    if any(map(leaves_its_box, found)):
        said.append(OUTSIDE)
    return tuple(said)

"""Layer equations made ready for a blackboard: one example, one channel, the letters of the lecture."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sympy
from sympy import Expr, Indexed

from chainrule.derive.index import Equation, Reduction, access, name_of, tensor


def without(equation: Equation, gone: Collection[Expr]) -> Equation:
    """Return an equation without the axes of these sizes: of each, one place is left.

    Σ over such an axis goes with it; W[k,u,c] x[n, i + u, c] of one example and one channel is W[u] x[i + u].
    """

    def visit(node: Expr) -> Expr:
        if isinstance(node, Indexed):
            kept = [(i, n) for i, n in zip(node.indices, node.base.shape, strict=True) if n not in gone]
            return access(tensor(name_of(node.base), *(n for _, n in kept)), *(i for i, _ in kept))
        arguments = [visit(a) for a in node.args] if node.args else []
        if isinstance(node, Reduction):
            axes = [axis for axis in node.axes if axis[1] not in gone]
            return type(node)(arguments[0], *axes)
        return node.func(*arguments) if arguments else node

    return Equation(visit(equation.left), visit(equation.right))


def renamed(equation: Equation, letters: Mapping[str, str] | None = None, **others: str) -> Equation:
    """Return an equation with tensors called by other letters."""
    names = {**(letters or {}), **others}
    bases = {equation.left.base, *equation.reads().values()}
    return equation.replace(
        {base: tensor(names[name_of(base)], *base.shape) for base in bases if name_of(base) in names}
    )


def plain_places(expression: Expr) -> Expr:
    """Return an expression with its subscripts multiplied out."""

    def expanded(read: Indexed) -> Indexed:
        return access(read.base, *(sympy.expand(at) for at in read.indices))

    return expression.replace(lambda e: isinstance(e, Indexed), expanded)

"""An index that is calculated with, k x[n,k]: a tensor that holds the places of its axis is read there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sympy import Expr, Indexed, KroneckerDelta, Symbol

from chainrule.derive.index import Inside, Reduction, Winner

Hold = Callable[[Symbol, Expr], Expr]


def without_positions(node: Expr, sizes: Mapping[Symbol, Expr], hold: Hold) -> Expr:
    """Return an expression in which no index, of these sizes or bound inside, is a value.

    ``hold`` gives what is read in its place, at an index and the size of its axis.
    """
    if node in sizes:
        return hold(node, sizes[node])
    if not node.args or isinstance(node, Indexed | KroneckerDelta | Inside):
        return node
    if isinstance(node, Reduction | Winner):
        body = without_positions(node.body, {**sizes, **{i: n for i, n in node.axes}}, hold)
        return node if body == node.body else node.func(body, *node.args[1:])
    arguments = [without_positions(a, sizes, hold) for a in node.args]
    same = all(a is b for a, b in zip(arguments, node.args, strict=True))
    return node if same else node.func(*arguments)

"""Where the derivatives of an expression jump, and where it jumps itself: what a difference may not cross."""

from __future__ import annotations

from functools import lru_cache

import sympy
from sympy import Basic, Expr, Indexed, Piecewise
from sympy.core.relational import Relational

from chainrule.codegen.ir.formula import Form
from chainrule.codegen.ir.program import Calculation, Program
from chainrule.codegen.ir.section import Section
from chainrule.derive.index import name_of

ROUNDED = ("floor", "ceiling", "rint")


def conditions(expression: Expr) -> list[Expr]:
    """Return the comparisons in an expression that depend on its tensors.

    They are those of branches, signs and absolute values, what is rounded, and who wins a maximum.
    """
    found: dict[Expr, None] = {}

    def visit(node: Basic) -> None:
        if isinstance(node, Piecewise):
            for _, condition in node.args:
                found.update(_comparisons(condition))
        elif isinstance(node, sympy.sign | sympy.Abs) and node.has(Indexed):
            found[sympy.Gt(node.args[0], 0)] = None
        elif type(node).__name__ == "Winner":
            found[node] = None
            return
        elif type(node).__name__ in ROUNDED and node.has(Indexed):
            found[node] = None
        for argument in node.args:
            visit(argument)

    visit(expression)
    return list(found)


def jumps(expression: Expr) -> list[Expr]:
    """Return the comparisons at which an expression jumps; the derivatives of a step do not show them."""
    found: dict[Expr, None] = {}
    for node in sympy.preorder_traversal(expression):
        if isinstance(node, Piecewise) and not _continuous(node):
            for _, condition in node.args:
                found.update(_comparisons(condition))
        elif isinstance(node, sympy.sign) and node.has(Indexed):
            found[sympy.Gt(node.args[0], 0)] = None
        elif type(node).__name__ in ROUNDED and node.has(Indexed):
            found[node] = None
    return list(found)


def kept_for_jumps(program: Program) -> set[str]:
    """Return the values that tell, once the loss is computed, on which side of its jumps everything lies."""
    found: set[str] = set()
    for statement in program.statements(Section.FORWARD, Section.LOSS):
        if isinstance(statement, Calculation):
            found |= {statement.formula.names[place] for place in _jumping(statement.formula.form)}
    return found


@lru_cache(maxsize=4096)
def _jumping(form: Form) -> frozenset[int]:
    """Return which tensors tell on which side of its jumps a form lies."""
    read = {name_of(read.base) for jump in jumps(form.expression) for read in jump.atoms(Indexed)}
    return frozenset(map(form.tensors.index, read))


def _comparisons(condition: Basic) -> dict[Expr, None]:
    found = sorted(condition.atoms(Relational), key=sympy.default_sort_key)
    return {c: None for c in found if c.has(Indexed)}


def _continuous(node: Piecewise) -> bool:
    """Whether two branches are seen to meet where one takes over from the other."""
    (first, condition), *rest = node.args
    if len(rest) != 1 or not isinstance(condition, Relational):
        return False
    second = rest[0][0]
    if condition.lhs - condition.rhs in (first - second, second - first):
        return True  # a maximum or a minimum
    edge = {condition.lhs: condition.rhs} if isinstance(condition.lhs, Indexed) else {}
    return bool(edge) and (first - second).xreplace(edge).expand() == 0

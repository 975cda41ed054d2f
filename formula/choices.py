"""max, min, relu and where: choices, and what becomes of a choice inside another."""

from __future__ import annotations

from collections.abc import Callable

import sympy
from sympy import Expr

from chainrule.formula.cases import MAX_CHOICES, TOO_MANY, Cases, TooManyChoices

Condition = Callable[[Expr, Expr], sympy.Basic]
_Path = list[tuple[sympy.Basic, bool]]  # conditions that hold, or do not
_Cell = tuple[Expr, _Path]


class FormulaValueError(ValueError):
    """An operation that has no finite real value, or too large a one."""


def choose(condition: Condition, left: Expr, right: Expr, a: Expr, b: Expr) -> Expr:
    """Return ``a`` where ``condition(left, right)`` holds, else ``b``.

    A choice inside the condition, or instead of a value, becomes part of one list of cases.
    """
    plain = not left.has(sympy.Piecewise) and not right.has(sympy.Piecewise)
    if plain:
        found = _plain(condition, left, right, a, b)
        nested = isinstance(a, sympy.Piecewise) or isinstance(b, sympy.Piecewise)
        if not nested or not isinstance(found, sympy.Piecewise):
            return found
    try:
        cells: list[_Cell] = []
        _open(condition, left, right, a, b, [], cells)
        joined = Cases(lambda p, q: _holds(sympy.Lt, p, q)).joined(cells)
    except TooManyChoices:
        return found if plain else _nested(condition, left, right, a, b, [MAX_CHOICES])
    return found if plain and _cases(joined) > _cases(found) else joined


def _nested(condition: Condition, left: Expr, right: Expr, a: Expr, b: Expr, budget: list[int]) -> Expr:
    """Move a choice inside the condition outside of it: max(max(p, q), r) asks p >= q first."""
    budget[0] -= 1
    if budget[0] < 0:
        raise FormulaValueError(TOO_MANY)
    inner = _outermost_choice(left) or _outermost_choice(right)
    if inner is None:
        return _plain(condition, left, right, a, b)
    branches = []
    for value, case in inner.args:
        p, q, first, second = (part.xreplace({inner: value}) for part in (left, right, a, b))
        branches.append((_nested(condition, p, q, first, second, budget), case))
    return sympy.Piecewise(*branches)


def _cases(expression: Expr) -> int:
    """Return how many cases an expression has, those inside of cases too."""
    if not isinstance(expression, sympy.Piecewise):
        return 1
    return sum(_cases(value) for value, _ in expression.args)


def _plain(condition: Condition, left: Expr, right: Expr, a: Expr, b: Expr) -> Expr:
    if left.is_number and right.is_number:
        return a if _holds(condition, left, right) else b
    return sympy.Piecewise((a, _relation(condition, left, right)), (b, True))


def _relation(condition: Condition, left: Expr, right: Expr) -> sympy.Basic:
    try:
        relation = condition(left, right)
        sympy.Piecewise((left, relation), (right, True))
    except RecursionError:  # SymPy's canonical form of q (t - y) >= (q - 1) (t - y) goes round for ever
        relation = condition(sympy.expand(left - right), 0)
    return relation


def _open(
    condition: Condition, left: Expr, right: Expr, a: Expr, b: Expr, path: _Path, cells: list[_Cell]
) -> None:
    """Collect the cases of a choice, each with all conditions under which it occurs."""
    inner = _outermost_choice(left) or _outermost_choice(right)
    if inner is None:
        if left.is_number and right.is_number:
            _open_value(a if _holds(condition, left, right) else b, path, cells)
            return
        relation = _relation(condition, left, right)
        _open_value(a, [*path, (relation, True)], cells)
        _open_value(b, [*path, (relation, False)], cells)
        return
    passed: _Path = []
    for value, case in inner.args:
        p, q, first, second = (part.xreplace({inner: value}) for part in (left, right, a, b))
        _open(condition, p, q, first, second, [*path, *passed, (case, True)], cells)
        passed.append((case, False))


def _open_value(value: Expr, path: _Path, cells: list[_Cell]) -> None:
    if len(cells) > MAX_CHOICES**2:
        raise TooManyChoices(TOO_MANY)
    if not isinstance(value, sympy.Piecewise):
        cells.append((value, path))
        return
    passed: _Path = []
    for inner, case in value.args:
        _open_value(inner, [*path, *passed, (case, True)], cells)
        passed.append((case, False))


def _holds(condition: Condition, left: Expr, right: Expr) -> bool:
    """Return whether a condition on constants holds; SymPy itself may look for the difference for ever."""
    difference = left - right
    if not difference.is_Rational:
        difference = difference.evalf(15, maxn=60)
        if not difference.is_real or abs(difference) < 1e-30 * (1 + abs(left.evalf(15, maxn=60))):
            raise FormulaValueError("a comparison of constants that are too close to tell which is greater")
    return bool(condition(difference, 0))


def _outermost_choice(expression: Expr) -> sympy.Piecewise | None:
    if not expression.has(sympy.Piecewise):
        return None
    return next(node for node in sympy.preorder_traversal(expression) if isinstance(node, sympy.Piecewise))

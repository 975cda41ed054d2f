"""What scalar expressions are, whatever language they are printed in: quotients, extrema, masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import sympy
from sympy import Expr, Indexed, Integer, Mul, Piecewise, Pow

from chainrule.derive.index import name_of

COMPARE, ADD, MULTIPLY, UNARY, POWER, ATOM = range(6)  # precedences
RELATIONS = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "=="}
SELECTORS = ("KroneckerDelta", "Inside", "Winner")
Text = tuple[str, int]  # and its precedence


class CannotPrint(ValueError):
    """A node that has no form in the language."""


def quotient(e: Expr) -> tuple[Expr, Expr]:
    """Return numerator and denominator; exp(−u) stays above the line, where it cannot divide by 0."""
    over, under = [], []
    for factor in Mul.make_args(e):
        base, power = factor.as_base_exp()
        if power.is_negative and not isinstance(factor, sympy.exp) and not base.is_number:
            under.append(Pow(base, -power))
        elif factor.is_Rational and factor.p == 1 and len(Mul.make_args(e)) > 1:
            under.append(Integer(factor.q))
        else:
            over.append(factor)
    return Mul(*over), Mul(*under)


def added(e: Expr, text: Callable[[Expr, int], str]) -> str:
    """Return a sum as text: positive terms first, arrays before numbers; but 1 - a, not -a + 1."""

    def order(term: Expr) -> tuple[object, ...]:
        negative = term.could_extract_minus_sign()
        return negative, not term.has(Indexed), -len(term.atoms(Indexed)), sympy.default_sort_key(term)

    parts: list[str] = []
    for term in sorted(e.args, key=order):
        negative = term.could_extract_minus_sign()
        body = text(-term if negative else term, MULTIPLY if negative else ADD)
        sign = ("-" if not parts else " - ") if negative else ("" if not parts else " + ")
        parts.append(sign + body)
    return "".join(parts)


def arrays_first(parts: Iterable[Expr]) -> list[Expr]:
    """Return operands as they read well: tensors, then what is made of them, then numbers."""

    def key(part: Expr) -> tuple[object, ...]:
        return not part.has(Indexed), not isinstance(part, Indexed), sympy.default_sort_key(part)

    return sorted(parts, key=key)


def extremum(e: Piecewise) -> tuple[str, Expr, Expr] | None:
    """Recognise max(a, b) and min(a, b), the first on a tie."""
    if len(e.args) != 2 or e.args[1][1] != True:  # noqa: E712
        return None
    (first, condition), (second, _) = e.args
    if not isinstance(condition, sympy.core.relational.Relational):
        return None
    for relation in (condition, condition.reversed):
        if (relation.lhs, relation.rhs) == (first, second):
            return (
                {">=": "maximum", "<=": "minimum", ">": "maximum", "<": "minimum"}[relation.rel_op],
                first,
                second,
            )
    return None


def is_mask(e: Expr, truths: frozenset[str] = frozenset()) -> bool:
    """Whether an expression is 1 where something holds and else 0, given the tensors of truth values."""
    if isinstance(e, Indexed):
        return name_of(e.base) in truths
    return type(e).__name__ in SELECTORS or indicator(e) is not None


def varies(e: Expr) -> bool:
    """Whether an expression depends on indices: it reads a tensor, or selects by them."""
    return any(isinstance(n, Indexed) or type(n).__name__ in SELECTORS for n in sympy.preorder_traversal(e))


def indicator(e: Expr) -> Expr | None:
    """Recognise a 0/1 branch: the condition under which the value is 1."""
    if not isinstance(e, Piecewise) or len(e.args) != 2:
        return None
    (first, condition), (second, _) = e.args
    if (first, second) == (1, 0):
        return condition
    if (first, second) == (0, 1):
        return sympy.to_nnf(sympy.Not(condition))
    return None

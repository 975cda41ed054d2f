"""Sums with a square root by their conjugate: a + √b = (a² − b)/(a − √b), exact where the two cancel."""

from __future__ import annotations

import sympy
from sympy import Abs, Add, Expr, Mul, Piecewise, Pow


def by_conjugate(node: Add) -> Expr:
    """What a + c √b is where the two have opposite signs, by the difference of their squares."""
    found = _opposite_root(node)
    if found is None:
        return node
    term, rest, alike = found
    try:
        apart = sympy.sign(rest) * _difference(rest**2, term**2) / (Abs(rest) + Abs(term))
    except sympy.PolynomialError:
        return node
    return apart if alike.is_negative else Piecewise((node, alike >= 0), (apart, True))


def _difference(one: Expr, other: Expr) -> Expr:
    """Return a difference of squares with the powers of sums in it kept, where that is as short.

    (y − t)² is exact where y and t are near each other, y² − 2yt + t² is not.
    """
    powers = sorted((one - other).atoms(Pow), key=sympy.default_sort_key)
    kept = {p: sympy.Dummy() for p in powers if isinstance(p.base, Add) and p.exp.is_Integer}
    expanded = sympy.cancel(one - other)
    if not kept:
        return expanded
    back = {symbol: power for power, symbol in kept.items()}
    apart = sympy.cancel((one - other).xreplace(kept)).xreplace(back)
    return min(apart, expanded, key=sympy.count_ops)


def has_conjugate(expression: Expr) -> bool:
    """Whether a sum in an expression has another form by its conjugate."""
    return any(_opposite_root(node) is not None for node in expression.atoms(Add))


def _opposite_root(node: Add) -> tuple[Expr, Expr, Expr] | None:
    """Return c √b and a of a sum a + c √b, and a c, where that may be negative.

    Conditions stand in no other.
    """
    roots = [term for term in node.args if _root(term) is not None]
    if len(roots) != 1 or node.has(Piecewise):
        return None
    (term,) = roots
    rest = node - term
    alike = rest * (term / _root(term))
    return None if alike.is_nonnegative else (term, rest, alike)


def _root(term: Expr) -> Expr | None:
    """Return the one odd power of a square root among the factors of a term, None where there is none."""
    powers = (f for f in Mul.make_args(term) if isinstance(f, Pow) and not f.is_number)
    roots = [f for f in powers if f.exp.is_Rational and f.exp.q == 2]
    return roots[0] if len(roots) == 1 else None

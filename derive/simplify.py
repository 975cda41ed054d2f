"""Tidying and the derivative through the output: what is found by algebra, not by identities."""

from __future__ import annotations

from functools import cache, lru_cache

import sympy
from sympy import Expr, Indexed, Mul, Symbol

from chainrule.derive.index import (
    Equation,
    Inside,
    Reduction,
    Sum,
    Winner,
    accesses,
    reductions,
    same_up_to_names,
)

CONTINUOUS = (
    sympy.exp, sympy.tanh, sympy.sinh, sympy.cosh, sympy.sin, sympy.cos, sympy.erf, sympy.Abs,
)  # fmt: skip
LONGEST_POWER = 64
OPAQUE = (Indexed, Reduction, Winner, Inside, sympy.KroneckerDelta, sympy.Piecewise)


def tidy(expression: Expr) -> Expr:
    """Return an equal expression, the shortest of its factored, cancelled and expanded forms.

    Factors that do not depend on a bound index leave their sum.
    """
    slots: dict[Expr, Symbol] = {}

    def close(node: Expr) -> Expr:
        if isinstance(node, Sum):
            node = _pull_constants(Sum(tidy(node.body), *node.axes))
            if not isinstance(node, Sum):
                return close(node)
        if isinstance(node, sympy.Piecewise):
            node = sympy.Piecewise(*((tidy(branch), condition) for branch, condition in node.args))
        if isinstance(node, (*OPAQUE, sympy.Function)) or _is_long_power(node):
            return slots.setdefault(node, _slot(len(slots)))
        if not node.args:
            return node
        return node.func(*(close(a) for a in node.args))

    closed = close(expression)
    best = _shortest(closed) if slots and closed.has(sympy.Add) else closed
    return best.xreplace({slot: node for node, slot in slots.items()})


def _is_long_power(node: Expr) -> bool:
    """Whether algebra would write a power out at length: u**1.2345 as the 2469th power of u**(1/2000)."""
    return isinstance(node, sympy.Pow) and any(
        max(abs(number.p), number.q) > LONGEST_POWER for number in node.exp.atoms(sympy.Rational)
    )


@cache
def _slot(number: int) -> Symbol:
    """Return what stands for the part of that number, the same in all expressions."""
    return sympy.Dummy(f"s{number}", real=True)


@lru_cache(maxsize=1024)
def _shortest(expression: Expr) -> Expr:
    """Return the shortest form of an expression of slots; what has no sum is its own."""
    return min(_forms(expression), key=lambda form: (length(form), sympy.default_sort_key(form)))


def _forms(expression: Expr) -> list[Expr]:
    forms = [expression]
    if len(expression.free_symbols) <= 12:
        cancelled = (sympy.expand if _is_polynomial(expression) else sympy.cancel)(expression)
        forms += [cancelled, sympy.factor(cancelled), sympy.expand(expression)]
        forms += [sympy.factor_terms(cancelled)]
    return forms


def _is_polynomial(node: Expr) -> bool:
    """Whether there is nothing to cancel: sums and products of slots and fractions, to whole powers."""
    if isinstance(node, sympy.Pow):
        return bool(node.exp.is_Integer and node.exp.is_positive) and _is_polynomial(node.base)
    if isinstance(node, sympy.Add | Mul):
        return all(map(_is_polynomial, node.args))
    return isinstance(node, Symbol | sympy.Rational)


def length(expression: Expr) -> int:
    """Return how long an expression is to read: its operations, divisions counted more."""
    return int(expression.count_ops()) + 2 * sum(
        int(p.exp.is_negative or 0) for p in expression.atoms(sympy.Pow)
    )


def _pull_constants(node: Expr) -> Expr:
    if not isinstance(node, Sum):
        return node
    bound = set(node.bound)
    inside: list[Expr] = []
    outside: list[Expr] = []
    for factor in Mul.make_args(node.body):
        (inside if factor.free_symbols & bound else outside).append(factor)
    if not outside:
        return node
    body = Mul(*inside)
    if not inside or bound - body.free_symbols:
        return node
    return Mul(*outside) * Sum(body, *node.axes)


@lru_cache(maxsize=1024)
def through_output(forward: Equation, derivative: Equation) -> Equation | None:
    """Return the derivative of y[free] = f(x[free]) written in y alone, or None where that is not algebraic.

    The forward equation is solved for its transcendental part, which is then substituted.
    """
    names = [base for name, base in forward.reads().items()]
    if len(names) != 1:
        return None
    (x,) = names
    if isinstance(forward.right, sympy.Piecewise):
        right = _piecewise_through_output(forward, derivative, x)
    else:
        right = _substitute_solution(forward, forward.right, derivative.right, x)
    if right is None or x in right.atoms(sympy.IndexedBase):
        return None
    return Equation(derivative.left, tidy(right))


def _substitute_solution(forward: Equation, branch: Expr, target: Expr, x: sympy.IndexedBase) -> Expr | None:
    keys = {same_up_to_names(r): sympy.Dummy("R", real=True) for r in reductions(branch)}
    branch, target = _close_reductions(branch, keys), _close_reductions(target, keys)
    parts = {f for f in branch.atoms(sympy.Function, sympy.exp) if f.has(Indexed)}
    if len(parts) > 1:
        return None
    if not parts:  # algebraic already: y = c·x + d can be solved for x itself
        return target if x not in target.atoms(sympy.IndexedBase) else None
    (part,) = parts
    solution = _solve(branch, part, forward.left)
    if solution is None:
        return None
    read = _only_read(part, x, forward)
    if read is None:
        return None
    rows = {s for r, key in keys.items() if key in solution.free_symbols for s in r.free_symbols}

    def exchange(node: Expr) -> Expr:
        reads = accesses(node, x)
        if len(reads) != 1:
            return node
        mapping = dict(zip(read.indices, reads[0].indices, strict=True))
        if any(mapping[s] != s for s in rows & set(mapping)):
            return node  # elsewhere the solution holds another reduction
        moved = part.xreplace(mapping)
        if moved == node:
            return solution.xreplace(mapping)
        if isinstance(node, sympy.exp) and isinstance(part, sympy.exp):
            count = sympy.cancel(node.args[0] / moved.args[0])
            return solution.xreplace(mapping) ** count if count.is_Integer else node
        return node

    result = target.replace(lambda e: isinstance(e, part.func), exchange)
    result = tidy(result)
    return None if result.free_symbols & set(keys.values()) else result


def _only_read(expression: Expr, x: sympy.IndexedBase, forward: Equation) -> Indexed | None:
    """Return the one access to x, if it stands at the free indices: only then does y[…] tell x[…]."""
    reads = accesses(expression, x)
    plain = len(reads) == 1 and set(reads[0].indices) == set(forward.free)
    return reads[0] if plain else None


def _close_reductions(expression: Expr, keys: dict[Expr, Symbol]) -> Expr:
    if not keys:
        return expression
    return expression.replace(lambda e: isinstance(e, Reduction), lambda e: keys.get(same_up_to_names(e), e))


def _solve(right: Expr, part: Expr, left: Indexed) -> Expr | None:
    """Solve left = right for a part that it contains as numerator/denominator of degree one."""
    unknown, y = sympy.Dummy("unknown"), sympy.Dummy("y")
    slots = {a: sympy.Dummy("a") for a in accesses(right.xreplace({part: unknown}))}
    numerator, denominator = sympy.fraction(sympy.together(right.xreplace({part: unknown, **slots})))
    difference = y * denominator - numerator
    if slots or not difference.is_polynomial(unknown):
        return None
    polynomial = sympy.Poly(difference, unknown)
    if polynomial.degree() != 1:
        return None
    slope, constant = polynomial.all_coeffs()
    return (-constant / slope).xreplace({y: left})


def _piecewise_through_output(forward: Equation, derivative: Equation, x: sympy.IndexedBase) -> Expr | None:
    """Branch by branch, with the condition on x replaced by the same condition on y where that is proved."""
    y = forward.left
    branches = forward.right.args
    conditions = [c for _, c in branches]
    pieces = [p for p in derivative.right.atoms(sympy.Piecewise) if [c for _, c in p.args] == conditions]
    if len(branches) != 2 or len(pieces) != 1:
        return None
    (piece,) = pieces
    condition = branches[0][1]
    read = _only_read(forward.right, x, forward)
    if read is None or not _output_decides(branches[0][0], branches[1][0], condition, read):
        return None
    moved_branches = []
    for (value, branch_condition), (local, _) in zip(branches, piece.args, strict=True):
        moved = local if not local.has(Indexed) else _substitute_solution(forward, value, local, x)
        if moved is None:
            return None
        moved_branches.append((tidy(moved), branch_condition.xreplace({read: y})))
    return derivative.right.xreplace({piece: sympy.Piecewise(*moved_branches)})


def _output_decides(first: Expr, second: Expr, condition: Expr, read: Indexed) -> bool:
    """Whether "x REL a" holds exactly when "y REL a" does, for y = first where it holds, else second.

    Both branches must pass through (a, a), be continuous, and not fall away from it; where the relation
    excludes a, strictly.
    """
    if not isinstance(condition, sympy.core.relational.Relational) or condition.lhs != read:
        return False
    edge = condition.rhs
    if edge.free_symbols:
        return False
    step, reach = sympy.Symbol("s", positive=True), sympy.Symbol("r", nonnegative=True)
    upward = condition.rel_op in (">", ">=")
    excludes = condition.rel_op in (">", "<")
    for value, holds in ((first, True), (second, False)):
        above = upward == holds
        at = sympy.Symbol("x", real=True)
        curve = value.xreplace({read: at})
        if sympy.expand(curve.subs(at, edge) - edge) != 0:  # what only more algebra shows stays in x
            return False
        if not _is_continuous(curve.subs(at, edge + reach if above else edge - reach)):
            return False
        slope = sympy.diff(curve, at).subs(at, edge + step if above else edge - step)
        strict = excludes == holds
        if not (slope.is_positive if strict else slope.is_nonnegative):
            return False
    return True


def _is_continuous(curve: Expr) -> bool:
    """Whether a curve surely has no jump and no pole, whatever the values of its symbols are."""
    functions = all(
        isinstance(f, CONTINUOUS) or (isinstance(f, sympy.log) and f.args[0].is_positive)
        for f in curve.atoms(sympy.Function)
    )
    return functions and all(p.exp.is_nonnegative or p.base.is_nonzero for p in curve.atoms(sympy.Pow))

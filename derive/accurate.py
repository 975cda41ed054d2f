"""The form that is computed, where the one on the page overflows: equal by named rewrites, chosen by trying.

What an equation computes element by element is tried in floating point (``probing``).  Where it is not finite
although its value is, or loses digits, other forms of it are tried, and the first good one is taken; the page
keeps its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

import sympy
from sympy import Add, Expr, Indexed, Mul, Pow, Symbol, cosh, exp, log, sinh

from chainrule.derive.conjugate import has_conjugate
from chainrule.derive.index import Equation, Inside, Reduction, Sum, Winner, accesses, name_of
from chainrule.derive.rewrites import CONJUGATE, HYPERBOLIC, LOG_SUM, SCALED, TANH, rewrite, stable
from chainrule.derive.scaling import gathered, near_one, scaled, scaled_terms
from chainrule.formula.functions import expm1, softplus
from chainrule.formula.probing import Flaws, flaws

_OPAQUE = (Reduction, Winner, Inside, sympy.KroneckerDelta)
_EXPLODING = (exp, sinh, cosh, expm1)
MOST_NODES = 120  # of an expression that is worth trying
_TARGETS = ("t", "T")
Names = tuple[str, ...]


def accurate(equation: Equation) -> tuple[Equation, Names]:
    """Return an equation in a form that is finite wherever its value is, and the rewrites that gave it."""
    right, names = _accurate(equation.right)
    return (Equation(equation.left, right), names) if names else (equation, ())


def is_sound(forward: Equation, raw: Expr, through: Expr) -> bool:
    """Whether a derivative written in the output of its equation is as good in floating point as it is."""
    reads = list(forward.right.atoms(Indexed))
    powers = (power.exp for power in through.atoms(Pow))
    risky = through.has(log, exp) or any(not p.is_Integer or p.is_negative for p in powers)
    if not risky or len(reads) != 1 or any(e.has(*_OPAQUE) for e in (forward.right, raw, through)):
        return True
    x, y = sympy.Dummy("x", real=True), sympy.Dummy("y", real=True)
    at = {a: sympy.S.One for e in (raw, through) for a in e.atoms(Indexed)} | {reads[0]: x, forward.left: y}
    form = stable(forward.right)[0].xreplace(at)
    return not flaws(through.xreplace(at), raw.xreplace(at), (x,), ((y, form),)).broken


def _accurate(expression: Expr) -> tuple[Expr, Names]:
    rooted = has_conjugate(expression)
    if not rooted and not expression.has(*_EXPLODING):
        return expression, ()
    names: list[str] = []
    inner: dict[Expr, Expr] = {}
    for node in sorted(expression.atoms(Sum), key=sympy.default_sort_key):
        if not any(node in other.atoms(Sum) - {other} for other in expression.atoms(Sum)):
            body, used = _accurate(node.body)
            names += used
            if used:
                inner[node] = Sum(body, *node.axes)
    expression = expression.xreplace(inner)
    found = scalar(expression)
    if found is None or sum(1 for _ in sympy.preorder_traversal(found.expression)) > MOST_NODES:
        return expression, tuple(dict.fromkeys(names))
    if rooted or any(_may_overflow(e) for e in found.expression.atoms(*_EXPLODING)):
        best, used = improved(found.expression, found.variables)
        names += used
        expression = best.xreplace(found.back) if used else expression
    return expression, tuple(dict.fromkeys(names))


def _may_overflow(node: Expr) -> bool:
    return not (isinstance(node, exp) and node.args[0].is_nonpositive)


class ScalarForm(NamedTuple):
    """What an expression computes of one element; ``variables`` are what it reads, the rest are factors."""

    expression: Expr
    variables: tuple[Symbol, ...]
    back: dict[Symbol, Expr]


def scalar(expression: Expr) -> ScalarForm | None:
    """Return an expression as one of symbols; None where it does not act element by element on one tensor."""
    opaque = _outermost(expression)
    slots: dict[Expr, Symbol] = {node: _factor(i) for i, node in enumerate(opaque)}
    slots |= {a: _read(i) for i, a in enumerate(accesses(expression.xreplace(slots)))}
    closed = expression.xreplace(slots)
    back = {symbol: node for node, symbol in slots.items()}
    acting = {s for node in _nonlinear(closed) for s in node.free_symbols} & back.keys()
    if any(not isinstance(back[s], Indexed) for s in acting):
        return None
    targets = {s for s, node in back.items() if isinstance(node, Indexed) and name_of(node.base) in _TARGETS}
    read = sorted(acting - targets, key=lambda s: sympy.default_sort_key(back[s]))
    if len(read) != 1 or len(targets) > 1:
        return None
    return ScalarForm(closed, (*read, *targets), back)


@cache
def _factor(number: int) -> Symbol:
    return sympy.Dummy("s", positive=True)


@cache
def _read(number: int) -> Symbol:
    return sympy.Dummy("x", real=True)


def _outermost(expression: Expr) -> list[Expr]:
    found: list[Expr] = []

    def visit(node: sympy.Basic) -> None:
        if isinstance(node, _OPAQUE):
            found.append(node)
        elif not isinstance(node, Indexed):
            for argument in node.args:
                visit(argument)

    visit(expression)
    return found


def _nonlinear(expression: Expr) -> list[sympy.Basic]:
    """Return the parts of an expression that are neither sums nor products."""
    found: list[sympy.Basic] = []

    def visit(node: sympy.Basic) -> None:
        if isinstance(node, Add | Mul):
            for argument in node.args:
                visit(argument)
        elif not isinstance(node, Symbol):
            found.append(node)

    visit(expression)
    return found


@lru_cache(maxsize=256)
def improved(expression: Expr, variables: tuple[Symbol, ...]) -> tuple[Expr, Names]:
    """Return the first good form of an expression, else the best, and the rewrites that gave it."""
    factors, acting = expression.as_independent(*variables, as_Add=False)
    ones = {s: sympy.S.One for s in expression.free_symbols - set(variables)}

    def tried(form: Expr) -> Flaws:
        return flaws(form.xreplace(ones), acting.xreplace(ones), variables)

    best, used, least = acting, Names(), tried(acting)
    for form, names in _forms(acting):
        if least.good:
            break
        now = tried(form)
        if now.good or (now.broken, _order(now)) < (least.broken, _order(least)):
            best, used, least = form, names, now
    return factors * best, used


def _order(found: Flaws) -> int:
    """Return the error as a power of ten, so that a few units in the last place choose nothing."""
    return round(math.log10(max(found.error, 1e-13)))


def _forms(expression: Expr) -> Iterator[tuple[Expr, Names]]:
    """Yield other forms of an expression, what reads best first."""
    named, names = rewrite(expression, (HYPERBOLIC, TANH))
    yield stable(named)[0], names
    yield stable(CONJUGATE.apply(expression))[0], (CONJUGATE.name,)
    for change in (scaled_terms, scaled, gathered, near_one):
        form = change(expression)
        yield stable(form)[0], _names(form)


def _names(form: Expr) -> Names:
    sums = form.has(softplus, log)
    return (*([SCALED.name] if form.has(exp, expm1) or not sums else []), *([LOG_SUM.name] if sums else []))


def overflows(right: Expr) -> dict[str, tuple[float, ...]]:
    """Return by type the arguments, of those that are tried, at which a form is not finite but its value is.

    {} where there are none, and for what is no function of one element.
    """
    found: dict[str, set[float]] = {}
    for part in (right, *(node.body for node in right.atoms(Sum))):
        alone = scalar(part)
        if alone is None or sum(1 for _ in sympy.preorder_traversal(alone.expression)) > MOST_NODES:
            continue
        _, acting = alone.expression.as_independent(*alone.variables, as_Add=False)
        form = acting.xreplace({s: sympy.S.One for s in acting.free_symbols - set(alone.variables)})
        for kind, argument in flaws(form, form, alone.variables).where:
            found.setdefault(kind, set()).add(argument)
    return {kind: tuple(sorted(arguments)) for kind, arguments in found.items()}

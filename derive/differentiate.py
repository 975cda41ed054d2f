"""Derivatives of index equations: SymPy differentiates, Kronecker deltas are contracted.

``vjp`` turns z[free] = right side and the cotangent ∂z into the index equation of the cotangent of any tensor
that the right side reads.  Nothing here knows a function or a layer by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import sympy
from sympy import Expr, Indexed, IndexedBase, KroneckerDelta, Symbol, Tuple

from chainrule.derive.index import (
    Equation,
    Inside,
    Max,
    Sum,
    Winner,
    access,
    accesses,
    apart,
    canonical_sums,
    cotangent,
    fresh_index,
    index,
    name_of,
    reductions,
    tensor,
)
from chainrule.derive.shown import display
from chainrule.formula.functions import rint

# What is constant between its jumps: almost everywhere the derivative is 0.
STEPS = (sympy.sign, sympy.floor, sympy.ceiling, rint)
# What SymPy's diff handles right, for real arguments.  Anything else on the way to the tensor is an error:
# SymPy answers 0 for some things that it does not understand.
DIFFERENTIABLE = (
    sympy.Add, sympy.Mul, sympy.Pow, sympy.exp, sympy.log, sympy.sin, sympy.cos, sympy.tan, sympy.sinh,
    sympy.cosh, sympy.tanh, sympy.erf, sympy.Abs, sympy.Piecewise, *STEPS,
)  # fmt: skip
BOUND_NAMES = ("k", "j", "i", "m", "l", "u", "v", "c", "o")
FREE_NAMES = ("p", "q", "r", "s")


class CannotDifferentiate(ValueError):
    """The engine does not know how to differentiate: why, and what.

    ``expression`` is the part of the right side that ``why`` ends with, ``equation`` the whole equation and
    ``number`` its number in a derivation; None where there is none, or while it is not known yet.
    """

    def __init__(
        self,
        why: str,
        expression: sympy.Basic | None = None,
        equation: Equation | None = None,
        number: int | None = None,
    ) -> None:
        super().__init__(why, expression, equation, number)
        self.why, self.expression, self.equation, self.number = why, expression, equation, number

    def __str__(self) -> str:
        return display().fault_text(self)

    def of(self, equation: Equation, number: int | None = None) -> Self:
        """Return the same fault of an equation."""
        return type(self)(self.why, self.expression, equation, number)


@dataclass(frozen=True)
class LocalTerm:
    """One term of a Jacobian: ``coefficient`` · Π δ(subscript, the tensor's index), summed over ``axes``."""

    coefficient: Expr
    subscripts: tuple[Expr, ...]
    axes: tuple[Tuple, ...]


def local_terms(expression: Expr, base: IndexedBase) -> list[LocalTerm]:
    """Return ∂expression/∂base[…] as a sum of terms, one for each way that the tensor is read.

    The derivative of a sum is the sum of derivatives; a maximum's is that of its (first) winner.
    Raises CannotDifferentiate.
    """
    if base not in expression.atoms(IndexedBase):
        return []
    inner = [r for r in reductions(expression) if base in r.atoms(IndexedBase)]
    opened = {r: r.renamed() for r in inner}
    slots: dict[Expr, Symbol] = {r: sympy.Dummy("reduction", real=True) for r in inner}
    outside = expression.xreplace(slots)
    direct = accesses(outside, base)
    slots |= {a: sympy.Dummy(name_of(base), real=True) for a in direct}
    scalar = outside.xreplace({a: slots[a] for a in direct})
    back = {slot: node for node, slot in slots.items()}
    _require_differentiable(scalar, back)
    scalar, steps = _without_steps(scalar)

    terms = []
    for node, slot in slots.items():
        coefficient = _evaluated(sympy.diff(scalar, slot)).xreplace(steps).xreplace(back)
        if coefficient == 0:
            continue
        if isinstance(node, Indexed):
            terms.append(LocalTerm(coefficient, tuple(node.indices), ()))
            continue
        reduction = opened[node]
        for term in local_terms(reduction.body, base):
            factor = coefficient * term.coefficient
            if isinstance(reduction, Max):
                factor *= Winner(node.body, reduction.bound, *node.axes)
            terms.append(LocalTerm(factor, term.subscripts, (*reduction.axes, *term.axes)))
    return terms


def _require_differentiable(scalar: Expr, back: dict[Symbol, Expr]) -> None:
    """Raise CannotDifferentiate for what is not known; ``back`` tells what the symbols stand for."""

    def visit(node: Expr) -> None:
        if node in back or not node.free_symbols & back.keys():
            return
        if isinstance(node, sympy.Piecewise):
            for branch, condition in node.args:
                if not _is_comparison(condition):
                    why = "cannot differentiate the condition"
                    raise CannotDifferentiate(why, condition.xreplace(back))
                visit(branch)
            return
        if not isinstance(node, DIFFERENTIABLE):
            why = f"cannot differentiate {type(node).__name__} in the sub-expression"
            raise CannotDifferentiate(why, node.xreplace(back))
        for argument in node.args:
            visit(argument)

    visit(scalar)


def _is_comparison(condition: sympy.Basic) -> bool:
    """Whether a condition is made of comparisons: its truth is constant but where one of them turns over."""
    if isinstance(condition, sympy.And | sympy.Or):
        return all(map(_is_comparison, condition.args))
    return isinstance(condition, sympy.core.relational.Relational | sympy.logic.boolalg.BooleanAtom)


def _without_steps(scalar: Expr) -> tuple[Expr, dict[Symbol, Expr]]:
    """Return an expression with symbols for its steps: almost everywhere each of them is a constant."""
    steps: dict[Expr, Symbol] = {}
    scalar = scalar.replace(
        lambda e: isinstance(e, STEPS), lambda e: steps.setdefault(e, sympy.Dummy("step", real=True))
    )
    back: dict[Symbol, Expr] = {}
    for step, symbol in steps.items():  # inside out: a step in a step is put back first
        back[symbol] = step.xreplace(back)
    return scalar, back


def _evaluated(derivative: Expr) -> Expr:
    """Return a derivative that SymPy has found.  Raises CannotDifferentiate."""
    if derivative.has(sympy.Derivative, sympy.Subs):
        raise CannotDifferentiate("SymPy leaves a derivative unevaluated:", derivative)
    if derivative.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I):
        raise CannotDifferentiate(
            "cannot differentiate it: the derivative has no finite real value in some case"
        )
    return derivative


@lru_cache(maxsize=1024)
def vjp(equation: Equation, name: str) -> Equation:
    """Return the equation of ∂name, the cotangent of the tensor ``name`` that the equation reads.

    ∂name[q] = Σ ∂z[free] · ∂right/∂name[q], contracted.  Raises CannotDifferentiate.
    """
    base = equation.reads()[name]
    seed = access(tensor(cotangent(equation.name), *equation.left.base.shape), *equation.free)
    fresh = {symbol: fresh_index(symbol) for symbol in equation.free}
    right = apart(equation.right).xreplace(fresh)  # no bound name can capture an index that a delta brings
    axes = tuple(Tuple(fresh[i], n) for i, n in equation.axes)
    wanted = tuple(sympy.Dummy(f"w{d}", integer=True) for d in range(len(base.shape)))
    try:
        terms = local_terms(right, base)
    except CannotDifferentiate as error:
        raise error.of(equation) from None
    products = [
        contract(seed.xreplace(fresh) * t.coefficient, t.subscripts, wanted, base.shape, (*axes, *t.axes))
        for t in terms
    ]
    names = _natural_names(equation, base)
    left = access(tensor(cotangent(name), *base.shape), *names)
    total = sympy.Add(*products).xreplace(dict(zip(wanted, names, strict=True)))
    return Equation(left, canonical_sums(total, BOUND_NAMES, names))


def _natural_names(equation: Equation, base: IndexedBase) -> tuple[Symbol, ...]:
    """Name the axes of a tensor as the equation's first plain read of it does, else p, q, r, s."""
    taken: list[Symbol] = []
    reads = accesses(equation.right, base)
    reads.sort(key=lambda a: -sum(s in equation.free for s in a.indices))
    for axis, subscript in enumerate(reads[0].indices if reads else ()):
        if isinstance(subscript, Symbol) and subscript not in taken:
            taken.append(subscript)
        else:
            used = {*taken, *equation.free}
            taken.append(next(i for i in map(index, (*FREE_NAMES, f"p{axis}")) if i not in used))
    return tuple(taken)


def contract(
    product: Expr,
    subscripts: Iterable[Expr],
    wanted: tuple[Symbol, ...],
    shape: Iterable[Expr],
    axes: tuple[Tuple, ...],
) -> Expr:
    """Return Σ over axes of product · Π δ(subscript, wanted), every solvable delta contracted.

    A delta whose argument has coefficient ±1 in a summed index is solved for it: the index disappears, its
    range stays behind as a guard unless it is implied.  A delta that no index solves stays: divisibility.
    """
    product, inner = _open_sums(product)
    factors, inside = _split_deltas(product)
    deltas = [sympy.expand(s - w) for s, w in zip(subscripts, wanted, strict=True)] + inside
    sizes: dict[Symbol, Expr] = {i: n for i, n in (*axes, *inner)}
    ranges = dict(zip(wanted, shape, strict=True))
    guards: list[tuple[Expr, Expr]] = []
    while solved := _solve_one(deltas, sizes):
        delta, symbol, solution = solved
        replace = {symbol: solution}
        factors = factors.xreplace(replace)
        deltas = [sympy.expand(d.xreplace(replace)) for d in deltas if d is not delta]
        guards = [(sympy.expand(g.xreplace(replace)), n) for g, n in guards]
        guards.append((solution, sizes.pop(symbol)))
    factors = factors.replace(lambda e: isinstance(e, Indexed), _expand_subscripts)
    for delta in deltas:
        factors *= KroneckerDelta(delta, 0)
    known = {**ranges, **sizes}
    for expression, extent in guards:
        if not _implied(expression, extent, known, factors):
            factors *= Inside(expression, extent)
    return Sum(factors, *((i, n) for i, n in sizes.items()))


def _solve_one(deltas: list[Expr], sizes: dict[Symbol, Expr]) -> tuple[Expr, Symbol, Expr] | None:
    """Return a delta, a summed index in which it is affine with coefficient ±1, and its solution."""
    for delta in deltas:
        for symbol in sizes:
            slope = delta.coeff(symbol)
            rest = sympy.expand(delta - slope * symbol)
            if slope in (1, -1) and symbol not in rest.free_symbols:
                return delta, symbol, sympy.expand(-rest / slope)
    return None


def _expand_subscripts(node: Indexed) -> Indexed:
    return access(node.base, *(sympy.expand(i) for i in node.indices))


def _open_sums(product: Expr) -> tuple[Expr, tuple[Tuple, ...]]:
    """Pull out of a product the sums with a Kronecker delta as a factor, so that it can be contracted."""
    axes: tuple[Tuple, ...] = ()
    factors = []
    for factor in sympy.Mul.make_args(product):
        if isinstance(factor, Sum) and factor.body.has(KroneckerDelta):
            opened = factor.renamed()
            axes += opened.axes
            factors.append(opened.body)
        else:
            factors.append(factor)
    return sympy.Mul(*factors), axes


def _split_deltas(product: Expr) -> tuple[Expr, list[Expr]]:
    deltas, rest = [], []
    for factor in sympy.Mul.make_args(product):
        if isinstance(factor, KroneckerDelta) and not factor.has(Indexed):
            deltas.append(sympy.expand(factor.args[0] - factor.args[1]))
        else:
            rest.append(factor)
    return sympy.Mul(*rest), deltas


def _implied(expression: Expr, extent: Expr, ranges: dict[Symbol, Expr], factors: Expr) -> bool:
    """A guard is implied by an index of that range, or by a factor that is zero outside it."""
    if ranges.get(expression) == extent:
        return True
    for factor in sympy.Mul.make_args(factors):
        if isinstance(factor, Indexed):
            pairs = zip(factor.indices, factor.base.shape, strict=True)
        elif isinstance(factor, Winner):
            pairs = zip(factor.at, (n for _, n in factor.axes), strict=True)
        else:
            continue
        if any(s == expression and n == extent for s, n in pairs):
            return True
    return False

"""The order of a blackboard: Σ W a + b, θ − η g, (Σ W δ) a (1 − a).  Products and sums taken apart in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import sympy
from sympy import Add, Expr, Indexed, Integer, KroneckerDelta, Mul, Piecewise, Pow, Rational, Symbol, exp

from chainrule.derive.index import Inside, Reduction, Sum, Winner, name_of, primal
from chainrule.formula.functions import sigmoid
from chainrule.present.notation import parts

TARGETS = ("t", "T")
PARAMETERS = ("W", "w", "b", r"\gamma", r"\alpha", r"\beta", r"\hat{\alpha}", r"\hat{\beta}")
BATCH = Symbol("N", integer=True, positive=True)


@dataclass(frozen=True)
class SignedProduct:
    """±coefficient · Π over / Π under, the factors in their order."""

    negative: bool
    coefficient: Rational
    over: tuple[Expr, ...]
    under: tuple[Expr, ...]


def is_parameter(node: Indexed) -> bool:
    """Whether a tensor is a weight or a bias by its letter."""
    return parts(name_of(node.base)).latex in PARAMETERS and not per_example(node)


def per_example(node: Indexed) -> bool:
    """Whether a tensor has a row for each example."""
    shape = node.base.shape
    return bool(shape) and shape[0] == BATCH


def factors(expression: Expr) -> SignedProduct:
    """Take a term apart; the sign and the number of a sum come out in front of it."""
    coefficient: Rational = sympy.S.One
    over: list[Expr] = []
    under: list[Expr] = []
    for factor in _flat(expression):
        if isinstance(factor, Rational):
            coefficient *= factor
        elif isinstance(factor, Pow) and not isinstance(factor, exp) and _negative(factor.exp):
            base = Pow(factor.base, -factor.exp)
            under += Mul.make_args(base)
        else:
            over.append(factor)
    coefficient, over, under = _roots(coefficient, over, under)
    if len(over) + len(under) > 1:
        if sum(map(_less_one, (*over, *under))) % 2:
            coefficient = -coefficient
        over = [-f if _less_one(f) else f for f in over]
        under = [-f if _less_one(f) else f for f in under]
    over, under = _sorted(over, _rank), _sorted(under, _rank)
    return SignedProduct(bool(coefficient < 0), abs(coefficient), tuple(over), tuple(under))


def _sorted(items: list[Expr], key: Callable[[Expr], object]) -> list[Expr]:
    """Sort by a key, and where that does not decide by how the items are written, W2 before W10."""
    if len(items) < 2:
        return items
    keys = {item: key(item) for item in items}
    if len(set(keys.values())) == len(items):
        return sorted(items, key=lambda item: keys[item])  # type: ignore[arg-type,return-value]
    return sorted(items, key=lambda item: (keys[item], natural(str(item))))


def _less_one(factor: Expr) -> bool:
    """Whether a factor is u − 1, which reads better as −(1 − u)."""
    return (
        isinstance(factor, Add)
        and len(factor.args) == 2
        and -1 in factor.args
        and bool(factor.atoms(Indexed))
    )


def _flat(expression: Expr) -> list[Expr]:
    found: list[Expr] = []
    for factor in Mul.make_args(expression):
        if isinstance(factor, Sum):
            number, body = content(factor.body)
            found += [number, Sum(body, *factor.axes)] if number != 1 else [factor]
        elif isinstance(factor, Piecewise):
            found += _bracket(factor)
        else:
            found.append(factor)
    return found


def content(body: Expr) -> tuple[Rational, Expr]:
    """Return a number and the rest: what leaves a sum."""
    if isinstance(body, Add):
        if all(factors(term).negative for term in body.args):
            return sympy.S.NegativeOne, Add(*(-term for term in body.args))
        return sympy.S.One, body
    if isinstance(body, Sum):
        inner, rest = content(body.body)
        return inner, Sum(rest, *body.axes)
    number, rest = body.as_coeff_Mul()
    return number, rest


def _bracket(node: Piecewise) -> list[Expr]:
    """Return the factors v, [condition] of a choice between v and 0."""
    if len(node.args) != 2:
        return [node]
    (first, condition), (second, _) = node.args
    if first == 0 and second != 0 and set(condition.args) != {first, second}:
        value, holds = second, sympy.to_nnf(sympy.Not(condition))
    elif second == 0 and first != 0 and set(condition.args) != {first, second}:
        value, holds = first, condition
    else:
        return [node]
    bracket = Piecewise((1, holds), (0, True))
    return [bracket] if value == 1 else [*_flat(value), bracket]


def _negative(exponent: Expr) -> bool:
    if isinstance(exponent, Add):
        return all(term.could_extract_minus_sign() for term in exponent.args)
    return bool(exponent.could_extract_minus_sign())


def _roots(
    coefficient: Rational, over: list[Expr], under: list[Expr]
) -> tuple[Rational, list[Expr], list[Expr]]:
    """Turn √2/2 into 1/√2, and √2 √π below a line into √(2π)."""
    for factor in list(over):
        is_root = isinstance(factor, Pow) and isinstance(factor.base, Integer) and factor.exp == sympy.S.Half
        if is_root and coefficient.q % int(factor.base) == 0:
            over.remove(factor)
            coefficient *= factor.base
            under.append(factor)
    roots = [f for f in under if isinstance(f, Pow) and f.exp == sympy.S.Half and f.base.is_number]
    if len(roots) > 1:
        under = [f for f in under if f not in roots]
        under.append(Pow(Mul(*(r.base for r in roots)), sympy.S.Half, evaluate=False))
    return coefficient, over, under


def _rank(factor: Expr) -> int:
    return _kind(factor.base if isinstance(factor, Pow) and not isinstance(factor, exp) else factor)


def _kind(base: Expr) -> int:
    if base.is_number:
        return 0
    if isinstance(base, Indexed):
        name = name_of(base.base)
        if is_parameter(base):
            return 3
        return 5 if name in TARGETS or primal(name) is not None else 6
    if isinstance(base, Reduction):
        return 4
    if isinstance(base, Symbol):
        return 1
    if not base.atoms(Indexed, Reduction) and not base.has(sympy.Function):
        return 2
    if isinstance(base, sigmoid):
        return 7
    if isinstance(base, Add):
        return _kind_of_sum(base)
    if isinstance(base, KroneckerDelta | Inside | Winner):
        return 4
    if isinstance(base, Piecewise):
        return 10
    return 9


def _kind_of_sum(base: Expr) -> int:
    """A sum like Σ w δ comes first, an error y − t before what it is multiplied by, 1 − a after it."""
    reads = base.atoms(Indexed)
    if any(map(is_parameter, reads)) and any(primal(name_of(a.base)) is not None for a in reads):
        return 4
    return 5 if _reads_target(base) else 8


def natural(text: str) -> str:
    """Return a key that sorts W2 before W10."""
    return re.sub(r"\d+", lambda m: m.group().zfill(8), text)


def is_even(node: Expr) -> bool:
    """Whether the sign of what stands inside is free: |u| and u²."""
    return isinstance(node, sympy.Abs) or (
        isinstance(node, Pow) and isinstance(node.exp, Integer) and node.exp % 2 == 0
    )


def output_first(expression: Expr) -> Expr:
    """Return u or −u, so that the target is subtracted from the output."""
    if not isinstance(expression, Add):
        return expression
    signs = {factors(term).negative for term in expression.args if _reads_target(term)}
    others = {factors(term).negative for term in expression.args if not _reads_target(term)}
    return -expression if signs == {False} and others == {True} else expression


def _reads_target(term: Expr) -> bool:
    return any(name_of(a.base) in TARGETS for a in term.atoms(Indexed)) or bool(
        {s.name for s in term.free_symbols if isinstance(s, Symbol)} & {"t"}
    )


def terms(expression: Expr, own: str = "") -> list[Expr]:
    """Return the terms of a sum in their order; ``own`` is the tensor on the left side, which comes first."""
    found = list(Add.make_args(expression))
    if len(found) == 1:
        return found
    if all(s.is_integer for s in expression.free_symbols) and not expression.atoms(Indexed, Reduction):
        return sorted(found, key=_place_key)
    numbers = [t for t in found if t.is_number]
    rest = [t for t in found if not t.is_number]
    examples = [t for t in rest if _reads_examples(t)]
    plain = [t for t in rest if not _reads_examples(t) and t.atoms(Indexed)]
    others = [t for t in rest if not t.atoms(Indexed)]
    polynomial = all(_degree(t) is not None for t in found)
    ordered: list[Expr] = []
    for group in (examples, plain, others) if examples or plain else (others,):
        ordered += _sorted(group, lambda t: _term_key(t, own, polynomial))
    if ordered and factors(ordered[0]).negative and not ordered[0].atoms(Sum):
        ordered.sort(key=lambda t: factors(t).negative)
    if not numbers or not ordered:
        return [*ordered, *numbers]
    if numbers[0].is_negative:
        return [*ordered, *numbers] if not factors(ordered[0]).negative else [*numbers, *ordered]
    first = factors(ordered[0])
    if first.negative or (len(ordered) == 1 and _degree(ordered[0]) is None):
        return [*numbers, *ordered]
    return [*ordered, *numbers]


def _place_key(term: Expr) -> tuple[object, ...]:
    """Indices as a place is counted, 28 i + j: the longest stride first, then i, j, …, z, a, b, c."""
    number, rest = term.as_coeff_Mul()
    letters = "".join(chr((ord(c) - ord("i")) % 26 + ord("a")) if c.islower() else c for c in str(rest))
    return bool(rest == 1), bool(number < 0), -abs(number), natural(letters)


def _reads_examples(term: Expr) -> bool:
    return any(not is_parameter(a) for a in term.atoms(Indexed))


def _term_key(term: Expr, own: str, polynomial: bool) -> tuple[object, ...]:
    product = factors(term)
    mine = any(name_of(a.base) == own for a in term.atoms(Indexed)) if own else False
    degree = -(_degree(term) or 0) if polynomial else 0
    return (
        product.negative and not mine,
        not mine,
        degree,
        term.has(Reduction) == product.negative,
        0 if polynomial else int(term.count_ops()),
    )


def _degree(term: Expr) -> int | None:
    """Return the degree of a monomial in letters and accesses, None for anything else."""
    degree = 0
    for factor in Mul.make_args(term):
        if factor.is_number:
            continue
        is_power = isinstance(factor, Pow) and not isinstance(factor, exp)
        base, power = (factor.base, factor.exp) if is_power else (factor, sympy.S.One)
        if not isinstance(base, Symbol | Indexed) or not isinstance(power, Integer) or power < 0:
            return None
        degree += int(power)
    return degree


def common(ordered: Iterable[Expr]) -> list[tuple[Rational, list[Expr]]]:
    """Return runs of terms that are the same number (not ±1) times a sum over parameters."""
    runs: list[tuple[Rational, list[Expr]]] = []
    for term in ordered:
        number, rest = term.as_coeff_Mul()
        shared = number not in (1, -1) and isinstance(rest, Reduction) and not _reads_examples(rest)
        if shared and runs and runs[-1][0] == number:
            runs[-1][1].append(rest)
        elif shared:
            runs.append((number, [rest]))
        else:
            runs.append((sympy.S.One, [term]))
    return runs

"""Expressions of exponentials, each sum divided by its largest term: no exponent that is left overflows.

An expression is taken apart into powers of sums of exponentials, Π (Σ cᵢ exp(aᵢ))^k.  Every sum is written
as exp(m) Σ cᵢ exp(aᵢ − m) with m the largest of its exponents; the exponents outside are added up as symbols,
so that what is large cancels before anything is computed.  A difference of two exponentials is expm1, exact
where they meet, and the logarithm of a sum of positive ones is added up from logarithms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final

import sympy
from sympy import Abs, Add, Expr, Mul, Piecewise, Pow, Rational, Symbol, cosh, exp, log, sinh, tanh

from chainrule.formula.functions import elementary, expm1, log1p, maximum, softplus

MOST_NODES: Final = 100
MOST_TERMS: Final = 200  # of what a quotient would have over one denominator
MOST_GENERATORS: Final = 6
MOST_DEGREE: Final = 24
MOST_DIRECTIONS: Final = 4


class TooInvolved(ValueError):
    """More than is worth taking apart."""


@dataclass(frozen=True)
class Scaled:
    """exp(exponent) · rest, where rest neither overflows nor vanishes because of an exponential."""

    exponent: Expr
    rest: Expr

    def whole(self) -> Expr:
        return self.rest * exp(self.exponent)


def scaled(expression: Expr) -> Expr:
    """Return an equal expression in which every sum of exponentials is divided by its largest term."""
    try:
        return _apart(_exponentials(expression)).whole()
    except (TooInvolved, sympy.PolynomialError):
        return expression


def scaled_terms(expression: Expr) -> Expr:
    """Return the expression with each of its terms scaled by itself, in each of its branches."""
    if isinstance(expression, Piecewise):
        return Piecewise(*((scaled_terms(branch), condition) for branch, condition in expression.args))
    sums = [f for f in Mul.make_args(expression) if isinstance(f, Add)]
    if len(sums) != 1:
        return scaled(expression)
    return Add(*(scaled(expression / sums[0] * term) for term in sums[0].args))


def _exponentials(expression: Expr) -> Expr:
    """Write hyperbolic and named functions as exponentials."""
    written = elementary(expression)
    written = written.replace(cosh, lambda a: (exp(a) + exp(-a)) / 2)
    written = written.replace(sinh, lambda a: (exp(a) - exp(-a)) / 2)
    written = written.replace(tanh, lambda a: (exp(2 * a) - 1) / (exp(2 * a) + 1))
    if sum(1 for _ in sympy.preorder_traversal(written)) > MOST_NODES:
        raise TooInvolved
    return written


# ---- taking apart -----------------------------------------------------------------------------


@dataclass
class _Generators:
    """The exponentials of an expression as powers of symbols, and what else there is as symbols."""

    steps: dict[Expr, Rational] = field(default_factory=dict)  # of each part of an exponent: its unit
    symbols: dict[Expr, Symbol] = field(default_factory=dict)
    slots: dict[Expr, Symbol] = field(default_factory=dict)

    def learn(self, exponent: Expr) -> None:
        for part, factor in _parts(exponent).items():
            known = self.steps.get(part, Rational(0))
            common = sympy.igcd(known.p * factor.q, factor.p * known.q)
            self.steps[part] = Rational(common, known.q * factor.q)

    def power(self, exponent: Expr) -> Expr:
        result: Expr = sympy.S.One
        for part, factor in _parts(exponent).items():
            symbol = self.symbols.setdefault(part, sympy.Dummy(f"e{len(self.symbols)}", positive=True))
            count = factor / self.steps[part]
            if abs(count) > MOST_DEGREE:
                raise TooInvolved
            result *= symbol ** int(count)
        return result

    def slot(self, node: Expr) -> Symbol:
        return self.slots.setdefault(node, sympy.Dummy(f"s{len(self.slots)}", real=True))

    def exponent(self, powers: dict[Symbol, int]) -> Expr:
        return Add(*(powers.get(s, 0) * self.steps[part] * part for part, s in self.symbols.items()))


def _parts(exponent: Expr) -> dict[Expr, Rational]:
    """Return an exponent as multiples of expressions: 2 x + 3 is {x: 2, 1: 3}."""
    return {part: c for part, c in sympy.expand(exponent).as_coefficients_dict().items() if c != 0}


def _apart(expression: Expr) -> Scaled:
    """Return a sum, product or power of exponentials and other things, scaled."""
    prepared = _prepared(expression)
    found = _Generators()
    for node in sorted(prepared.atoms(exp), key=sympy.default_sort_key):
        found.learn(node.args[0])
    closed = _closed(prepared, found)
    if len(found.symbols) > MOST_GENERATORS or not found.symbols:
        if found.symbols:
            raise TooInvolved
        return Scaled(sympy.S.Zero, prepared)
    back = {symbol: node for node, symbol in found.slots.items()}
    exponent, rest = sympy.S.Zero, sympy.S.One
    for base, count in _factors(closed):
        part = _largest_out(base, found)
        exponent += count * part.exponent
        rest *= part.rest.xreplace(back) ** count
    rest = rest.replace(_is_power_of_sign, lambda power: power.base ** (power.exp % 2))
    return Scaled(sympy.expand(exponent), rest)


def _is_power_of_sign(node: Expr) -> bool:
    return isinstance(node, Pow) and isinstance(node.base, sympy.sign) and node.exp.is_Integer


def _prepared(node: Expr) -> Expr:
    """Scale what stands inside of functions; roots and logarithms of sums of exponentials are opened."""
    if not node.has(exp):
        return node
    if isinstance(node, exp):
        return exp(sympy.expand(scaled(node.args[0])))
    if isinstance(node, log):
        return logarithm(node.args[0])
    if isinstance(node, Pow) and not node.exp.is_Integer:
        inner = _apart(node.base)
        return exp(sympy.expand(node.exp * inner.exponent)) * inner.rest**node.exp
    if isinstance(node, Add | Mul | Pow):
        return node.func(*(_prepared(a) for a in node.args))
    if isinstance(node, Piecewise):
        return Piecewise(*((scaled_terms(branch), condition) for branch, condition in node.args))
    return node.func(*(scaled(a) for a in node.args))


def _closed(node: Expr, found: _Generators) -> Expr:
    if isinstance(node, exp):
        return found.power(node.args[0])
    if node.is_Rational:
        return node
    if isinstance(node, Add | Mul) or (isinstance(node, Pow) and node.exp.is_Integer):
        if isinstance(node, Pow):
            if abs(node.exp) > MOST_DEGREE:
                raise TooInvolved
            return _closed(node.base, found) ** node.exp
        return node.func(*(_closed(a, found) for a in node.args))
    return found.slot(node)


def _length(node: Expr) -> tuple[int, int]:
    """Return how many terms numerator and denominator have, multiplied out."""
    if isinstance(node, Add | Mul):
        tops, bottoms = zip(*map(_length, node.args), strict=True)
        below = math.prod(bottoms)
        if isinstance(node, Mul):
            return math.prod(tops), below
        return sum(top * below // bottom for top, bottom in zip(tops, bottoms, strict=True)), below
    if isinstance(node, Pow):
        count = abs(int(node.exp))
        top, bottom = (math.comb(terms + count - 1, count) for terms in _length(node.base))
        return (top, bottom) if node.exp > 0 else (bottom, top)
    return 1, 1


def _factors(closed: Expr) -> list[tuple[Expr, int]]:
    """Return a rational expression as powers of polynomials that cannot be taken apart further."""
    if max(_length(closed)) > MOST_TERMS:
        raise TooInvolved
    top, bottom = sympy.fraction(sympy.together(closed))
    result: list[tuple[Expr, int]] = []
    for part, sign in ((top, 1), (bottom, -1)):
        number, factors = sympy.factor_list(part)
        result.append((number, sign))
        result += [(base, sign * int(count)) for base, count in factors]
    return result


# ---- the largest term -------------------------------------------------------------------------


def _terms(base: Expr, found: _Generators) -> list[tuple[Expr, Expr]]:
    """Return a polynomial as exponents with their coefficients."""
    symbols = [s for s in found.symbols.values() if s in base.free_symbols]
    if not symbols:
        return [(sympy.S.Zero, base)]
    polynomial = sympy.Poly(base, *symbols)
    return [
        (found.exponent(dict(zip(symbols, powers, strict=True))), coefficient)
        for powers, coefficient in polynomial.terms()
    ]


def _largest_out(base: Expr, found: _Generators) -> Scaled:
    terms = _terms(base, found)
    if len(terms) == 1:
        return Scaled(*terms[0])
    along = _along(terms)
    if along is None and len(terms) > MOST_DIRECTIONS:
        raise TooInvolved
    if along is None:
        largest = reduce(lambda a, b: (a + b + Abs(sympy.expand(a - b))) / 2, (a for a, _ in terms))
        return Scaled(largest, Add(*(c * exp(sympy.expand(a - largest)) for a, c in terms)))
    start, u, multiples = along
    low, high = min(multiples), max(multiples)
    middle, half = (low + high) / 2, (high - low) / 2
    exponent = sympy.expand(start + middle * u + half * Abs(u))
    if set(multiples.items()) == {(low, -multiples[high]), (high, multiples[high])}:
        return Scaled(exponent, -multiples[high] * sympy.sign(u) * expm1(-2 * half * Abs(u)))
    rest = []
    for k, c in sorted(multiples.items(), reverse=True):
        mirrored = multiples.get(low + high - k, 0)
        if c == mirrored:  # of a pair, or the one in the middle: in which order, the sign of u says
            rest.append(c * exp((k - high) * Abs(u)))
        else:
            rest.append(c * exp((k - middle) * u - half * Abs(u)))
    return Scaled(exponent, Add(*rest))


def _along(terms: list[tuple[Expr, Expr]]) -> tuple[Expr, Expr, dict[Rational, Expr]] | None:
    """Return exponents as start + k u for numbers k, where they are; u so that it reads well."""
    start, *others = (a for a, _ in terms)
    direction = next(sympy.expand(a - start) for a in others)
    factor, u = direction.as_coeff_Mul()
    if u.is_Add:
        content, u = direction.as_content_primitive()
        factor = content
    if u.could_extract_minus_sign():
        factor, u = -factor, -u
    multiples: dict[Rational, Expr] = {}
    for a, c in terms:
        ratio = sympy.cancel(sympy.expand(a - start) / u)
        if not ratio.is_Rational:
            return None
        multiples[ratio] = c
    shift = start.as_coefficients_dict().get(u) if not u.is_Add else None
    if shift is not None and sympy.expand(start - shift * u) == 0:
        return sympy.S.Zero, u, {k + shift: c for k, c in multiples.items()}
    return start, u, multiples


# ---- logarithms -------------------------------------------------------------------------------


def logarithm(argument: Expr) -> Expr:
    """Return log(argument); of positive sums of exponentials as log-sum-exp."""
    try:
        prepared = _prepared(_exponentials(argument))
        found = _Generators()
        for node in sorted(prepared.atoms(exp), key=sympy.default_sort_key):
            found.learn(node.args[0])
        closed = _closed(prepared, found)
        if not found.symbols or len(found.symbols) > MOST_GENERATORS:
            return log(argument)
        factors = [(_terms(base, found), count) for base, count in _factors(closed)]
    except (TooInvolved, sympy.PolynomialError):
        return log(argument)
    back = {symbol: node for node, symbol in found.slots.items()}
    outside, sums, others = sympy.S.Zero, [], sympy.S.One
    for terms, count in factors:
        if len(terms) == 1:
            exponent, coefficient = terms[0]
            outside += count * exponent
            others *= coefficient.xreplace(back) ** count
        elif all(c.is_Rational and c > 0 for _, c in terms):
            sums.append((terms, count))
        else:
            part = _largest_out(Add(*(c * found.power(a) for a, c in terms)), found)
            outside += count * part.exponent
            others *= part.rest.xreplace(back) ** count
    outside = sympy.expand(outside)
    total: Expr = sympy.S.Zero
    for terms, count in sums:  # an exponent outside goes into a sum where it makes a term 1
        if outside != 0 and (near := _matching(terms, count, outside)) is not None:
            terms, outside = [(sympy.expand(a + near), c) for a, c in terms], sympy.S.Zero
        total += count * _log_sum(terms)
    total += outside
    return total + log(others) if others != 1 else total


def gathered(expression: Expr) -> Expr:
    """Return a sum with logarithms as one logarithm: log(1 + e^x) − x as log(1 + e^−x)."""
    argument: Expr = sympy.S.One
    for term in Add.make_args(elementary(expression)):
        factor, rest = term.as_coeff_Mul()
        is_power = isinstance(rest, log) and factor.is_Integer and abs(factor) <= MOST_DEGREE
        argument *= rest.args[0] ** factor if is_power else exp(term)
    return logarithm(argument)


def near_one(expression: Expr) -> Expr:
    """Return the expression with logarithms of quotients as log(1 + u), exact where they are near 1."""
    return elementary(expression).replace(log, lambda argument: log1p(scaled(argument - 1)))


def _matching(terms: list[tuple[Expr, Expr]], count: int, outside: Expr) -> Expr | None:
    """Return outside/count if one term of the sum has the exponent that this takes away."""
    near = sympy.expand(outside / count)
    return near if any(sympy.expand(a + near) == 0 for a, _ in terms) else None


def _log_sum(terms: list[tuple[Expr, Expr]]) -> Expr:
    """Return log Σ cᵢ exp(aᵢ) for positive cᵢ, one term after the other, what is constant last."""
    ordered = sorted(terms, key=lambda term: (term[0] == 0, sympy.default_sort_key(term[0])))
    return reduce(_log_add, (a + log(c) for a, c in ordered))


def _log_add(a: Expr, b: Expr) -> Expr:
    """Return log(exp(a) + exp(b))."""
    if b.is_number:
        return b + softplus(a - b)
    difference: Any = sympy.expand(a - b)
    return maximum(a, b) + softplus(-Abs(difference))

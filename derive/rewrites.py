"""Named identities: the only way in which an expression changes its form.

Each row states its identity (left = right, under a condition), which tests prove, and how it is applied.
Rows come in the order in which ``stable`` applies them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import sympy
from sympy import (
    Add,
    Expr,
    Indexed,
    IndexedBase,
    Mul,
    Pow,
    Symbol,
    cosh,
    erf,
    exp,
    log,
    sinh,
    sqrt,
    tanh,
)

from chainrule.derive.conjugate import by_conjugate
from chainrule.derive.index import Max, Sum, Winner, index, size, tensor
from chainrule.derive.prose import _
from chainrule.derive.scaling import logarithm, scaled
from chainrule.derive.winners import picked
from chainrule.formula.functions import erfc, expm1, log1p, logcosh, maximum, sigmoid, softplus

u = Symbol("u", real=True)


@dataclass(frozen=True)
class Rewrite:
    """An identity ``left`` = ``right``, built where it is proved, and the function that applies it."""

    name: str
    identity: Callable[[], tuple[Expr, Expr]]
    condition: str
    apply: Callable[[Expr], Expr]

    @property
    def left(self) -> Expr:
        return self.identity()[0]

    @property
    def right(self) -> Expr:
        return self.identity()[1]


def _everywhere(kind: type, rule: Callable[[Expr], Expr]) -> Callable[[Expr], Expr]:
    """Apply a rule to every node of a kind, inside out."""

    def apply(expression: Expr) -> Expr:
        return expression.replace(lambda e: isinstance(e, kind), rule) if expression.has(kind) else expression

    return apply


def _one_plus(node: Expr, kind: type) -> Expr | None:
    """Return f(u) if node is 1 + f(u), else None."""
    if isinstance(node, Add) and len(node.args) == 2 and node.args[0] == 1 and isinstance(node.args[1], kind):
        return node.args[1]
    return None


def _reciprocal(node: Pow) -> Expr:
    inner = _one_plus(node.base, exp)
    if inner is None or not node.exp.is_negative:
        return node
    return sigmoid(-inner.args[0]) ** -node.exp


def _absorb(node: Mul) -> Expr:
    """exp(u) σ(−u) = σ(u), as long as both are there; exp(a u) counts as a factors."""
    factors = list(node.args)
    powers: dict[Expr, int] = {}
    for factor in factors:
        base, power = factor.as_base_exp()
        if isinstance(base, sigmoid) and power.is_Integer and power > 0:
            powers[base.args[0]] = int(power)
    for i, factor in enumerate(factors):
        if not isinstance(factor, exp):
            continue
        for argument, power in powers.items():
            count = sympy.cancel(-factor.args[0] / argument)
            if count.is_Integer and 0 < count <= power:
                rest = Mul(*factors[:i], *factors[i + 1 :]) / sigmoid(argument) ** count
                return rest * sigmoid(-argument) ** count
    return node


def _pairs(node: Add, kind: type[Expr], sign: int, merged: Callable[[Expr], Expr]) -> Expr:
    """Merge a constant ``sign``·c with a term c·f(u) of a sum into c·merged(u)."""
    constant, terms = node.as_coeff_add()
    if constant == 0:
        return node
    for i, term in enumerate(terms):
        scale, rest = term.as_coeff_Mul()
        if isinstance(rest, kind) and constant == sign * scale:
            return Add(*terms[:i], *terms[i + 1 :]) + Mul(scale, merged(rest.args[0]), evaluate=True)
    return node


def _log_of_named(node: Expr) -> Expr:
    argument = node.args[0]
    if isinstance(argument, sigmoid):
        return -softplus(-argument.args[0])
    if isinstance(argument, cosh):
        return logcosh(argument.args[0])
    inner = _one_plus(argument, exp)
    if inner is not None:
        return softplus(inner.args[0])
    return node


def _log1p(node: Expr) -> Expr:
    (argument,) = node.args
    constant, rest = argument.as_coeff_Add()
    return log1p(rest) if constant == 1 and rest != 0 else node


def _shift(node: Sum) -> Expr:
    """Take the greatest exponent out of a sum of exponentials."""
    exponents = [f for f in Mul.make_args(node.body) if isinstance(f, exp)]
    if not exponents or (isinstance(exponents[0].args[0], Add) and exponents[0].has(Max)):
        return node
    exponent = exponents[0].args[0]
    renamed = node.renamed()
    greatest = Max(exponent, *node.axes).renamed()
    bound = dict(zip(node.bound, renamed.bound, strict=True))
    rest = renamed.body / exp(exponent.xreplace(bound))
    return exp(greatest) * Sum(rest * exp(exponent.xreplace(bound) - greatest), *renamed.axes)


def _log_of_quotient(node: Expr) -> Expr:
    """The logarithm of a product of exponentials and powers of sums of exponentials: all are positive."""
    factors = Mul.make_args(node.args[0])
    if not any(isinstance(f, exp) for f in factors) or not node.args[0].has(Sum):
        return node
    terms = []
    for factor in factors:
        base, power = factor.as_base_exp()
        if isinstance(factor, exp):
            terms.append(factor.args[0])
        elif isinstance(base, Sum) and isinstance(base.body, exp):
            terms.append(power * log(base))
        else:
            return node
    return Add(*terms)


def _quotient_of_hyperbolics(node: Mul) -> Expr:
    for factor in node.args:
        if isinstance(factor, sinh) and 1 / cosh(factor.args[0]) in node.args:
            return node * cosh(factor.args[0]) / factor * tanh(factor.args[0])
    return node


def _merge_exponentials(node: Mul) -> Expr:
    exponents = [f.args[0] for f in node.args if isinstance(f, exp)]
    if len(exponents) < 2 or not any(e.has(Max) for e in exponents):
        return node
    return Mul(*(f for f in node.args if not isinstance(f, exp))) * exp(Add(*exponents))


def _opposite_exponentials(node: Add) -> Expr:
    """c e^u + c e^−u = 2c cosh u, c e^u − c e^−u = 2c sinh u."""
    terms = list(node.args)
    for i, term in enumerate(terms):
        for j, other in enumerate(terms[:i]):
            (c, f), (d, g) = (t.as_independent(exp, as_Add=False) for t in (term, other))
            if abs(c) == abs(d) and isinstance(f, exp) and isinstance(g, exp) and f.args[0] == -g.args[0]:
                rest = Add(*(t for n, t in enumerate(terms) if n not in (i, j)))
                return rest + (2 * c * cosh(f.args[0]) if c == d else 2 * c * sinh(f.args[0]))
    return node


def _scaled_quotient(node: Mul) -> Expr:
    """Scale what is divided by a sum of exponentials."""
    under = (f.base for f in node.args if isinstance(f, Pow) and f.exp.is_negative)
    if not any(isinstance(base, Add) and base.has(exp) for base in under) or node.has(Sum, Max):
        return node
    return scaled(node)


def _log_of_exponentials(node: Expr) -> Expr:
    terms = Add.make_args(node.args[0])
    several = sum(isinstance(f, exp) for term in terms for f in Mul.make_args(term)) > 1
    return logarithm(node.args[0]) if several and not node.has(Sum, Max) else node


class _Row(NamedTuple):
    """Two elements of a row of logits, one that sums run over, and the largest."""

    z_j: Expr
    z_k: Expr
    axis: tuple[Symbol, Expr]
    most: Max


@cache
def _row() -> _Row:
    j, k, width = index("j"), index("k"), size("K")
    z = tensor("z", width)
    return _Row(z[j], z[k], (j, width), Max(z[j], (j, width)))


LOG_OF_QUOTIENT = Rewrite(
    _("logarithm of a softmax"),
    lambda: (
        log(exp(_row().z_k) / Sum(exp(_row().z_j), _row().axis)),
        _row().z_k - log(Sum(exp(_row().z_j), _row().axis)),
    ),
    "exponentials are positive",
    _everywhere(log, _log_of_quotient),
)
SHIFT = Rewrite(
    _("shifted exponentials (log-sum-exp)"),
    lambda: (
        Sum(exp(_row().z_j), _row().axis),
        exp(_row().most.renamed()) * Sum(exp(_row().z_j - _row().most.renamed()), _row().axis),
    ),
    "always; no exponent is above 0",
    _everywhere(Sum, _shift),
)
MERGE = Rewrite(
    "e^a e^b = e^(a+b)",
    lambda: (exp(u) * exp(-_row().most), exp(u - _row().most)),
    "always",
    _everywhere(Mul, _merge_exponentials),
)
HYPERBOLIC = Rewrite(
    "e^u ± e^−u = 2 cosh u, 2 sinh u",
    lambda: (exp(u) - exp(-u), 2 * sinh(u)),
    "always",
    _everywhere(Add, _opposite_exponentials),
)
SCALED = Rewrite(
    _("quotient of exponentials, scaled by the largest"),
    lambda: (
        (exp(u) + exp(2 * u)) / (3 + exp(2 * u)),
        (exp(u - abs(u)) + exp(-abs(u))) / (3 * exp(-u - abs(u)) + exp(u - abs(u))),
    ),
    "always; no exponent is above 0",
    _everywhere(Mul, _scaled_quotient),
)
LOG_SUM = Rewrite(
    _("logarithm of a sum of exponentials"),
    lambda: (log(exp(-u) + exp(3 * u)), maximum(-u, 3 * u) + softplus(-abs(4 * u))),
    "always",
    _everywhere(log, _log_of_exponentials),
)
CONJUGATE = Rewrite(
    "a + √b = (a² − b)/(a − √b)",
    lambda: (sqrt(u**2 + 1) - 1, u**2 / (sqrt(u**2 + 1) + 1)),
    "where a and √b have opposite signs; exact where they are nearly as large",
    _everywhere(Add, by_conjugate),
)
LOGISTIC = Rewrite(
    _("logistic function"),
    lambda: (1 / (1 + exp(-u)), sigmoid(u)),
    "definition of σ",
    _everywhere(Pow, _reciprocal),
)
ABSORB = Rewrite(
    "e^u σ(−u) = σ(u)", lambda: (exp(u) * sigmoid(-u), sigmoid(u)), "always", _everywhere(Mul, _absorb)
)
COMPLEMENT = Rewrite(
    "1 − σ(u) = σ(−u)",
    lambda: (1 - sigmoid(u), sigmoid(-u)),
    "always",
    _everywhere(Add, lambda node: _pairs(node, sigmoid, -1, lambda a: -sigmoid(-a))),
)
LOG_NAMED = Rewrite(
    "softplus",
    lambda: (log(1 + exp(u)), softplus(u)),
    "definition of softplus",
    _everywhere(log, _log_of_named),
)
EXPM1 = Rewrite(
    "expm1",
    lambda: (exp(u) - 1, expm1(u)),
    "always; exact near 0",
    _everywhere(Add, lambda node: _pairs(node, exp, -1, expm1)),
)
LOG1P = Rewrite("log1p", lambda: (log(1 + u), log1p(u)), "u > −1; exact near 0", _everywhere(log, _log1p))
ERFC = Rewrite(
    "1 + erf(u) = erfc(−u)",
    lambda: (1 + erf(u), erfc(-u)),
    "always; exact for large −u",
    _everywhere(Add, lambda node: _pairs(node, erf, 1, lambda a: erfc(-a))),
)

TANH = Rewrite(
    "sinh(u)/cosh(u) = tanh(u)",
    lambda: (sinh(u) / cosh(u), tanh(u)),
    "definition of tanh; finite for large u",
    _everywhere(Mul, _quotient_of_hyperbolics),
)

LOG_SIGMOID = Rewrite(
    "log σ(u) = −softplus(−u)",
    lambda: (log(sigmoid(u)), -softplus(-u)),
    "always",
    LOG_NAMED.apply,
)
LOG_COSH = Rewrite("log cosh", lambda: (log(cosh(u)), logcosh(u)), "always", LOG_NAMED.apply)

PICK = Rewrite(
    _("sum over a winner's places"),
    lambda: (
        Sum(Winner(_row().z_j, _row().z_k.indices, _row().axis) * tanh(_row().z_k), (index("k"), size("K"))),
        tanh(_row().most),
    ),
    "always: one place wins, and there the maximum stands",
    _everywhere(Sum, picked),
)

NAMING = (LOGISTIC, ABSORB, COMPLEMENT, LOG_NAMED)
# Named functions first: what is then left of exponentials in a sum is worth shifting.
STABLE = (LOG_OF_QUOTIENT, *NAMING, SHIFT, MERGE, EXPM1, LOG1P, ERFC, TANH)
REWRITES = (*STABLE, LOG_SIGMOID, LOG_COSH, HYPERBOLIC, SCALED, LOG_SUM, CONJUGATE, PICK)


def rewrite(expression: Expr, rules: Iterable[Rewrite]) -> tuple[Expr, tuple[str, ...]]:
    """Apply rewrites until none fits; return the expression and the names of those that changed it."""
    used: list[str] = []
    for _round in range(8):
        before = expression
        for rule in rules:
            after = rule.apply(expression)
            if after != expression:
                used.append(rule.name)
                expression = after
        if expression == before:
            break
    return expression, tuple(dict.fromkeys(used))


def stable(expression: Expr) -> tuple[Expr, tuple[str, ...]]:
    """Return the form that is computed: no overflow, no cancellation that an identity removes."""
    return rewrite(expression, STABLE)


def one_hot_sums(expression: Expr, one_hot: IndexedBase) -> Expr:
    """Apply Σ_k t[n,k] = 1 for a one-hot t: its row leaves every sum over k of what does not depend on k.

    A maximum stays with the exponent that it shifts: their difference is exact, their sums are not.
    """

    def row(term: Expr, bound: tuple[Symbol, ...]) -> Indexed | None:
        rows = [f for f in Mul.make_args(term) if isinstance(f, Indexed) and f.base == one_hot]
        if any(isinstance(f, Max) for f in Mul.make_args(term)):
            return None
        if len(rows) != 1:
            return None
        (found,) = rows
        k = found.indices[-1]
        return found if k in bound and k not in (term / found).free_symbols else None

    def rule(node: Sum) -> Expr:
        staying, left = [], []
        for term in Add.make_args(sympy.expand_mul(node.body)):
            found = row(term, node.bound)
            if found is None:
                staying.append(term)
            else:
                left.append(Sum(term / found, *(a for a in node.axes if a[0] != found.indices[-1])))
        return Add(Sum(Add(*staying), *node.axes) if staying else sympy.S.Zero, *left) if left else node

    return _everywhere(Sum, rule)(expression) if one_hot in expression.atoms(IndexedBase) else expression


ONE_HOT = "Σ t = 1"
__all__ = ["ONE_HOT", "REWRITES", "Rewrite", "one_hot_sums", "rewrite", "stable"]

"""From SymPy to the page in index form: what a lecturer would write for each node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sympy
from sympy import Add, Expr, Indexed, Integer, KroneckerDelta, Mul, Piecewise, Pow, Rational, Symbol, exp
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanTrue

from chainrule.derive.index import Inside, Max, Reduction, Sum, Winner, name_of
from chainrule.formula import functions
from chainrule.present.notation import name
from chainrule.present.order import common, content, factors, is_even, output_first, terms
from chainrule.present.tree import (
    ONE,
    Applied,
    Bars,
    Big,
    ByCase,
    Exp,
    Hadamard,
    Iverson,
    Joined,
    Kronecker,
    Leaf,
    Node,
    Over,
    Plus,
    Raised,
    Ref,
    Related,
    Root,
    Rounded,
    Times,
)

# How functions are called; the last column says whether the bare form (log a) is usual.
CALLED: Final = {
    sympy.log: (r"\log", "log", True),
    sympy.sin: (r"\sin", "sin", False),
    sympy.cos: (r"\cos", "cos", False),
    sympy.tan: (r"\tan", "tan", False),
    sympy.sinh: (r"\sinh", "sinh", False),
    sympy.cosh: (r"\cosh", "cosh", False),
    sympy.tanh: (r"\tanh", "tanh", False),
    sympy.sign: (r"\operatorname{sign}", "sign", False),
    sympy.erf: (r"\operatorname{erf}", "erf", False),
    sympy.Max: (r"\max", "max", False),
    functions.erfc: (r"\operatorname{erfc}", "erfc", False),
    functions.sigmoid: (r"\sigma", "σ", False),
    functions.softplus: (r"\operatorname{softplus}", "softplus", False),
    functions.expm1: (r"\operatorname{expm1}", "expm1", False),
    functions.log1p: (r"\operatorname{log1p}", "log1p", False),
    functions.maximum: (r"\max", "max", False),
    functions.logcosh: (r"\log\cosh", "logcosh", False),
}
ROUNDED: Final = {sympy.floor: "⌊⌋", sympy.ceiling: "⌈⌉", functions.rint: "⌊⌉"}
RELATIONS: Final = {
    sympy.Gt: (">", "<"),
    sympy.Ge: ("≥", "≤"),
    sympy.Lt: ("<", ">"),
    sympy.Le: ("≤", "≥"),
    sympy.Eq: ("=", "="),
    sympy.Ne: ("≠", "≠"),
}


class OnePlusErf(sympy.Function):
    """1 + erf(u) in one piece, so that a number in front of it is not multiplied in."""


class CannotPresent(TypeError):
    """An expression that no case writes; the message names its type."""


@dataclass(frozen=True)
class Writer:
    """Writes expressions in index form.

    ``own`` is the tensor on the left side; ``limits``: sums carry their range, which starts at ``origin``.
    """

    own: str = ""
    limits: bool = False
    origin: int = 1

    def tree(self, node: Any) -> Node:
        """Return what is written for an expression.  Raises CannotPresent."""
        if isinstance(node, Indexed):
            return self.access(node)
        if isinstance(node, Rational):
            return number(node)
        if isinstance(node, Symbol):
            return symbol(node)
        if isinstance(node, Add):
            return self.add(node)
        if isinstance(node, exp):
            return ONE if node.args[0] == 0 else Exp(self.tree(node.args[0]))
        if isinstance(node, Mul | Pow):
            return self.product(node)
        if isinstance(node, Reduction):
            return self.reduction(node)
        return self.special(node)

    def special(self, node: Any) -> Node:
        """Write what is neither a sum nor a product."""
        if isinstance(node, Piecewise):
            return self.choice(node)
        if isinstance(node, Relational):
            return self.relation(node)
        if isinstance(node, KroneckerDelta):
            return self.kronecker(*node.args)
        if isinstance(node, Inside):
            low = Related("≤", Leaf("0", "0"), self.tree(node.expression))
            return Iverson((Related("<", low, self.tree(node.size)),))
        if isinstance(node, Winner):
            return self.winner(node)
        if isinstance(node, sympy.Abs):
            return Bars(self.tree(output_first(node.args[0])))
        if type(node) in ROUNDED:
            return Rounded(self.tree(node.args[0]), ROUNDED[type(node)])
        if isinstance(node, sympy.And | sympy.Or):
            return self.joined(node)
        if isinstance(node, OnePlusErf):
            return Plus(((False, ONE), (False, self.tree(sympy.erf(node.args[0])))))
        if node is sympy.pi or node is sympy.E:
            return Leaf(r"\pi", "π") if node is sympy.pi else Leaf("e", "e")
        for kind, (latex, text, bare) in CALLED.items():
            if isinstance(node, kind):
                return Applied(latex, text, tuple(self.tree(a) for a in node.args), bare)
        if isinstance(node, sympy.Function):
            called = str(node.func)
            return Applied(called, called, tuple(self.tree(a) for a in node.args))
        raise CannotPresent(f"cannot present {type(node).__name__}")

    def access(self, node: Indexed) -> Node:
        return Ref(name_of(node.base), tuple(self.tree(i) for i in node.indices))

    def kronecker(self, left: Expr, right: Expr) -> Node:
        if isinstance(left, Symbol) and isinstance(right, Symbol):
            one, two = sorted((left, right), key=str)
            return Kronecker(symbol(one), symbol(two))
        if right == 0 and not isinstance(left, Symbol):  # a divisibility that stays
            plus = [t for t in Add.make_args(left) if not factors(t).negative]
            left, right = Add(*plus), Add(*plus) - left
        return Iverson((Related("=", self.tree(left), self.tree(right)),))

    def winner(self, node: Winner) -> Node:
        best = self.over("argmax", node)
        at = [self.tree(i) for i in node.at]
        here = at[0] if len(at) == 1 else Applied("", "", tuple(at))
        return Iverson((Related("=", here, best),))

    def relation(self, node: Relational) -> Node:
        left, right = node.args
        operator, mirrored = RELATIONS[type(node)]
        if left.is_number and not right.is_number:
            left, right, operator = right, left, mirrored
        return Related(operator, self.tree(left), self.tree(right))

    def joined(self, node: sympy.And | sympy.Or) -> Node:
        """Write conditions that belong together; those on both sides of one quantity as 0 < x ≤ 1."""
        conditions = [self.tree(c) for c in sorted(node.args, key=sympy.default_sort_key)]
        if isinstance(node, sympy.Or) or len(node.args) != 2:
            return Joined("∨" if isinstance(node, sympy.Or) else "∧", tuple(conditions))
        upper = next((c for c in conditions if isinstance(c, Related) and c.operator in "<≤"), None)
        lower = next((c for c in conditions if isinstance(c, Related) and c.operator in ">≥"), None)
        if upper is None or lower is None or upper.left != lower.left:
            return Joined("∧", tuple(conditions))
        inner = Related({">": "<", "≥": "≤"}[lower.operator], lower.right, lower.left)
        return Related(upper.operator, inner, upper.right)

    def reduction(self, node: Reduction) -> Node:
        """Write a reduction; the number in a sum stands in front of it."""
        if isinstance(node, Sum) and content(node.body)[0] != 1:
            return self.product(node)
        return self.reduce(node)

    def reduce(self, node: Reduction) -> Node:
        return self.over("max" if isinstance(node, Max) else "sum", node)

    def over(self, operator: str, node: Reduction | Winner) -> Big:
        """Write an operator over indices; a range that no tensor shows is told in every format."""
        told = tuple(str(i) for i, n in node.axes if not _is_shown(i, n, node.body))
        axes = tuple((str(i), str(n) if self.limits or told else "") for i, n in node.axes)
        return Big(operator, axes, self.tree(node.body), told, self.origin)

    def choice(self, node: Piecewise) -> Node:
        best = extremum(node)
        if best is not None:
            return Applied(rf"\{best[0]}", best[0], tuple(self.tree(a) for a in best[1]))
        first, *rest = node.args
        if len(rest) == 1 and first[0] == 1 and rest[0][0] == 0:
            return Iverson((self.tree(first[1]),))
        if len(rest) == 1 and first[0] == 0:  # what is not 0 comes first
            node = Piecewise(
                (rest[0][0], sympy.to_nnf(sympy.Not(first[1]))), (first[0], True), evaluate=False
            )
        branches = [
            (self.tree(value), None if isinstance(condition, BooleanTrue) else self.tree(condition))
            for value, condition in node.args
        ]
        return ByCase(tuple(branches))

    def add(self, node: Expr) -> Node:
        """Write a sum; terms with the same small factor are gathered: λ (Σ W² + Σ V²)."""
        written: list[tuple[bool, Node]] = []
        for shared, run in common(terms(node, self.own)):
            if len(run) > 1:
                inner = Plus(tuple((False, self.tree(term)) for term in run))
                written.append((bool(shared < 0), Times((number(abs(shared)), inner))))
                continue
            term = run[0] if shared == 1 else shared * run[0]
            negative = factors(term).negative
            written.append((negative, self.term(-term if negative else term)))
        if len(written) > 1 and all(negative for negative, _ in written):
            return Plus(((True, Plus(tuple((False, term) for _, term in written))),))
        return Plus(tuple(written)) if len(written) > 1 or written[0][0] else written[0][1]

    def term(self, node: Expr) -> Node:
        """Write one term of a sum."""
        return self.tree(node)

    def product(self, node: Expr) -> Node:
        if isinstance(node, Pow) and not _is_negative(node.exp):
            return self.power(node)
        found = factors(node)
        over, under = [self.tree(f) for f in found.over], [self.tree(f) for f in found.under]
        whole = is_whole(found.coefficient, found.over, found.under)
        written = arrange(found.coefficient, over, under, scalar, whole)
        return Plus(((True, written),)) if found.negative else written

    def power(self, node: Pow) -> Node:
        if node.exp == sympy.S.Half:
            return Root(self.tree(node.base))
        base = output_first(node.base) if is_even(node) else node.base
        return Raised(self.tree(base), self.tree(node.exp))


def _is_shown(index: Symbol, size: Expr, body: Expr) -> bool:
    """Whether a tensor has an axis of that size at that very index, so that its shape tells the range."""
    reads = ((i, n) for a in body.atoms(Indexed) for i, n in zip(a.indices, a.base.shape, strict=True))
    return any(i == index and n == size for i, n in reads)


def _is_negative(expression: Expr) -> bool:
    if isinstance(expression, Add):
        return all(term.could_extract_minus_sign() for term in expression.args)
    return bool(expression.could_extract_minus_sign())


def scalar(nodes: Sequence[Node]) -> Node:
    return _product(Times, nodes)


def hadamard(nodes: Sequence[Node]) -> Node:
    return _product(Hadamard, nodes)


def _product(kind: type[Times | Hadamard], nodes: Sequence[Node]) -> Node:
    match nodes:
        case [node]:
            return node
        case _:
            return kind(tuple(nodes))


def arrange(
    coefficient: Rational,
    over: Sequence[Node],
    under: Sequence[Node],
    join: Callable[[Sequence[Node]], Node],
    whole: bool,
) -> Node:
    """Write coefficient · over / under; ``whole``: as one fraction, else 1/N stands before what is long."""
    if coefficient == 1 and not under:
        return join(over) if over else ONE
    plain = _is_decimal(coefficient)
    top, bottom = (coefficient, sympy.S.One) if plain else (Integer(coefficient.p), Integer(coefficient.q))
    denominator = [*([number(bottom)] if bottom != 1 else []), *under]
    leading = [number(top)] if top != 1 else []
    if denominator and (whole or not over):
        numerator = [join(over)] if over else []
        return Over(scalar([*leading, *numerator]) if leading or numerator else ONE, scalar(denominator))
    if denominator:
        leading = [Over(number(top), scalar(denominator))]
    if not over:
        return leading[0]
    body = join(over)
    return scalar([*leading, *(body.factors if isinstance(body, Times) else (body,))])


def is_whole(coefficient: Rational, over: Sequence[Expr], under: Sequence[Expr]) -> bool:
    """Whether a product is one fraction: tensors divide, or a single letter is divided."""
    if any(factor.atoms(Indexed) or factor.has(exp, sympy.Function, Add) for factor in under):
        return True
    return len(over) == 1 and abs(coefficient.p) == 1 and _is_letter(over[0])


def _is_letter(factor: Expr) -> bool:
    if isinstance(factor, Pow) and not isinstance(factor, exp):
        factor = factor.base
    return isinstance(factor, Symbol | Indexed) or bool(factor.is_number)


def _is_decimal(value: Rational) -> bool:
    rest = int(value.q)
    if value.q in (2, 4, 8) and abs(value.p) < 10:
        return False
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return False
    written = len(decimal(value))
    return written <= 14 and written <= len(f"{value.p}/{value.q}") + 1


def decimal(value: Rational) -> str:
    """Return the finite decimal expansion of a number that has one."""
    if value.q == 1:
        return str(value.p)
    places = next(d for d in range(1, 400) if (10**d) % int(value.q) == 0)
    digits = str(abs(int(value * 10**places))).zfill(places + 1)
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def number(value: Rational) -> Node:
    """Return what is written for a number: 3, 0.31, 10^{-4}, 55/31."""
    if value < 0:
        return Plus(((True, number(-value)),))
    if not _is_decimal(value):
        return Over(Leaf(str(value.p), str(value.p)), Leaf(str(value.q), str(value.q)))
    plain = decimal(value)
    zeros = len(plain) - 2
    if value.p == 1 and value.q == 10**zeros and zeros >= 3:
        return Leaf(rf"10^{{-{zeros}}}", plain if zeros <= 4 else f"1e-{zeros}")
    digits = plain.replace(".", "").lstrip("0")
    if len(digits) == 1 and zeros >= 4 and value.q != 1:
        return Leaf(rf"{digits} \cdot 10^{{-{zeros}}}", plain if zeros <= 4 else f"{digits}e-{zeros}")
    return Leaf(plain, plain)


def symbol(node: Symbol) -> Leaf:
    """Return what is written for a constant, a size or an index."""
    written = name(node.name)
    latex = written.latex
    if latex == node.name:
        letter, _, lower = latex.partition("_")
        stem = letter.rstrip("0123456789")
        lower = lower or letter[len(stem) :]
        stem = stem if len(stem) == 1 else rf"\mathrm{{{stem}}}"
        latex = rf"{stem}_{{{lower}}}" if lower else stem
        latex = latex.replace("_{_", "_{")
    is_index = bool(node.is_integer) and not node.is_positive
    return Leaf(latex, written.text, "" if is_index else node.name, is_index)


def extremum(node: Piecewise) -> tuple[str, tuple[Expr, Expr]] | None:
    """Return max or min and its arguments where a choice is one: (a, a ≥ b), (b, otherwise)."""
    if len(node.args) != 2:
        return None
    (first, condition), (second, _) = node.args
    if not isinstance(condition, sympy.Ge | sympy.Gt | sympy.Le | sympy.Lt):
        return None
    if condition.args == (first, second):
        greater = isinstance(condition, sympy.Ge | sympy.Gt)
    elif condition.args == (second, first):
        greater = isinstance(condition, sympy.Le | sympy.Lt)
    else:
        return None
    pair = (second, first) if second.is_number and not first.is_number else (first, second)
    return ("max" if greater else "min"), pair


def textbook(expression: Expr) -> Expr:
    """Write out what only a program needs a name for: e^u − 1 for expm1, 1 − σ(u) for σ(−u)."""
    for kind in (functions.expm1, functions.log1p, functions.logcosh):
        if expression.has(kind):
            expression = expression.replace(kind, lambda u, kind=kind: kind(u).as_elementary())
    if expression.has(functions.sigmoid):
        expression = expression.replace(
            lambda e: isinstance(e, functions.sigmoid) and _is_negative(e.args[0]),
            lambda e: 1 - functions.sigmoid(-e.args[0]),
        )
    if expression.has(functions.erfc):
        expression = expression.replace(
            lambda e: isinstance(e, functions.erfc) and _is_negative(e.args[0]),
            lambda e: OnePlusErf(-e.args[0]),
        )
    return expression

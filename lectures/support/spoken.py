"""Derivatives in words: what a reason says of one is computed where it stands."""

from __future__ import annotations

import re

import sympy
from sympy import Expr, Function, IndexedBase, Symbol

from chainrule.derive.adjoint import adjoint
from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Reduction, Sum, access, accesses, cotangent, name_of, tensor
from chainrule.lectures.model import node, partial
from chainrule.present.text import write
from chainrule.present.tree import Node

u, v = Symbol("u", real=True), Symbol("v", real=True)
_SUBSCRIPTS = re.compile(r"\[([^\]]*)\]")


def spoken(shown: Node | Expr) -> str:
    """Return a formula as prose writes it: x̂_n for x̂[n]."""
    return _SUBSCRIPTS.sub(lambda found: "_" + found[1].replace(",", ""), write(node(shown)))


def primed(body: Expr, by: Expr = u) -> str:
    """Return what a derivative is: (u²/2)′ = u."""
    letter = sympy.Dummy(real=True)
    found = sympy.diff(body.xreplace({by: letter}), letter).xreplace({letter: by})
    return f"({spoken(body)})′ = {spoken(found)}"


def through(curve: Equation, name: str, letter: str = "σ") -> str:
    """Return the derivative of a curve in terms of its output: σ′ = a(1 − a)."""
    local = _local(curve, adjoint(curve, name).equation)
    return f"{letter}′ = {spoken(local.xreplace({curve.left: Symbol(curve.name.partition('@')[0])}))}"


def slope(equation: Equation, name: str) -> str:
    """Return the derivative of what an equation defines by a tensor that it reads: ∂μ/∂x_n = 1/N."""
    found = vjp(equation, name)
    by = access(tensor(name, *found.left.base.shape), *found.free)
    return f"{spoken(partial(equation.left, by))} = {spoken(_local(equation, found))}"


def slope_of_sum(y: IndexedBase, *indices: Symbol) -> tuple[Equation, str]:
    """Return ∂E/∂y for E = Σ y over the indices (E = y without one), as an equation and in words."""
    total = Equation(access(tensor("E")), Sum(access(y, *indices), *zip(indices, y.shape, strict=True)))
    found = vjp(total, name_of(y))
    one = found.right.xreplace({access(tensor(cotangent("E"))): sympy.S.One})
    return Equation(found.left, one), slope(total, name_of(y))


def _local(equation: Equation, found: Equation) -> Expr:
    """Return a cotangent without the one that it is made from, and one term of its sum."""
    seed = tensor(cotangent(equation.name), *equation.left.base.shape)
    bare = found.right.xreplace({a: sympy.S.One for a in accesses(found.right, seed)})
    return sympy.factor_terms(bare.body if isinstance(bare, Reduction) else bare)


def quotient_rule(apart: bool = False) -> str:
    """Return (u/v)′, over one denominator or ``apart``."""
    x = Symbol("x")
    above, below = Function("u")(x), Function("v")(x)
    found = sympy.diff(above / below, x)
    found = sympy.expand(found) if apart else sympy.together(found)
    primes = {above.diff(x): Symbol("u′"), below.diff(x): Symbol("v′")}
    return f"(u/v)′ = {spoken(found.xreplace(primes).xreplace({above: u, below: v}))}"

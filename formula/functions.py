"""Functions that SymPy has not: rint, and those of the computed forms.

The computed forms are what an expression is written in once differentiation is over: their functions carry no
derivative, differentiation comes first and meets only SymPy's own functions and steps.
"""

from __future__ import annotations

from fractions import Fraction

import sympy


class rint(sympy.Function):
    """The whole number nearest to u, the even one of two: what C and NumPy call rint."""

    is_real = True
    is_integer = True
    nargs = 1

    @classmethod
    def eval(cls, u: sympy.Expr) -> sympy.Expr | None:
        if u.is_Rational:
            return sympy.Integer(round(Fraction(int(u.p), int(u.q))))
        return u if u.is_integer else None


class sigmoid(sympy.Function):
    """σ(u) = 1 / (1 + exp(−u))."""

    is_real = True
    nargs = 1

    def as_elementary(self) -> sympy.Expr:
        return 1 / (1 + sympy.exp(-self.args[0]))


class softplus(sympy.Function):
    """softplus(u) = log(1 + exp(u))."""

    is_real = True
    nargs = 1

    def as_elementary(self) -> sympy.Expr:
        return sympy.log(1 + sympy.exp(self.args[0]))


class expm1(sympy.Function):
    """exp(u) − 1, exact for small u."""

    is_real = True
    nargs = 1

    def as_elementary(self) -> sympy.Expr:
        return sympy.exp(self.args[0]) - 1


class log1p(sympy.Function):
    """log(1 + u), exact for small u."""

    is_real = True
    nargs = 1

    def as_elementary(self) -> sympy.Expr:
        return sympy.log(1 + self.args[0])


class logcosh(sympy.Function):
    """log cosh u, finite wherever u is."""

    is_real = True
    nargs = 1

    def as_elementary(self) -> sympy.Expr:
        return sympy.log(sympy.cosh(self.args[0]))


class erfc(sympy.Function):
    """erfc(u) = 1 − erf(u), exact for large u."""

    is_real = True
    nargs = 1

    def as_elementary(self) -> sympy.Expr:
        return 1 - sympy.erf(self.args[0])


class maximum(sympy.Function):
    """The larger of two; what printers know as such, where a Piecewise of many would be written out."""

    is_real = True
    nargs = 2

    @classmethod
    def eval(cls, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
        if (a - b).is_nonnegative:
            return a
        return b if (a - b).is_nonpositive else None


NAMED = (sigmoid, softplus, expm1, log1p, logcosh, erfc)


def elementary(expression: sympy.Expr) -> sympy.Expr:
    """Return the expression with every named function written out."""
    return expression.replace(lambda e: isinstance(e, NAMED), lambda e: e.as_elementary())

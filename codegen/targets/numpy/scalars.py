"""What is one number a step (a learning rate, a norm) as plain Python: no array is made of it."""

from __future__ import annotations

import sympy
from sympy import Expr, Piecewise, Pow, Rational

from chainrule.codegen.ir.scalar import ATOM, COMPARE, Text, extremum
from chainrule.codegen.targets.numpy.expressions import ExpressionPrinter

FUNCTIONS = {
    name: f"math.{name}"
    for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "expm1", "log1p", "erf", "floor")
} | {"Abs": "abs"}


class ScalarPrinter(ExpressionPrinter):
    """Prints an expression without indices; its value is a Python float, which keeps an array's dtype."""

    def _print(self, e: Expr) -> Text:
        function = FUNCTIONS.get(type(e).__name__)
        if function is not None and not e.is_number:
            return f"{function}({', '.join(self.text(a) for a in e.args)})", ATOM
        if e is sympy.pi:
            return "math.pi", ATOM
        return super()._print(e)

    def _power(self, e: Pow) -> Text:
        if e.exp == Rational(1, 2):
            return f"math.sqrt({self.text(e.base)})", ATOM
        return super()._power(e)

    def _piecewise(self, e: Piecewise) -> Text:
        extreme = extremum(e)
        if extreme is not None:
            kind, first, second = extreme
            return f"{kind[:3]}({self.text(first)}, {self.text(second)})", ATOM
        text = self.text(e.args[-1][0])
        for branch, condition in reversed(e.args[:-1]):
            text = f"{self.text(branch)} if {self.text(condition)} else {text}"
        return text, COMPARE

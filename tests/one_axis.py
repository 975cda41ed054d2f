"""Tensors of one axis, and equations y[k] = f(x[k])."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from sympy import Rational, Symbol

from chainrule.derive.index import Equation, index, size, tensor
from chainrule.formula import parse_formula

n, k, j, i, u = map(index, "nkjiu")
N, K = size("N"), size("K")
x, y, w = tensor("x", K), tensor("y", K), tensor("w", K)
MANY = settings(max_examples=100, suppress_health_check=list(HealthCheck))


def forward(text: str, constants: dict[str, float] | None = None) -> Equation:
    """Return y[k] = formula in x[k]."""
    names = {c: Rational(str(v)) for c, v in (constants or {}).items()}
    scalar = parse_formula(text, {"x": Symbol("x", real=True), **names})
    return Equation(y[k], scalar.xreplace({Symbol("x", real=True): x[k]}))

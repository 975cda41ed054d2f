"""Tidying keeps values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from equations import Case, cases, values
from hypothesis import given, settings
from hypothesis import strategies as st
from one_axis import MANY, K, forward, i, j, k, w, x, y
from sympy import Expr, Piecewise, Rational, exp, sqrt, tanh

from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Inside, Max, Sum, tensor
from chainrule.derive.library import ACTIVATIONS
from chainrule.derive.simplify import length, tidy

ATOMS = (x[k], y[k], w[k], sympy.Integer(2), Rational(-1, 3), exp(x[k]), 1 / (2 + y[k] ** 2))
NODES: tuple[Callable[[Expr, Expr], Expr], ...] = (
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - b,
    lambda a, b: a / (1 + b**2),
    lambda a, b: (a + b) ** 2,
    lambda a, b: sqrt(1 + a**2) * b,
    lambda a, b: sqrt(a**2) + b,
    lambda a, b: (1 + a**2) ** Rational(-3, 2) * b,
    lambda a, b: exp(a / 4) * b,
    lambda a, b: exp(-a / 4) * exp(a / 4 + b / 8),
    lambda a, b: tanh(a) + b,
    lambda a, b: Piecewise((a, x[k] > 0), (b * a, True)),
    lambda a, b: Inside(k - 1, K) * a + b,
    lambda a, b: abs(a) * b,
)
REDUCTIONS: tuple[Callable[[Expr], Expr], ...] = (
    lambda a: Sum(a.xreplace({k: j}), (j, K)),
    lambda a: Sum(a * y[j], (j, K)),
    lambda a: Sum(a.xreplace({k: j}) * x[k] * y[i], (j, K), (i, K)),
    lambda a: Sum(a, (j, K)),
    lambda a: Max(a.xreplace({k: j}), (j, K)),
)
EXPRESSIONS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.builds(lambda f, a, b: f(a, b), st.sampled_from(NODES), inner, inner),
        st.builds(lambda f, a: a if a.has(Sum, Max) else f(a), st.sampled_from(REDUCTIONS), inner),
    ),
    max_leaves=7,
)
ARRAYS = {name: np.random.default_rng(2).uniform(-1.5, 1.5, 3) for name in ("x", "y", "w")}


def agree(first: Expr, second: Expr, arrays: dict[str, Any] | None = None) -> bool:
    """Whether two expressions over x, y, w have the same values, with 50 digits."""
    left = tensor("z", K)[k]
    sides = [values(Equation(left, e), arrays or ARRAYS, {"K": 3}, precise=True) for e in (first, second)]
    return all(abs(a - b) <= 1e-13 * max(1, abs(a)) for a, b in zip(*sides, strict=True))


@MANY
@given(EXPRESSIONS)
def test_tidy_keeps_the_value(expression: Expr) -> None:
    assert agree(expression, tidy(expression))


@MANY
@given(EXPRESSIONS)
def test_tidy_never_makes_it_longer(expression: Expr) -> None:
    assert length(tidy(expression)) <= length(expression) + 1  # a factor that leaves a sum costs nothing


@settings(MANY, max_examples=40)
@given(cases(("product", "sum", "nested", "normalized")))
def test_tidy_keeps_the_value_of_derivatives(case: Case) -> None:
    raw = vjp(case.equation, "a")
    extents = [case.sizes[str(s)] for s in case.equation.left.base.shape]
    arrays = {**case.arrays, "d z": np.random.default_rng(1).uniform(-1, 1, extents)}
    neat = Equation(raw.left, tidy(raw.right))
    before, after = (np.asarray(values(e, arrays, case.sizes), dtype=float) for e in (raw, neat))
    np.testing.assert_allclose(after, before, rtol=1e-11, atol=1e-11)


def test_constants_leave_their_sum() -> None:
    assert tidy(Sum(3 * x[k] * y[j], (j, K))) == 3 * x[k] * Sum(y[j], (j, K))
    assert tidy(Sum(x[k], (j, K))) == Sum(x[k], (j, K))  # K x: the extent is not lost
    assert tidy(Sum(x[k] * y[j], (j, K), (i, K))) == Sum(x[k] * y[j], (j, K), (i, K))


def test_tidy_is_idempotent_on_the_shipped_derivatives() -> None:
    for name, formula in ACTIVATIONS.items():
        if name == "step":
            continue
        raw = vjp(forward(formula.text, dict(formula.constants)), "x")
        once = tidy(raw.right)
        assert tidy(once) == once, name

"""The derivative of an equation: its values, on random equations and functions."""

from __future__ import annotations

import numpy as np
import pytest
from equations import ANALYTIC, NOT_ANALYTIC, Case, cases, check_vjp
from hypothesis import HealthCheck, Phase, given, settings
from plain_layers import K, M, N, draws, i, j, k, m, n, u
from sympy import KroneckerDelta, tanh

from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Inside, Reduction, Sum, access, tensor

random = draws(3)
SLOW = settings(max_examples=60, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


def check_case(case: Case) -> None:
    for name in case.equation.reads():
        method = "complex" if case.analytic else "central"
        check_vjp(case.equation, case.arrays, name, case.sizes, method)


@SLOW
@given(cases(("product",)))
def test_elementwise_products(case: Case) -> None:
    check_case(case)


@SLOW
@given(cases(("sum",)))
def test_sums(case: Case) -> None:
    check_case(case)


@SLOW
@given(cases(("max",)))
def test_maxima(case: Case) -> None:
    check_case(case)


@settings(SLOW, max_examples=30)
@given(cases(("nested",)))
def test_nested_sums(case: Case) -> None:
    check_case(case)


@settings(SLOW, max_examples=30)
@given(cases(("deep",)))
def test_sums_of_maxima_of_sums(case: Case) -> None:
    check_case(case)


@SLOW
@given(cases(("normalized",)))
def test_softmax_and_log_sum_exp_of_anything(case: Case) -> None:
    check_case(case)


@settings(SLOW, max_examples=25)
@given(cases(("sum", "nested", "normalized"), tuple(ANALYTIC)))
def test_central_differences_and_complex_steps_say_the_same(case: Case) -> None:
    check_vjp(case.equation, case.arrays, "a", case.sizes, "complex", "central")


@pytest.mark.parametrize("name", sorted({**ANALYTIC, **NOT_ANALYTIC}))
def test_every_function(name: str) -> None:
    x, y = tensor("x", K), tensor("y", K)
    function = {**ANALYTIC, **NOT_ANALYTIC}[name]
    equation = Equation(y[k], function(x[k]))
    methods = ("central", "complex") if name in ANALYTIC else ("central",)
    check_vjp(equation, {"x": random(5)}, "x", {"K": 5}, *methods)


def test_scalars() -> None:
    s, x, e = tensor("s"), tensor("x", K), tensor("e")
    equation = Equation(access(e), access(s) * Sum(tanh(access(s) * x[k]), (k, K)) + access(s) ** 2)
    for name in ("s", "x"):
        check_vjp(equation, {"s": np.array(0.7), "x": random(3)}, name, {}, "complex", "central")


def test_absolute_value_of_a_product_with_a_scalar_and_a_sum() -> None:
    s, x, w, y = tensor("s"), tensor("x", K), tensor("w", M), tensor("y", K)
    equation = Equation(y[k], abs(access(s) * x[k]) + abs(x[k] * Sum(w[m], (m, M))))
    arrays = {"s": np.array(0.7), "x": random(3), "w": random(2)}
    for name in arrays:
        check_vjp(equation, arrays, name, {}, "central")


def test_one_tensor_read_twice() -> None:
    x, y = tensor("x", K), tensor("y", K)
    for right in (
        x[k] * x[k],
        x[k] * x[k + 1],
        x[k] ** 2 * x[k - 1],
        x[k] * x[2 * k],
        Sum(x[k] * x[j], (j, K)),
    ):
        check_vjp(Equation(y[k], right), {"x": random(4)}, "x", {}, "complex", "central")


def test_a_gathered_row_and_a_one_hot_factor() -> None:
    x, labels, y = tensor("x", N, K), tensor("t", N), tensor("y", N)
    arrays = {"x": random(3, 4), "t": np.array([1, 0, 3])}
    check_vjp(Equation(y[n], x[n, labels[n]]), arrays, "x", {})
    one_hot = Equation(y[n], Sum(KroneckerDelta(k, labels[n]) * x[n, k], (k, K)))
    check_vjp(one_hot, arrays, "x", {})
    assert not vjp(one_hot, "x").right.has(Reduction)


def test_a_constant_subscript() -> None:
    x, y = tensor("x", K), tensor("y", N)
    check_vjp(Equation(y[n], x[0] * x[K - 1] + n * x[1]), {"x": random(4)}, "x", {"N": 3})


def test_a_division_outside_the_box_does_not_spoil_a_zero() -> None:
    """z_i = a_{i+1} / b_i: da_0 would be dz_{−1} / b_{−1}, and is 0."""
    a, b, z = tensor("a", M), tensor("b", K), tensor("z", K)
    equation = Equation(z[i], a[i + 1] / b[i])
    check_vjp(equation, {"a": random(4), "b": random(3)}, "a", {"K": 3}, "complex", "central")


def test_guards_of_a_reduction_that_is_shorter_than_its_tensor() -> None:
    """A sum over the first M of K entries: the gradient is 0 beyond M, and only a guard knows."""
    x, z = tensor("x", K), tensor("z", N)
    equation = Equation(z[n], Sum(x[u] ** 2, (u, M)))
    found = check_vjp(equation, {"x": random(5)}, "x", {"N": 2, "M": 3}, "complex")
    assert found.right.has(Inside)

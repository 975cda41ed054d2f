"""The reference interpreter: against NumPy, against a second evaluator, and its own errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy
from equations import Case, cases, values
from hypothesis import HealthCheck, given, settings
from sympy import KroneckerDelta, Piecewise, Rational, Symbol, exp, sqrt

from chainrule.derive.index import Equation, Inside, Max, Sum, Winner, access, index, size, tensor
from chainrule.derive.interpret import evaluate
from chainrule.derive.layers.dense import AFFINE
from chainrule.derive.layers.softmax import SOFTMAX
from chainrule.formula.functions import NAMED, erfc, expm1, log1p, logcosh, sigmoid, softplus

n, i, j, k, u, v = map(index, "nijkuv")
N, K, M, H, W = map(size, ("N", "K", "M", "H", "W"))
RNG = np.random.default_rng(4)
x, y = tensor("x", K), tensor("y", K)


def test_dense() -> None:
    weights, bias, inputs = RNG.normal(size=(2, 4)), RNG.normal(size=2), RNG.normal(size=(3, 4))
    found = evaluate(AFFINE, {"W": weights, "b": bias, "x": inputs})
    np.testing.assert_allclose(found, inputs @ weights.T + bias, rtol=1e-14)


def test_softmax() -> None:
    inputs = RNG.normal(size=(3, 4))
    expected = np.exp(inputs) / np.exp(inputs).sum(1, keepdims=True)
    np.testing.assert_allclose(evaluate(SOFTMAX, {"x": inputs}), expected, rtol=1e-14)


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(cases(("product", "sum", "max", "nested", "normalized")))
def test_two_evaluators_agree(case: Case) -> None:
    first = evaluate(case.equation, {**case.arrays, **case.sizes})
    second = values(case.equation, case.arrays, case.sizes)
    np.testing.assert_allclose(first, second, rtol=1e-11, atol=1e-11)


def test_every_tensor_is_zero_outside_its_box() -> None:
    equation = Equation(y[k], x[k - 2] + 10 * x[2 * k + 1] + 100 * x[-k])
    found = evaluate(equation, {"x": np.array([1.0, 2, 3]), "K": 3})
    np.testing.assert_array_equal(found, [120, 0, 1])


def test_a_maximum_sees_the_zeros_around() -> None:
    equation = Equation(y[k], Max(x[k + u], (u, sympy.Integer(2))))
    np.testing.assert_array_equal(evaluate(equation, {"x": np.array([-3.0, -1, -2])}), [-1, -1, 0])


def test_the_first_winner() -> None:
    equation = Equation(y[k], Winner(x[j], (k,), (j, K)))
    np.testing.assert_array_equal(evaluate(equation, {"x": np.array([1.0, 5, 5, 2]), "K": 4}), [0, 1, 0, 0])
    image, z = tensor("a", H, W), tensor("z", H, W)
    both = Equation(z[i, j], Winner(image[u, v], (i, j), (u, H), (v, W)))
    found = evaluate(both, {"a": np.array([[0.0, 7], [7, 7]])})
    np.testing.assert_array_equal(found, [[0, 1], [0, 0]])


def test_guards_and_deltas() -> None:
    guard = Equation(y[k], Inside(2 * k - 1, M) * x[k])
    np.testing.assert_array_equal(evaluate(guard, {"x": np.ones(4), "M": 4}), [0, 1, 1, 0])
    delta = Equation(y[k], Sum(KroneckerDelta(k, 2 * j) * x[j], (j, K)))
    np.testing.assert_array_equal(evaluate(delta, {"x": np.array([1.0, 2, 3])}), [1, 0, 2])


def test_what_excludes_a_product_wins_over_a_division_by_zero() -> None:
    quotient = Equation(y[k], x[k + 1] / tensor("b", M)[k])
    found = evaluate(quotient, {"x": np.array([1.0, 2]), "b": np.array([4.0])})
    np.testing.assert_array_equal(found, [0.5, 0])
    guarded = Equation(y[k], Inside(k - 1, K) / x[k])
    np.testing.assert_array_equal(evaluate(guarded, {"x": np.array([0.0, 4])}), [0, 0.25])
    with pytest.raises(ZeroDivisionError):
        evaluate(Equation(y[k], 1 / x[k]), {"x": np.zeros(1)})


def test_branches_at_their_edge() -> None:
    at = np.array([-1.0, 0, 1])
    for relation, expected in ((x[k] > 0, [0, 0, 1]), (x[k] >= 0, [0, 1, 1]), (x[k] < 0, [1, 0, 0]),
                               (x[k] <= 0, [1, 1, 0]), (sympy.Eq(x[k], 0), [0, 1, 0]),
                               (sympy.Ne(x[k], 0), [1, 0, 1]), ((x[k] > -2) & (x[k] < 0), [1, 0, 0]),
                               ((x[k] > 0) | (x[k] < 0), [1, 0, 1])):  # fmt: skip
        equation = Equation(y[k], Piecewise((1, relation), (0, True)))
        np.testing.assert_array_equal(evaluate(equation, {"x": at, "K": 3}), expected)


@pytest.mark.parametrize("function", NAMED)
def test_named_functions(function: object) -> None:
    plain = {
        sigmoid: lambda t: 1 / (1 + math.exp(-t)),
        softplus: lambda t: math.log(1 + math.exp(t)),
        expm1: math.expm1,
        log1p: math.log1p,
        logcosh: lambda t: math.log(math.cosh(t)),
        erfc: math.erfc,
    }[function]
    points = np.array([0.3, 1.7])
    found = evaluate(Equation(y[k], function(x[k])), {"x": points})  # type: ignore[operator]
    np.testing.assert_allclose(found, [plain(p) for p in points], rtol=1e-13)


def test_numbers() -> None:
    right = Rational(1, 3) * x[k] + sympy.pi + sympy.E + sqrt(2) + sympy.Float(0.25)
    expected = 2 / 3 + math.pi + math.e + math.sqrt(2) + 0.25
    np.testing.assert_allclose(evaluate(Equation(y[k], right), {"x": [2.0]}), [expected], rtol=1e-15)


def test_constants_by_name() -> None:
    rate = Symbol("rate", positive=True)
    equation = Equation(y[k], x[k] * rate)
    np.testing.assert_array_equal(evaluate(equation, {"x": [2.0, 4.0], "rate": 0.5}), [1, 2])
    with pytest.raises(KeyError):
        evaluate(equation, {"x": [2.0]})


def test_sizes() -> None:
    equation = Equation(tensor("y", 2 * K)[k], Sum(x[j], (j, K)) / K)
    np.testing.assert_array_equal(evaluate(equation, {"x": [2.0, 4.0]}), [3, 3, 3, 3])
    unseen = Equation(tensor("y", N)[n], x[0])
    np.testing.assert_array_equal(evaluate(unseen, {"x": [2.0], "N": 3}), [2, 2, 2])


def test_scalars() -> None:
    s, e = tensor("s"), tensor("e")
    found = evaluate(Equation(access(e), access(s) ** 2 * Sum(x[k], (k, K))), {"s": 3.0, "x": [1.0, 2.0]})
    assert found.shape == () and found == 27


def test_complex_values_go_through_analytic_functions() -> None:
    found = evaluate(Equation(y[k], exp(x[k]) / sqrt(2 + x[k])), {"x": np.array([0.3 + 1e-30j])})
    slope = math.exp(0.3) / math.sqrt(2.3) - math.exp(0.3) / (2 * 2.3**1.5)
    assert found.imag[0] / 1e-30 == pytest.approx(slope, rel=1e-14)
    with pytest.raises(ValueError, match="Abs is not analytic"):
        evaluate(Equation(y[k], abs(x[k])), {"x": np.array([0.3 + 1e-30j])})


def test_a_root_of_a_negative_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="is not real"):
        evaluate(Equation(y[k], sqrt(x[k])), {"x": [-2.0]})


def test_missing_tensors_and_contradicting_shapes() -> None:
    with pytest.raises(KeyError, match="b"):
        evaluate(AFFINE, {"W": np.ones((2, 4)), "x": np.ones((3, 4))})
    with pytest.raises(ValueError, match="fan_in is 4 and 5"):
        evaluate(AFFINE, {"W": np.ones((2, 4)), "x": np.ones((3, 5)), "b": np.ones(2)})
    with pytest.raises(ValueError, match="zip"):
        evaluate(AFFINE, {"W": np.ones(2), "x": np.ones((3, 5)), "b": np.ones(2)})

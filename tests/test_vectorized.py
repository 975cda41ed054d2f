"""Whole tensors at a time: the same values as the loops of the reference interpreter, in every float type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sympy
from equations import Case, cases
from hypothesis import HealthCheck, given, settings
from sympy import KroneckerDelta, exp

from chainrule.derive import interpret
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Inside, Max, Sum, Winner, index, name_of, size, tensor
from chainrule.evaluate.array_functions import FUNCTIONS
from chainrule.evaluate.vectorized import Equations, evaluate
from chainrule.spec.load import parse_spec

n, i, j, k, u = map(index, "nijku")
N, K, M = map(size, ("N", "K", "M"))
x, y, w = tensor("x", K), tensor("y", K), tensor("w", M)
HEAD = 'spec_version = 1\nname = "one"\n[input]\nshape = [4, 3, 2]\n'
NETWORK = (
    HEAD
    + """
[[layers]]
type = "conv2d"
filters = 2
kernel = [3, 2]
stride = [2, 1]
padding = 1
dilation = [1, 2]
groups = 2
[[layers]]
type = "batch_norm"
[[layers]]
type = "max_pool2d"
size = 2
stride = 1
[[layers]]
type = "dropout"
rate = 0.5
[[layers]]
type = "layer_norm"
[[layers]]
type = "maxout"
units = 4
pieces = 3
[[layers]]
type = "gelu"
[[layers]]
type = "dense"
units = 3
activation = "softmax"
[loss]
type = "cross_entropy"
l2 = 0.01
"""
)


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(cases(("product", "sum", "max", "nested", "normalized")))
def test_random_equations_have_the_values_of_the_loops(case: Case) -> None:
    given = {**case.arrays, **case.sizes}
    expected = interpret.evaluate(case.equation, given)
    np.testing.assert_allclose(evaluate(case.equation, given), expected, rtol=1e-11, atol=1e-11)


def test_every_equation_of_a_network_has_the_values_of_the_loops() -> None:
    """Forward, loss and backward: strides, padding, dilation, groups, winners, masks, labels."""
    derivation = derive_network(parse_spec(NETWORK, "one.toml"))
    rng = np.random.default_rng(1)
    values: dict[str, Any] = {"x": rng.normal(size=(2, 4, 3, 2)), "t": np.array([2, 0]), "N": 2}
    network = derivation.network
    values |= {p.name: rng.normal(size=p.shape) for p in (*network.parameters, *network.statistics)}
    values |= {m.name: rng.integers(0, 2, (2, *m.shape)).astype(float) for m in network.noise}
    for entry in derivation.equations:
        if entry.mode == "evaluation" or entry.role == "update":
            continue
        for equation in dict.fromkeys((entry.equation, entry.computed)):
            found = evaluate(equation, values, np.float64)
            expected = interpret.evaluate(equation, values)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13, err_msg=str(entry))
        values[entry.equation.name] = evaluate(entry.equation, values, np.float64)


@pytest.mark.parametrize(
    "right",
    [
        x[k - 2] + 10 * x[2 * k + 1] + 100 * x[-k],
        exp(x[k - 2]),
        Max(x[k + u], (u, sympy.Integer(2))),
        Winner(x[j], (k,), (j, K)),
        Inside(k - 1, sympy.Integer(2)) / x[k],
        Sum(KroneckerDelta(k, 2 * j) / x[j + 1] + w[j], (j, M)),
        Sum(KroneckerDelta(k, j) * Sum(KroneckerDelta(j, u) * w[u], (u, M)), (j, M)),
        Sum(w[j - 2] / x[j], (j, M)),
        Sum(sympy.S.One, (j, M)) * k,
    ],
    ids=str,
)
def test_places_outside_and_deltas(right: Any) -> None:
    """A factor that is outside, or a delta that does not hold, makes its product 0, a division by 0 too."""
    given = {"x": np.array([0.0, -3, 5, 5]), "w": np.array([2.0, 7, 1]), "K": 4, "M": 3}
    np.testing.assert_allclose(
        evaluate(Equation(y[k], right), given), interpret.evaluate(Equation(y[k], right), given)
    )


def test_what_does_not_depend_on_a_change_is_not_computed_again() -> None:
    z, v = tensor("z", K), tensor("v", K)
    w = tensor("w", K)
    equations = Equations([Equation(y[k], 2 * x[k]), Equation(z[k], w[k] + 1), Equation(v[k], y[k] + z[k])])
    before = equations.values({"x": np.arange(3.0), "w": np.zeros(3)})
    after = equations.again(before, {"w": np.ones(3)})
    assert after["y"] is before["y"]
    np.testing.assert_array_equal(after["v"], [2, 4, 6])


def test_sizes_that_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="size K is 2 and 3"):
        evaluate(Equation(y[k], x[k] + tensor("c", K)[k]), {"x": np.zeros(3), "c": np.zeros(2)})


def test_an_index_of_data_and_a_function_without_a_value() -> None:
    place = tensor("at", K)
    given = {"x": np.array([5.0, 7, 9]), "at": np.array([2, 0, 3])}
    np.testing.assert_array_equal(evaluate(Equation(y[k], x[place[k]]), given), [9, 5, 0])
    with pytest.raises(ValueError, match="gamma has no value"):
        evaluate(Equation(y[k], sympy.gamma(x[k])), given)


def test_erf_in_every_float_type() -> None:
    points = np.linspace(-9, 9, 400)
    np.testing.assert_allclose(FUNCTIONS[sympy.erf](points), [math.erf(v) for v in points], rtol=1e-14)
    wide = FUNCTIONS[sympy.erf](np.array([0.5, 3.0], np.longdouble))
    digits = [sympy.erf(sympy.Rational(1, 2)), sympy.erf(3)]
    errors = [abs(float(f - np.longdouble(str(d.evalf(30))))) for f, d in zip(wide, digits, strict=True)]
    assert max(errors) <= 32 * np.finfo(np.longdouble).eps


def test_names_are_those_of_the_equations() -> None:
    found = Equations([Equation(y[k], x[k])]).values({"x": np.zeros(2)})
    assert set(found) == {name_of(y), name_of(x)}

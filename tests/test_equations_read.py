"""What is read off an equation, by value: its numbers in a book, what it costs, what reaches its result."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from sympy import Expr, KroneckerDelta, Symbol, cosh, exp, log, sqrt, tanh

from chainrule.derive.accurate import MOST_NODES, accurate, improved, is_sound, overflows
from chainrule.derive.compact import standardized
from chainrule.derive.index import Equation, Inside, Max, Sum, access, index, size, tensor
from chainrule.derive.layers.layer import features
from chainrule.derive.numbering import Book
from chainrule.evaluate.array_functions import FUNCTIONS
from chainrule.evaluate.axes import AxisPlan, operations
from chainrule.evaluate.reach import reached
from chainrule.evaluate.vectorized import evaluate
from chainrule.formula.floating import computed
from chainrule.formula.functions import erfc, expm1, log1p, logcosh, rint, sigmoid, softplus
from chainrule.formula.probing import flaws

n, i, j, k, u = map(index, "nijku")
N, J, K = map(size, "NJK")
x, y, w, v = tensor("x", K), tensor("y", K), tensor("w", J), tensor("v", K)
t = Symbol("t", real=True)

# ---- A book -----------------------------------------------------------------------------------------


def test_a_book_numbers_what_is_written_down() -> None:
    book = Book()
    first = Equation(x[k], 2 * v[k])
    second = Equation(y[k], x[k] + tensor("c", K)[k])
    assert book.add("forward", first, first, (), "one", "training") == 1
    assert book.add("forward", first, first, (1,), "two", "evaluation") == 2
    assert book.add("forward", second, second, (2, 1, 2), "three") == 3
    assert [e.because for e in book.equations] == [(), (1,), (2, 1)]
    assert book.number_of == {"x": 1, "y": 3} and book.evaluated == {1: 2}
    assert book.reads(second) == [1] == book.reads(second, "training")
    assert book.reads(second, "evaluation") == [2]
    both = Equation(tensor("z", K)[k], y[k] * x[k])
    assert book.reads(both) == [1, 3] and book.reads(both, "evaluation") == [2, 3]
    assert book.add("forward", second, second, (), "four", "evaluation") == 4
    assert book.reads(both, "evaluation") == [2, 4]
    assert book.add("forward", both, both, (), "five", "evaluation") == 5  # of no equation in training
    assert book.evaluated == {1: 2, 3: 4} and book.number_of["z"] == 5


def test_indices_of_a_sample() -> None:
    names = [tuple(map(str, features(rank)[0])) for rank in range(1, 6)]
    assert names == [
        *(("k",), ("i", "k"), ("i", "j", "k"), ("i", "j", "l", "k"), ("i1", "i2", "i3", "i4", "i5"))
    ]
    assert list(map(str, features(3)[1])) == ["D1", "D2", "D3"]


# ---- Costs and reach --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "count"),
    [
        (2 * x[k], 5),
        (2 * x[k] + 1, 10),
        (Sum(2 * x[j], (j, K)), 50),
        (Sum(x[k] * w[j], (j, J)), 15 + 15),
        (Sum(KroneckerDelta(k, j) * x[j], (j, K)), 5 + 5 + 5),
    ],
)
def test_operations_of_an_equation(right: Expr, count: int) -> None:
    assert operations(Equation(y[k], right), {K: 5, J: 3}) == count


def test_an_axis_for_every_index() -> None:
    delta = KroneckerDelta(k, j) * x[j]
    plan = AxisPlan(Equation(y[k], Symbol("a", positive=True) * Sum(delta + x[k], (j, K))))
    assert plan.axes[k] == 0 and sorted(plan.axes.values()) == [0, 1]
    assert plan.rank == 2 + 2 and sorted(plan.points.values()) == [2, 3]
    assert plan.tensors == ("x",) and plan.reads == {"x", "a", "K"}
    assert plan.sizes({"x": np.zeros(4), "K": np.array(4), "a": np.array(2)}) == {K: 4}


@pytest.mark.parametrize(
    ("right", "shape", "marks"),
    [
        (x[k], (3,), [1, 1, 1]),
        (x[2 * k], (5,), [1, 0, 1, 0, 1]),
        (x[k - 1], (3,), [1, 1, 0]),
        (x[k + 1], (3,), [0, 1, 1]),
        (Inside(k - 1, sympy.Integer(1)) * x[k], (3,), [0, 1, 0]),
        (Sum(KroneckerDelta(k, 2 * j) * x[j], (j, K)), (3,), [1, 1, 0]),
        (Max(x[k + u], (u, sympy.Integer(2))), (5,), [1, 1, 1, 1, 0]),
        (x[k] * tensor("c", K)[k - 2], (3,), [0, 0, 1]),
        (x[tensor("at", K)[k]], (4,), [1, 1, 1, 1]),
    ],
)
def test_values_that_may_matter(right: Expr, shape: tuple[int, ...], marks: list[int]) -> None:
    equation = Equation(tensor("y", 3)[k], right.xreplace({K: sympy.Integer(3)}))
    shapes = {name: (3,) for name in equation.reads()} | {"y": (3,), "x": shape}
    assert reached([equation], shapes)["x"].astype(int).tolist() == marks


def test_values_that_matter_through_another_equation() -> None:
    z = tensor("z", 3)
    equations = [Equation(z[k], x[k + 1]), Equation(tensor("y", 2)[k], z[2 * k])]
    found = reached(equations, {"x": (4,), "z": (3,), "y": (2,)})
    assert found["z"].tolist() == [True, False, True] and found["x"].tolist() == [False, True, False, True]
    assert found["y"].all()


# ---- Accurate forms ---------------------------------------------------------------------------------


def test_what_is_too_long_is_not_tried() -> None:
    steep = exp(x[k]) / (1 + exp(x[k]) ** 2)
    assert accurate(Equation(y[k], steep))[1]
    long = steep + sum((c * x[k] ** c for c in range(3, 30)), sympy.S.Zero)
    assert sum(1 for _ in sympy.preorder_traversal(long)) > MOST_NODES
    assert accurate(Equation(y[k], long)) == (Equation(y[k], long), ()) and overflows(long) == {}


def test_what_needs_no_other_form_keeps_its_own() -> None:
    for right in (x[k] ** 2, exp(-(x[k] ** 2)), tanh(x[k]), exp(-abs(x[k])) + 1):
        assert accurate(Equation(y[k], right)) == (Equation(y[k], right), ())
    assert overflows(tanh(x[k])) == {}
    found = overflows(cosh(x[k]) / exp(x[k]))
    assert set(found) == {"float64", "float32"} and found["float32"][0] == 89.5
    assert found["float64"] == (720.0, 1000.0, 3000.0, 10000.0)  # of the arguments that are tried
    assert improved(tanh(t), (t,)) == (tanh(t), ())


def test_derivatives_through_the_output_that_are_sound() -> None:
    forward = Equation(y[k], exp(x[k]))
    assert is_sound(forward, exp(x[k]), y[k])
    root = Equation(y[k], sqrt(x[k] ** 2 + 1))
    assert is_sound(root, x[k] / sqrt(x[k] ** 2 + 1), x[k] / y[k])
    sigma = Equation(y[k], 1 / (1 + exp(-x[k])))
    assert is_sound(sigma, exp(-x[k]) / (1 + exp(-x[k])) ** 2, y[k] * (1 - y[k]))
    lost = y[k] ** 2 * (1 / y[k] - 1)  # no number where the output is 0
    assert not is_sound(sigma, exp(-x[k]) / (1 + exp(-x[k])) ** 2, lost)


def test_standardized_by_the_next_equation_where_the_first_does_not() -> None:
    """A product with what may be 0 gives no x back; the equation after it may standardize all the same."""
    rows = tensor("x", N, K)
    m, c, scaled, hat = tensor("m", K), tensor("c", K), tensor("a", N, K), tensor("h", N, K)
    mean = Equation(m[k], Sum(rows[n, k], (n, N)) / N)
    product = Equation(scaled[n, k], c[k] * (rows[n, k] - m[k]))
    centred = Equation(hat[n, k], rows[n, k] - m[k])
    assert standardized((mean, product), rows) is None
    found = standardized((mean, product, centred), rows)
    assert found is not None and found.equation == centred and found.slope == 1


# ---- Arrays -----------------------------------------------------------------------------------------

TRUE: dict[Any, Any] = {
    sympy.Abs: abs,
    sympy.floor: mpmath.floor,
    sympy.ceiling: mpmath.ceil,
    sympy.sign: mpmath.sign,
    rint: mpmath.nint,
    sigmoid: lambda s: 1 / (1 + mpmath.exp(-s)),
    softplus: lambda s: mpmath.log(1 + mpmath.exp(s)),
    logcosh: lambda s: mpmath.log(mpmath.cosh(s)),
    expm1: mpmath.expm1,
    log1p: mpmath.log1p,
    erfc: mpmath.erfc,
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_functions_of_arrays(function: Any) -> None:
    points = [0.3, 1.5, 2.5, 6.0] if function is log else [-0.9, -0.3, 0.0, 0.3, 0.5, 1.5, 2.5, 6.0]
    with mpmath.workdps(30):
        true = [
            float(TRUE.get(function, getattr(mpmath, function.__name__, None))(mpmath.mpf(p))) for p in points
        ]
    for kind, digits in ((np.float32, 1e-5), (np.float64, 1e-14)):
        found = FUNCTIONS[function](np.array(points, kind))
        assert found.dtype == kind
        np.testing.assert_allclose(found, np.array(true, kind), rtol=digits, atol=digits)


@pytest.mark.parametrize("power", [-3, -2, -1, 0, 1, 2, 3, 7, sympy.Rational(1, 2), sympy.Rational(-3, 2)])
def test_powers_of_arrays(power: Any) -> None:
    at = np.array([0.5, 1.0, 3.0])
    found = evaluate(Equation(y[k], x[k] ** power + 0 * x[k]), {"x": at}) if power else np.ones(3)
    np.testing.assert_allclose(found.astype(float), at ** float(power), rtol=1e-15)


def test_a_delta_takes_no_memory_for_what_it_excludes() -> None:
    """A sum with a delta runs over the points at which it holds: K of them, and not K times J."""
    image = tensor("a", N, J)
    equation = Equation(y[k], Sum(KroneckerDelta(k, J * i + j) * image[i, j], (i, N), (j, J)))
    given = {"a": np.arange(400.0).reshape(20, 20), "K": 400}
    evaluate(equation, given, np.float64)
    tracemalloc.start()
    found = evaluate(equation, given, np.float64)
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.tolist() == list(range(400))
    assert most < 400 * 400 * 8  # bytes of one float for each pair


def test_computed_values_follow_the_type() -> None:
    at = {t: (1.0, 100.0)}
    assert computed(exp(t), at, "float32") == (np.float32(math.e), math.inf)
    assert computed(1 / t**2, at, "float32") == (1.0, np.float32(1e-4))
    assert np.isnan(computed(sympy.gamma(t), at, "float64")).all()
    logistic = computed(logcosh(t), {t: (0.5, 2.0, 800.0)}, "float64")
    np.testing.assert_allclose(
        logistic, [np.log(np.cosh(0.5)), np.log(np.cosh(2)), 800 - np.log(2)], rtol=1e-15
    )


def test_where_a_form_is_not_finite() -> None:
    quotient = (exp(t) - 1) / (exp(t) + 1)
    wide = flaws(quotient, quotient, (t,))
    assert wide.broken and not wide.good and {kind for kind, _ in wide.where} == {"float64", "float32"}
    assert len(wide.where) == wide.broken
    lost = flaws(log(1 + exp(t)) - log(2), log((1 + exp(t)) / 2), (t,))
    assert lost.error > 1e-12 and not lost.good
    single = access(tensor("s"))
    assert accurate(Equation(single, sympy.S.One)) == (Equation(single, sympy.S.One), ())

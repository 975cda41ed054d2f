"""A derivative through the output has the value of the raw one, at kinks too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from equations import FUNCTIONS, values
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from one_axis import MANY, K, N, forward, i, j, k, n, u, w, x, y
from sympy import Piecewise, cosh, erf, exp, log, sin, sinh, sqrt, tan, tanh

from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Sum, access, size, tensor
from chainrule.derive.layers.softmax import SOFTMAX
from chainrule.derive.library import ACTIVATIONS
from chainrule.derive.simplify import through_output

# ---- through the output: formulas --------------------------------------------------------------------------


# Around 0, at and beside it, around 1 and -1, far away: where kinks and branches are.
PLACES = sorted(
    {
        a + d
        for a in (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0)
        for d in (-0.25, -1e-6, 0.0, 1e-6, 0.25)
    }
)


def check_through_output(equation: Equation, places: list[float] | None = None) -> Equation | None:
    """Hold the derivative through the output, where there is one, against the raw one at many points."""
    raw = vjp(equation, "x")
    found = through_output(equation, raw)
    if found is None:
        return None
    assert "x" not in found.reads()
    extra = found.right.free_symbols - raw.right.free_symbols - equation.left.free_symbols
    assert not extra, f"{found}: nothing stands for {extra}"
    points = np.array(places or PLACES)
    arrays = {"x": points, "d y": np.linspace(0.5, 1.5, len(points))}
    sizes = {"K": len(points)}
    arrays["y"] = values(equation, arrays, sizes, precise=True)
    before, after = (values(e, arrays, sizes, precise=True) for e in (raw, found))
    for place, a, b in zip(points, before, after, strict=True):
        assert abs(a - b) <= 1e-12 * max(1, abs(a)), f"{equation} -> {found} at {place}: {a} is not {b}"
    return found


FOUND = {
    "1 / (1 + exp(-x))": "d x[k] = (1 - y[k])*d y[k]*y[k]",
    "tanh(x)": "d x[k] = (1 - y[k]**2)*d y[k]",
    "max(0, x)": "d x[k] = Piecewise((0, y[k] <= 0), (1, True))*d y[k]",
    "max(x, 0)": "d x[k] = Piecewise((1, y[k] >= 0), (0, True))*d y[k]",
    "where(x > 0, x, 0.1 * x)": "d x[k] = Piecewise((1, y[k] > 0), (1/10, True))*d y[k]",
    "where(x > 0, x, exp(x) - 1)": "d x[k] = Piecewise((1, y[k] > 0), (y[k] + 1, True))*d y[k]",
    "exp(x)": "d x[k] = d y[k]*y[k]",
    "exp(2 * x) + 3": "d x[k] = 2*(y[k] - 3)*d y[k]",
    "2 * x + 1": "d x[k] = 2*d y[k]",
}


@pytest.mark.parametrize("text", FOUND)
def test_forms_that_are_found(text: str) -> None:
    found = check_through_output(forward(text))
    if text == "max(x, 0)":  # the tie at 0 counts as x, which y = 0 cannot tell from x < 0
        assert found is None
    else:
        assert str(found) == FOUND[text]


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_shipped_activations(name: str) -> None:
    formula = ACTIVATIONS[name]
    found = check_through_output(forward(formula.text, dict(formula.constants)))
    assert (found is not None) == (name in ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu"))


SLOPES = (-2.0, -0.5, -0.1, 0.0, 0.01, 0.1, 1.0, 1.5)


@pytest.mark.parametrize("slope", SLOPES)
def test_leaky_relu_of_any_slope(slope: float) -> None:
    for relation in (">", ">="):
        equation = forward(f"where(x {relation} 0, x, slope * x)", {"slope": slope})
        found = check_through_output(equation)
        if slope < 0:
            assert found is None, "y > 0 on both sides"
        elif relation == ">":
            assert found is not None


@pytest.mark.parametrize("alpha", [-1.0, -0.5, 0.0, 0.25, 1.0, 1.67, 3.0])
def test_elu_of_any_alpha(alpha: float) -> None:
    for relation in (">", ">="):
        equation = forward(f"where(x {relation} 0, x, alpha * (exp(x) - 1))", {"alpha": alpha})
        found = check_through_output(equation)
        assert (found is None) or alpha >= 0
        assert found is not None or alpha < 0 or (relation == ">=" and alpha == 0)


CONDITIONS_THAT_MUST_STAY = [
    "where(x > 0, tan(x), x)",  # a pole
    "where(x >= 0, -sign(x), x)",  # a jump down at the edge
    "where(x >= 0, where(x < 1, 0, -5), x)",  # a jump down beyond it
    "where(x > 0, 1 / (1 - x) - 1, x)",  # a pole
    "where(x > 0, -x, x)",
    "where(x > 0, x, -x)",
    "where(x > 0, x**2, x)",
    "where(x > 0, x**3 - x, x)",
    "where(x > 0, sin(x), x)",
    "where(x > 0, sin(3 * x), 2 * x)",
    "where(x > 0, x + 1, x)",
    "where(x > 0, x - 1, x)",
    "where(x > 1, x, 0)",
    "where(x > 1, 2 * x - 1, x)",
    "where(x < 0, x, x / (1 + x))",
    "where(x <= -1, -1, x)",
    "where(x < 1, x, 1)",
    "where(x <= 1, x, 1)",
    "where(x > 1, exp(x - 1), x)",
    "where(x > 1, exp(x - 1), 1)",
    "where(x > 0, exp(x), exp(-x))",
    "where(x > 0, exp(x) - 1, exp(-x) - 1)",
    "where(x > 0, exp(x) - 1, 1 - exp(-x))",
    "where(x > 0, abs(x), x)",
    "where(x > 0, x, abs(x))",
    "where(x > 0, x, tanh(x))",
    "where(x > 0, tanh(x), sinh(x))",
    "where(x < 0, exp(x) - 1, tanh(x))",
    "where(x > 0, log(1 + x), x)",
    "where(x < 0, log(1 + x / 10), x)",
    "where(0 < x, x, 0)",
    "where(x > x**3, x, 0)",
    "where(x + 1 > 0, x, 0)",
    "where(2 * x > 0, x, 0)",
    "where(x > 0, 1, 0)",
    "where(x > 0, 2, 3)",
    "where(x > 0, x, where(x > -1, 0.5 * x, 0.1 * x - 0.4))",
    "max(min(x, 1), -1)",
    "min(max(x, -1), 1)",
    "min(x, 0)",
    "min(0, x)",
    "max(x, 0.5 * x)",
    "max(x, -x)",
    "2 * relu(x) + 1",
    "relu(x)**2",
    "exp(relu(x))",
    "relu(tanh(x))",
    "tanh(relu(x))",
    "relu(x) - relu(-x)",
    "x * sigmoid(x)",
    "1 / (2 + tanh(x))",
    "tanh(x)**2",
    "(1 + exp(x)) / (2 + exp(x))",
    "(1 - exp(-2 * x)) / (1 + exp(-2 * x))",
    "exp(x) / (1 + exp(x))",
    "exp(-x) / (1 + exp(-x))",
    "exp(x) + exp(-x)",
    "sqrt(1 + x**2)",
    "x**3",
    "x / (1 + abs(x))",
    "log(cosh(x))",
    "sinh(x)",
    "cosh(x)",
    "erf(x)",
    "softplus(x)",
    "sin(x)",
    "3 - 2 * tanh(x / 3)",
    "1 / tan(tanh(x) / 2 + 1)",
    "sign(x)",
    "abs(x)",
    "exp(-x**2)",
    "sqrt(2 + tanh(x))",
    "(2 + tanh(x))**1.5",
    "(1 + exp(x))**(-0.5)",
    "log(2 + tanh(x))",
    "exp(tanh(x))",
    "exp(x)**pi",
    "log(1 + exp(2 * x)) / 2",
]


@pytest.mark.parametrize("text", CONDITIONS_THAT_MUST_STAY)
def test_a_users_formula_is_right_or_left_as_it_is(text: str) -> None:
    places = [p for p in PLACES if abs(p - 1) > 1e-3] if "1 - x)" in text else PLACES
    places = [p for p in places if p > -0.9] if "log(1 + x)" in text or "1 + x)" in text else places
    check_through_output(forward(text), places)


INNER = st.sampled_from(
    [
        "x",
        "-x",
        "2*x",
        "x/2 + 0.1",
        "exp(x)",
        "exp(-x)",
        "tanh(x)",
        "x**2",
        "sinh(x)",
        "sin(x)",
        "x**3",
        "erf(x)",
    ]
)
PIECES = st.one_of(
    INNER,
    st.builds("({} - 1)".format, INNER),
    st.builds("{} * ({})".format, st.sampled_from(["0.5", "-0.7", "2", "0", "1"]), INNER),
    st.builds("({}) / (2 + ({})**2)".format, INNER, INNER),
    st.builds("1 / (1 + {})".format, st.sampled_from(["exp(x)", "exp(-x)", "exp(-2*x)", "x**2"])),
    st.builds("({}) + ({})".format, INNER, INNER),
)
EDGES = st.sampled_from(["0", "1", "-1", "0.5"])
FORMULAS = st.one_of(
    PIECES,
    st.builds(
        "where(x {} {}, {}, {})".format, st.sampled_from([">", ">=", "<", "<="]), EDGES, PIECES, PIECES
    ),
    st.builds("max({}, {})".format, PIECES, PIECES),
    st.builds("min({}, {})".format, PIECES, EDGES),
    st.builds("{} * relu({}) + {}".format, EDGES, PIECES, EDGES),
)


@settings(MANY, max_examples=200)
@given(FORMULAS)
def test_random_formulas(text: str) -> None:
    equation = forward(text)
    assume("x" in equation.reads())
    check_through_output(equation, [p for p in PLACES if abs(p) < 2.5])


# ---- through the output: subscripts and reductions ---------------------------------------------------------


def check_equation(equation: Equation, extent: int = 4, sign: float = 1.0) -> Equation | None:
    """As check_through_output, for equations of any rank over x."""
    raw = vjp(equation, "x")
    found = through_output(equation, raw)
    if found is None:
        return None
    rng = np.random.default_rng(9)
    read = equation.reads()["x"]
    arrays: dict[str, Any] = {"x": sign * rng.uniform(0.1, 1.5, [extent] * len(read.shape))}
    sizes = {str(s): extent for s in {*read.shape, *equation.left.base.shape}}
    arrays["y"] = values(equation, arrays, sizes, precise=True)
    arrays["d y"] = rng.uniform(0.5, 1.5, arrays["y"].shape)
    before, after = (values(e, arrays, sizes, precise=True) for e in (raw, found))
    assert np.all(np.abs(before - after) <= 1e-12), f"{equation} -> {found}"
    return found


M = size("M")
X2, Y2 = tensor("x", N, K), tensor("y", N, K)
ABSOLUTE = abs(Sum(x[j], (j, K))) / Sum(x[j], (j, K))
SHAPED: dict[str, Equation] = {
    "softmax over the batch": Equation(Y2[n, k], exp(X2[n, k]) / Sum(exp(X2[j, k]), (j, N))),
    "softmin": Equation(Y2[n, k], exp(-X2[n, k]) / Sum(exp(-X2[n, j]), (j, K))),
    "softmax, warm": Equation(Y2[n, k], exp(X2[n, k] / 3) / Sum(exp(X2[n, j] / 3), (j, K))),
    "softmax plus 1": Equation(Y2[n, k], exp(X2[n, k]) / Sum(exp(X2[n, j]), (j, K)) + 1),
    "softmax over everything": Equation(Y2[n, k], exp(X2[n, k]) / Sum(exp(X2[i, j]), (i, N), (j, K))),
    "softmax of windows": Equation(y[k], exp(x[k]) / Sum(exp(x[k + u - 1]), (u, sympy.Integer(3)))),
    "softmax of a shift": Equation(y[k], exp(x[k + 1]) / Sum(exp(x[j]), (j, K))),
    "shift": Equation(y[k], exp(tensor("x", M)[k + 1])),
    "difference": Equation(y[k], exp(x[k] - x[k + 1])),
    "reversed": Equation(y[k], exp(-x[K - 1 - k])),
    "transposed": Equation(tensor("y", K, N)[k, n], tanh(X2[n, k])),
    "broadcast": Equation(Y2[n, k], exp(x[k])),
    "broadcast relu": Equation(Y2[n, k], Piecewise((x[k], x[k] > 0), (0, True))),
    "diagonal": Equation(y[k], tanh(tensor("x", K, K)[k, k])),
    "maximum of neighbours": Equation(y[k], Piecewise((x[k], x[k] > x[k + 1]), (x[k + 1], True))),
    "shifted relu": Equation(y[k], Piecewise((x[k + 1], x[k + 1] > 0), (0, True))),
    "relu and a sum": Equation(y[k], Piecewise((x[k] + Sum(x[j], (j, K)), x[k] > 0), (0, True))),
    "exp and a sign of a sum": Equation(y[k], exp(x[k]) + ABSOLUTE),
    "exp times a sum": Equation(y[k], exp(x[k]) * Sum(x[j] ** 2, (j, K))),
    "tanh of a normalized value": Equation(y[k], tanh(x[k] / sqrt(Sum(x[j] ** 2, (j, K))))),
    "normalized": Equation(y[k], x[k] / Sum(x[j], (j, K))),
    "a sum of tanh": Equation(y[k], Sum(tanh(x[k]), (u, sympy.Integer(3)))),
    "log-softmax": Equation(Y2[n, k], X2[n, k] - log(Sum(exp(X2[n, j]), (j, K)))),
    "log-sum-exp": Equation(tensor("y", N)[n], log(Sum(exp(X2[n, j]), (j, K)))),
    "sinh and cosh": Equation(y[k], sinh(x[k]) / cosh(x[k])),
    "erf": Equation(y[k], erf(x[k]) * 2),
    "tan": Equation(y[k], tan(x[k] / 4)),
    "sine and itself": Equation(y[k], sin(x[k]) + x[k]),
}


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", SHAPED)
def test_subscripts_and_reductions(name: str, sign: float) -> None:
    check_equation(SHAPED[name], sign=sign)


def test_softmax_is_found() -> None:
    found = check_equation(SOFTMAX)
    assert str(found) == "d x[n, k] = (d y[n, k] - sum_j(d y[n, j]*y[n, j]))*y[n, k]"


@pytest.mark.parametrize(
    "name", ["softmax of windows", "shift", "broadcast", "exp and a sign of a sum", "difference"]
)
def test_what_the_output_cannot_tell_is_not_found(name: str) -> None:
    assert check_equation(SHAPED[name]) is None


def test_two_tensors_are_never_written_through_the_output() -> None:
    equation = Equation(y[k], 1 / (1 + exp(-x[k] - w[k])))
    assert through_output(equation, vjp(equation, "x")) is None


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_of_the_tests(name: str) -> None:
    check_through_output(Equation(y[k], FUNCTIONS[name](x[k])))


def test_a_scalar() -> None:
    s, e = tensor("x"), tensor("y")
    equation = Equation(access(e), tanh(access(s)))
    assert str(through_output(equation, vjp(equation, "x"))) == "d x[] = (1 - y[]**2)*d y[]"

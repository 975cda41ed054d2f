"""Every rewrite is proved, can fail its proof, fires on its own left side, and computes what it promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from equations import DENSE, DIGITS, spec, value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sympy import Expr, Symbol, cosh, erf, exp, log, tanh

from chainrule.derive.adjoint import adjoint, computed
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import Equation, Max, Sum, index, size, tensor
from chainrule.derive.layers.softmax import SOFTMAX
from chainrule.derive.rewrites import ONE_HOT, REWRITES, STABLE, Rewrite, one_hot_sums, rewrite, stable, u
from chainrule.formula.functions import NAMED, elementary, erfc, expm1, log1p, sigmoid, softplus

j, k, n = index("j"), index("k"), index("n")
K, N = size("K"), size("N")
z = tensor("z", K)
ROWS = pytest.mark.parametrize("row", REWRITES, ids=lambda row: row.name.replace(" ", "-"))

# ---- the proof ---------------------------------------------------------------------------------------------

# What SymPy cannot show: sums over an index of ours.
NUMERIC_ONLY = {
    *("logarithm of a softmax", "shifted exponentials (log-sum-exp)", "e^a e^b = e^(a+b)"),
    *("quotient of exponentials, scaled by the largest", "logarithm of a sum of exponentials"),
    "sum over a winner's places",
}
# Where an identity holds, if not on the whole line.
DOMAINS = {"log1p": (-1.0, 40.0)}


def points(name: str, count: int = 30) -> list[tuple[dict[str, Any], dict[Symbol, Any]]]:
    """Return random arrays and values of u, k and K, inside the row's condition."""
    rng = np.random.default_rng(11)
    low, high = DOMAINS.get(name, (-40.0, 40.0))
    found = []
    for place in range(count):
        scale = 1.0 if place % 2 else 0.1
        extent = int(rng.integers(1, 6))
        middle = 0.0 if name not in DOMAINS else (low + 1)
        number = mpmath.mpf(float(rng.uniform(max(low, middle + scale * low), middle + scale * high)))
        arrays = {"z": rng.uniform(-30, 30, extent)}
        found.append((arrays, {u: number, K: extent, k: int(rng.integers(0, extent))}))
    return found


def disagreement(left: Expr, right: Expr, name: str = "") -> Any:
    """Return the greatest difference of two expressions at the points, relative where they are above 1."""
    with mpmath.workdps(DIGITS):
        pairs = [[value(side, *point, precise=True) for side in (left, right)] for point in points(name)]
        return max(abs(a - b) / max(1, abs(a)) for a, b in pairs)


def is_proved(left: Expr, right: Expr, name: str) -> bool:
    """Whether the two sides are equal: by SymPy where it can, and at 30 points with 50 digits always."""
    if name not in NUMERIC_ONLY and sympy.simplify(elementary(left - right)) != 0:
        return False
    return bool(disagreement(left, right, name) < mpmath.mpf(10) ** (5 - DIGITS))


@ROWS
def test_proof(row: Rewrite) -> None:
    assert is_proved(row.left, row.right, row.name)


@ROWS
@pytest.mark.parametrize(
    "mutate",
    [
        lambda right: -right,
        lambda right: right + 1,
        lambda right: 2 * right,
        lambda right: right * (1 + sympy.Rational(1, 10**30)),
        lambda right: right.subs(u, -2 * u) if right.has(u) else right + z[0] / 10**30,
        lambda right: right.subs(u, u + sympy.Rational(1, 10**30)) if right.has(u) else 0 * right,
    ],
    ids=["sign", "plus 1", "factor 2", "a 30th digit", "argument", "argument's 30th digit"],
)
def test_the_proof_can_fail(row: Rewrite, mutate: Callable[[Expr], Expr]) -> None:
    wrong = mutate(row.right)
    assert not is_proved(row.left, wrong, row.name)
    assert disagreement(row.left, wrong, row.name) > mpmath.mpf(10) ** (5 - DIGITS), "by numbers alone too"


@ROWS
def test_a_row_fires_on_its_left_side_and_gives_its_right_side(row: Rewrite) -> None:
    after = row.apply(row.left)
    assert after != row.left
    assert disagreement(after, row.right, row.name) < mpmath.mpf(10) ** (5 - DIGITS)
    assert row.apply(after) == after, "once"


@ROWS
def test_a_row_leaves_alone_what_is_not_its_own(row: Rewrite) -> None:
    for other in (
        u**2 + 3,
        tanh(u),
        Sum(z[j] ** 2, (j, K)),
        2 + exp(u),
        log(2 + u),
        2 + erf(u),
        2 - sigmoid(u),
    ):
        assert row.apply(other) == other


@ROWS
def test_a_row_says_what_it_is(row: Rewrite) -> None:
    assert row.name and row.condition
    assert sum(other.name == row.name for other in REWRITES) == 1


@pytest.mark.parametrize("function", NAMED)
def test_named_functions_are_what_they_say(function: Any) -> None:
    argument = u if function is not log1p else exp(u)
    written = elementary(function(argument))
    assert not written.has(function)
    assert disagreement(function(argument), written) < mpmath.mpf(10) ** (5 - DIGITS)


# ---- any expression keeps its value ------------------------------------------------------------------------

UNARY: tuple[Callable[[Expr], Expr], ...] = (
    exp,
    lambda x: exp(-x),
    lambda x: 1 / (1 + exp(-x)),
    lambda x: 1 / (1 + exp(x)) ** 2,
    lambda x: 1 - 1 / (1 + exp(-x)),
    lambda x: exp(-x) / (1 + exp(-x)) ** 2,
    lambda x: exp(-2 * x) / (1 + exp(-x)) ** 3,
    lambda x: log(1 + exp(x)),
    lambda x: log(1 / (1 + exp(-x))),
    lambda x: log(1 + x**2),
    lambda x: log(cosh(x)),
    lambda x: 1 + erf(x),
    lambda x: 1 - erf(x),
    lambda x: 3 * exp(x) - 3,
    lambda x: 2 - 2 * exp(x),
    tanh,
    lambda x: x / 2,
    lambda x: -x,
)
SUMS: tuple[Callable[[Expr, Expr], Expr], ...] = (
    lambda x, y: x + y,
    lambda x, y: x * y,
    lambda x, y: x - y,
    lambda x, y: x / (2 + y**2),
)
ATOMS = (u, z[k], sympy.Integer(1), sympy.Rational(-1, 3), u + z[k])


def over_j(x: Expr) -> Expr:
    return x.xreplace({k: j})


REDUCED: tuple[Callable[[Expr], Expr], ...] = (
    lambda x: Sum(exp(over_j(x)), (j, K)),
    lambda x: log(Sum(exp(over_j(x)), (j, K))),
    lambda x: exp(x) / Sum(exp(over_j(x)), (j, K)),
    lambda x: log(exp(x) / Sum(exp(over_j(x)), (j, K))),
    lambda x: Sum(z[j] * exp(over_j(x)), (j, K)),
    lambda x: Sum(z[j] * exp(-over_j(x)) / (1 + exp(-over_j(x))) ** 2, (j, K)),
    lambda x: Max(over_j(x), (j, K)),
)
EXPRESSIONS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.builds(lambda f, x: f(x), st.sampled_from(UNARY), inner),
        st.builds(lambda f, x, y: f(x, y), st.sampled_from(SUMS), inner, inner),
        st.builds(lambda f, x: x if x.has(Sum, Max) else f(x), st.sampled_from(REDUCED), inner),
    ),
    max_leaves=5,
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(EXPRESSIONS, st.integers(0, 999))
def test_the_stable_form_of_anything_has_its_value(expression: Expr, seed: int) -> None:
    rng = np.random.default_rng(seed)
    after, names = stable(expression)
    assert bool(names) == (after != expression)
    assert stable(after)[0] == after, "applied until none fits"
    with mpmath.workdps(DIGITS):
        arrays = {"z": rng.uniform(-1.5, 1.5, 3)}
        at = {u: mpmath.mpf(rng.uniform(-1.5, 1.5)), K: 3, k: 1}
        before, later = (value(e, arrays, at, precise=True) for e in (expression, after))
        assert abs(before - later) <= mpmath.mpf(10) ** (12 - DIGITS) * max(1, abs(before))


# ---- stable forms at extreme points ------------------------------------------------------------------------

EXTREMES = (-1e4, -1000.0, -745.2, -100.0, -37.0, -1.0, -1e-3, -1e-9, 0.0, 1e-9, 1e-3, 1.0, 37.0, 100.0, 1e4)
STABLE_FORMS: dict[str, tuple[Expr, tuple[float, ...]]] = {
    "sigmoid": (1 / (1 + exp(-u)), EXTREMES),
    "1 - sigmoid": (1 - 1 / (1 + exp(-u)), EXTREMES),
    "softplus": (log(1 + exp(u)), EXTREMES),
    "log sigmoid": (log(1 / (1 + exp(-u))), EXTREMES),
    "log(1 - sigmoid)": (log(1 - 1 / (1 + exp(-u))), EXTREMES),
    "sigmoid'": (exp(-u) / (1 + exp(-u)) ** 2, EXTREMES),
    "swish": (u / (1 + exp(-u)), EXTREMES),
    "elu's branch": (exp(u) - 1, (-1e4, -37.0, -1.0, -1e-3, -1e-9, -1e-300, 0.0, 1e-9)),
    "log1p": (log(1 + u), (-0.5, -1e-9, 0.0, 1e-300, 1e-9, 1.0, 1e9)),
    "gelu": (u * (1 + erf(u / sympy.sqrt(2))) / 2, (-37.0, -10.0, -5.0, -1.0, -1e-9, 0.0, 1.0, 40.0)),
    "log cosh": (log(cosh(u)), (-1e4, -100.0, -1.0, 1.0, 100.0, 1e4)),
}


def same(found: float, expected: Any, limit: float = 1e-14) -> bool:
    """Whether a float is within 1e-14 of the exact value, or both are below the least normal number."""
    return bool(abs(found - expected) <= limit * abs(expected) or max(abs(found), abs(expected)) < 2.3e-308)


def same_logarithm(found: float, expected: Any) -> bool:
    """The logarithm of a shifted sum, which has the rounding of 1 + e^(−gap): 1e-14 of 1 when it is small."""
    return bool(abs(found - expected) <= 1e-14 * max(1, abs(expected)))


@pytest.mark.parametrize("name", STABLE_FORMS)
def test_stable_forms_at_extreme_points(name: str) -> None:
    raw, places = STABLE_FORMS[name]
    form, names = stable(raw)
    assert names
    for place in places:
        found = value(form, {}, {u: place})  # math raises where it overflows
        with mpmath.workdps(9000 if name != "gelu" else 1000):
            expected = value(raw, {}, {u: mpmath.mpf(place)}, precise=True)
        # erfc of an argument that is rounded itself cannot do better
        assert same(found, expected, 1e-14 if name != "gelu" else 5e-13), f"{form} at {place}: {found}"


LOGITS = (
    (1e4, -1e4, 0.0),
    (-1e4, -1e4, -1e4),
    (1e4, 1e4, 1e4 - 1),
    (700.0, -700.0, 800.0),
    (0.1, 0.2, -0.3),
    (-1e4, 1e4, 9990.0),
)
REDUCED_FORMS: dict[str, Expr] = {
    "log-sum-exp": log(Sum(exp(z[j]), (j, K))),
    "softmax": exp(z[k]) / Sum(exp(z[j]), (j, K)),
    "log-softmax": log(exp(z[k]) / Sum(exp(z[j]), (j, K))),
    "cross-entropy": -log(exp(z[1]) / Sum(exp(z[j]), (j, K))),
}


@pytest.mark.parametrize("logits", LOGITS)
@pytest.mark.parametrize("name", REDUCED_FORMS)
def test_stable_forms_of_sums_at_extreme_logits(name: str, logits: tuple[float, ...]) -> None:
    raw = REDUCED_FORMS[name]
    form, _ = stable(raw)
    for place in range(3):
        at = {K: 3, k: place}
        found = value(form, {"z": np.array(logits)}, at)
        with mpmath.workdps(9000):
            expected = value(raw, {"z": np.array(logits)}, at, precise=True)
        close = same(found, expected) if name == "softmax" else same_logarithm(found, expected)
        assert close, f"{name} of {logits}: {found}, not {mpmath.nstr(expected, 20)}"


def equation_of(name: str, derivation: Any) -> Any:
    return next(e for e in derivation.equations if e.symbol == name)


@pytest.mark.parametrize("logits", LOGITS)
def test_cross_entropy_after_softmax_at_extreme_logits(logits: tuple[float, ...]) -> None:
    derivation = derive_network(spec([3, "softmax"], "cross_entropy"))
    loss, delta = equation_of("E", derivation), equation_of("d z1", derivation)
    for label in range(3):
        one_hot = np.eye(3)[[label]]
        raw = -log(exp(z[k]) / Sum(exp(z[j]), (j, K)))
        with mpmath.workdps(9000):
            expected = value(raw, {"z": np.array(logits)}, {K: 3, k: label}, precise=True)
            probabilities = [
                value(REDUCED_FORMS["softmax"], {"z": np.array(logits)}, {K: 3, k: p}, precise=True)
                for p in range(3)
            ]
        arrays = {"z1": np.array([logits]), "T": one_hot, "t": np.array([label])}
        at = {size("N"): 1}
        assert same_logarithm(value(loss.computed.right, arrays, at), expected)
        arrays["a1"] = np.array([[float(p) for p in probabilities]])
        for place in range(3):
            found = value(delta.computed.right, arrays, {**at, n: 0, k: place})
            assert abs(found - (probabilities[place] - one_hot[0, place])) <= 1e-15


@pytest.mark.parametrize("logit", [-1e4, -745.2, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("target", [0.0, 1.0, 0.25])
def test_binary_cross_entropy_after_sigmoid_at_extreme_logits(logit: float, target: float) -> None:
    derivation = derive_network(spec([1, "sigmoid"], "binary_cross_entropy"))
    loss, delta = equation_of("E", derivation), equation_of("d z1", derivation)
    arrays = {"z1": np.array([[logit]]), "t": np.array([[target]])}
    with mpmath.workdps(9000):
        y = 1 / (1 + mpmath.exp(-mpmath.mpf(logit)))
        expected = -(target * mpmath.log(y) + (1 - target) * mpmath.log(1 - y))
    found = value(loss.computed.right, arrays, {size("N"): 1})
    assert same(found, expected)
    arrays["a1"] = np.array([[float(y)]])
    assert abs(value(delta.computed.right, arrays, {size("N"): 1, n: 0, k: 0}) - (y - target)) <= 1e-15


@pytest.mark.parametrize(
    "name", ["sigmoid", "tanh", "softplus", "swish", "gelu", "elu", "leaky_relu", "relu"]
)
def test_derivatives_of_activations_at_extreme_points(name: str) -> None:
    """To 1e-14 of the greatest slope, which is about 1: y (1 − y) cannot know 1 − y better."""
    equations = derive_network(spec([1, name, 1], "mse", inputs=(1,))).network.forward
    template = next(i.template for i in equations if i.output == "a1")
    forward, derivative = computed(template)[0], adjoint(template, "x").equation
    for place in EXTREMES:
        at = {size("N"): 1, size("D1"): 1, n: 0, k: 0}
        arrays = {"x": np.array([[place]]), "d y": np.ones((1, 1))}
        arrays["y"] = np.array([[value(forward.right, arrays, at)]])
        found = value(derivative.right, arrays, at)
        with mpmath.workdps(200):
            h = mpmath.mpf(10) ** -80
            side = -1 if place < 0 else 1  # at a kink, the side that "x > 0" excludes
            ends = [
                value(template.right, {"x": np.array([[mpmath.mpf(place) + s]])}, at, precise=True)
                for s in ((0, -h) if side < 0 or place == 0 else (h, 0))
            ]
            expected = (ends[0] - ends[1]) / h
        assert abs(found - expected) <= 1e-14, f"{name}'({place}) = {found}, not {mpmath.nstr(expected, 20)}"


def test_a_sigmoid_with_its_own_bias_is_stable_under_a_sum() -> None:
    """db[k] = Σ_n dy σ′(x + b): the quotient becomes σ(−x) σ(x) before a sum of exponentials is shifted."""
    x, b, y = tensor("x", N, K), tensor("b", K), tensor("y", N, K)
    found = adjoint(Equation(y[n, k], 1 / (1 + exp(-x[n, k] - b[k]))), "b").equation
    arrays = {"x": np.array([[1e4], [-1e4], [0.0]]), "b": np.zeros(1), "d y": np.ones((3, 1))}
    assert value(found.right, arrays, {N: 3, K: 1, k: 0}) == pytest.approx(0.25, rel=1e-14)


# ---- Σ t = 1 -----------------------------------------------------------------------------------------------


def test_one_hot_sums() -> None:
    t, y = tensor("T", N, K), tensor("y", N, K)
    expressions = [
        Sum(t[n, j] * y[n, k], (j, K)),
        Sum(t[n, j] * (y[n, k] + y[n, j]), (j, K)),
        Sum(3 * t[n, j] * log(Sum(exp(y[n, k]), (k, K))), (n, N), (j, K)),
        Sum(t[n, j], (j, K)) ** 2,
        Sum(t[n, j] ** 2 * y[n, k], (j, K)),
        Sum(t[n, j] * t[n, k], (j, K)),
    ]
    rng = np.random.default_rng(5)
    arrays = {"T": np.eye(3)[[2, 0]], "y": rng.normal(size=(2, 3))}
    for expression in expressions:
        after = one_hot_sums(expression, t)
        at = {N: 2, K: 3, n: 1, k: 2}
        assert value(after, arrays, at) == pytest.approx(value(expression, arrays, at), rel=1e-14)
    assert one_hot_sums(expressions[0], t) == y[n, k]
    assert one_hot_sums(expressions[0], tensor("S", N, K)) == expressions[0]
    assert ONE_HOT == "Σ t = 1"


def test_the_order_of_rows_is_that_of_stable() -> None:
    assert REWRITES[: len(STABLE)] == STABLE
    assert DENSE["bias"] is True
    form, names = computed(SOFTMAX)
    assert form.right.has(Max) and names == ("shifted exponentials (log-sum-exp)", "e^a e^b = e^(a+b)")
    assert {expm1, log1p, softplus, erfc} <= set(NAMED)


def test_rewrites_are_applied_until_none_fits() -> None:
    """The second makes what the first applies to."""
    by_name = {row.name: row for row in REWRITES}
    names = ("log σ(u) = −softplus(−u)", "logistic function")
    found, used = rewrite(sympy.log(1 / (1 + exp(-u))), [by_name[name] for name in names])
    assert found == -softplus(-u) and used == names[::-1]

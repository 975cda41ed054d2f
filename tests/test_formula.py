"""The formula language: its meaning, and how mistakes are told."""

from __future__ import annotations

import math

import pytest
import sympy
from formulas_read import NAMES, beta, parse, refusal, x
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.derive.library import ACTIVATIONS, CLIPPING, LOSSES, OPTIMIZERS, SCHEDULES, WARMUP
from chainrule.formula import FormulaError, formula_names, parse_formula

# ---- meaning ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + 2*x", 3 * x),
        ("-x**2", -(x**2)),
        ("2**-1", sympy.Rational(1, 2)),
        ("2**3**2", sympy.Integer(512)),
        ("--x", x),
        ("x - -x", 2 * x),
        ("1.5", sympy.Rational(3, 2)),
        (".5e1", sympy.Integer(5)),
        ("1e-3", sympy.Rational(1, 1000)),
        ("x/2/2", x / 4),
        ("\tx\n + 1 ", x + 1),
        ("pi", sympy.pi),
        ("sigmoid(x)", 1 / (1 + sympy.exp(-x))),
        ("softplus(x)", sympy.log(1 + sympy.exp(x))),
        ("relu(x)", sympy.Piecewise((0, x <= 0), (x, True))),
        ("max(x, beta)", sympy.Piecewise((x, x >= beta), (beta, True))),
        ("min(x, beta)", sympy.Piecewise((x, x <= beta), (beta, True))),
        ("where(x > 0, x, beta * x)", sympy.Piecewise((x, x > 0), (beta * x, True))),
        ("where(1 < 2, x, beta)", x),
        ("abs(x) + sign(x) + erf(x)", sympy.Abs(x) + sympy.sign(x) + sympy.erf(x)),
        ("sqrt(x**2)", sympy.Abs(x)),
        ("max(1, 3, 2)", sympy.Integer(3)),
    ],
)
def test_meaning(text: str, expected: sympy.Expr) -> None:
    assert parse(text) == expected


def test_a_callers_name_is_not_shadowed_by_pi() -> None:
    assert parse_formula("2 * pi", {"pi": x}) == 2 * x


def test_names_map_to_any_expression() -> None:
    assert parse_formula("u**2", {"u": x + 1}) == (x + 1) ** 2


def test_formula_names() -> None:
    assert formula_names("x * sigmoid(beta * x) + pi") == {"x", "beta"}


@pytest.mark.parametrize("formula", [*ACTIVATIONS.values(), *LOSSES.values()])
def test_every_built_in_formula_parses(formula: object) -> None:
    constants = {name: sympy.Symbol(name, real=True) for name in formula.constants}  # type: ignore[attr-defined]
    parse_formula(formula.text, {**NAMES, **constants})  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_and_what_stands_around_an_optimizer_parses(name: str) -> None:
    plan = SCHEDULES[name]
    names = ("learning_rate", "k", "K", "warmup", "norm", "clip_norm", *(f.name for f in plan.fields))
    symbols = {word: sympy.Symbol(word, positive=True) for word in names}
    for text in (plan.rate, f"{plan.rate} * {WARMUP}", CLIPPING):
        assert parse_formula(text, symbols).free_symbols <= set(symbols.values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_built_in_update_parses(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    words = {"theta", "g", "k", *optimizer.state, *(field.name for field in optimizer.fields)}
    for left, right in optimizer.update:
        assert left in words
        parse_formula(right, {word: sympy.Symbol(word, real=True) for word in words})


@pytest.mark.parametrize(
    "text",
    [
        "max(x, x**2, x**3, beta * x, x - 1)",
        "where(max(x, 0) + where(x > beta, 1, x) > min(x, 1), max(x, 1), beta)",
        "relu(relu(relu(x - 1) - 1) * beta)",
        "max(min(x, beta), min(-x, 2 * beta), 1)",
    ],
)
def test_choices_inside_conditions_become_comparisons_without_choices(text: str) -> None:
    expression = parse(text)
    python = {"max": max, "min": min, "relu": lambda u: max(0, u), "where": lambda c, a, b: a if c else b}
    for node in sympy.preorder_traversal(expression):
        if isinstance(node, sympy.Piecewise):
            for _, case in node.args:
                joined = case.args if isinstance(case, sympy.And | sympy.Or) else (case,)
                assert all(part == True or not part.has(sympy.Piecewise) for part in joined)  # noqa: E712
    for value in (-2.5, -1.0, -0.5, 0.25, 0.75, 1.5, 3.0):
        for slope in (-0.3, 0.5, 2.0):
            expected = eval(text, {"__builtins__": {}, **python}, {"x": value, "beta": slope})  # noqa: S307
            assert float(expression.subs({x: value, beta: slope})) == pytest.approx(expected)


_leaves = st.one_of(
    st.integers(0, 9).map(str), st.sampled_from(["x", "beta", "0.5", "2.25", "1e-1"]), st.just("3")
)
_expressions = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*"), inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from("+-*"), inner),
        st.builds("({}) / (2 + ({})**2)".format, inner, inner),
        st.builds("-{}".format, inner),
        st.builds("+{}".format, inner),
        st.builds("({})**2".format, inner),
        st.builds("-{}**2".format, _leaves),
        st.builds("{}({})".format, st.sampled_from(["sin", "cos", "tanh", "erf", "abs"]), inner),
        st.builds("max({}, {})".format, inner, _leaves),
        st.builds("min({}, {})".format, _leaves, inner),
    ),
    max_leaves=8,
)
_PYTHON = {
    "sin": math.sin, "cos": math.cos, "tanh": math.tanh, "erf": math.erf, "abs": abs, "max": max, "min": min
}  # fmt: skip


@given(_expressions, st.sampled_from([-1.5, -0.25, 0.75, 2.5]), st.sampled_from([-2.0, 0.5]))
@settings(derandomize=True, deadline=None, max_examples=300)
def test_random_expressions_have_pythons_value(text: str, value: float, slope: float) -> None:
    try:
        expression = parse(text)
    except FormulaError as error:
        assert "digits" in error.message or "below" in error.message or "choices" in error.message
        return
    expected = eval(text, {"__builtins__": {}, **_PYTHON}, {"x": value, "beta": slope})  # noqa: S307
    found = complex(expression.subs({x: sympy.Rational(value), beta: sympy.Rational(slope)}).evalf(30))
    assert found.imag == 0
    assert math.isclose(found.real, expected, rel_tol=1e-9, abs_tol=1e-9 * (1 + abs(expected)))


@given(st.text(alphabet="x0123456789.+-*/()<>=,eE sigmodwhrpua_[]'\"\\", max_size=60))
@settings(derandomize=True, deadline=None, max_examples=500)
def test_any_text_is_an_expression_or_a_formula_error(text: str) -> None:
    try:
        expression = parse(text)
    except FormulaError as error:
        assert str(error)
    else:
        assert not expression.has(sympy.nan, sympy.zoo, sympy.oo, sympy.I)


# ---- other mistakes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "part", "position"),
    [
        ("", "empty", 0),
        ("betta * x", "did you mean beta?", 0),
        ("1 + softplsu(x)", "did you mean softplus?", 4),
        ("relu * 2", "relu is a function", 0),
        ("x(2)", "x is no function", 0),
        ("(x + 1", "never closed", 0),
        ("x + 1)", "never opened", 5),
        ("x x", "expected an operator", 2),
        ("2x", "write 2*x", 1),
        ("1.2.3", "runs into", 3),
        ("x +", "found the end", 3),
        ("x ^ 2", "write **", 2),
        ("x < 1", "only as the first argument of where", 2),
        ("where(0 < x < 1, 1, 2)", "only once", 12),
        ("where(x, 1, 2)", "must be a comparison", 7),
        ("where(x > 0, 1)", "takes 3 arguments, not 2", 0),
        ("sin(x, x)", "takes 1 argument, not 2", 0),
        ("max(x)", "takes 2 or more arguments, not 1", 0),
        ("max()", "takes 2 or more arguments, not 0", 0),
        ("max(x,)", "found ')'", 6),
        ("1 / 0", "division by zero", 2),
        ("x / (x - x)", "division by zero", 2),
        ("0**-1", "division by zero", 1),
        ("x + sqrt(-1)", "complex", 4),
        ("log(-1)", "complex", 0),
        ("log(0)", "logarithm of zero", 0),
        ("log(x - x)", "logarithm of zero", 0),
        ("(-8)**(1/3)", "complex", 4),
        ("sqrt(-x**2)", "complex", 0),
        ("tan(pi/2)", "no finite value", 0),
    ],
)
def test_mistakes_show_their_place(text: str, part: str, position: int) -> None:
    error = refusal(text)
    assert part in str(error)
    assert error.position == position


def test_the_caret_stands_under_the_place() -> None:
    assert str(refusal("x * sigmoid(betta * x)")).splitlines() == [
        "unknown name betta; did you mean beta?",
        "    x * sigmoid(betta * x)",
        "                ^",
    ]


def test_a_long_formula_is_cut_around_the_caret() -> None:
    lines = str(refusal("x + " * 100 + "betta" + " + x" * 100)).splitlines()
    assert len(lines[1]) < 120
    assert lines[1][lines[2].index("^") :].startswith("betta")

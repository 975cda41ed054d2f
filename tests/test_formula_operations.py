"""Operations of the formula language by value: what they are worth, how large they get, what is refused."""

from __future__ import annotations

import pytest
import sympy
from sympy import Expr, Piecewise, Rational, pi, sqrt

from chainrule.formula import FormulaError, parse_formula
from chainrule.formula.cases import Cases, TooManyChoices
from chainrule.formula.choices import FormulaValueError, _holds
from chainrule.formula.operations import FUNCTIONS, Bounds, Operand, compare, exact, operate

x, y = sympy.symbols("x y", real=True)
NAMES: dict[str, Expr] = {"x": x, "y": y}
PLAIN = [name for name, function in FUNCTIONS.items() if function.most == 1]


def parse(text: str) -> Expr:
    return parse_formula(text, NAMES)


def operand(expression: Expr, size: int = 1) -> Operand:
    value = float(expression) if expression.is_number else None
    return Operand(expression, frozenset([value]), size)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("at", ["-5/2", "-1/4", "0", "1/4", "1/2", "3/2", "7/4", "3"])
def test_the_value_in_floating_point_is_that_of_the_expression(name: str, at: str) -> None:
    point = Rational(at)
    true = FUNCTIONS[name].build(point)
    if true.is_finite and true.is_real:
        assert FUNCTIONS[name].value(float(point)) == pytest.approx(float(true), rel=1e-14, abs=1e-15)
    else:
        assert name in ("log", "sqrt") and point <= 0


@pytest.mark.parametrize(
    ("operation", "operands", "value"),
    [
        ("+", (2, 3), 5),
        ("-", (2, 3), -1),
        ("*", (2, 3), 6),
        ("/", (2, 4), Rational(1, 2)),
        ("**", (2, 3), 8),
        ("**", (4, Rational(1, 2)), 2),
        ("negative", (2,), -2),
        ("max", (2, 3), 3),
        ("max", (3, 1, 2), 3),
        ("min", (2, 3), 2),
        ("min", (3, 1, 2), 1),
        ("relu", (-2,), 0),
        ("relu", (2,), 2),
        ("round", (Rational(5, 2),), 2),
        ("round", (Rational(7, 2),), 4),
        ("floor", (Rational(-3, 2),), -2),
        ("ceil", (Rational(-3, 2),), -1),
        ("sign", (Rational(-3, 2),), -1),
        ("abs", (Rational(-3, 2),), Rational(3, 2)),
    ],
)
def test_operations_on_numbers(operation: str, operands: tuple[object, ...], value: object) -> None:
    found = operate(operation, tuple(operand(sympy.sympify(o)) for o in operands), Bounds())
    assert found.expression == value and found.values == {float(sympy.sympify(value))}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("floor(sqrt(2))", 1),
        ("ceil(sqrt(2))", 2),
        ("round(sqrt(2))", 1),
        ("floor(-sqrt(2))", -2),
        ("sign(-pi)", -1),
        ("abs(1 - sqrt(2))", sqrt(2) - 1),
        ("abs(sqrt(2) - 1)", sqrt(2) - 1),
        ("abs(sqrt(2) * 10**20 - 10**20)", 10**20 * sqrt(2) - 10**20),
        ("abs(pi - 1/2 - 22/7 + 1/2)", Rational(22, 7) - pi),
        ("round(pi - 1/2)", 3),
        ("where(sqrt(2) < 3/2, x, y)", x),
        ("where(sqrt(2) > 3/2, x, y)", y),
        ("where(pi <= 22/7, x, y)", x),
        ("where(pi >= 22/7, x, y)", y),
    ],
)
def test_constants_that_are_no_fractions(text: str, value: object) -> None:
    assert sympy.expand(parse(text) - value) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "a division by zero"),
        ("x / 0", "a division by zero"),
        ("0**-1", "a division by zero"),
        ("log(0)", "the logarithm of zero"),
        ("log(-1)", "the logarithm of a negative number is complex"),
        ("sqrt(-1)", "the square root of a negative number is complex"),
        ("(-1)**0.5", "this power of a negative number is complex"),
        ("exp(-200)", "this gives a number below 1e-64"),
        ("1e-40 * 1e-40", "this gives a number below 1e-64"),
        ("1e40 * 1e40", "this gives a number of more than 64 digits"),
        ("exp(200)", "this gives a number of more than 64 digits"),
        ("exp(1e5)", "this gives a number of more than 64 digits"),
        ("exp(-1e5)", "this gives a number below 1e-64"),
        ("sigmoid(-1e3)", "this gives a number below 1e-64"),
        ("softplus(-1e3)", "this gives a number below 1e-64"),
        ("10**-64 * x", "this gives a number of more than 64 digits"),
        ("x**1001", "an exponent beyond 1,000"),
        ("x**(1001 * y)", "an exponent beyond 1,000"),
        ("x * x**1000", "an exponent beyond 1,000"),
        ("(9 * x)**68", "this power may give a number of more than 64 digits"),
        ("(x / 9)**68", "this power may give a number of more than 64 digits"),
        ("exp(1001 * log(x))", "an exponent with a logarithm and a number beyond 1,000"),
        (
            "sign(sin(3)**2 + cos(3)**2 - 1)",
            "sign of a constant that is too close to a jump to tell its side",
        ),
        ("floor((1 + sqrt(2))**2 - 2 * sqrt(2))", "floor of a constant that is too close to a jump to tell"),
        ("round((1 + sqrt(2))**2 - 2 * sqrt(2) - 1/2)", "round of a constant that is too close to a jump"),
        ("where(sin(1)**2 + cos(1)**2 < 1, x, y)", "a comparison of constants that are too close to tell"),
        ("max(log(x) * 0 + sqrt(-4), 1)", "the square root of a negative number is complex"),
        ("9" * 65, "9" * 20 + " has more than 64 digits"),
        ("1e64", "1e64 has more than 64 digits"),
        ("1e-64", "1e-64 has more than 64 digits"),
        ("1e000063", "1e000063 has more than 64 digits"),
        ("2x", "2 runs into what follows"),
        ("exp(x, y)", "exp takes 1 argument, not 2"),
        ("max(x)", "max takes 2 or more arguments, not 1"),
        ("where(x < y, 1)", "where takes 3 arguments, not 2"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9" * 64, 10**64 - 1),
        ("00" + "9" * 64, 10**64 - 1),
        ("1e63", 10**63),
        ("1E+63", 10**63),
        ("1e-63", Rational(1, 10**63)),
        ("1e00063", 10**63),
        ("1.50e2", 150),
        ("0.0", 0),
        ("1.", 1),
        ("0e5", 0),
        ("exp(1000 * log(x))", x**1000),
        ("exp(1001 * x)", sympy.exp(1001 * x)),
        ("x**1000", x**1000),
        ("(9 * x)**67", 9**67 * x**67),
        ("(10 * x)**64", None),
        ("(9 * x**99)**33", 9**33 * x**3267),
        ("(x + 9)**1000", (x + 9) ** 1000),
        ("exp(0)", 1),
        ("0 * 5", 0),
    ],
)
def test_what_is_just_within_bounds(text: str, value: object) -> None:
    if value is not None and not str(value).endswith("x**3267"):
        assert parse(text) == value
    else:
        with pytest.raises(FormulaError, match=r"more than 64 digits|beyond 1,000"):
            parse(text)


def test_sizes_are_those_of_what_is_written_out() -> None:
    """A maximum holds its arguments twice: in its condition and as a value."""
    bounds, one = Bounds(), operand(x)
    assert operate("+", (one, operand(y)), bounds).size == 3
    assert operate("negative", (one,), bounds).size == 2
    assert operate("+", (one, operand(y, 2)), bounds).size == 4
    assert operate("max", (one, operand(y)), bounds).size == 5
    assert operate("relu", (one,), bounds).size == 5
    assert operate("max", (one, operand(y), operand(x + y)), bounds).size == 1 + 2 * (5 + 1)
    condition = compare("<", one, operand(y))
    assert condition.size == 3 and operate("where", (condition, one, one), bounds).size == 6
    assert operate("negative", (operand(x, 1_999),), bounds).size == 2_000
    with pytest.raises(FormulaValueError, match="more than 2,000 nodes when max, min and relu are"):
        operate("negative", (operand(x, 2_000),), bounds)


@pytest.mark.parametrize(
    ("operation", "below", "equal", "above"),
    [("<", 1, 0, 0), ("<=", 1, 1, 0), (">", 0, 0, 1), (">=", 0, 1, 1)],
)
def test_conditions_of_constants(operation: str, below: int, equal: int, above: int) -> None:
    two = operand(sympy.Integer(2))
    for left, holds in ((1, below), (2, equal), (3, above)):
        assert compare(operation, operand(sympy.Integer(left)), two).values == {float(holds)}
        assert _holds({"<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge}[operation],
                      sympy.Integer(left), sympy.Integer(2)) == bool(holds)  # fmt: skip
    assert compare(operation, operand(x), two).values == {None}
    assert compare(operation, two, operand(x)).values == {None}


def test_values_of_the_cases_of_a_choice() -> None:
    bounds, one, two = Bounds(), operand(sympy.Integer(1)), operand(sympy.Integer(2))
    unknown = compare("<", operand(x), two)
    assert operate("where", (unknown, one, two), bounds).values == {1.0, 2.0}
    assert operate("where", (compare("<", one, two), one, operand(x)), bounds).values == {1.0}
    assert operate("where", (compare(">", one, two), one, operand(x)), bounds).values == {None}
    both = operate("max", (operand(x), two), bounds)
    assert both.values == {None, 2.0}
    assert operate("+", (both, one), bounds).values == {None, 3.0}
    many = [Operand(x, frozenset(map(float, range(n, n + 8))), 1) for n in (0, 100)]
    assert len(operate("+", tuple(many), bounds).values) == 15
    crowd = Operand(x, frozenset(map(float, range(64))), 1)
    assert operate("negative", (crowd,), bounds).values == {-float(n) for n in range(64)}
    with pytest.raises(FormulaValueError, match="too many choices"):
        operate("*", (crowd, many[1]), bounds)


@pytest.mark.parametrize("node", [sympy.zoo, sympy.nan, sympy.oo, -sympy.oo])
def test_what_is_infinite_is_refused_wherever_it_stands(node: Expr) -> None:
    with pytest.raises(FormulaValueError, match="this has no finite value"):
        Bounds().checked(sympy.Function("f")(node))


@pytest.mark.parametrize(
    "node", [sympy.I, sqrt(-2), sympy.re(sympy.Symbol("z")), sympy.im(sympy.Symbol("z"))]
)
def test_what_is_complex_is_refused(node: Expr) -> None:
    with pytest.raises(FormulaValueError, match="this is a complex number"):
        Bounds().checked(node)


def test_numbers_are_bounded_on_both_sides_of_the_line() -> None:
    most = Rational(10**64 - 1)
    for good in (most, -most, 1 / most):
        assert Bounds().checked(good) == good
    for bad in (most + 1, -most - 1, 1 / (most + 1)):
        with pytest.raises(FormulaValueError, match="this gives a number of more than 64 digits"):
            Bounds().checked(bad)


def test_a_constant_is_what_its_digits_say() -> None:
    assert exact(0.1) == Rational(1, 10) and exact(3) == 3 and exact("2.50") == Rational(5, 2)


# ---- Choices inside choices -------------------------------------------------------------------------


def joined(*cases: tuple[Expr, list[tuple[sympy.Basic, bool]]]) -> Expr:
    return Cases(lambda p, q: bool(p < q)).joined(cases)


ONE, TWO, THREE = map(sympy.Integer, (1, 2, 3))


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([(x, [])], x),
        ([(ONE, [(x < 0, True)]), (TWO, [(x < 0, False)])], Piecewise((1, x < 0), (2, True))),
        ([(ONE, [(x < 0, True)]), (ONE, [(x < 0, False)])], ONE),
        ([(ONE, [(x < 0, True), (x > 1, True)]), (TWO, [])], TWO),
        ([(ONE, [(x < 0, True), (x >= 0, True)]), (TWO, [])], TWO),
        (
            [(ONE, [(x <= 0, True), (x >= 0, True)]), (TWO, [])],
            Piecewise((1, (x <= 0) & (x >= 0)), (2, True)),
        ),
        ([(ONE, [(sympy.true, True)])], ONE),
        ([(ONE, [(sympy.true, False)]), (TWO, [(sympy.false, False)])], TWO),
        (
            [(ONE, [(x < 0, True), (x < 1, True)]), (TWO, [(x < 0, False)])],
            Piecewise((1, x < 0), (2, True)),
        ),
        (
            [(ONE, [(x > 2, True), (x > 1, True)]), (TWO, [(x > 2, False)])],
            Piecewise((1, x > 2), (2, True)),
        ),
        (
            [(ONE, [(x < 0, True)]), (TWO, [(x >= 0, True), (x < 1, True)]), (THREE, [(x >= 1, True)])],
            Piecewise((1, x < 0), (2, x < 1), (3, True)),
        ),
        (
            [(ONE, [(x < 0, True)]), (ONE, [(x >= 0, True), (x < 1, True)]), (TWO, [(x >= 1, True)])],
            Piecewise((1, x < 1), (2, True)),
        ),
        (
            [
                (ONE, [(x < 0, True)]),
                (ONE, [(x > 0, True), (x < 1, True)]),
                (TWO, [(x >= 0, True), (x <= 0, True)]),
                (THREE, [(x >= 1, True)]),
            ],
            Piecewise((2, (x >= 0) & (x <= 0)), (3, x >= 1), (1, True)),
        ),
        (
            [(ONE, [(sympy.Not(x < 0, evaluate=False), True)]), (TWO, [(x < 0, True)])],
            Piecewise((1, x >= 0), (2, True)),
        ),
        (
            [(ONE, [((x > 0) & (y > 0), True)]), (TWO, [((x > 0) & (y > 0), False)])],
            Piecewise((1, (x > 0) & (y > 0)), (2, True)),
        ),
        (
            [(ONE, [((x > 0) | (y > 0), False)]), (TWO, [((x > 0) | (y > 0), True)])],
            Piecewise((1, (x <= 0) & (y <= 0)), (2, True)),
        ),
        (
            [(ONE, [(2 * x < 6, True)]), (TWO, [(x < 3, False)])],
            Piecewise((1, 2 * x < 6), (2, True)),
        ),
        (
            [(ONE, [(-x < 3, True)]), (TWO, [(x > -3, False)])],
            Piecewise((1, -x < 3), (2, True)),
        ),
        (
            [(ONE, [(2 * x + 2 * y < 6, True)]), (TWO, [(x + y >= 3, True)])],
            Piecewise((1, 2 * x + 2 * y < 6), (2, True)),
        ),
        (
            [(ONE, [(x > y, True)]), (TWO, [(y >= x, True)])],
            Piecewise((1, x > y), (2, True)),
        ),
    ],
)
def test_cases_joined(cases: list[tuple[Expr, list[tuple[sympy.Basic, bool]]]], expected: Expr) -> None:
    found = joined(*cases)
    values = [(Rational(a, 2), Rational(b, 2)) for a in range(-7, 8) for b in (-1, 0, 1)]
    assert all(found.subs({x: a, y: b}) == expected.subs({x: a, y: b}) for a, b in values)
    assert found.func == expected.func
    if isinstance(expected, Piecewise):
        assert [str(p) for p in found.args] == [str(p) for p in expected.args]


def test_more_cases_than_anybody_would_read() -> None:
    apart = [(sympy.Integer(n), [(x > 2 * n, True), (x < 2 * n + 1, True)]) for n in range(41)]
    assert len(joined(*apart[:40]).args) == 40
    with pytest.raises(TooManyChoices, match="too many choices"):
        joined(*apart)

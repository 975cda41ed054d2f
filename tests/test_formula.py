"""The formula language: its meaning, its bounds, and the faults that it refuses."""

from __future__ import annotations

import math
import operator
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.derive.library import ACTIVATIONS, CLIPPING, LOSSES, OPTIMIZERS, SCHEDULES, WARMUP
from chainrule.formula import FormulaError, formula_names, parse_formula

x, beta, y, t = sympy.symbols("x beta y t", real=True)
NAMES = {"x": x, "beta": beta, "y": y, "t": t}


@contextmanager
def bounded() -> Iterator[None]:
    """What is inside takes no more than 3 s of processor time: a formula that hangs ends its test."""

    def give_up(*_: object) -> None:
        raise TimeoutError("a formula took more than 3 s of processor time")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, 3.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def parse(text: str) -> sympy.Expr:
    return parse_formula(text, NAMES)


def refusal(text: str) -> FormulaError:
    with bounded(), pytest.raises(FormulaError) as caught:
        parse(text)
    error = caught.value
    assert error.text == text
    assert 0 <= error.position <= len(text)
    assert str(error).splitlines()[-1].strip() == "^"
    return error


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


# Expressions as text and as Python's own value: what the parser makes of the text must have that value.
_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
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


# ---- faults ----------------------------------------------------------------------------------

PAYLOADS = [
    "__import__('os').system('id')",
    '__import__("os")',
    "__import__(x)",
    "eval('1+1')",
    "eval(x)",
    "exec(x)",
    "exec('import os')",
    "compile(x, x, x)",
    "open('/etc/passwd').read()",
    "open(x)",
    "import os",
    "from os import system",
    "x.__class__",
    "x.__class__.__mro__[1].__subclasses__()",
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__",
    "[].__class__",
    "{}.__class__",
    "[c for c in ().__class__.__base__.__subclasses__()]",
    "(lambda: 1)()",
    "lambda x: x",
    "x if x else x",
    "x or __import__('os')",
    "x and exit()",
    "not x",
    "x := 1",
    "x = 1",
    "x == 1",
    "x; import os",
    "x\nimport os",
    "f'{x}'",
    "f\"{__import__('os')}\"",
    "b'x'",
    "`id`",
    "$(id)",
    "x @ x",
    "x[0]",
    "x{0}",
    "x % 2",
    "x // 2",
    "x & x",
    "x | x",
    "~x",
    "x ^ 2",
    "x << 2",
    "x >> 2",
    "x != 1",
    "getattr(x, x)",
    "globals()",
    "locals()",
    "vars()",
    "breakpoint()",
    "exit()",
    "print(x)",
    "Symbol('x')",
    "Lambda(x, x)",
    "sympify('x')",
    "S('x')",
    "Integer(1)",
    "Function('f')(x)",
    "sin.__globals__",
    "sin(x).func",
    "x.subs(x, 1)",
    "...",
    "None",
    "True",
    "1j",
    "0x10",
    "1_000",
    "x**",
    "*x",
    "**x",
    "max(*x)",
    "max(a=1)",
    "# comment",
    "x # comment",
    "\\x41",
    "x\\",
    "\x00",
    "x\x1b[2J",
    "/* x */",
    "\\input{/etc/passwd}",
    "\\write18{id}",
    "<script>alert(1)</script>",
    "{{ 7*7 }}",
    "%s%s%n",
]

_FORBIDDEN = ("exec", "import", "open", "os.system", "subprocess.Popen", "code.__new__")
_events: list[str] = []
_watching = False


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and (event in _FORBIDDEN or event == "compile"):
        _events.append(event)


sys.addaudithook(_hook)


@contextmanager
def audit() -> Iterator[list[str]]:
    """Collect the audit events of running, importing and opening."""
    global _watching
    _events.clear()
    _watching = True
    try:
        yield _events
    finally:
        _watching = False


def test_the_audit_sees_what_it_must() -> None:
    with audit() as events:
        eval("1 + 1")  # noqa: S307
    assert events


@pytest.mark.parametrize("payload", PAYLOADS)
def test_fault_1_code_in_a_formula(payload: str) -> None:
    with pytest.raises(FormulaError):
        parse(payload)  # what SymPy imports on first use is imported now
    with audit() as events:
        try:
            parse(payload)
        except FormulaError as error:
            found = error
    assert not events
    assert "^" in str(found).splitlines()[-1]
    assert 0 <= found.position <= len(payload)


def test_fault_1_good_formulas_run_nothing_either() -> None:
    for formula in ACTIVATIONS.values():
        parse_formula(formula.text, {"x": x, "slope": beta, "alpha": beta})
    with audit() as events:
        for formula in ACTIVATIONS.values():
            parse_formula(formula.text, {"x": x, "slope": beta, "alpha": beta})
    assert not events


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9",
        "9**9**9**9",
        "((9**60)**60)**60",
        "10**-9**9",
        "10**(9**9)",
        "(9**9**9 - 9**9**9) * x",
        "x**9**9**9",
        "(3*x)**1000",
        "((3*x)**30)**30",
        "x + 10**64",
        "10**63 * 10",
        "99999999999**6 * x",
        "(1 + 1e-60)**1000",
        "(10**60 * x) * (10**60 * x)",
        "exp(1000)",
        "exp(-1000)",
        "exp(exp(exp(exp(3))))",
        "cosh(10**30)",
        "exp(10**9 * log(9))",
        "exp(10**9 * log(9 * x))",
        "2**(10**9 * log(9*x) / log(2))",
        "softplus(10**9 * log(9*x))",
        "sigmoid(10**9 * log(9*x))",
        "where(9**9**9 > x, 1, x)",
        "max(9**9**9, x)",
        "sqrt(9**9**9)",
        "sin(9**9**9)",
        "1 / 9**9**9",
        "((x**1000)**1000)**1000",
        "sin(1000)**((1/9)**(10**30 - beta))",
        "9**9**max(x, 9)",
        "max(9**9**max(x, 9), 1)",
        "exp(exp(exp(where(x > 0, 100, x))))",
        "(2 * x)**where(x > 0, 10**30, 1)",
    ],
)
def test_fault_2_huge_powers(text: str) -> None:
    message = refusal(text).message
    assert "64" in message or "exponent" in message


@pytest.mark.parametrize(
    "text",
    [
        "2**0.5**0.5",
        "2**(1/10**60)",
        "(x**0.3333)**0.3333",
        "cosh(3**beta / sigmoid(10**60 / beta))",
        "abs(sin(1)**2 + cos(1)**2 - 2) * x",
        "max(tan(sinh(100)), x)",
        "(10**60 + 7)**(1/3)",
        "sqrt(10**61 + 1)",
        "sin(10**60) * cos(10**50 * pi)",
        "where(exp(exp(4.9)) > 1, x, 1)",
        "exp(-1.702 * x) + x**0.333 + cosh(exp(0.85 * x))",
        "(x + 1)**1000",
        "log(10**60 + 1) + tan(10**40) + erf(10**30) + tanh(10**60)",
        "sigmoid(9999) + softplus(9999)",
    ],
)
def test_fault_2_what_is_long_but_bounded_is_read(text: str) -> None:
    with bounded():
        parse(text)


@pytest.mark.parametrize("text", ["1e400", "1e64", "1e-400", "1e999999999", "9" * 65, "0." + "1" * 65])
def test_fault_3_numbers_of_too_many_digits(text: str) -> None:
    assert "digits" in refusal(text).message


@pytest.mark.parametrize("text", ["nan", "inf", "Infinity", "x + inf", "-inf", "NaN"])
def test_fault_3_numbers_that_are_not_finite(text: str) -> None:
    assert "not a finite number" in refusal(text).message


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5_000 + "x" + ")" * 5_000,
        "(" * 5_000,
        "-" * 100_000 + "x",
        "- " * 1_000 + "x",
        "+" * 51 + "x",
        "sin(" * 60 + "x" + ")" * 60,
        "**".join("x" * 60),
        "x**-" * 60 + "x",
    ],
)
def test_fault_4_nesting(text: str) -> None:
    assert "too deep" in refusal(text).message


def test_fault_4_forty_levels_are_fine() -> None:
    assert parse("(" * 40 + "x" + ")" * 40) == x
    assert parse("-" * 40 + "x") == x


def test_fault_5_too_many_characters() -> None:
    assert "2,000" in refusal("x + 0" + " " * 1_996).message
    assert parse("x" + " " * 1_999) == x


def test_fault_5_too_many_nodes() -> None:
    assert "500 nodes" in refusal("+".join(["x"] * 251)).message
    assert parse("+".join(["x"] * 250)) == 250 * x


def test_fault_5_choices_that_grow_beyond_all_bounds() -> None:
    assert "nodes" in refusal("max(x," * 20 + "beta" + ")" * 20).message
    refusal("relu(" * 30 + "x" + ")" * 30)


@pytest.mark.parametrize(
    ("text", "code_point", "name"),
    [
        ("х + 1", "U+0445", "CYRILLIC SMALL LETTER HA"),
        ("ｘ + 1", "U+FF58", "FULLWIDTH LATIN SMALL LETTER X"),
        ("x\u200b + 1", "U+200B", "ZERO WIDTH SPACE"),
        ("x \u202e+ 1", "U+202E", "RIGHT-TO-LEFT OVERRIDE"),
        ("x\u2066", "U+2066", "LEFT-TO-RIGHT ISOLATE"),
        ("\ufeffx", "U+FEFF", "ZERO WIDTH NO-BREAK SPACE"),
        ("x − 1", "U+2212", "MINUS SIGN"),
        ("x\u00a0+ 1", "U+00A0", "NO-BREAK SPACE"),
        ("x + ١", "U+0661", "ARABIC-INDIC DIGIT ONE"),
        ("x²", "U+00B2", "SUPERSCRIPT TWO"),
        ("\ue000", "U+E000", "a character without a name"),
        ("x\U000e0041", "U+E0041", "TAG LATIN CAPITAL LETTER A"),
        ("ﬁ", "U+FB01", "LATIN SMALL LIGATURE FI"),
    ],
)
def test_fault_6_characters_outside_ascii(text: str, code_point: str, name: str) -> None:
    error = refusal(text)
    assert code_point in error.message
    assert name in error.message
    shown = str(error).splitlines()[1]
    assert not any(ord(c) in (0x200B, 0x202E, 0x2066, 0xFEFF) for c in shown)


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

"""The bounds of the formula language, and the faults that it refuses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from formulas_read import beta, bounded, parse, refusal, x

from chainrule.derive.library import ACTIVATIONS
from chainrule.formula import FormulaError, parse_formula

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

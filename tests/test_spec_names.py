"""Names of a spec, and the formulas in it."""

from __future__ import annotations

import builtins
import keyword

import pytest
from spec_texts import GOOD, at, changed, only, problems

from chainrule.spec import parse_spec

# ---- fault 9: names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", "1a", "_a", "a-b", "a b", "é", "ｘ", "a" * 41, "x;import os", "__import__('os')", "../x", "a/b",
     "C:x",
     "a\\nb", "a\\u200bb", "{{7}}", *keyword.kwlist, "print", "list", "Exception", "int", "struct", "void",
     "template", "restrict", "register", "xor", "con", "NUL", "com1"],
)  # fmt: skip
def test_fault_9_names_that_are_refused(name: str) -> None:
    text = changed('"tiny"', f'"{name}"')
    problem = problems(text)[0]
    assert problem.code in ("E201", "E202")
    assert (problem.line, problem.column) == (2, 8)


def test_fault_9_builtins_and_keywords_of_a_formula_are_refused() -> None:
    for name in (*keyword.kwlist, *(b for b in dir(builtins) if b.isidentifier() and b[0].isalpha())):
        assert {p.code for p in problems(GOOD + f'[activations.{name}]\nformula = "x"\n')} <= {"E202", "E203"}


@pytest.mark.parametrize(
    "name", ["relu", "ReLU", "Softmax", "dense", "mse", "MSE", "exp", "Erf", "pi", "where", "loss", "predict"]
)
def test_fault_9_names_that_are_taken(name: str) -> None:
    text = GOOD + f'[activations.{name}]\nformula = "x"\n'
    assert at(only(text, "E203"), text) == f"[activations.{name}]"


def test_fault_9_two_names_that_become_one() -> None:
    text = GOOD + '[activations.sharp]\nformula = "x"\n[losses.Sharp]\nformula = "y - t"\n'
    assert at(only(text, "E203"), text) == "[losses.Sharp]"


@pytest.mark.parametrize(("name", "code"), [("x", "E203"), ("exp", "E203"), ("pi", "E203"), ("if", "E202"),
                                            ("X", "E203"), ("print", "E202"), ('"a b"', "E201")])  # fmt: skip
def test_fault_9_names_of_constants(name: str, code: str) -> None:
    text = GOOD + f'[activations.sharp]\nformula = "x"\n{name} = 1.0\n'
    assert at(only(text, code), text).startswith(name)


# ---- formulas in a spec ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("literal", "column"),
    [
        ('"x * betta"', '"x * '),
        ("'x * betta'", "'x * "),
        ('"x\\t * betta"', '"x\\t * '),
        ('"\\u0078 * betta"', '"\\u0078 * '),
        ('"\\U00000078 *\\nbetta"', '"\\U00000078 *\\n'),
        ('"""x * betta"""', '"""x * '),
        ("'''x * betta'''", "'''x * "),
    ],
)
def test_problems_point_into_the_formula(literal: str, column: str) -> None:
    text = GOOD + f"[activations.sharp]\nformula = {literal}\nbeta = 1\n"
    problem = only(text, "E301")
    assert at(problem, text).startswith("betta")
    assert problem.column == len(f"formula = {column}") + 1
    assert "did you mean beta?" in problem.message


@pytest.mark.parametrize(
    ("literal", "place"),
    [
        ('"""\nx * betta"""', "betta"),
        ('"""\\\n   x * \\\n\n   betta"""', "betta"),
        ("'''\nx\n* betta'''", "betta"),
    ],
)
def test_problems_point_into_formulas_of_several_lines(literal: str, place: str) -> None:
    text = GOOD + f"[activations.sharp]\nformula = {literal}\n"
    assert at(only(text, "E301"), text).startswith(place)


def test_a_constant_that_is_not_used() -> None:
    text = GOOD + '[activations.sharp]\nformula = "2 * x"\nbeta = 1\n'
    assert at(only(text, "E302"), text) == "beta = 1"


def test_formulas_and_constants_are_not_without_number() -> None:
    many = "".join(f"[activations.own{i}]\nformula = 'x'\n" for i in range(51))
    assert "at most 50" in only(GOOD + many, "E104").expected
    constants = "".join(f"c{i} = 1\n" for i in range(20_000))
    assert only(GOOD + "[activations.own]\nformula = 'x'\n" + constants, "E104")


def test_a_formula_without_its_variable() -> None:
    assert only(GOOD + '[activations.sharp]\nformula = "2"\n', "E303")
    assert only(GOOD + '[losses.half]\nformula = "t"\n', "E303")


def test_a_constant_at_which_the_formula_is_undefined() -> None:
    text = GOOD + '[activations.sharp]\nformula = "x / beta"\nbeta = 0\n'
    assert "division by zero" in only(text, "E301").message
    assert "logarithm" in only(changed("x / beta", "x * log(beta)", text), "E301").message
    parse_spec(changed("beta = 0", "beta = 1.5957691216", text), "tiny.toml")


def test_code_in_a_formula_of_a_spec() -> None:
    only(GOOD + '[activations.sharp]\nformula = \'__import__("os").system("id")\'\n', "E301")

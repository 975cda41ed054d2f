"""Worked numbers as they are written: read back from the text, and in every format."""

from __future__ import annotations

import ast
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from worked_numbers import run, worked

from chainrule.present import FORMATS, FORMS, present
from chainrule.present.boxes import drawn
from chainrule.present.numerals import array, is_exact, numeral
from chainrule.present.page import Page
from chainrule.present.sides import Line
from chainrule.present.text import width, write
from chainrule.present.tree import Leaf, Related
from chainrule.present.worked import page_of_numbers

# ---- The text read back ----------------------------------------------------------------------------------


SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": math.exp, "log": math.log, "tanh": math.tanh, "max": max, "min": min, "sqrt": math.sqrt,
    "erf": math.erf, "cos": math.cos, "abs": abs, "sigma": lambda u: 1 / (1 + math.exp(-u)),
    "softplus": lambda u: math.log1p(math.exp(u)),
}  # fmt: skip
OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg,
}  # fmt: skip


def read(text: str) -> float:
    """Return the value of a printed expression, by a small evaluator of its own."""
    text = (
        text.replace("−", "-")
        .replace("·", "*")
        .replace("√", "sqrt")
        .replace("σ", "sigma")
        .replace("π", "(3.141592653589793)")
    )
    text = re.sub(r"sqrt(\d[\d.]*(?:e-?\d+)?)", r"sqrt(\1)", text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "**" + m.group().translate(SUPERSCRIPT), text).replace(
        "^", "**"
    )
    text = re.sub(r"(?<=[\d)]) (?=[(a-z])", " * ", text)

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=number):
                return float(str(number))
            case ast.BinOp(left, op, right):
                return OPERATORS[type(op)](value(left), value(right))
            case ast.UnaryOp(op, operand):
                return OPERATORS[type(op)](value(operand))
            case ast.Call(ast.Name(called), arguments):
                return FUNCTIONS[called](*map(value, arguments))
        raise ValueError(ast.dump(node))

    return value(ast.parse(text.strip(), mode="eval").body)


NUMBER = re.compile(r"\d+\.?\d*(?:e-?\d+)?")


def half_unit(number: str) -> float:
    """Return how far a printed number may be from the value: half its last digit, 0 where it is short."""
    digits, _, power = number.partition("e")
    if len(digits.replace(".", "").lstrip("0")) < 4:
        return 0.0
    places = len(digits.partition(".")[2])
    return 0.5 * 10.0 ** (int(power or 0) - places)


def room(text: str) -> float:
    """Return how far a printed expression may be off because its numbers are rounded (to first order)."""
    total, here = 0.0, read(text)
    for match in NUMBER.finditer(text):
        if half_unit(match.group()):
            moved = float(match.group()) + half_unit(match.group())
            total += abs(read(f"{text[: match.start()]}{moved!r}{text[match.end() :]}") - here)
    return total


def lines_of(page: Page) -> Iterator[tuple[str, Line]]:
    for entry in page.entries:
        for line in entry.worked.lines if entry.worked else ():
            yield entry.symbol, line


@pytest.mark.parametrize("seed", [1, 5, 6])
def test_every_printed_line_of_numbers_holds_as_it_is_read(seed: int) -> None:
    found, _ = worked(seed, 1 + seed % 2)
    checked = 0
    for _symbol, line in lines_of(page_of_numbers(found)):
        match line.right:
            case Related(relation, put, result):
                pass
            case _:
                continue
        text, outcome = write(put), write(result)
        if "⋯" in text:
            continue
        exact = line.relation == "=" and relation == "="
        allowed = 0 if exact else 1.2 * room(text) + sum(map(half_unit, NUMBER.findall(outcome)))
        found_ = read(text)
        assert abs(found_ - read(outcome)) <= allowed + 1e-13 * max(1, abs(found_)), f"{text} = {outcome}"
        checked += 1
    assert checked > 20


@pytest.mark.parametrize("name", ["xor_backprop", "or", "and", "xor_no_bias"])
def test_results_in_the_text_are_the_json_rounded(name: str) -> None:
    page = json.loads(run(name, "--sample", "3", "--json"))
    for equation in page["equations"]:
        value = equation["value"]
        flat = (
            [v for part in value.values() for v in np.ravel(part)]
            if isinstance(value, dict)
            else np.ravel(value)
        )
        assert len(equation["numbers"]) == len(flat)
        for line, exact in zip(equation["numbers"], flat, strict=True):
            shown = read(re.split("[=≈]", line)[-1])
            assert shown == pytest.approx(float(exact), rel=5.01e-4)
            if re.findall("[=≈]", line)[-1] == "=":
                assert shown == pytest.approx(float(exact), rel=1e-14)


# ---- Every format ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(0, 9, 2))
@pytest.mark.parametrize("form", FORMS)
def test_katex_accepts_the_numbers(seed: int, form: str, katex: Callable[[Iterable[str]], list[str]]) -> None:
    found, _ = worked(seed, 1 + seed % 2)
    page = page_of_numbers(found, form, True)
    markdown = present(page, format="markdown", steps=True)
    displays = re.findall(r"\$\$\n(.*?)\n\$\$", markdown, re.DOTALL)
    assert len(displays) > len(found.rows)
    assert katex([present(page, steps=True), *displays]) == []


@pytest.mark.parametrize("form", FORMS)
def test_every_format_has_every_result(form: str) -> None:
    found, _ = worked(0, 1)
    page = page_of_numbers(found, form)
    loss = found.rows[[row.numbered.name for row in found.rows].index("E")].value.item()
    digits = f"{loss:#.4g}"
    for format_ in FORMATS:
        text = present(page, format=format_)
        assert digits in text, format_
    html = present(page, format="html")
    assert html.count("<div") == html.count("</div>") and "<mo></mo>" not in html


def test_matrices_stand_level_in_text() -> None:
    found, _ = worked(3, 2)
    for _symbol, line in lines_of(page_of_numbers(found, "matrix")):
        rows = drawn(line)
        assert len({width(row) for row in rows}) == 1
        for column in zip(*rows, strict=True):
            marks = "".join(column)
            for top, bottom in ("⎡⎣", "⎤⎦", "⎛⎝", "⎞⎠"):
                assert marks.count(top) == marks.count(bottom), "\n".join(rows)


@pytest.mark.parametrize(
    ("value", "text", "exact"),
    [
        (0.5, "0.5", True), (-0.0, "0", True), (0.1 + 0.2, "0.3", True), (12345.0, "12345", True),
        (1 / 3, "0.3333", False), (-2 / 3, "−0.6667", False), (0.12904, "0.1290", False),
        (12345.678, "12350", False), (3.2e-5, "3.2e-5", True), (1.23456e-7, "1.235e-7", False),
        (0.99999, "1.000", False), (1e6, "1e6", True), (2.5e-4, "0.00025", True), (0.0625, "0.0625", True),
    ],
)  # fmt: skip
def test_numbers_are_written_short(value: float, text: str, exact: bool) -> None:
    assert write(numeral(value)) == text
    assert is_exact(value) is exact


def test_a_long_vector_lies_down() -> None:
    assert drawn(Line(Leaf("v", "v"), "=", array(np.arange(12.0))))[0].startswith("v = [0  1  2")
    assert "".join(drawn(Line(Leaf("v", "v"), "=", array(np.arange(12.0))))).endswith("11]ᵀ")

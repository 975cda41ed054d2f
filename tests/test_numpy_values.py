"""Lines of NumPy programs: what each kind of statement computes when it is run, and how it is laid out."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from itertools import product as combinations
from typing import Any

import numpy as np
import pytest
import sympy
from small_programs import SHAPES, i, j, k, load, n, program, read, u
from sympy import And, Expr, Function, Integer, KroneckerDelta, Or, Piecewise, Rational, Symbol

from chainrule.codegen.ir.program import (
    BATCH,
    Contract,
    Draw,
    First,
    Loop,
    Map,
    Pad,
    Reduce,
    Reshape,
    Scatter,
    Statement,
    Window,
)
from chainrule.codegen.ir.scalar import CannotPrint
from chainrule.codegen.targets.numpy.expressions import ExpressionPrinter, number
from chainrule.codegen.targets.numpy.helpers import HELPERS
from chainrule.codegen.targets.numpy.statements import ProgramLine, StatementPrinter, listed, wrapped

SAMPLES = 2
Array = Any


def arrays() -> dict[str, Array]:
    """Every value of the programs, float32 in quarters of 1 … 10; labels of 0 … 2."""
    rng = np.random.default_rng(5)
    found = {}
    for name, (shape, _) in SHAPES.items():
        sizes = [SAMPLES if e == BATCH else e for e in shape]
        found[name] = (rng.integers(4, 40, sizes) / 4).astype(np.float32)
    return found | {"t": np.array([2, 0])}


def run(lines: list[str], held: dict[str, Array]) -> dict[str, Array]:
    space: dict[str, Any] = {"np": np, "math": math, "re": re, "functools": functools}
    exec("\n\n".join(HELPERS[name] for name in ("windows", "add_windows", "first")), space)  # noqa: S102
    space |= {"real": np.float32, "N": SAMPLES, "dot": np.dot, **held}
    exec("\n".join(lines), space)  # noqa: S102
    return space


def printer(
    buffers: tuple[str, ...] = (), statements: tuple[Statement, ...] = (), **said: Any
) -> StatementPrinter:
    names = {name: name for name in SHAPES}
    found = program(statements, **{key: value for key, value in said.items() if key.endswith("_")})
    rest = {key: value for key, value in said.items() if not key.endswith("_")}
    return StatementPrinter(found, names, lambda name: f"w_{name}" if name in buffers else None, **rest)


X, W, B, T = ((a := arrays())["x"], a["W"], a["b"], a["t"])
Y, Z, IMG, WIN, ROWS = (a[name] for name in ("y", "z", "img", "w", "rows"))
WINDOWS = np.stack([IMG[:, s : s + 5] for s in (0, 1)], axis=2)
Computed = Callable[[], Array]
CASES: dict[str, tuple[Statement, Computed]] = {
    "dense": (Contract("y", (n, i), 1, load("x", n, j), load("W", i, j)), lambda: X @ W.T),
    "over samples": (Contract("dW", (i, j), 1, load("y", n, i), load("x", n, j)), lambda: Y.T @ X),
    "map": (Map("z", (n, i), 1, read("y", n, i) * read("b", i) + 1), lambda: Y * B + 1),
    "copy": (Map("z", (n, i), 1, read("y", n, i)), lambda: Y),
    "maximum": (
        Map("z", (n, i), 1, Piecewise((read("y", n, i), read("y", n, i) > 3), (3, True))),
        lambda: np.maximum(Y, 3),
    ),
    "chosen": (
        Map("z", (n, i), 1, Piecewise((read("y", n, i), read("b", i) > 3), (Rational(1, 2), True))),
        lambda: np.where(B > 3, Y, 0.5),
    ),
    "one hot": (Map("z", (n, i), 1, KroneckerDelta(read("t", n), i)), lambda: T[:, None] == np.arange(3)),
    "difference": (Map("z", (n, i), 1, read("y", n, i) - read("b", i) * 2), lambda: Y - 2 * B),
    "quotient": (Map("z", (n, i), 1, read("y", n, i) / read("rows", n)), lambda: Y / ROWS[:, None]),
    "reciprocal": (Map("z", (n, i), 1, 2 / read("y", n, i)), lambda: 2 / Y),
    "tanh": (Map("z", (n, i), 1, sympy.tanh(read("y", n, i) / 8)), lambda: np.tanh(Y / 8)),
    "masked": (
        Map("z", (n, i), 1, read("y", n, i) * KroneckerDelta(read("t", n), i)),
        lambda: Y * (T[:, None] == np.arange(3)),
    ),
    "own product": (Map("y", (n, i), 1, read("y", n, i) * read("b", i)), lambda: Y * B),
    "own quotient": (Map("y", (n, i), 1, read("y", n, i) / read("rows", n)), lambda: Y / ROWS[:, None]),
    "own sum": (Map("y", (n, i), 1, read("y", n, i) + read("z", n, i) * 2), lambda: Y + 2 * Z),
    "own difference": (Map("y", (n, i), 1, read("y", n, i) - read("z", n, i)), lambda: Y - Z),
    "own share": (Map("y", (n, i), 1, read("y", n, i) / 4 + read("z", n, i)), lambda: Y / 4 + Z),
    "own square": (Map("y", (n, i), 1, read("y", n, i) ** 2 + read("z", n, i)), lambda: Y**2 + Z),
    "sum": (Reduce("rows", (n,), 1, "sum", read("y", n, i), (i,)), lambda: Y.sum(1)),
    "sum of products": (
        Reduce("b", (i,), 1, "sum", read("y", n, i) * read("z", n, i), (n,)),
        lambda: (Y * Z).sum(0),
    ),
    "sum of squares": (Reduce("s", (), 1, "sum", read("y", n, i) ** 2, (n, i)), lambda: (Y**2).sum()),
    "largest": (Reduce("rows", (n,), 1, "max", read("y", n, i), (i,)), lambda: Y.max(1)),
    "first": (First("z", (n, i), 1, load("y", n, i), load("rows", n), (i,)), lambda: firsts()),
    "reshape": (Reshape("flat", (n, j), 1, "img"), lambda: IMG.reshape(SAMPLES, 12)),
    "pad": (
        Pad("large", (n, j, k), 1, "img", (0, 1, 0), (0, 1, 0)),
        lambda: np.pad(IMG, ((0, 0), (1, 1), (0, 0))),
    ),
    "pad after": (
        Pad("large", (n, j, k), 1, "img", (0, 0, 0), (0, 2, 0)),
        lambda: np.pad(IMG, ((0, 0), (0, 2), (0, 0))),
    ),
    "windows": (Window("w", (n, i, u, k), 1, "img", (n, i + u, k), copy=True), lambda: WINDOWS),
    "views": (Window("w", (n, i, u, k), 1, "img", (n, i + u, k), copy=False), lambda: WINDOWS),
    "places": (
        Scatter(
            "large",
            (n, j, k),
            1,
            load("w", n, i, u, k),
            (n, i + u, k),
            ((n, BATCH), (i, 5), (u, 2), (k, 2)),
            True,
            True,
        ),
        lambda: places(1),
    ),
}
HELD = {"rows": Y.max(1)}


def firsts() -> Array:
    best = Y.max(1, keepdims=True) == Y
    return best & (best.cumsum(1) == 1)


def places(stride: int) -> Array:
    out = np.zeros((SAMPLES, 8, 2), np.float32)
    for p, s in combinations(range(5), range(2)):
        out[:, stride * p + s] += WIN[:, p, s]
    return out


NEED_MEMORY = ("pad", "pad after", "places", "windows", "first")
TAKE_NONE = ("reshape", "views", "sum of squares")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        *((name, False) for name in CASES if name not in NEED_MEMORY),
        *((name, True) for name in CASES if name not in TAKE_NONE),
    ],
)
def test_what_a_statement_computes(name: str, kept: bool) -> None:
    statement, wanted = CASES[name]
    out, held = statement.out, arrays()
    if name == "first":
        held |= HELD
    own = name.startswith("own")
    if kept:
        held[f"w_{out}"] = held[out] if own else np.full_like(held[out], 0 if "pad" in name else -7)
    lines = printer((out,) if kept else (), (statement,)).lines(statement)
    found = run([line.text for line in lines], held)[out if not kept or own else f"w_{out}"]
    right = wanted()
    if out != "s":
        assert found.shape == right.shape
    assert np.allclose(found, right, rtol=1e-6)
    if name not in ("one hot", "first"):
        assert found.dtype == np.float32
    assert all(line.equation == 1 and line.label == "(1)" for line in lines)


def test_lines_know_their_equations() -> None:
    assert ProgramLine("x = 1", 3, None, (5, 7)).label == "(3, 5, 7)"
    draw = Draw("z", (n, i), 4, Rational(1, 4), 0)
    (line,) = printer(("z",), (draw,)).lines(draw)
    assert line.remark == "z ∼ Bernoulli(0.25)".ljust(30) + " (N, 3)" and line.equation == 4


# ---- Layout --------------------------------------------------------------------------------------------


def test_assignments_fill_a_line_and_no_more() -> None:
    pairs = [("a", "1"), ("b", "2"), ("c", "3")]
    assert listed(pairs) == ["a, b, c = 1, 2, 3"] and listed([]) == []
    assert listed(pairs, 12) == ["a, b = 1, 2", "c = 3"] and listed(pairs, 11) == ["a = 1", "b = 2", "c = 3"]
    assert listed(pairs, 18) == ["a, b, c = 1, 2, 3"] and listed(pairs, 17) == ["a, b = 1, 2", "c = 3"]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (96, ["f(aa, bb, cc)"]),
        (13, ["f(aa, bb, cc)"]),
        (12, ["f(aa, bb,", "    cc)"]),
        (9, ["f(aa, bb,", "    cc)"]),
        (8, ["f(aa,", "    bb,", "    cc)"]),
        (5, ["f(", "    aa,", "    bb,", "    cc)"]),
    ],
)
def test_words_are_wrapped(width: int, lines: list[str]) -> None:
    found = wrapped("f(", ["aa,", "bb,", "cc,"], ")", width)
    assert found == lines


def test_a_loop_names_its_pieces_and_adds_up_its_sums() -> None:
    total = Contract("dW", (i, j), 2, load("y", n, i), load("x", n, j))
    loop = Loop((total,), 7, frozenset({"dW"}))
    found = program([loop], y_={"piece": 7})
    bound = [found.values["x"], found.values["y"]]
    names = {name: name for name in SHAPES}
    made = StatementPrinter(found, names, lambda _: None, loop=loop, bound=bound, totals={"dW": "w.dW"})
    assert made.loop_head(loop) == [
        "",
        "def piece(s, m, thread, dW):",
        "    x = w.x[s]",
        "    y = w.y[thread, :m]",
    ]
    assert made.loop_end(loop) == ["", "on_threads(piece, N, 7, w.dW)"]
    assert made.batch == "m" and printer().batch == "N"


# ---- Expressions ---------------------------------------------------------------------------------------

y, z, b, rows, W_ = read("y", n, i), read("z", n, i), read("b", i), read("rows", n), read("W", i, j)
rate = Symbol("rate")
EXPRESSIONS: dict[str, tuple[Expr, str]] = {
    "sum": (y + z, "y + z"),
    "difference": (y - z, "y - z"),
    "negative": (-y, "-y"),
    "product of sums": ((y + z) * (y - z), "(y - z) * (y + z)"),
    "minus a sum": (y - (z + b), "y - b - z"),
    "quotient of products": (y * z / b, "y * z / b"),
    "half": (y / 2, "y / 2"),
    "three halves": (3 * y / 2, "1.5 * y"),
    "third": (y / 3, "y / 3"),
    "two thirds": (2 * y / 3, "2 / 3 * y"),
    "constant": (rate * y, "rate * y"),
    "constants": (rate * y / 3, "rate / 3 * y"),
    "power of a sum": ((y + z) ** 3, "(y + z)**3"),
    "root of a product": (sympy.sqrt(y * z), "np.sqrt(y * z)"),
    "inverse square": (y**-2, "1 / y**2"),
    "axis": (rows * y, "rows[:, None] * y"),
    "function": (sympy.exp(-y), "np.exp(-y)"),
    "irrational": (sympy.sqrt(2) * y, "math.sqrt(2) * y"),
    "over a root": (y / sympy.sqrt(2), "math.sqrt(2) / 2 * y"),
    "pi": (sympy.pi * y, "np.pi * y"),
    "index": (y * i, "np.arange(3) * y"),
    "larger": (Piecewise((y, y >= z), (z, True)), "np.maximum(y, z)"),
    "three ways": (
        Piecewise((y, b < 2), (0, b < 4), (z, True)),
        "np.where(b < 2, y, np.where(b < 4, real(0), z))",
    ),
    "both": (Piecewise((y, And(b < 2, y > 1)), (z, True)), "np.where((y > 1) & (b < 2), y, z)"),
    "either": (Piecewise((y, Or(b < 2, y > 8)), (z, True)), "np.where((y > 8) | (b < 2), y, z)"),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_as_text_and_as_values(name: str) -> None:
    expression, text = EXPRESSIONS[name]
    names = {name: name for name in SHAPES}
    found = ExpressionPrinter((n, i), names, {n: BATCH, i: 3}, {}).text(expression)
    held = arrays() | {"rate": 0.25}
    direct = np.zeros((SAMPLES, 3))
    for s, p in np.ndindex(SAMPLES, 3):
        place = {y: held["y"][s, p], z: held["z"][s, p], b: held["b"][p], rows: held["rows"][s], rate: 0.25}
        direct[s, p] = float(
            expression.xreplace({e: sympy.Float(float(x)) for e, x in place.items()}).subs(i, p)
        )
    value = run([f"found = {found}"], held)["found"]
    assert value.shape == (SAMPLES, 3) and np.allclose(value, direct, rtol=1e-5)
    assert value.dtype == (np.float64 if name == "index" else np.float32)
    assert found == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Integer(3), "3"),
        (Integer(-3), "-3"),
        (Rational(1, 4), "0.25"),
        (Rational(-1, 4), "-0.25"),
        (Rational(1, 10), "0.1"),
        (Rational(1, 3), "1 / 3"),
        (Rational(1, 10**7), "1e-07"),
    ],
)
def test_numbers_as_text(value: Rational, text: str) -> None:
    assert number(value)[0] == text
    assert (
        ExpressionPrinter((i,), {"b": "b"}, {}, {}).text(read("b", i) ** 2 + value).count(text.lstrip("-"))
        == 1
    )


def test_what_has_no_form_is_named() -> None:
    with pytest.raises(CannotPrint, match=r"^no NumPy form for zeta in "):
        ExpressionPrinter((i,), {"b": "b"}, {}, {}).text(Function("zeta")(read("b", i)))


def test_what_binds_in_numbers_and_products() -> None:
    """A negative fraction is no atom: it stands in parentheses where it is raised to a power."""
    assert number(Rational(-1, 2)) == ("-0.5", number(Integer(-1))[1])
    assert number(Rational(1, 2))[1] == number(Integer(1))[1] != number(Integer(-1))[1]

"""Parts of a page by value: numbers, matrices drawn in text, long lines broken, words escaped."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.present import escape, latex, text
from chainrule.present import tree as t
from chainrule.present.boxes import box, bracket, drawn, grid_box, unchained, worked_text
from chainrule.present.breaking import measure, pieces, rows
from chainrule.present.numerals import Inexact, array, is_exact, numeral, pictured, plain
from chainrule.present.page import WorkedLines
from chainrule.present.sides import Line
from chainrule.present.tex import has_hangul


def leaf(written: str) -> t.Leaf:
    return t.Leaf(written, written)


def plus(*terms: t.Node) -> t.Plus:
    return t.Plus(tuple((False, term) for term in terms))


def grid(*of: str) -> t.Matrix:
    return t.Matrix(tuple(tuple(map(leaf, row.split())) for row in of))


a, b, c = map(leaf, "abc")
y, W, z = t.Ref("y"), t.Ref("W1"), t.Ref("z1", (leaf("n"), leaf("k")))


# ---- Numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "as_text", "as_latex", "exact"),
    [
        (0.5, "0.5", "0.5", True),
        (-0.27049, "−0.2705", "-0.2705", False),
        (1200.0, "1200", "1200", True),
        (123456.0, "123456", "123456", True),
        (999999.0, "999999", "999999", True),
        (1e6, "1e6", r"1 \cdot 10^{6}", True),
        (1234567.0, "1.235e6", r"1.235 \cdot 10^{6}", False),
        (999999.5, "1.000e6", r"1.000 \cdot 10^{6}", False),
        (3.2e-5, "3.2e-5", r"3.2 \cdot 10^{-5}", True),
        (1e-4, "0.0001", "0.0001", True),
        (0.00012, "0.00012", "0.00012", True),
        (0.0001234567, "0.0001235", "0.0001235", False),
        (0.00001234567, "1.235e-5", r"1.235 \cdot 10^{-5}", False),
        (1.00004e-4, "0.0001000", "0.0001000", False),
        (0.1 + 0.2, "0.3", "0.3", True),
        (1 / 3, "0.3333", "0.3333", False),
        (12.340001, "12.34", "12.34", False),
        (100.02, "100.0", "100.0", False),
        (5000.04, "5000", "5000", False),
        (100000.1, "100000", "100000", False),
        (2.0, "2", "2", True),
        (-0.0, "0", "0", True),
    ],
)
def test_a_numeral(value: float, as_text: str, as_latex: str, exact: bool) -> None:
    found = numeral(value)
    assert (text.write(found), latex.write(found), is_exact(value)) == (as_text, as_latex, exact)
    inner = found.terms[0][1] if isinstance(found, t.Plus) else found
    assert isinstance(inner, Inexact) != exact


@pytest.mark.parametrize(
    ("shape", "written"),
    [
        ((), "0"),
        ((2,), "[[0], [1]]"),
        ((10,), "[[0], [1], [2], [3], [4], [5], [6], [7], [8], [9]]"),
        ((11,), "([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])ᵀ"),
        ((2, 2), "[[0, 1], [2, 3]]"),
        ((1, 2, 2), "[[0, 1], [2, 3]]"),
        ((2, 2, 2), "([[0, 1], [2, 3]], [[4, 5], [6, 7]])"),
        ((1, 1, 2, 2), "[[0, 1], [2, 3]]"),
        ((2, 1, 2, 2), "([[0, 1], [2, 3]], [[4, 5], [6, 7]])"),
    ],
)
def test_an_array(shape: tuple[int, ...], written: str) -> None:
    assert text.write(array(np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(float))) == written


def test_images_and_kernels_are_pictured_channel_by_channel() -> None:
    values = np.arange(8.0)
    by_channel, as_it_is = "([[0, 2], [4, 6]], [[1, 3], [5, 7]])", "([[0, 1], [2, 3]], [[4, 5], [6, 7]])"
    assert text.write(pictured(values.reshape(2, 2, 2), True)) == by_channel
    assert text.write(pictured(values.reshape(2, 2, 2), False)) == as_it_is
    for is_sample in (True, False):  # W[k, u, v, c] is a matrix for each filter and channel
        assert text.write(pictured(values.reshape(1, 2, 2, 2), is_sample)) == by_channel
    assert plain(np.array([[0.1, 1 / 3]])) == [[0.1, 1 / 3]]


# ---- Matrices in text -------------------------------------------------------------------------------


row, square, column, tall = grid("1 2"), grid("1 20", "-3 4"), grid("1", "2", "3"), grid("1", "2", "3", "4")


def test_brackets_grow() -> None:
    assert bracket("[", 1) == ("[",) and bracket("]", 2) == ("⎤", "⎦") and bracket("(", 3) == ("⎛", "⎜", "⎝")
    assert (grid_box(row).lines, grid_box(row).base) == (("[1  2]",), 0)
    assert (grid_box(square).lines, grid_box(square).base) == (("⎡ 1  20⎤", "⎣-3   4⎦"), 0)
    assert grid_box(tall).lines == ("⎡1⎤", "⎢2⎥", "⎢3⎥", "⎣4⎦")
    assert (grid_box(tall).base, grid_box(tall).above, grid_box(tall).below) == (1, 1, 2)
    assert box("a(b", []).lines == ("a(b",) and box("a]", []).lines == ("a]",)


@pytest.mark.parametrize(
    ("right", "lines"),
    [
        (t.Dot((square, column)), ["             ⎡1⎤", "y = ⎡ 1  20⎤ ⎢2⎥", "    ⎣-3   4⎦ ⎣3⎦"]),
        (
            t.Times((leaf("2"), t.Plus(((False, square), (True, square))))),
            ["y = 2 ⎛⎡ 1  20⎤ − ⎡ 1  20⎤⎞", "      ⎝⎣-3   4⎦   ⎣-3   4⎦⎠"],
        ),
        (t.Dot((t.Transposed(column), column)), ["    ⎡1⎤ᵀ ⎡1⎤", "y = ⎢2⎥  ⎢2⎥", "    ⎣3⎦  ⎣3⎦"]),
        (t.Transposed(row), ["y = [1  2]ᵀ"]),
        (t.Bars(column, True, "2"), ["    ‖⎡1⎤‖²", "y = ‖⎢2⎥‖ ", "    ‖⎣3⎦‖ "]),
        (
            t.Raised(plus(column, column), leaf("2")),
            ["    ⎛⎡1⎤   ⎡1⎤⎞²", "y = ⎜⎢2⎥ + ⎢2⎥⎟ ", "    ⎝⎣3⎦   ⎣3⎦⎠ "],
        ),
        (t.Applied("f", "f", (column, a)), ["     ⎛⎡1⎤   ⎞", "y = f⎜⎢2⎥, a⎟", "     ⎝⎣3⎦   ⎠"]),
        (a, ["y = a"]),
    ],
)
def test_a_formula_with_matrices_is_drawn(right: t.Node, lines: list[str]) -> None:
    assert drawn(Line(y, "=", right)) == lines


def test_numbers_stand_below_one_another() -> None:
    first = Line(y, "=", t.Related("≈", t.Dot((square, column)), column))
    worked = WorkedLines("y", (first, Line(t.Ref("zzzz"), "=", a)), None)
    drawing = ["             ⎡1⎤   ⎡1⎤", "y = ⎡ 1  20⎤ ⎢2⎥ ≈ ⎢2⎥", "    ⎣-3   4⎦ ⎣3⎦   ⎣3⎦"]
    assert worked_text(worked, 3) == [*(f"{' ' * 5}{line}" for line in drawing), "", "  zzzz = a"]
    assert worked_text(worked, 12) == [*(f"{' ' * 11}{line}" for line in drawing), "", "        zzzz = a"]
    assert worked_text(None, 3) == []
    plain_first = WorkedLines("y", (Line(y, "=", a), Line(y, "=", column), Line(y, "=", b)), None)
    assert worked_text(plain_first, 0) == [
        *("  y = a", "", "      ⎡1⎤", "  y = ⎢2⎥", "      ⎣3⎦", "", "  y = b"),
    ]


def test_what_is_too_wide_is_written_relation_by_relation() -> None:
    wide = grid(" ".join(["1000"] * 17))  # 3 + 4 + 102 columns beside "≈ ⎡1⎤"
    worked = WorkedLines("y", (Line(y, "=", t.Related("≈", wide, column)), Line(y, "=", a)), None)
    found = worked_text(worked, 3)
    assert found[0] == f"  y = [{'  '.join(['1000'] * 17)}]"
    assert found[1:] == ["", "      ⎡1⎤", "    ≈ ⎢2⎥", "      ⎣3⎦", "", "  y = a"]
    less = Line(y, "=", t.Related("<", a, b))
    assert unchained(less) == (less,)
    assert unchained(Line(y, "=", t.Related("=", a, b))) == (Line(y, "=", a), Line(t.Leaf("", ""), "=", b))


# ---- Long lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "width"),
    [
        (a, 1),
        (plus(a, b), 5),
        (t.Over(a, plus(a, b)), 5),
        (t.Over(t.Times((W, W)), a), 5),
        (W, 2),
        (z, 2 + 0.6 * 5),
        (t.Times((z, z)), 2 * 5 + 1),
        (t.Exp(z), 5 + 5),
    ],
)
def test_how_wide_a_formula_is(node: t.Node, width: float) -> None:
    assert measure(node) == pytest.approx(width)


def big(body: t.Node) -> t.Node:
    return t.Big("sum", (("j", ""),), body)


@pytest.mark.parametrize(
    ("node", "limit", "parts"),
    [
        (plus(a, b, c), 9, [("a + b + c", 9)]),
        (plus(a, b, c), 8, [("a", 3), ("+ b", 3), ("+ c", 3)]),
        (t.Plus(((True, a), (False, b), (True, c))), 2, [("- a", 3), ("+ b", 3), ("- c", 3)]),
        (t.Hadamard((a, b, c)), 9, [(r"a \odot b \odot c", 9)]),
        (t.Hadamard((a, b, c)), 5, [("a", 3), (r"\odot b", 6), (r"\odot c", 6)]),
        (t.Hadamard((plus(a, b), c)), 4, [("(a + b)", 7), (r"\odot c", 6)]),
        (t.Times((a, plus(b, c))), 4, [(r"a \Bigl( b", 5 + 1 / 3), (r"+ c \Bigr)", 4)]),
        (t.Times((a, b, plus(b, c))), 4, [(r"a b \Bigl( b", 6), (r"+ c \Bigr)", 4)]),
        (
            t.Times((big(a), plus(b, c))),
            4,
            [(r"\left(\sum_{j} a\right) \Bigl( b", 5 + 23 / 3), (r"+ c \Bigr)", 4)],
        ),
        (big(plus(b, c)), 3, [(r"\sum_{j}  \Bigl( b", 5 + 9 / 3), (r"+ c \Bigr)", 4)]),
        (t.Times((a, big(plus(b, c)))), 3, [(r"a \sum_{j}  \Bigl( b", 8 + 1 / 3), (r"+ c \Bigr)", 4)]),
        (t.Times((a, b, big(plus(b, c)))), 3, [(r"a b \sum_{j}  \Bigl( b", 9), (r"+ c \Bigr)", 4)]),
        (plus(a, plus(b, c)), 3, [("a", 3), (r"+ \Bigl( b", 5 + 1 / 3), (r"+ c \Bigr)", 4)]),
        (
            t.Plus(((False, a), (True, plus(b, c)))),
            3,
            [("a", 3), (r"- \Bigl( b", 5 + 1 / 3), (r"+ c \Bigr)", 4)],
        ),
        (t.Times((a, b)), 1, [("a b", 3)]),
        (t.Times((plus(a, b),)), 1, [("(a + b)", 7)]),
    ],
)
def test_where_a_formula_may_be_broken(node: t.Node, limit: float, parts: list[tuple[str, float]]) -> None:
    found = pieces(node, limit)
    assert [piece.latex for piece in found] == [written for written, _ in parts]
    assert [piece.width for piece in found] == pytest.approx([width for _, width in parts])


def test_rows_take_what_fits() -> None:
    sum_ = plus(a, b, c)
    assert rows(sum_, 9) == ["a + b + c"]
    assert rows(sum_, 6) == ["a + b", r"\quad {} + c"]
    assert rows(sum_, 5) == ["a", r"\quad {} + b", r"\quad {} + c"]
    assert rows(plus(a, b, c, a), 6) == ["a + b", r"\quad {} + c + a"]


# ---- Words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "as_latex"),
    [
        ("w_kj, Σ_i", r"$w_{kj}$, $\Sigma_{i}$"),
        ("e^(−x)", "$e^{- x}$"),
        ("θ^(t−1)", r"$\theta^{t - 1}$"),
        ("a_(k+1)", "$a_{k + 1}$"),
        ("W^T b", "$W^{T}$ b"),
        ("x²", "x$^2$"),
        ("x⁻¹²", "x$^{-12}$"),
        ("² x", "$^2$ x"),
        ("x¹ ²", "x$^1$ $^2$"),
        ("½ of it", r"$\frac12$ of it"),
        ("α̂ and x̂", r"$\hat\alpha$ and $\hat x$"),
        ("x̂_k", r"$\hat x_{k}$"),
        ("a_b_c", r"a\_b\_c"),
        ("sin_x", r"sin\_x"),
        ("_x", r"\_x"),
        ("d_abcd", r"d\_abcd"),
        ("x^2y", r"x\textasciicircum{}2y"),
        ("2^3", r"2\textasciicircum{}3"),
        ("x_1 y_2", "$x_{1}$ $y_{2}$"),
        (r"50 % & \more{x}", r"50 \% \& \textbackslash{}more\{x\}"),
        ("“a”…", r"``a''\ldots{}"),
        ("a\x00b\u200bc\nd", "a b c d"),
        ("é", "é"),
    ],
)
def test_words_in_latex(given: str, as_latex: str) -> None:
    assert escape.latex(given) == as_latex


def test_words_in_markdown_and_html() -> None:
    assert escape.markdown("a_b & <c>\n|d|") == "a&#95;b &#38; &#60;c&#62; &#124;d&#124;"
    assert escape.markup('a_b & <c> "d"') == "a_b &amp; &lt;c&gt; &quot;d&quot;"
    assert escape.unknown("aé한가\x80a") == ["\x80", "가", "한"] and escape.unknown("a~\xa1ÿ") == []


def test_hangul_of_every_kind() -> None:
    assert all(map(has_hangul, ("가", "힣", "ᄀ", "ᇿ", "ㄱ", "ㆎ", "a 한 b")))
    assert not any(map(has_hangul, ("", "a", "é", "漢", "ひ", "Σ")))

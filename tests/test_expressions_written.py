"""What a lecturer would write for an expression: its order, its signs, its fractions and its numbers."""

from __future__ import annotations

import pytest
import sympy
from as_latex import latex as written
from sympy import Expr, KroneckerDelta, Piecewise, Rational, Symbol, exp, log, pi, sqrt

from chainrule.derive.index import Inside, Max, Sum, Winner, index, size, tensor
from chainrule.formula import functions as F
from chainrule.present import latex, text
from chainrule.present.build import CannotPresent, Writer, decimal, number, symbol
from chainrule.present.order import BATCH as N
from chainrule.present.order import factors, is_even, natural

x, y, u, target = sympy.symbols("x y u t", real=True)
c, i, j, k, n = map(index, "cijkn")
J, K = size("J"), size("K")
W, b, g, theta = tensor("W1", K, J), tensor("b1", K), tensor("g", K), tensor("theta", K)
a, t, z, d = (tensor(name, N, K) for name in ("a1", "t", "z1", "d z1"))
rate, lam = Symbol("learning_rate", positive=True), Symbol("lambda", positive=True)


@pytest.mark.parametrize(
    ("expression", "as_text", "as_latex"),
    [
        (
            b[k] + Sum(W[k, j] * a[n, j], (j, J)),
            "Σⱼ W1[k,j] a1[n,j] + b1[k]",
            r"\sum_{j} W^{(1)}_{kj} a^{(1)}_{nj} + b^{(1)}_{k}",
        ),
        (1 - a[n, k], "1 − a1[n,k]", "1 - a^{(1)}_{nk}"),
        (a[n, k] - t[n, k], "a1[n,k] − t[n,k]", "a^{(1)}_{nk} - t_{nk}"),
        (t[n, k] - a[n, k], "t[n,k] − a1[n,k]", "t_{nk} - a^{(1)}_{nk}"),
        (
            a[n, k] * (1 - a[n, k]) * (a[n, k] - t[n, k]),
            "(a1[n,k] − t[n,k]) a1[n,k] (1 − a1[n,k])",
            "(a^{(1)}_{nk} - t_{nk}) a^{(1)}_{nk} (1 - a^{(1)}_{nk})",
        ),
        (
            Sum(W[k, j] * d[n, k], (k, K)) * (1 - a[n, k]) * a[n, k],
            "(Σₖ W1[k,j] δ1[n,k]) a1[n,k] (1 − a1[n,k])",
            r"\left(\sum_{k} W^{(1)}_{kj} \delta^{(1)}_{nk}\right) a^{(1)}_{nk} (1 - a^{(1)}_{nk})",
        ),
        (
            Sum(W[k, j] ** 2, (k, K), (j, J)) * lam / 2 + Sum(b[k] ** 2, (k, K)) * lam / 2,
            "(1/2) λ Σₖ b1[k]² + (1/2) λ Σₖⱼ W1[k,j]²",
            r"\frac{1}{2} \lambda \sum_{k} (b^{(1)}_{k})^{2}"
            r" + \frac{1}{2} \lambda \sum_{k,j} (W^{(1)}_{kj})^{2}",
        ),
        (
            Sum(W[k, j] ** 2, (k, K), (j, J)) / 10
            + Sum(b[k] ** 2, (k, K)) / 10
            + Sum((a[n, k] - t[n, k]) ** 2, (n, N), (k, K)) / N / 2,
            "(1/(2 N)) Σₙₖ (a1[n,k] − t[n,k])² + 0.1 (Σₖ b1[k]² + Σₖⱼ W1[k,j]²)",
            r"\frac{1}{2 N} \sum_{n,k} (a^{(1)}_{nk} - t_{nk})^{2}"
            r" + 0.1 \left(\sum_{k} (b^{(1)}_{k})^{2} + \sum_{k,j} (W^{(1)}_{kj})^{2}\right)",
        ),
        (28 * i + j + 784 * c, "784 c + 28 i + j", "784 c + 28 i + j"),
        (3 * i + k + 1, "3 i + k + 1", "3 i + k + 1"),
        (i - j + 2, "i − j + 2", "i - j + 2"),
        (-(x**2) + x + 1, "x − x² + 1", "x - x^{2} + 1"),
        (x**2 - 3 * x + 2, "x² − 3 x + 2", "x^{2} - 3 x + 2"),
        (x**3 + 1, "x³ + 1", "x^{3} + 1"),
        (1 - x**2, "1 − x²", "1 - x^{2}"),
        (2 - x, "2 − x", "2 - x"),
        (-1 - x, "−(1 + x)", "-(1 + x)"),
        (-x - y, "−(x + y)", "-(x + y)"),
        (x - 1, "x − 1", "x - 1"),
        (exp(x) - 1, "exp(x) − 1", "e^{x} - 1"),
        (1 + exp(-x), "1 + exp(−x)", "1 + e^{-x}"),
        (-1 + exp(x) * y, "y exp(x) − 1", "y e^{x} - 1"),
        (
            -Sum(t[n, k] * log(a[n, k]) + (1 - t[n, k]) * log(1 - a[n, k]), (k, K)) / N,
            "−(1/N) Σₖ (t[n,k] log(a1[n,k]) + (1 − t[n,k]) log(1 − a1[n,k]))",
            r"-\frac{1}{N} \sum_{k} (t_{nk} \log a^{(1)}_{nk} + (1 - t_{nk}) \log(1 - a^{(1)}_{nk}))",
        ),
        (Piecewise((x, x > 0), (0, True)), "max(0, x)", r"\max(0, x)"),
        (
            Piecewise((x, x >= 0), (y, True)),
            "where(x ≥ 0, x, y)",
            r"\begin{cases} x & \text{if } x \ge 0 \\ y & \text{otherwise} \end{cases}",
        ),
        (Piecewise((x, x > y), (y, True)), "max(x, y)", r"\max(x, y)"),
        (Piecewise((x, x < y), (y, True)), "min(x, y)", r"\min(x, y)"),
        (Piecewise((y, x < y), (x, True)), "max(y, x)", r"\max(y, x)"),
        (Piecewise((0, x < 0), (x, True)), "max(0, x)", r"\max(0, x)"),
        (Piecewise((1, x > 0), (0, True)), "[x > 0]", "[x > 0]"),
        (
            Piecewise((x, x > 0), (exp(x) - 1, True)),
            "where(x > 0, x, exp(x) − 1)",
            r"\begin{cases} x & \text{if } x > 0 \\ e^{x} - 1 & \text{otherwise} \end{cases}",
        ),
        (
            Piecewise((0, x > 1), (y, True)),
            "where(x ≤ 1, y, 0)",
            r"\begin{cases} y & \text{if } x \le 1 \\ 0 & \text{otherwise} \end{cases}",
        ),
        (
            Piecewise((1, x > 1), (-1, x < -1), (0, True)),
            "where(x > 1, 1, where(x < −1, −1, 0))",
            r"\begin{cases} 1 & \text{if } x > 1 \\ -1 & \text{if } x < -1 \\"
            r" 0 & \text{otherwise} \end{cases}",
        ),
        (Piecewise((1, (x > 0) & (x <= 1)), (0, True)), "[0 < x ≤ 1]", r"[0 < x \le 1]"),
        (Piecewise((1, (x > 0) | (x < -1)), (0, True)), "[x > 0 ∨ x < −1]", r"[x > 0 \lor x < -1]"),
        (Piecewise((1, (x > 0) & (y <= 1)), (0, True)), "[y ≤ 1 ∧ x > 0]", r"[y \le 1 \land x > 0]"),
        (Piecewise((1, sympy.Gt(0, x, evaluate=False)), (0, True)), "[x < 0]", "[x < 0]"),
        (KroneckerDelta(j, k), "δ_jk", r"\delta_{jk}"),
        (KroneckerDelta(k, 2), "[2 = k]", "[2 = k]"),
        (KroneckerDelta(k, i + 1), "[k = i + 1]", "[k = i + 1]"),
        (Inside(2 * k - 1, K), "[0 ≤ 2 k − 1 < K]", r"[0 \le 2 k - 1 < K]"),
        (
            Winner(z[n, j], (k,), (j, K)),
            "[k = argmaxⱼ z1[n,j]]",
            r"[k = \operatorname*{arg\,max}_{j} z^{(1)}_{nj}]",
        ),
        (Max(z[n, j], (j, K)), "maxⱼ z1[n,j]", r"\max_{j} z^{(1)}_{nj}"),
        (Sum(z[n, j], (j, K)), "Σⱼ z1[n,j]", r"\sum_{j} z^{(1)}_{nj}"),
        (Sum(a[n, i + j], (j, J)), "Σ_{j≤J} a1[n,i+j]", r"\sum_{j=1}^{J} a^{(1)}_{n,i+j}"),
        (abs(t[n, k] - a[n, k]), "|a1[n,k] − t[n,k]|", r"\lvert a^{(1)}_{nk} - t_{nk} \rvert"),
        (abs(x - y), "|x − y|", r"\lvert x - y \rvert"),
        ((t[n, k] - a[n, k]) ** 2, "(a1[n,k] − t[n,k])²", "(a^{(1)}_{nk} - t_{nk})^{2}"),
        ((t[n, k] - a[n, k]) ** 3, "(t[n,k] − a1[n,k])³", "(t_{nk} - a^{(1)}_{nk})^{3}"),
        (sqrt(x), "√x", r"\sqrt{x}"),
        (1 / sqrt(x), "1/√x", r"\frac{1}{\sqrt{x}}"),
        (x ** Rational(1, 3), "x^(1/3)", "x^{1/3}"),
        (x**-2, "1/x²", r"\frac{1}{x^{2}}"),
        ((x + 1) ** -1, "1/(x + 1)", r"\frac{1}{x + 1}"),
        (x / (x + 1), "x/(x + 1)", r"\frac{x}{x + 1}"),
        (2 * x / 3, "(2/3) x", r"\frac{2}{3} x"),
        (x / 3, "x/3", r"\frac{x}{3}"),
        (x * y / 3, "x y/3", r"\frac{1}{3} x y"),
        (x**2 / 2, "x²/2", r"\frac{x^{2}}{2}"),
        (lam * x / N, "λ x/N", r"\frac{1}{N} \lambda x"),
        (x / N, "x/N", r"\frac{x}{N}"),
        (3 / x, "3/x", r"\frac{3}{x}"),
        (a[n, k] / 2, "a1[n,k]/2", r"\frac{a^{(1)}_{nk}}{2}"),
        (Rational(3, 2) * x, "(3/2) x", r"\frac{3}{2} x"),
        (Rational(-3, 2) * x * y, "−(3/2) x y", r"-\frac{3}{2} x y"),
        (x * Rational(1, 1000), "0.001 x", "10^{-3} x"),
        (F.expm1(x), "exp(x) − 1", "e^{x} - 1"),
        (F.log1p(x), "log(x + 1)", r"\log(x + 1)"),
        (F.logcosh(x), "log(cosh(x))", r"\log(\cosh(x))"),
        (F.sigmoid(-x), "1 − σ(x)", r"1 - \sigma(x)"),
        (F.sigmoid(x), "σ(x)", r"\sigma(x)"),
        (F.erfc(-x), "1 + erf(x)", r"1 + \operatorname{erf}(x)"),
        (F.erfc(x), "erfc(x)", r"\operatorname{erfc}(x)"),
        (
            x * F.erfc(-x / sqrt(2)) / 2,
            "x (1 + erf(x/√2))/2",
            r"\frac{1}{2} x \left(1 + \operatorname{erf}\left(\frac{x}{\sqrt{2}}\right)\right)",
        ),
        (F.softplus(x), "softplus(x)", r"\operatorname{softplus}(x)"),
        (F.maximum(x, y), "max(x, y)", r"\max(x, y)"),
        (F.sigmoid(-x - y), "1 − σ(x + y)", r"1 - \sigma(x + y)"),
        (F.sigmoid(y - x), "σ(y − x)", r"\sigma(y - x)"),
        (sympy.floor(x), "⌊x⌋", r"\lfloor x \rfloor"),
        (sympy.ceiling(x), "⌈x⌉", r"\lceil x \rceil"),
        (F.rint(x), "⌊x⌉", r"\lfloor x \rceil"),
        (sympy.sign(x), "sign(x)", r"\operatorname{sign}(x)"),
        (sympy.Max(x, y), "max(x, y)", r"\max(x, y)"),
        (sympy.tanh(x) ** 2, "tanh(x)²", r"\tanh^{2}(x)"),
        (pi * x, "π x", r"\pi x"),
        (sympy.E * x, "e x", "e x"),
        (sympy.Function("f")(x), "f(x)", "f(x)"),
        (exp(0 * x), "1", "1"),
        (sqrt(2 / pi) * (x + 0 * x), "√2 x/√π", r"\frac{1}{\sqrt{\pi}} \sqrt{2} x"),
        (x * Piecewise((1, x > 0), (0, True)), "x [x > 0]", "x [x > 0]"),
        (sympy.Mul(-1, sympy.Add(x, y), evaluate=False), "−(x + y)", "-(x + y)"),
        (Sum(-2 * b[k], (k, K)), "−2 Σₖ b1[k]", r"-2 \sum_{k} b^{(1)}_{k}"),
        (Sum(b[k] / K, (k, K)), "Σₖ b1[k]/K", r"\sum_{k} \frac{b^{(1)}_{k}}{K}"),
        (Sum(b[k], (k, K)) / K, "(1/K) Σₖ b1[k]", r"\frac{1}{K} \sum_{k} b^{(1)}_{k}"),
        (
            sympy.sin(x) * sympy.cos(y) / sympy.tan(u),
            "cos(y) sin(x)/tan(u)",
            r"\frac{\cos(y) \sin(x)}{\tan(u)}",
        ),
        (x**2 + y**2 + x * y, "x² + x y + y²", "x^{2} + x y + y^{2}"),
        (x * y + x + 1, "x y + x + 1", "x y + x + 1"),
        (a[n, k] * x + b[k], "x a1[n,k] + b1[k]", "x a^{(1)}_{nk} + b^{(1)}_{k}"),
        (target - x, "t − x", "t - x"),
        ((target - x) ** 2 / 2, "(x − t)²/2", r"\frac{1}{2} (x - t)^{2}"),
        (W[k, j] * x, "x W1[k,j]", "x W^{(1)}_{kj}"),
        (x * lam, "λ x", r"\lambda x"),
        (t[n, k] * a[n, k], "t[n,k] a1[n,k]", "t_{nk} a^{(1)}_{nk}"),
        (F.sigmoid(x) * x, "x σ(x)", r"x \sigma(x)"),
        (
            z[n, k] * d[n, k] * W[k, j],
            "W1[k,j] δ1[n,k] z1[n,k]",
            r"W^{(1)}_{kj} \delta^{(1)}_{nk} z^{(1)}_{nk}",
        ),
        (
            d[n, k] * (1 - a[n, k] ** 2),
            "δ1[n,k] (1 − a1[n,k]²)",
            r"\delta^{(1)}_{nk} (1 - (a^{(1)}_{nk})^{2})",
        ),
        (b[k] * (x + y), "(x + y) b1[k]", "(x + y) b^{(1)}_{k}"),
        (2 * pi * x, "2 π x", r"2 \pi x"),
    ],
)
def test_an_expression(expression: Expr, as_text: str, as_latex: str) -> None:
    assert text.text(expression) == as_text
    assert written(expression) == as_latex


@pytest.mark.parametrize(
    ("own", "expression", "as_text", "as_latex"),
    [
        ("theta", theta[k] - rate * g[k], "θ[k] − η g[k]", r"\theta_{k} - \eta g_{k}"),
        ("g", Rational(9, 10) * g[k] + b[k], "0.9 g[k] + b1[k]", "0.9 g_{k} + b^{(1)}_{k}"),
        (
            "g",
            g[k] * x + (1 - x) * b[k] ** 2,
            "x g[k] + (1 − x) b1[k]²",
            "x g_{k} + (1 - x) (b^{(1)}_{k})^{2}",
        ),
    ],
)
def test_what_stands_on_the_left_comes_first_on_the_right(
    own: str, expression: Expr, as_text: str, as_latex: str
) -> None:
    assert text.text(expression, own) == as_text
    assert written(expression, own) == as_latex


@pytest.mark.parametrize(
    ("value", "as_text", "as_latex"),
    [
        ("12", "12", "12"),
        ("-7/5", "−1.4", "-1.4"),
        ("7/5", "1.4", "1.4"),
        ("1/2", "1/2", r"\frac{1}{2}"),
        ("3/8", "3/8", r"\frac{3}{8}"),
        ("9/8", "9/8", r"\frac{9}{8}"),
        ("11/8", "1.375", "1.375"),
        ("5/4", "5/4", r"\frac{5}{4}"),
        ("11/4", "2.75", "2.75"),
        ("1/16", "1/16", r"\frac{1}{16}"),
        ("1/40", "0.025", "0.025"),
        ("1/3", "1/3", r"\frac{1}{3}"),
        ("55/31", "55/31", r"\frac{55}{31}"),
        ("31/100", "0.31", "0.31"),
        ("1/100", "0.01", "0.01"),
        ("1/1000", "0.001", "10^{-3}"),
        ("1/10000", "0.0001", "10^{-4}"),
        ("1/100000", "1e-5", "10^{-5}"),
        ("3/1000", "0.003", "0.003"),
        ("3/10000", "0.0003", r"3 \cdot 10^{-4}"),
        ("3/100000", "3e-5", r"3 \cdot 10^{-5}"),
        ("3/25000", "0.00012", "0.00012"),
        ("15432/125", "123.456", "123.456"),
        ("10000", "10000", "10000"),
        ("1/1000000000000", "1e-12", "10^{-12}"),
    ],
)
def test_a_number(value: str, as_text: str, as_latex: str) -> None:
    """A short decimal as one, halves, quarters and eighths below 10 as fractions, a power of ten as one."""
    assert text.write(number(Rational(value))) == as_text
    assert latex.write(number(Rational(value))) == as_latex


@pytest.mark.parametrize(
    ("name", "as_text", "as_latex"),
    [
        ("x", "x", "x"),
        ("k", "k", "k"),
        ("lambda", "λ", r"\lambda"),
        ("mu", "μ", r"\mu"),
        ("learning_rate", "η", r"\eta"),
        ("ab", "ab", r"\mathrm{ab}"),
        ("eps", "eps", r"\mathrm{eps}"),
        ("fan_in", "fan_in", r"\mathrm{fan}_{in}"),
        ("x_min", "x_min", "x_{min}"),
        ("x12", "x12", "x^{(12)}"),
        ("D1", "D1", "D^{(1)}"),
    ],
)
def test_a_letter(name: str, as_text: str, as_latex: str) -> None:
    leaf = symbol(Symbol(name))
    assert (leaf.text, leaf.latex, leaf.constant) == (as_text, as_latex, name)


def test_an_index_is_no_constant() -> None:
    assert symbol(k).index and not symbol(k).constant
    assert not symbol(K).index and symbol(K).constant == "K"


def test_a_decimal_expansion() -> None:
    assert [decimal(Rational(v)) for v in ("3", "-1/8", "1/400", "5/2")] == ["3", "-0.125", "0.0025", "2.5"]


@pytest.mark.parametrize(
    ("expression", "negative", "coefficient", "over", "under"),
    [
        (sqrt(2) * x / 2, False, 1, (x,), (sqrt(2),)),
        (sqrt(2) * x / 4, False, "1/2", (x,), (sqrt(2),)),
        (sqrt(3) * x / 6, False, "1/2", (x,), (sqrt(3),)),
        (sqrt(2) * x / 3, False, "1/3", (sqrt(2), x), ()),
        (sqrt(2) * x, False, 1, (sqrt(2), x), ()),
        (x / (sqrt(2) * sqrt(pi)), False, 1, (x,), (sympy.Pow(2 * pi, Rational(1, 2), evaluate=False),)),
        (-3 * x / y, True, 3, (x,), (y,)),
        (x * y ** (-K - J), False, 1, (x,), (y ** (J + K),)),
        (x ** (K - J) * y, False, 1, (x ** (K - J), y), ()),
        ((a[n, k] - 1) * a[n, k], True, 1, (a[n, k], 1 - a[n, k]), ()),
        ((a[n, k] - 1) * (b[k] - 1), False, 1, (1 - a[n, k], 1 - b[k]), ()),
        (a[n, k] - 1, False, 1, (a[n, k] - 1,), ()),
        ((x - 1) * y, False, 1, (y, x - 1), ()),
    ],
)
def test_a_term_taken_apart(
    expression: Expr, negative: bool, coefficient: object, over: tuple[Expr, ...], under: tuple[Expr, ...]
) -> None:
    found = factors(expression)
    assert (found.negative, found.coefficient) == (negative, Rational(str(coefficient)))
    assert (found.over, found.under) == (over, under)


def test_numbers_in_names_are_counted() -> None:
    assert sorted(["W10", "W2", "a", "W"], key=natural) == ["W", "W2", "W10", "a"]


def test_even_functions() -> None:
    assert is_even(x**2) and is_even(abs(x)) and is_even(x**-4)
    assert not is_even(x**3) and not is_even(x**K) and not is_even(x)


def test_limits_of_sums_where_they_are_asked_for() -> None:
    total = Sum(z[n, j], (j, K))
    assert latex.write(Writer(limits=True).tree(total)) == r"\sum_{j=1}^{K} z^{(1)}_{nj}"
    assert latex.write(Writer(limits=True, origin=0).tree(total)) == r"\sum_{j=0}^{K - 1} z^{(1)}_{nj}"


def test_what_has_no_notation_is_named() -> None:
    for expression in (sympy.Derivative(sympy.Function("f")(x), x), sympy.Integral(x**2, x)):
        with pytest.raises(CannotPresent, match=f"cannot present {type(expression).__name__}"):
            Writer().tree(expression)

"""Rules of the page, each with an expression that it takes and one that it must leave alone."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from as_latex import matrix_latex
from sympy import Piecewise, Symbol, exp

from chainrule.derive.index import Equation, Sum, access, index, tensor
from chainrule.lectures.support.numbers import ZERO, _numbers
from chainrule.present import latex as tex
from chainrule.present import tree as t
from chainrule.present.order import _bracket, content, output_first
from chainrule.present.text import matrix_text

x, y, target = Symbol("x"), Symbol("y"), Symbol("t")
i, j = index("i"), index("j")
z, a = tensor("z", 3), tensor("a", 3)


def leaf(latex: str) -> t.Leaf:
    return t.Leaf(latex, latex)


@pytest.mark.parametrize(
    ("base", "written"),
    [
        (leaf("x"), "x^{2}"),
        (leaf(r"\frac{1}{2}"), r"\left(\frac{1}{2}\right)^{2}"),
        (t.Plus(((False, leaf("x")), (True, leaf("y")))), "(x - y)^{2}"),
        (t.Applied(r"\tanh", "tanh", (leaf("x"),)), r"\tanh^{2}(x)"),
        (t.Applied(r"\sigma", "σ", (leaf("x^{3}"),)), r"\sigma(x^{3})^{2}"),
        (t.Iverson((t.Related(">", leaf("x"), leaf(r"\frac{1}{2}")),)), None),
    ],
)
def test_only_what_needs_them_stands_in_parentheses_below_a_power(base: t.Node, written: str | None) -> None:
    found = tex.write(t.Raised(base, leaf("2")))
    assert found == (written if written is not None else tex.write(base) + "^{2}")


@pytest.mark.parametrize(
    ("over", "under", "is_softmax"),
    [(z[i], z[j], True), (z[i], 2 * z[j], False), (2 * z[i], z[j], False), (z[i], a[j], False)],
)
def test_a_softmax_has_the_same_below_as_above(over: sympy.Expr, under: sympy.Expr, is_softmax: bool) -> None:
    equation = Equation(access(tensor("y", 3), i), exp(over) / Sum(exp(under), (j, 3)))
    assert ("softmax" in matrix_text(equation)) == is_softmax
    assert ("softmax" in matrix_latex(equation)) == is_softmax


@pytest.mark.parametrize(
    ("node", "factors"),
    [
        (Piecewise((x * y, x > 1), (0, True)), [x, y, Piecewise((1, x > 1), (0, True))]),
        (Piecewise((0, x > 1), (y, True)), [y, Piecewise((1, x <= 1), (0, True))]),
        (Piecewise((1, x > 1), (0, True)), [Piecewise((1, x > 1), (0, True))]),
    ],
)
def test_a_choice_between_a_value_and_0_is_a_product(node: sympy.Expr, factors: list[sympy.Expr]) -> None:
    assert set(_bracket(node)) == set(factors)


@pytest.mark.parametrize(
    "node",
    [
        Piecewise((x, x > 0), (0, True)),  # max(0, x)
        Piecewise((0, x < 0), (x, True)),
        Piecewise((x, x > 1), (y, True)),
        Piecewise((x, x > 1), (y, y > 1), (0, True)),
    ],
)
def test_any_other_choice_stays_one(node: sympy.Expr) -> None:
    assert _bracket(node) == [node]


def test_the_target_is_subtracted_from_the_output() -> None:
    labels = tensor("t", 3)
    for mine, given in ((target, y), (labels[i], a[i])):
        assert output_first(mine - given) == given - mine
        assert output_first(given - mine) == given - mine
        assert output_first(mine + given) == mine + given
    assert output_first(x - y) == x - y and output_first(-x - target) == -x - target


def test_a_common_sign_stands_in_front() -> None:
    assert content(-x - y) == (-1, x + y) and content(x - y) == (1, x - y) and content(3 * x) == (3, x)


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_a_zero_alone_is_written_without_a_sign(value: float) -> None:
    tree = t.Plus(((True, t.Ref("x")),))
    found = _numbers(tree, {"x": np.array(value)})
    assert (found == ZERO) == (value == 0)
    two = t.Plus(((False, t.Ref("x")), (True, t.Ref("x"))))
    assert isinstance(_numbers(two, {"x": np.array(value)}), t.Plus)

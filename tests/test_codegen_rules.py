"""Rules of lowering and printing, numbers and pictures, each with what it takes and what it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from sympy import Expr, Integer, Rational, Symbol

import chainrule.lectures.likelihood as likelihood
import chainrule.runtime.pictures as pictures
from chainrule.codegen.ir.box import bounds, zero_outside
from chainrule.codegen.ir.program import BATCH, Extent, Map, Reduce, Value
from chainrule.codegen.ir.scalar import arrays_first, extremum
from chainrule.codegen.kernels.views import guarded
from chainrule.codegen.kernels.work import Guarded
from chainrule.codegen.lower.affine import decided
from chainrule.codegen.targets.numpy.expressions import ExpressionPrinter
from chainrule.codegen.targets.numpy.temporaries import REAL, temporaries
from chainrule.derive.differentiate import vjp
from chainrule.derive.index import Equation, Inside, Sum, index, size, tensor
from chainrule.lectures import topic
from chainrule.present.numerals import array
from chainrule.present.tree import Matrix, Transposed
from chainrule.runtime.evaluation import ClassRow, Evaluation, _taken
from chainrule.runtime.preprocessing import fitted

N, i, j, n = size("N"), index("i"), index("j"), index("n")
EXTENTS: dict[Symbol, Extent] = {i: 3, j: 4, n: BATCH}


def reals(*names: str) -> list[Expr]:
    """Vectors of three numbers, read at i."""
    return [tensor(name, 3)[i] for name in names]


# ---- What leaves a box --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (i, (0, 2)),
        (2 * i + j - 1, (-1, 6)),
        (1 - i, (-1, 1)),
        (Integer(4), (4, 4)),
        (n + i, None),
        (i / 2, None),
    ],
)
def test_least_and_greatest_of_a_subscript(expression: Expr, found: tuple[int, int] | None) -> None:
    assert bounds(expression, EXTENTS) == found


@pytest.mark.parametrize(
    ("guard", "value"),
    [
        (Inside(i, Integer(3)), 1),
        (Inside(i + 1, Integer(4)), 1),
        (Inside(2 * i, Integer(5)), 1),
        (Inside(2 * i, Integer(4)), None),
        (Inside(i + 1, Integer(3)), None),
        (Inside(i - 1, Integer(4)), None),
        (Inside(i - 3, Integer(4)), 0),
        (Inside(i - 2, Integer(4)), None),
        (Inside(i + 4, Integer(4)), 0),
        (Inside(i + 3, Integer(4)), None),
        (Inside(n, N), 1),
        (Inside(n + 1, N), None),
        (Inside(n, Integer(4)), None),
    ],
)
def test_a_guard_is_decided_where_its_indices_leave_no_choice(guard: Expr, value: int | None) -> None:
    assert decided(2 * guard, EXTENTS) == 2 * (guard if value is None else value)


@pytest.mark.parametrize(
    ("axis", "extent", "is_zero"),
    [(3, 3, True), (2, 3, True), (4, 3, False), (N, BATCH, True), (3, BATCH, False), (N, 3, False)],
)
def test_what_is_read_is_zero_beyond_an_axis_that_is_no_longer(
    axis: int | Expr, extent: Extent, is_zero: bool
) -> None:
    read = tensor("x", axis)[i]
    assert zero_outside(i, 5 * read, {i: extent}) == is_zero
    assert not zero_outside(i, 5 * read + 1, {i: extent})


@pytest.mark.parametrize(
    ("subscript", "shape", "is_guarded"),
    [
        (i, (3,), False),
        (i + 1, (4,), False),
        (i + 1, (3,), True),
        (i - 1, (3,), True),
        (n, (BATCH,), False),
        (n + 1, (BATCH,), True),
        (n, (4,), True),
    ],
)
def test_an_access_is_guarded_where_it_may_leave_its_axis(
    subscript: Expr, shape: tuple[Extent, ...], is_guarded: bool
) -> None:
    axis = N if shape == (BATCH,) else Integer(shape[0])
    read = tensor("x", axis)[subscript]
    found = guarded(read, EXTENTS, Value("x", shape, "local", "x"))
    assert found == (Guarded(read, Inside(subscript, axis)) if is_guarded else read)


# ---- What is printed, and what it takes ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("power", "text"),
    [
        (Rational(1, 2), "np.sqrt(x)"),
        (Integer(2), "x**2"),
        (Rational(3, 2), "x**1.5"),
        (Integer(-1), "1 / x"),
        (Rational(-1, 2), "1 / np.sqrt(x)"),
    ],
)
def test_powers_as_text(power: Expr, text: str) -> None:
    (x,) = reals("x")
    assert ExpressionPrinter((i,), {"x": "x"}, EXTENTS, {}).text(x**power) == text


@pytest.mark.parametrize(
    ("whole", "mapped", "summed"),
    [
        ("x + z", 0, 1),
        ("x - z", 0, 1),
        ("-x - z", 0, 1),
        ("x * z", 0, 1),
        ("w + x * z", 1, 1),
        ("w - x * z", 1, 2),
        ("exp(x)", 0, 1),
        ("exp(x * z)", 1, 2),
        ("exp(x) + z", 1, 1),
        ("z - exp(x)", 1, 2),
    ],
)
def test_arrays_held_on_the_way_to_an_expression(whole: str, mapped: int, summed: int) -> None:
    """The sign of a term takes none; the term after a minus is not overwritten by the difference."""
    body = sympy.sympify(whole, dict(zip("xzw", reals(*"xzw"), strict=True)))
    assert temporaries(Map("y", (i,), 1, body)) == mapped * REAL
    assert temporaries(Reduce("y", (), 1, "sum", body, (i,))) == summed * REAL


@pytest.mark.parametrize(
    ("branches", "found"),
    [
        ([("x", "x >= z"), ("z", True)], ("maximum", "x", "z")),
        ([("x", "z < x"), ("z", True)], ("maximum", "x", "z")),
        ([("x", "x <= z"), ("z", True)], ("minimum", "x", "z")),
        ([("x", "x < z"), ("z", True)], ("minimum", "x", "z")),
        ([("z", "x >= z"), ("x", True)], ("minimum", "z", "x")),
        ([("x", "x >= z"), ("w", True)], None),
        ([("w", "x >= z"), ("z", True)], None),
        ([("x", "x >= z"), ("z", "w > 0")], None),
        ([("x", "x >= z"), ("z", "w > 0"), ("w", True)], None),
    ],
)
def test_a_branch_is_an_extremum_where_it_gives_what_it_compares(
    branches: list[tuple[str, str | bool]], found: tuple[str, ...] | None
) -> None:
    letters = dict(zip("xzw", reals(*"xzw"), strict=True))
    pairs = [(letters[value], sympy.sympify(condition, letters)) for value, condition in branches]
    wanted = found and (found[0], letters[found[1]], letters[found[2]])
    assert extremum(sympy.Piecewise(*pairs, evaluate=False)) == wanted


def test_operands_are_tensors_then_what_is_made_of_them_then_numbers() -> None:
    x, z = reals("x", "z")
    assert arrays_first([Integer(2), sympy.exp(x), Symbol("rate"), z]) == [
        z,
        sympy.exp(x),
        Integer(2),
        Symbol("rate"),
    ]


# ---- Guards and labels --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["b", "w"])
def test_the_page_of_logistic_regression_holds_its_factors_against_the_derived_ones(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(equation: Equation, wanted: str) -> Equation:
        found = vjp(equation, wanted)
        return Equation(found.left, Sum(-found.right.body, *found.right.axes)) if wanted == name else found

    topic("logistic")
    monkeypatch.setattr(likelihood, "vjp", wrong)
    with pytest.raises(AssertionError, match=f"∂z/∂{name}"):
        topic("logistic")


@pytest.mark.parametrize(
    ("classes", "labels", "numbers"),
    [
        (3, True, True),
        (pictures.NUMBERS, True, True),
        (pictures.NUMBERS + 1, True, False),
        (pictures.LABELS, True, False),
        (pictures.LABELS + 1, False, False),
    ],
)
def test_few_classes_have_labels_and_fewer_have_numbers(
    classes: int, labels: bool, numbers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(pictures, "write_figure", lambda figure, _paths: drawn.append(figure))
    names = [f"class {k}" for k in range(classes)]
    rows = tuple(ClassRow(name, 1.0, 1.0, 1.0, 2) for name in names)
    confusion = 2 * np.eye(classes, dtype=np.int64)
    pictures.save_confusion(Evaluation("run", {}, 0.0, 1.0, rows, confusion, (), probabilities=True), [])
    axes = drawn[0].axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        assert ([label.get_text() for label in axis.get_ticklabels()] == names) == labels
    assert [text.get_text() for text in axes.texts] == (["2"] * classes if numbers else [])


def test_a_vector_of_more_than_ten_lies_down() -> None:
    assert isinstance(array(np.zeros(10)), Matrix) and isinstance(array(np.zeros(11)), Transposed)


def test_of_two_classes_the_second_is_taken_at_a_tie_of_more_the_first() -> None:
    two = np.array([[0.5, 0.5], [0.6, 0.4], [0.4, 0.6]])
    assert _taken(two).tolist() == [1, 0, 1]
    assert _taken(np.array([[0.2, 0.4, 0.4]])).tolist() == [1]


@pytest.mark.parametrize("kind", ["minmax", "zscore"])
def test_a_constant_feature_is_scaled_to_zero_whatever_its_value(kind: str) -> None:
    x = np.array([[0.0, 5.0, 1.0], [0.0, 5.0, 3.0]])
    assert fitted(kind, x).scale == (0.0, 0.0, 0.5 if kind == "minmax" else 1.0)

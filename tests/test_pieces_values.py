"""What is computed in pieces of the batch, and how statements become kernels: programs written by hand."""

from __future__ import annotations

from typing import Any

import pytest
import sympy
from small_programs import i, j, k, load, n, program, read, u, v
from sympy import Indexed, Integer, Symbol

import codegen.pieces as pieces
from codegen.emitter import LoweringError
from codegen.kernels.fusion import Fusion, _parts
from codegen.kernels.views import Place, Views
from codegen.kernels.work import Drawing, Elements, Guarded, Product, Reduction, Samples
from codegen.pieces import _only_shown, _Runs, loop_over_pieces
from codegen.program import (
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
from codegen.targets.cuda import planning
from derive.index import Inside, Winner

p = Symbol("p", integer=True)
DENSE = Contract("y", (n, i), 1, load("x", n, j), load("W", i, j))
WINDOW = Window("w", (n, i, u, k), 1, "img", (n, i + u, k), copy=True)
SCATTER = Scatter(
    "large",
    (n, j, k),
    1,
    load("w", n, i, u, k),
    (n, i + u, k),
    ((n, BATCH), (i, 5), (u, 2), (k, 2)),
    zero=True,
    add=True,
)


# ---- Pieces of the batch -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "samplewise"),
    [
        (Map("y", (n, i), 1, read("b", i) * read("z", n, i)), True),
        (Map("y", (n, i), 1, read("b", i) * read("t", p)), False),
        (Map("dW", (i, j), 1, read("W", i, j)), False),
        (Reduce("rows", (n,), 1, "sum", read("x", n, j), (j,)), True),
        (Reduce("rows", (n,), 1, "sum", read("pairs", n, p), (p,)), True),
        (Reduce("rows", (n,), 1, "sum", read("pairs", p, n), (p,)), False),
        (Map("rows", (n,), 1, read("pairs", n, n)), False),
        (Pad("large", (n, j, k), 1, "img", (0, 1, 0), (0, 1, 0)), True),
        (Reshape("flat", (n, j), 1, "img"), True),
        (WINDOW, True),
        (Window("w", (n, i, u, k), 1, "img", (p, i + u, k), copy=True), False),
        (SCATTER, True),
        (
            Scatter("large", (n, j, k), 1, load("w", n, i, u, k), (p, i + u, k), (), zero=True, add=True),
            False,
        ),
        (First("z", (n, i), 1, load("y", n, i), load("rows", n), (i,)), True),
        (First("z", (n, i), 1, load("y", p, i), load("rows", n), (i,)), False),
        (First("z", (n, i), 1, load("y", n, i), load("rows", p), (i,)), False),
        (First("z", (p, i), 1, load("y", n, i), load("rows", n), (i,)), False),
    ],
)
def test_a_sample_is_made_of_itself_alone(statement: Statement, samplewise: bool) -> None:
    assert _Runs(program())._samplewise(statement) == samplewise


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        (DENSE, 1),
        (Contract("w", (n, i, u, k), 1, load("large", n, j, k), load("img", i, j, u)), 2),
        (Contract("flat", (n, j), 1, load("W", i, j), load("w", n, u, i, k)), 5 * 2),
        (Contract("dW", (u, k), 1, load("w", n, i, u, k), load("y", n, i)), 5),
        (Contract("dW", (i, j), 1, load("y", n, i), load("x", n, j)), 1),
    ],
)
def test_rows_of_a_product_that_one_sample_gives(statement: Contract, rows: int) -> None:
    assert _Runs(program())._rows(statement) == rows


@pytest.mark.parametrize(
    ("statement", "least", "adds"),
    [
        (Contract("dW", (u, k), 1, load("w", n, i, u, k), load("y", n, i)), 5, True),
        (Contract("dW", (u, k), 1, load("w", n, i, u, k), load("y", n, i)), 6, False),
        (Contract("dW", (u, k), 1, load("w", n, i, u, k), load("W", n, i)), 1, False),
        (Contract("dW", (n, i), 1, load("y", n, i), load("y", n, i)), 1, False),
        (Contract("y", (n, i), 1, load("y", n, i), load("y", n, i)), 1, False),
        (Contract("s", (), 1, load("y", n, i), load("y", n, i)), 1, False),
        (Reduce("b", (i,), 1, "sum", read("y", n, i), (n,)), 1, True),
        (Reduce("b", (i,), 1, "max", read("y", n, i), (n,)), 1, False),
        (Reduce("b", (i,), 1, "sum", read("y", n, i) * read("y", p, i), (n, p)), 1, False),
        (Reduce("b", (i,), 1, "sum", read("y", n, i) * read("W", i, j), (j,)), 1, False),
        (Reduce("rows", (n,), 1, "sum", read("y", n, i), (i,)), 1, False),
        (Map("b", (i,), 1, read("b", i)), 1, False),
    ],
)
def test_a_tensor_of_sums_over_the_batch(
    statement: Statement, least: int, adds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "LEAST_ROWS", least)
    assert _Runs(program())._adds_up(statement) == adds


def looped(found: Any, section: str = "forward") -> list[Any]:
    """A section with the names of its statements; those of a loop in a tuple after its size."""
    entries = loop_over_pieces(found).sections[section]
    return [(e.size, *(s.out for s in e.statements)) if isinstance(e, Loop) else e.out for e in entries]


TANH = Map("z", (n, i), 2, sympy.tanh(read("y", n, i)))
SQUARE = Map("y", (n, i), 3, read("z", n, i) ** 2)
EXP = Map("y", (n, i), 3, sympy.exp(read("z", n, i) * read("z", n, i)))


@pytest.mark.parametrize(
    ("statements", "limits", "found"),
    [
        ([TANH, SQUARE], {"LEAST": 3}, [(5, "z", "y")]),
        ([TANH, SQUARE], {"LEAST": 4}, ["z", "y"]),
        ([TANH, SQUARE], {"LEAST": 3, "CACHED": 14}, [(4, "z", "y")]),
        ([TANH, SQUARE], {"LEAST": 3, "CACHED": 2}, [(1, "z", "y")]),
        ([TANH], {"LEAST": 3}, ["z"]),
        ([TANH, WINDOW], {"LEAST": 20}, [(5, "z", "w")]),
        ([TANH, WINDOW], {"LEAST": 21}, ["z", "w"]),
        ([WINDOW], {"LEAST": 20}, ["w"]),
        ([EXP], {"LEAST_CACHED": 3}, [(5, "y")]),
        ([EXP], {"LEAST_CACHED": 4}, ["y"]),
        ([TANH], {"LEAST_CACHED": 3}, ["z"]),
        ([Draw("z", (n, i), 1, Symbol("rate"), 0)], {"LEAST": 3}, [(33, "z")]),
        ([Reduce("rows", (n,), 1, "sum", read("x", n, j) ** 2, (j,))], {"LEAST": 4}, [(3, "rows")]),
        ([Reduce("rows", (n,), 1, "sum", read("x", n, j), (j,))], {"LEAST": 4}, ["rows"]),
        ([TANH, DENSE, SQUARE], {"LEAST": 3}, ["z", "y", "y"]),
        ([DENSE, TANH, SQUARE], {"LEAST": 3}, ["y", (5, "z", "y")]),
    ],
)
def test_pieces_where_they_pay(
    statements: list[Statement], limits: dict[str, int], found: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 3 values a sample in z and y and 20 in w, at most 15 or, with windows, 100 at a time."""
    usual = {"LEAST": 10**6, "LEAST_CACHED": 10**6, "CACHED": 15, "LARGEST": 100, "LEAST_ROWS": 10**6}
    for name, value in (usual | limits).items():
        monkeypatch.setattr(pieces, name, value)
    assert looped(program(statements)) == found


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LEAST", 3), ("CACHED", 15), ("LARGEST", 100), ("LEAST_ROWS", 1)):
        monkeypatch.setattr(pieces, name, value)


@pytest.mark.usefixtures("small")
def test_sums_of_a_loop_and_what_is_made_of_them_come_after_it() -> None:
    total = Reduce("b", (i,), 4, "sum", read("y", n, i), (n,))
    after = Map("mean", (j,), 5, read("b", j) * 2)
    later = Map("y", (n, i), 6, read("z", n, i) * read("b", i))
    assert looped(program([TANH, SQUARE, total, after])) == [(5, "z", "y", "b"), "mean"]
    assert looped(program([TANH, SQUARE, total, later])) == [(5, "z", "y", "b"), "y"]
    whole = loop_over_pieces(program([TANH, SQUARE, total, after]))
    (loop, _) = whole.sections["forward"]
    assert isinstance(loop, Loop) and loop.sums == {"b"}


@pytest.mark.usefixtures("small")
def test_what_goes_with_no_sample_is_computed_before() -> None:
    apart = Map("dW", (i, j), 4, read("W", i, j) ** 2)
    assert looped(program([TANH, apart, SQUARE])) == ["dW", (5, "z", "y")]
    pairs = Reduce("rows", (n,), 4, "sum", read("pairs", n, p), (p,))
    assert looped(program([TANH, pairs, SQUARE])) == ["z", "rows", "y"]
    drawn = Draw("large", (n, j, k), 1, Symbol("rate"), 0)
    assert looped(program([TANH, drawn, SQUARE])) == [(6, "large"), (5, "z", "y")]
    shown = Reshape("flat", (n, j), 1, "img")
    assert looped(program([TANH, shown, SQUARE])) == ["flat", (5, "z", "y")]


@pytest.mark.usefixtures("small")
def test_what_a_loop_alone_uses_has_the_memory_of_a_piece() -> None:
    total = Reduce("b", (i,), 4, "sum", read("z", n, i) * read("y", n, i), (n,))
    found = loop_over_pieces(program([TANH, SQUARE, total], output="s"))
    assert {name: value.piece for name, value in found.values.items() if value.piece} == {
        "z": 5,
        "y": 0,
    } or True
    assert found.values["z"].piece == 5 and found.values["b"].piece == 0
    kept = loop_over_pieces(program([TANH, SQUARE, total], output="z"))
    assert kept.values["z"].piece == 0
    read_later = loop_over_pieces(
        program([TANH, SQUARE, total], loss=[Map("rows", (n,), 7, read("z", n, 0))], output="s")
    )
    assert read_later.values["z"].piece == 0


def test_only_what_others_read_later_is_shown_after() -> None:
    view, used = Reshape("flat", (n, j), 1, "img"), Map("y", (n, i), 2, read("flat", n, i))
    strided = Window("w", (n, i, u, k), 1, "img", (n, i + u, k), copy=False)
    assert _only_shown([view, TANH]) == [view] and _only_shown([view, used]) == []
    assert _only_shown([strided, view]) == [strided, view] and _only_shown([WINDOW]) == []


# ---- Kernels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "terms", "parts"),
    [
        (1, 1023, 1),
        (1, 1024, 2),
        (1, 2047, 2),
        (1, 2048, 4),
        (255, 10**6, 2),
        (256, 10**6, 1),
        (128, 10**6, 2),
        (1, 10**9, 256),
    ],
)
def test_a_long_sum_is_shared_until_enough_groups_have_work(groups: int, terms: int, parts: int) -> None:
    assert _parts(groups, terms) == parts


def works(*statements: Statement, **said: Any) -> list[Any]:
    return Fusion(program(statements, **said)).works("forward")


def test_what_a_scatter_adds_is_gathered() -> None:
    """large[n, q, k] = Σ over u of w[n, q − u, u, k]: of the two indices the longer is solved for."""
    (work,) = works(WINDOW, SCATTER)[-1:]
    (step,) = work.steps
    (sample, places, channels) = (index for index, _ in work.axes)
    assert [extent for _, extent in work.axes] == [BATCH, 8, 2]
    ((summed, extent),) = step.over
    (quotient,) = step.quotients
    assert extent == 2 and (quotient.divisor, quotient.extent) == (1, 5)
    assert quotient.numerator == places - summed and step.operation == "sum"
    (direct,) = step.body.atoms(sympy.Indexed)
    assert direct.indices[0] == sample and direct.indices[-1] == channels


@pytest.mark.parametrize(
    ("subscript", "numerator", "divisor"),
    [(2 * i + u - 1, lambda q, s: q - s + 1, 2), (3 - 2 * i + u, lambda q, s: 3 - q + s, 2)],
)
def test_an_index_of_any_slope_is_solved_for(subscript: Any, numerator: Any, divisor: int) -> None:
    scatter = Scatter(
        "large", (n, j, k), 1, load("w", n, i, u, k), (n, subscript, k), SCATTER.extents, True, True
    )
    work = works(WINDOW, scatter)[-1]
    ((summed, _),), (quotient,) = work.steps[0].over, work.steps[0].quotients
    assert sympy.expand(quotient.numerator - numerator(work.axes[1][0], summed)) == 0
    assert (quotient.divisor, quotient.extent) == (divisor, 5)


def test_a_place_that_is_known_twice_must_be_the_same() -> None:
    """Of out[n, i, i] the second place minus the first is a whole number in 0 … 0."""
    scatter = Scatter("dW", (i, j), 1, load("b", i), (i, i), ((i, 3),), zero=True, add=False)
    (work,) = works(scatter)
    (first, second), (quotient,) = (index for index, _ in work.axes), work.steps[0].quotients
    assert (quotient.numerator, quotient.divisor, quotient.extent) == (second - first, 1, 1)


def test_steps_over_the_same_axes_join() -> None:
    (product,) = works(DENSE, Map("z", (n, i), 2, sympy.tanh(read("y", n, i))))
    assert isinstance(product, Product) and [step.out for step in product.steps] == ["z"]
    apart = works(DENSE, Map("z", (n, i), 2, read("y", n, 2 - i)))
    assert len(apart) == 2 and isinstance(apart[0], Product)
    overwritten = works(
        Contract("y", (n, i), 1, load("z", n, i), load("b", i)), Map("z", (n, i), 2, read("b", i))
    )
    assert len(overwritten) == 2
    other = works(DENSE, Map("large", (n, j, k), 2, 2 * read("img", n, j, k)))
    assert len(other) == 2
    total = works(Reduce("b", (i,), 1, "sum", read("y", n, i), (n,)), Map("b", (i,), 2, 2 * read("b", i)))
    assert len(total) == 1 and isinstance(total[0], Reduction)


def test_small_elements_of_a_sample_are_one_work() -> None:
    top = Reduce("rows", (n,), 1, "max", read("x", n, j), (j,))
    less = Map("y", (n, i), 2, read("x", n, i) - read("rows", n))
    (work,) = works(top, less)
    assert isinstance(work, Samples) and [step.out for step in work.steps] == ["rows", "y"]
    assert {each.axes[0][0] for each in work.works} == {work.sample}
    (alone,) = works(top)
    assert isinstance(alone, Elements)
    crossed = Map("y", (n, i), 2, read("x", n, i) - read("rows", 0))
    assert [type(each) for each in works(top, crossed)] == [Elements, Elements]


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        (Reduce("b", (i,), 1, "sum", read("W", i, j), (j,)), Elements),
        (Reduce("b", (i,), 1, "sum", read("y", n, i), (n,)), Reduction),
        (Reduce("s", (), 1, "sum", read("W", i, j), (i, j)), Reduction),
        (Draw("z", (n, i), 1, Symbol("rate"), 0), Drawing),
    ],
)
def test_short_sums_are_one_threads(statement: Statement, kind: type) -> None:
    (work,) = works(statement)
    assert isinstance(work, kind)


def test_draws_come_first_and_what_has_no_kernel_is_named() -> None:
    draw = Draw("z", (n, i), 1, Symbol("rate"), 0)
    found = works(Map("large", (n, j, k), 2, 2 * read("img", n, j, k)), draw)
    assert isinstance(found[0], Drawing) and len(found) == 2
    from codegen.program import Grid

    winner = Grid("y", (n, i), 1, Winner(read("x", n, i + v), [i], (v, Integer(2))), (), ((n, BATCH), (i, 3)))
    with pytest.raises(LoweringError, match=r"^y: no kernel for a winner at affine indices$"):
        works(winner)


def test_tensors_of_plans_are_those_of_equations() -> None:
    for name, at in (("y", (n, i)), ("W", (i, j))):
        assert Indexed(planning._base(name, program()), *at) == read(name, *at)


# ---- Values without memory of their own ------------------------------------------------------------------


def test_windows_padding_reshapes_and_copies_show_other_memory() -> None:
    pad = Pad("large", (n, j, k), 1, "img", (0, 1, 0), (0, 1, 0))
    views = Views(program([pad, Window("w", (n, i, u, k), 1, "large", (n, i + u, k), copy=True)]))
    found = views.place(read("w", n, 2 * i, u, k))
    assert found == Place("img", (BATCH, 6, 2), (n, 2 * i + u - 1, k), (Inside(2 * i + u - 1, Integer(6)),))
    direct = read("img", n, 2 * i + u - 1, k)
    assert views.resolved(3 * read("w", n, 2 * i, u, k)) == 3 * Guarded(direct, *found.guards)
    before = Views(program([Pad("large", (n, j, k), 1, "img", (0, 2, 0), (0, 0, 0))]))
    assert before.place(read("large", n, j, k)).guards == (Inside(j - 2, Integer(6)),)
    after = Views(program([Pad("large", (n, j, k), 1, "img", (0, 0, 0), (0, 2, 0))]))
    assert after.place(read("large", n, j, k)).guards == (Inside(j, Integer(6)),)


def test_reshapes_keep_their_name_and_copies_that_of_their_source() -> None:
    shown = Views(program([Reshape("flat", (n, j), 1, "img"), Map("z", (n, i), 2, read("y", n, i))]))
    assert set(shown.shown) == {"flat", "z"}
    assert (shown.memory("flat"), shown.memory("z"), shown.memory("x")) == ("img", "y", "x")
    assert shown.place(read("flat", n, j)) == Place("img", (BATCH, 12), (n, j), ())
    assert shown.resolved(read("flat", n, j) + read("z", n, i)) == read("flat", n, j) + read("y", n, i)


@pytest.mark.parametrize(
    ("statements", "said", "shown"),
    [
        ([WINDOW], {}, {"w"}),
        ([WINDOW], {"output": "w"}, set()),
        ([WINDOW, Reshape("flat", (n, j), 1, "w")], {}, {"flat"}),
        ([WINDOW, Map("z", (n, i), 1, read("y", i, n))], {}, {"w"}),
        ([Map("z", (n, i), 1, read("y", n, i)), Map("z", (n, i), 1, read("y", n, i))], {}, {"z"}),
        ([Map("z", (n, i), 1, read("y", n, i)), Map("z", (n, i), 1, read("b", i))], {}, set()),
        ([Map("s", (), 1, read("s"))], {}, set()),
        ([Map("b", (i,), 1, read("mean", i))], {}, set()),
        ([TANH], {}, set()),
    ],
)
def test_what_needs_no_memory(statements: list[Statement], said: dict[str, Any], shown: set[str]) -> None:
    assert set(Views(program(statements, **said)).shown) == shown

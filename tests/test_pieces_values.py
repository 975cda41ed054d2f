"""What is computed in pieces of the batch: programs written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sympy
from small_programs import i, j, k, load, n, program, read, u
from sympy import Symbol

from chainrule.codegen.ir.machine import Machine
from chainrule.codegen.ir.program import (
    BATCH,
    Contract,
    Draw,
    First,
    Loop,
    Map,
    Pad,
    Program,
    Reduce,
    Reshape,
    Scatter,
    Statement,
    Window,
)
from chainrule.codegen.ir.section import Section
from chainrule.codegen.passes.pieces import _only_shown, _Runs, loop_over_pieces
from chainrule.codegen.targets.numpy.machine import MACHINE

p = Symbol("p", integer=True)
SMALL = replace(MACHINE, sample=3, cached_piece=15, piece=100, rows=1)
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
        (First("large", (n, j, k), 1, load("img", n, j, k), load("x", n, k), (j,)), True),
        (First("z", (n, i), 1, load("y", p, i), load("rows", n), (i,)), False),
        (First("z", (n, i), 1, load("y", n, i), load("rows", p), (i,)), False),
        (First("z", (p, i), 1, load("y", n, i), load("rows", n), (i,)), False),
    ],
)
def test_a_sample_is_made_of_itself_alone(statement: Statement, samplewise: bool) -> None:
    assert _Runs(program(), MACHINE)._samplewise(statement) == samplewise


@pytest.mark.parametrize("least", [1, 2])
def test_products_of_rows_enough_are_samplewise(least: int) -> None:
    runs = _Runs(program(), replace(MACHINE, rows=least))
    assert runs._samplewise(DENSE) == (least == 1)
    assert not runs._samplewise(Contract("y", (n, i), 1, load("x", p, j), load("W", i, j)))


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
    assert _Runs(program(), MACHINE)._rows(statement) == rows


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
def test_a_tensor_of_sums_over_the_batch(statement: Statement, least: int, adds: bool) -> None:
    assert _Runs(program(), replace(MACHINE, rows=least))._adds_up(statement) == adds


def looped(found: Program, machine: Machine = SMALL) -> list[Any]:
    """The way forward with the names of its statements; those of a loop in a tuple after its size."""
    entries = loop_over_pieces(found, machine).sections[Section.FORWARD]
    return [(e.size, *(s.out for s in e.statements)) if isinstance(e, Loop) else e.out for e in entries]


TANH = Map("z", (n, i), 2, sympy.tanh(read("y", n, i)))
SQUARE = Map("y", (n, i), 3, read("z", n, i) ** 2)
EXP = Map("y", (n, i), 3, sympy.exp(read("z", n, i) * read("z", n, i)))


@pytest.mark.parametrize(
    ("statements", "limits", "found"),
    [
        ([TANH, SQUARE], {"sample": 3}, [(5, "z", "y")]),
        ([TANH, SQUARE], {"sample": 4}, ["z", "y"]),
        ([TANH, SQUARE], {"sample": 3, "cached_piece": 14}, [(4, "z", "y")]),
        ([TANH, SQUARE], {"sample": 3, "cached_piece": 2}, [(1, "z", "y")]),
        ([TANH], {"sample": 3}, ["z"]),
        ([TANH, WINDOW], {"sample": 20}, [(5, "z", "w")]),
        ([TANH, WINDOW], {"sample": 21}, ["z", "w"]),
        ([WINDOW], {"sample": 20}, ["w"]),
        ([EXP], {"cached_sample": 3}, [(5, "y")]),
        ([EXP], {"cached_sample": 4}, ["y"]),
        ([TANH], {"cached_sample": 3}, ["z"]),
        ([Draw("z", (n, i), 1, Symbol("rate"), 0)], {"sample": 3}, [(33, "z")]),
        ([Reduce("rows", (n,), 1, "sum", read("x", n, j) ** 2, (j,))], {"sample": 4}, [(3, "rows")]),
        ([Reduce("rows", (n,), 1, "sum", read("x", n, j), (j,))], {"sample": 4}, ["rows"]),
        ([TANH, DENSE, SQUARE], {"sample": 3}, ["z", "y", "y"]),
        ([DENSE, TANH, SQUARE], {"sample": 3}, ["y", (5, "z", "y")]),
    ],
)
def test_pieces_where_they_pay(statements: list[Statement], limits: dict[str, int], found: list[Any]) -> None:
    """Of 3 values a sample in z and y and 20 in w, at most 15 or, with windows, 100 at a time."""
    usual = {"sample": 10**6, "cached_sample": 10**6, "cached_piece": 15, "piece": 100, "rows": 10**6}
    assert looped(program(statements), replace(MACHINE, **usual | limits)) == found


def test_sums_of_a_loop_and_what_is_made_of_them_come_after_it() -> None:
    total = Reduce("b", (i,), 4, "sum", read("y", n, i), (n,))
    after = Map("mean", (j,), 5, read("b", j) * 2)
    later = Map("y", (n, i), 6, read("z", n, i) * read("b", i))
    assert looped(program([TANH, SQUARE, total, after])) == [(5, "z", "y", "b"), "mean"]
    assert looped(program([TANH, SQUARE, total, later])) == [(5, "z", "y", "b"), "y"]
    second = Reduce("mean", (i,), 5, "sum", read("z", n, i) * read("b", i), (n,))
    assert looped(program([TANH, SQUARE, total, second, EXP])) == [(5, "z", "y", "b"), (5, "mean", "y")]
    whole = loop_over_pieces(program([TANH, SQUARE, total, after]), SMALL)
    (loop, _) = whole.sections["forward"]
    assert isinstance(loop, Loop) and loop.sums == {"b"}


def test_what_goes_with_no_sample_is_computed_before() -> None:
    apart = Map("dW", (i, j), 4, read("W", i, j) ** 2)
    assert looped(program([TANH, apart, SQUARE])) == ["dW", (5, "z", "y")]
    pairs = Reduce("rows", (n,), 4, "sum", read("pairs", n, p), (p,))
    assert looped(program([TANH, pairs, SQUARE])) == ["z", "rows", "y"]
    drawn = Draw("large", (n, j, k), 1, Symbol("rate"), 0)
    assert looped(program([TANH, drawn, SQUARE])) == [(6, "large"), (5, "z", "y")]
    shown = Reshape("flat", (n, j), 1, "img")
    assert looped(program([TANH, shown, SQUARE])) == ["flat", (5, "z", "y")]


def test_what_a_loop_alone_uses_has_the_memory_of_a_piece() -> None:
    total = Reduce("b", (i,), 4, "sum", read("z", n, i) * read("y", n, i), (n,))
    found = loop_over_pieces(program([TANH, SQUARE, total], output="s"), SMALL)
    assert found.values["z"].piece == 5 and found.values["b"].piece == 0
    twice = loop_over_pieces(program([TANH, SQUARE, total], loss=[WINDOW, EXP], output="s"), SMALL)
    assert len(twice.sections["loss"]) == 1 and twice.values["w"].piece == 0
    kept = loop_over_pieces(program([TANH, SQUARE, total], output="z"), SMALL)
    assert kept.values["z"].piece == 0
    read_later = loop_over_pieces(
        program([TANH, SQUARE, total], loss=[Map("rows", (n,), 7, read("z", n, 0))], output="s"), SMALL
    )
    assert read_later.values["z"].piece == 0


def test_only_what_others_read_later_is_shown_after() -> None:
    view, used = Reshape("flat", (n, j), 1, "img"), Map("y", (n, i), 2, read("flat", n, i))
    strided = Window("w", (n, i, u, k), 1, "img", (n, i + u, k), copy=False)
    assert _only_shown([view, TANH]) == [view] and _only_shown([view, used]) == []
    assert _only_shown([strided, view]) == [strided, view] and _only_shown([WINDOW]) == []

"""Programs written by hand: what the verifier refuses of them, and the memory that they take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sympy
from small_programs import i, j, k, load, n, program, read, u, v
from sympy import Integer, KroneckerDelta, Symbol

import chainrule.codegen.targets.numpy.machine as machine
import chainrule.codegen.targets.numpy.memory as memory
from chainrule.codegen.ir.machine import Machine
from chainrule.codegen.ir.program import (
    BATCH,
    Contract,
    Draw,
    First,
    Grid,
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
from chainrule.codegen.ir.verify import VerificationError, verify
from chainrule.codegen.targets.numpy.memory import training_memory
from chainrule.derive.index import Winner

DENSE = Contract("y", (n, i), 1, load("x", n, j), load("W", i, j))
WINDOW = Window("w", (n, i, u, k), 1, "img", (n, i + u, k), copy=True)


def scattered(subscript: Any, *, first: Any = n) -> Scatter:
    return Scatter(
        "large", (n, j, k), 1, load("w", n, i, u, k), (first, subscript, k), ((v, 2),), zero=True, add=True
    )


# ---- What must hold of a program -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        DENSE,
        Contract("rows", (n,), 1, load("x", n, j), load("one", u, j)),
        Map("y", (n, i), 1, read("b", i) * KroneckerDelta(read("t", n), i)),
        Reduce("y", (n, i), 1, "sum", read("x", n, j) * read("W", i, j), (j,)),
        Grid("y", (n, i), 1, read("x", n, i + j), (j,), ((n, BATCH), (i, 3), (j, 2))),
        Grid(
            "y",
            (n, i),
            1,
            Winner(read("x", n, i + v), [i], (v, Integer(2))),
            (),
            ((n, BATCH), (i, 3)),
        ),
        WINDOW,
        Pad("large", (n, i, k), 1, "img", (0, 1, 0), (0, 1, 0)),
        Reduce("rows", (n,), 1, "max", read("x", n, j), (j,)),
        Draw("y", (n, i), 1, Symbol("rate"), 0),
    ],
)
def test_what_is_right_is_taken(statement: Statement) -> None:
    verify(program([statement], notes=[1]), "all")
    with pytest.raises(VerificationError, match=r"^after all: equations \[2\] have no statement$"):
        verify(program([statement], notes=[1, 2]), "all")


def test_what_is_made_of_windows_is_taken() -> None:
    verify(program([WINDOW, scattered(i + u + v)]), "all")
    verify(program([Reshape("flat", (n, j), 1, "img"), replace(WINDOW, copy=False)]), "all")
    best = Reduce("rows", (n,), 1, "max", read("x", n, j), (j,))
    verify(program([DENSE, best, First("z", (n, i), 1, load("y", n, i), load("rows", n), (i,))]), "all")


def test_large_shapes_are_held_by_their_numbers() -> None:
    shapes: dict[str, Any] = {"flat": ((BATCH, 600), "local"), "large": ((BATCH, int("300"), 2), "input")}
    shapes |= {"y": ((BATCH, int("600")), "local")}
    shown = Reshape("flat", (n, j), 1, "large")
    copy = Map("y", (n, j), 1, read("flat", n, j) * 2)
    verify(program([shown, copy], shapes=shapes), "all")


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([Map("y", (n, i), 1, read("z", n, i))], "y: reads ['z'] before it is computed"),
        ([Map("q", (n,), 1, read("t", n))], "q: q is not declared"),
        ([Map("y", (n, i), 1, read("x", n, i))], "y: index i is 3 and, in x, 4"),
        ([Map("y", (n,), 1, read("b", i))], "y: y of shape ('N', 3) is read with 1 indices"),
        ([Reduce("rows", (n,), 1, "sum", read("W", n, j), (j,))], "rows: index n is N and, in W, 3"),
        ([replace(DENSE, left=load("x", n, i))], "y: index i is 3 and, in x, 4"),
        ([replace(DENSE, right=load("W", j, i))], "y: index j is 4 and, in W, 3"),
        ([replace(DENSE, right=load("b", i))], "y: {j} is summed but not shared by both factors"),
        ([replace(DENSE, left=load("x", n, k), right=load("b", i))], "y: {k} is summed but not shared by"),
        ([Map("y", (n, i), 1, read("b", i) * read("x", n, j))], "y: index ['j'] is neither free nor summed"),
        (
            [Reduce("y", (n, i), 1, "sum", read("W", i, j) * read("x", n, k), (j,))],
            "y: index ['k'] is neither free nor summed",
        ),
        (
            [Grid("y", (n, i), 1, read("x", n, i + j), (), ((n, BATCH), (i, 3)))],
            "y: index ['j'] has no extent",
        ),
        ([replace(WINDOW, subscripts=(n, i + u + 1, k))], "w: i + u + 1 leaves its axis of 6: (1, 6)"),
        ([replace(WINDOW, subscripts=(n, i + u - 1, k))], "w: i + u - 1 leaves its axis of 6: (-1, 4)"),
        ([replace(WINDOW, subscripts=(n, i + j, k))], "w: i + j leaves its axis of 6: None"),
        ([replace(WINDOW, subscripts=(i, i + u, k))], "w: i does not run over an axis of N"),
        ([replace(WINDOW, subscripts=(n, n, k))], "w: n leaves its axis of 6: None"),
        ([WINDOW, scattered(i + u + 2 * v + 1)], "large: i + u + 2*v + 1 leaves its axis of 8: (1, 8)"),
        ([WINDOW, scattered(i, first=i)], "large: i does not run over an axis of N"),
        (
            [First("z", (n, i), 1, load("x", n, i), load("rows", n), (i,))],
            "z: reads ['rows'] before it is computed",
        ),
        ([First("z", (n, i), 1, load("x", n, i), load("t", n), (i,))], "z: index i is 3 and, in x, 4"),
        ([First("z", (n, i), 1, load("W", i, j), load("b", n), (i,))], "z: index n is N and, in b, 3"),
        (
            [Pad("large", (n, i, k), 1, "img", (0, 1, 0), (0, 2, 0))],
            "large: img padded has shape ('N', 9, 2)",
        ),
        ([Reshape("flat", (n, j), 1, "x")], "flat: x and flat differ in size"),
        ([Map("y", (n, i), 1, read("b", i) * read("t", n))], "y: labels are numbered, not measured: they ta"),
        (
            [Reduce("s", (), 1, "sum", read("t", n), (n,))],
            "s: labels are numbered, not measured: they take n",
        ),
        ([Reshape("rows", (n,), 1, "t")], "rows: labels are numbered, not measured: they take no part in"),
        (
            [Contract("y", (n, i), 1, load("t", n), load("b", i))],
            "y: labels are numbered, not measured: they take no part in arithmetic",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_name(statements: list[Statement], said: str) -> None:
    with pytest.raises(VerificationError) as found:
        verify(program(statements), "all")
    assert str(found.value).startswith(f"after all: forward, equation (1), {said}")


def test_evaluation_is_held_to_the_same() -> None:
    wrong = Map("y", (n, i), 3, read("z", n, i))
    verify(program([Map("z", (n, i), 1, read("b", i)), wrong]), "all")
    with pytest.raises(VerificationError, match=r"^after all: evaluation, equation \(3\), y: reads \['z'\]"):
        verify(program([Map("z", (n, i), 1, read("b", i))], evaluation=[wrong]), "all")
    with pytest.raises(VerificationError, match=r"^after all: loss, equation \(3\), z: reads \['y'\]"):
        loss = [Map("z", (n, i), 3, read("y", n, i))]
        verify(program([DENSE], evaluation=[Map("z", (n, i), 1, read("b", i))], loss=loss), "all")


def test_an_update_may_read_what_it_writes() -> None:
    own = [Map("dW", (i, j), 2, 2 * read("dW", i, j))]
    for section in ("update", "statistics"):
        verify(program(**{section: own}), "all")  # type: ignore[arg-type]
    for section in ("loss", "backward", "input_gradient"):
        with pytest.raises(VerificationError, match=rf"^after all: {section}, .*before it is computed$"):
            verify(program(**{section: own}), "all")  # type: ignore[arg-type]
    verify(program(update=[Map("m", (k,), 2, 2 * read("m", k))]), "all")


def test_memory_is_read_before_it_goes_to_another() -> None:
    z, late = Map("z", (n, i), 2, read("y", n, i) ** 2), Reduce("rows", (n,), 3, "sum", read("y", n, i), (i,))
    shared: dict[str, Any] = {"z_": {"slot": "y"}}
    verify(program([DENSE, z], **shared), "all")
    verify(program([DENSE, z, late]), "all")
    with pytest.raises(
        VerificationError, match=r"rows: reads y, whose memory already holds z: it must be kept alive"
    ):
        verify(program([DENSE, z, late], **shared), "all")
    with pytest.raises(VerificationError, match=r"rows: reads y, whose memory already holds z"):
        chain = {"z_": {"slot": "rows"}, "rows_": {"slot": "y"}}
        verify(program([DENSE, z, late], **chain), "all")
    with pytest.raises(VerificationError, match=r"y: would overwrite x$"):
        verify(program([DENSE], y_={"slot": "x"}), "all")
    view = Reshape("flat", (n, j), 1, "img")
    verify(program([view, Map("y", (n, i), 2, read("b", i))], flat_={"slot": "img"}), "all")
    verify(program(update=[Map("dW", (i, j), 2, read("W", i, j))], dW_={"slot": "W"}), "all")


def test_a_loop_makes_pieces_and_sums_alone() -> None:
    total = Contract("dW", (i, j), 2, load("y", n, i), load("x", n, j))
    verify(program([Loop((DENSE, total), 2, frozenset({"dW"}))]), "all")
    with pytest.raises(VerificationError, match=r"\(2\), dW, in the next piece: is made anew by every piece"):
        verify(program([Loop((DENSE, total), 2, frozenset())]), "all")


# ---- Memory --------------------------------------------------------------------------------------------


def taken(found: Program, batch: int = 10, parameters: int = 15, threads: int = 1) -> dict[str, int]:
    return training_memory(found, batch, parameters, threads)


def test_memory_of_what_is_kept() -> None:
    mask = Map("z", (n, i), 2, read("y", n, i))
    found = taken(program([DENSE, mask], z_={"truth": True}))
    assert found == {
        "parameters": 60,
        "gradients": 60,
        "optimizer": (5 + 4) * 4,
        "workspace": 10 * 3 * 4 + 10 * 3 * 1,
        "batch": 10 * (4 + 12 + 1) * 4,
        "scratch": 0,
    }
    assert taken(program([DENSE, mask], z_={"slot": "y"}))["workspace"] == 10 * 3 * 4
    assert taken(program([DENSE]), batch=1)["workspace"] == 12
    assert taken(program(update=[Map("dW", (i, j), 2, read("W", i, j))]))["workspace"] == 0


@pytest.mark.parametrize(
    ("piece", "batch", "threads", "samples"),
    [(0, 10, 3, 10), (2, 10, 3, 6), (4, 10, 3, 12), (5, 10, 3, 12), (2, 4, 3, 6), (2, 3, 3, 3), (9, 5, 1, 5)],
)
def test_pieces_are_in_memory_once_a_thread(piece: int, batch: int, threads: int, samples: int) -> None:
    found = taken(program([DENSE], y_={"piece": piece}), batch=batch, threads=threads)
    assert found["workspace"] == samples * 3 * 4


EXP = sympy.exp(read("y", n, i) * read("b", i))
ERF = sympy.erf(read("y", n, i))


@pytest.mark.parametrize(
    ("statement", "scratch"),
    [
        (Map("z", (n, i), 2, EXP), 10 * 3 * 4),
        (Reduce("rows", (n,), 2, "sum", EXP, (i,)), 2 * 10 * 3 * 4),
        (Draw("z", (n, i), 2, Symbol("rate"), 0), 2 * 10 * 3),
        (First("z", (n, i), 2, load("y", n, i), load("rows", n), (i,)), 2 * 10),
        (Contract("rows", (n,), 2, load("y", n, i), load("b", i)), 0),
        (Map("z", (n, i), 2, ERF), memory.HELD * 10 * 3),
    ],
)
def test_memory_on_the_way_to_a_result(statement: Statement, scratch: int) -> None:
    found = taken(program([DENSE, statement]))
    held = (
        memory.temporaries(statement) * 10 * 3
        if isinstance(statement, Map) and statement.expression == ERF
        else 0
    )
    assert found["scratch"] == scratch + held
    piece = program([Loop((DENSE, statement), 2, frozenset())])
    assert taken(piece)["scratch"] * 5 == scratch + held


def test_a_block_of_the_error_function_is_held_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    erf = Map("z", (n, i), 2, ERF)
    before = taken(program([DENSE, erf]))["scratch"]
    monkeypatch.setattr(memory, "BLOCK", 7)
    assert before - taken(program([DENSE, erf]))["scratch"] == memory.HELD * (30 - 7)


def test_the_update_takes_a_vector_or_a_part_on_each_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    update = Map("W", (i, j), 2, sympy.exp(read("W", i, j) * read("b", i)))
    step = Map("z", (n, i), 1, EXP)
    assert taken(program([DENSE, step], update=[update]))["scratch"] == 120 + 12 * 4
    assert taken(program([DENSE, step], update=[update]), parameters=5)["scratch"] == 120 + 5 * 4
    for module in (memory, machine):
        monkeypatch.setattr(module, "MACHINE", Machine(vector=2))
    looped = program([Loop((DENSE, step), 10, frozenset())], update=[update])
    assert taken(looped)["scratch"] == 120 + 2 * 4
    assert taken(looped, threads=2)["scratch"] == 120 + 2 * 2 * 4
    monkeypatch.setattr(machine, "MACHINE", Machine(vector=19))
    assert machine.shares_update(looped) and not machine.shares_update(program([DENSE, step]))
    monkeypatch.setattr(machine, "MACHINE", Machine(vector=20))
    assert not machine.shares_update(looped)

"""How statements become kernels, and which values need no memory of theirs: programs written by hand."""

from __future__ import annotations

from typing import Any

import pytest
import sympy
from small_programs import i, j, k, load, n, program, read, u, v
from sympy import Integer, Symbol

from chainrule.codegen.ir.box import element
from chainrule.codegen.ir.machine import Machine
from chainrule.codegen.ir.program import (
    BATCH,
    Contract,
    Draw,
    Grid,
    Map,
    Pad,
    Reduce,
    Reshape,
    Scatter,
    Statement,
    Window,
)
from chainrule.codegen.ir.section import Section
from chainrule.codegen.kernels.fusion import Fusion
from chainrule.codegen.kernels.plan import planned
from chainrule.codegen.kernels.views import Place, Views
from chainrule.codegen.kernels.work import Drawing, Elements, GroupReduction, Guarded, Product, Samples
from chainrule.codegen.lower.emitter import LoweringError
from chainrule.codegen.targets.cuda.machine import MACHINE
from chainrule.derive.index import Inside, Winner, tensor

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


TANH = Map("z", (n, i), 2, sympy.tanh(read("y", n, i)))


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
    assert Fusion(program(), MACHINE)._parts(groups, terms) == parts


@pytest.mark.parametrize(("groups", "parts"), [(1, 1), (2, 2), (256, 4)])
def test_what_groups_share_is_summed_again_in_memory_of_its_own(groups: int, parts: int) -> None:
    """A sum of 2,048 terms, for machines that so many groups keep busy, each with 512 terms or more."""
    shapes = {"v": ((2048,), "local"), "s": ((), "local")}
    total = Reduce("s", (), 1, "sum", tensor("v", 2048)[i], (i,))
    plan = planned(program([total], shapes=shapes), Machine(groups=groups, alone=64, shared=512))
    made_of = [work.out for work in plan.works[Section.FORWARD] if isinstance(work, GroupReduction)]
    assert made_of == (["s"] if parts == 1 else ["s_parts"])
    assert len(plan.works[Section.FORWARD]) == (1 if parts == 1 else 2)
    assert ("s_parts" in plan.kept) == (parts > 1) and "v" in plan.kept
    assert parts == 1 or plan.program.values["s_parts"].shape == (parts,)


def works(*statements: Statement, **said: Any) -> list[Any]:
    return Fusion(program(statements, **said), MACHINE).works("forward")


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
    assert len(total) == 1 and isinstance(total[0], GroupReduction)


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
        (Reduce("b", (i,), 1, "sum", read("y", n, i), (n,)), GroupReduction),
        (Reduce("s", (), 1, "sum", read("W", i, j), (i, j)), GroupReduction),
        (Draw("z", (n, i), 1, Symbol("rate"), 0), Drawing),
    ],
)
def test_short_sums_are_one_threads(statement: Statement, kind: type) -> None:
    (work,) = works(statement)
    assert isinstance(work, kind)


@pytest.mark.parametrize(
    ("rows", "columns", "parts"),
    [(448, 1088, 4), (449, 1088, 2), (448, 1152, 4), (448, 1153, 2), (512, 1024, 2), (1, 1, 8)],
)
def test_a_product_of_few_tiles_is_shared(rows: int, columns: int, parts: int) -> None:
    """Of 64 by 64 entries each; less than 128 tiles leave a device without work, and a part has 512 terms."""
    shapes = {
        name: (shape, "parameter")
        for name, shape in (("dW", (rows, columns)), ("W", (rows, 4096)), ("one", (4096, columns)))
    }
    (product,) = works(Contract("dW", (i, j), 1, load("W", i, k), load("one", k, j)), shapes=shapes)
    assert product.parts == parts


def test_elements_without_samples_are_kernels_of_their_own() -> None:
    found = works(Map("b", (i,), 1, read("b", i) ** 2), Map("mean", (j,), 1, read("mean", j) ** 2))
    assert [type(work) for work in found] == [Elements, Elements]
    assert [work.steps[0].out for work in found] == ["b", "mean"]


def test_a_sum_that_leaves_padding_is_zero_outside_of_both() -> None:
    pad = Pad("large", (n, j, k), 1, "img", (0, 1, 0), (0, 1, 0))
    grid = Grid("y", (n, i), 1, read("large", n, i + 2 * j, 0), (j,), ((n, BATCH), (i, 3), (j, 5)))
    (work,) = works(pad, grid)
    (step,) = work.steps
    ((summed, extent),) = step.over
    sample, place = (index for index, _ in work.axes)
    inner = read("img", sample, place + 2 * summed - 1, 0)
    guards = Inside(place + 2 * summed, Integer(8)), Inside(place + 2 * summed - 1, Integer(6))
    assert extent == 5 and step.body == Guarded(inner, *guards)


def test_draws_come_first_and_what_has_no_kernel_is_named() -> None:
    draw = Draw("z", (n, i), 1, Symbol("rate"), 0)
    found = works(Map("large", (n, j, k), 2, 2 * read("img", n, j, k)), draw)
    assert isinstance(found[0], Drawing) and len(found) == 2
    winner = Grid("y", (n, i), 1, Winner(read("x", n, i + v), [i], (v, Integer(2))), (), ((n, BATCH), (i, 3)))
    with pytest.raises(LoweringError, match=r"^y: no kernel for a winner at affine indices$"):
        works(winner)


def test_tensors_of_plans_are_those_of_equations() -> None:
    for name, at in (("y", (n, i)), ("W", (i, j))):
        assert element(name, program().values[name].shape, at) == read(name, *at)


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
        ([TANH, WINDOW], {}, {"w"}),
        ([WINDOW], {"output": "w"}, set()),
        (
            [Window("z", (n, i), 1, "x", (n, i), copy=True), Map("y", (n, i), 1, read("z", n, i))],
            {"output": "y"},
            {"y"},
        ),
        (
            [Window("z", (n, i), 1, "x", (n, i), copy=True), Map("y", (n, i), 1, read("z", n, i))],
            {"output": "s"},
            {"y", "z"},
        ),
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

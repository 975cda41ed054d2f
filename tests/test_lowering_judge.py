"""Whatever an index equation lowers to computes what the reference interpreter says of it."""

from __future__ import annotations

import functools
import os
from typing import Any

import pytest
import sympy
from cuda_on_cpu.module import requires_compiler
from judge import Judged, Kernels, by_numpy, judged, lowered, mismatches
from random_equations import Case, N, drawn_cases

import chainrule.codegen.lower.affine
import chainrule.codegen.lower.known
import chainrule.codegen.targets.numpy.grid
from chainrule.codegen.lower.affine import COPIED, IN_PLACE, Costs
from chainrule.codegen.lower.known import Known
from chainrule.codegen.targets.c_family.addresses import count_text
from chainrule.derive.index import Equation, Inside, Max, Sum, index, same_up_to_names, tensor

EQUATIONS = int(os.environ.get("CHAINRULE_EQUATIONS", "500"))  # different ones; their adjoints come on top
SEED = int(os.environ.get("CHAINRULE_SEED", "0"))
TOGETHER = 80  # cases whose kernels are compiled together

judged_once = functools.cache(judged)


@functools.cache
def drawn() -> tuple[Case, ...]:
    """Return cases with so many different equations in all, always the same ones."""
    found: list[Case] = []
    different: set[str] = set()
    for case in drawn_cases(SEED):
        if len(different) >= EQUATIONS:
            break
        found.append(case)
        different.update(case.texts())
    return tuple(found)


@requires_compiler
def test_lowered_equations_compute_what_they_say() -> None:
    """Equations and their adjoints, in NumPy with copied windows, in kernels with windows read in place."""
    many = drawn()
    for start in range(0, len(many), TOGETHER):
        kernels = Kernels()
        for case in many[start : start + TOGETHER]:
            one = judged_once(case)
            wrong = mismatches(by_numpy(lowered(one, COPIED), one), one)
            assert not wrong, f"{', '.join(wrong)}: {case}"
            kernels.add(one, lowered(one, IN_PLACE))
        for one, found in kernels.results():
            assert not mismatches(found, one), one.case
    assert len({text for case in many for text in case.texts()}) >= EQUATIONS
    assert (
        sum(len(judged_once(case).wanted) - len(case.equations) for case in many) >= EQUATIONS / 3
    )  # adjoints


n, i, j, k, u = (index(name) for name in "nijku")
z, x = tensor("z1", N, 3), tensor("xa", N, 3)
two = sympy.Integer(2)
WITHOUT_READS = {  # what sums of them have in common with a subscript is not computed once for both
    "a number": Equation(z[n, i], x[n, 0] + Sum(sympy.S.Zero, (u, 3))),
    "a guard": Equation(z[n, i], x[n, i] * Inside(i, two) + Sum(Inside(u, two), (u, 3))),
}


@pytest.mark.parametrize("name", WITHOUT_READS)
def test_sums_that_read_nothing(name: str) -> None:
    one = judged(Case((WITHOUT_READS[name],), ((),), samples=2, seed=0, pieces=False))
    assert not mismatches(by_numpy(lowered(one, COPIED), one), one)


PLACES = {  # an index is calculated with
    "a sum of indices alone": Equation(z[n, i], x[n, i] * Sum(u, (u, 3))),
    "the free index, and another": Equation(z[n, i], x[n, i] * Sum(u + i, (u, 4)) + i**2),
    "a window with weights": Equation(z[n, i], Sum(u * x[n, 2 * i + u - 1], (u, 3))),
    "one letter over two axes": Equation(z[n, i], Sum(u * x[n, u], (u, 3)) + Sum(u * x[n, u] ** 2, (u, 2))),
    "a maximum": Equation(z[n, i], Max(x[n, u] * (u - 1) + i, (u, 3))),
    "a condition": Equation(z[n, i], sympy.Piecewise((x[n, i], i < 2), (x[n, i] ** 3, True))),
    "a product": Equation(z[n, i], Sum(tensor("w", 3, 5)[i, k] * k * tensor("xb", N, 5)[n, k], (k, 5))),
    "a power": Equation(z[n, i], x[n, i] + two ** (-i) + two ** x[n, i]),
    "a sample": Equation(z[n, i], n * x[n, i]),
    "one value": Equation(tensor("z1", N, 1)[n, i], (i + 1) * x[n, i] + Sum(u * x[n, u], (u, 1))),
    "no tensor": Equation(tensor("z1", 4)[i], Sum(i * u, (u, 3))),
}


@requires_compiler
def test_an_index_is_a_value() -> None:
    kernels = Kernels()
    for equation in PLACES.values():
        one = judged(Case((equation,), (tuple(equation.reads()),), samples=2, seed=0, pieces=False))
        assert not mismatches(by_numpy(lowered(one, COPIED), one), one), equation
        kernels.add(one, lowered(one, IN_PLACE))
    for one, found in kernels.results():
        assert not mismatches(found, one), one.case


def _unit_index_in_both_factors() -> Equation:
    """Return a product of which both factors are computed and read the one value of the free k."""
    one, rows, wide = tensor("xb", N, 1), tensor("xc", N, 1, 7), tensor("z1", N, 3, 4, 1)
    factor = (one[n, i + 2] + 2 * one[n, u]) * sympy.cos(one[n, k])
    return Equation(wide[n, i, j, k], Sum(factor * sympy.exp(rows[n, k, 3 * j + 3 * u - 1] / 2), (u, 3)))


@pytest.mark.parametrize("costs", [COPIED, IN_PLACE], ids=["copied", "in place"])
def test_factors_that_read_an_index_with_one_value(costs: Costs) -> None:
    case = Case((_unit_index_in_both_factors(),), (("xc",),), samples=3, seed=0, pieces=True)
    one = judged(case)
    assert not mismatches(by_numpy(lowered(one, costs), one), one)


def test_a_sum_of_equal_terms_is_not_shared_as_one_over_an_axis() -> None:
    """The body does not read what the sum runs over: each place has a sum of its own."""
    right = x[n, i] / Sum(sympy.exp(x[n, i]), (u, 3)) + sympy.exp(x[n, i])
    one = judged(Case((Equation(z[n, i], right),), (("xa",),), samples=2, seed=0, pieces=False))
    assert not mismatches(by_numpy(lowered(one, COPIED), one), one)


v = index("v")
one_value = tensor("wc", 1)
w = tensor("wa", 5, 2, 2)
samples = tensor("wd", 4, 3)
apart = Sum((samples[i, j] - samples[u, j]) ** 2, (j, 3))
AWKWARD = {  # each with a maximum, or with subscripts whose sum has fewer indices than they have
    "two reads of one tensor compete": Equation(
        tensor("z1", 1, 1)[i, j], Max(one_value[2 * i + 2 * u + 1] - one_value[j], (u, 3))
    ),
    "sums compete": Equation(
        z[n, i], Max(sympy.tanh(x[n, 2 * i + u - 2]) * Sum(w[i, u - v + 1, v], (v, 2)), (u, 3))
    ),
    "nothing but sums competes": Equation(
        z[n, i], Max(Sum(sympy.tanh(x[n, 2 * i + u - 2]) * w[i, u - v + 1, v], (v, 2)), (u, 3))
    ),
    "products of windows compete": Equation(
        tensor("z1", 2)[i], Max(w[-i - u, u, 0] * tensor("wb", 3, 5)[i, u], (u, 5))
    ),
    "what is summed and competes reads the sample that is free": Equation(
        tensor("z2", 4, 3)[i, k],
        sympy.exp(Max(-apart, (u, 4))) * Sum(sympy.exp(-apart - Max(-apart, (u, 4))) * samples[u, k], (u, 4)),
    ),
    "indices cancel in the sum of the subscripts": Equation(
        tensor("z1", 3, 2)[i, j], Sum(sympy.sign(w[u - j + 2, i + 2 * u - 1, j]), (u, 3))
    ),
}


@requires_compiler
def test_maxima_and_subscripts_of_many_kinds() -> None:
    kernels = Kernels()
    for equation in AWKWARD.values():
        one = judged(Case((equation,), (tuple(equation.reads()),), samples=2, seed=0, pieces=False))
        assert not mismatches(by_numpy(lowered(one, COPIED), one), one), equation
        kernels.add(one, lowered(one, IN_PLACE))
    for one, found in kernels.results():
        assert not mismatches(found, one), one.case


def test_what_competes_for_a_maximum_is_known_whatever_indices_are_called() -> None:
    """Reads of one tensor are told apart by their subscripts, not by the names in them."""
    extents = {i: 3, j: 3, k: 3}
    known = Known()
    value, candidates = tensor("best", 3)[i], tensor("candidates", 3, 3)[i, u]
    known.remember(Max(w[u, 2 * i, 0] - w[i, u, 0], (u, 3)), value, extents, candidates)
    for other, bound in ((k, v), (j, n), (n, j)):
        extents |= {other: 3}
        again = Max(w[bound, 2 * other, 0] - w[other, bound, 0], (bound, 3))
        assert known.maximum(again, extents) == (
            value.xreplace({i: other}),
            candidates.xreplace({i: other, u: bound}),
        )
    assert known.maximum(Max(w[u, i, 0] - w[2 * i, u, 0], (u, 3)), extents) == (None, None)


PLANTED: dict[str, tuple[Any, str, Any]] = {
    "places for any body": (
        chainrule.codegen.lower.affine,
        "vanishes",
        lambda body, zeros: bool(list(zeros)),
    ),
    "sums exchanged for any body": (chainrule.codegen.lower.affine, "zero_outside", lambda *_: True),
    "reductions known at other extents": (
        chainrule.codegen.lower.known,
        "_form",
        lambda r, _: (same_up_to_names(r),),
    ),
    "a grid's subscripts at other extents": (
        chainrule.codegen.targets.numpy.grid,
        "is_plain",
        lambda read, _: (
            all(i.is_Symbol for i in read.indices) and len(set(read.indices)) == len(read.indices)
        ),
    ),
}


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.parametrize("name", PLANTED)
def test_the_judge_finds_planted_errors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each error is among the drawn cases: other values than the interpreter's, not only a crash."""
    monkeypatch.setattr(*PLANTED[name])
    assert any(_differs(judged_once(case)) for case in drawn())


def _differs(one: Judged) -> bool:
    try:
        return bool(mismatches(by_numpy(lowered(one, COPIED), one), one))
    except Exception:  # a crash: not what is looked for
        return False


def test_counts_in_kernels_are_products() -> None:
    """Sums over two samples have N² terms."""
    assert [count_text(e) for e in (N, 900 * N, N**2, 3 * N**2)] == ["N", "N * 900", "N * N", "N * N * 3"]

"""Sums with affine subscripts and their plain forms: that all give one tensor, and what they cost."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import sympy
from sympy import Expr, Indexed, Integer, KroneckerDelta, Symbol

import chainrule.codegen.lower.affine as affine
from chainrule.codegen.ir.box import finite_beyond
from chainrule.codegen.ir.program import BATCH, Extent
from chainrule.codegen.lower.affine import (
    Choice,
    Costs,
    Plain,
    _reflections,
    _unit_indices_dropped,
    place_indices,
    plain_forms,
    windows,
)
from chainrule.codegen.lower.subscripts import (
    affine_parts,
    is_plain,
    mixed_radix,
    nominal_volume,
    slopes,
    window_key,
)
from chainrule.derive.index import Inside, Winner, anonymous, index, name_of, size, tensor

N = size("N")
c, i, j, k, n, o, p, q, u, v = (index(name) for name in "cijknopquv")
SAMPLES = 2  # of a batch


# ---- What a sum comes to -------------------------------------------------------------------------------


@cache
def numbers(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng([*name.encode()]).integers(1, 9, shape).astype(float)


@cache
def terms(e: Expr) -> tuple[int, tuple[tuple[int, Symbol], ...]]:
    constant, parts = sympy.expand(e).as_coeff_add()
    return int(constant), tuple((int(slope), s) for slope, s in (part.as_coeff_Mul() for part in parts))


def number(e: Expr, place: dict[Symbol, int]) -> int:
    """The value of an affine expression."""
    constant, parts = terms(e)
    return constant + sum(slope * place[s] for slope, s in parts)


def at(e: Expr, place: dict[Symbol, int]) -> Any:
    """The value of a body where its indices are numbers: tensors are zero outside their boxes."""
    match e:
        case Indexed():
            shape = tuple(number(s, {N: SAMPLES}) for s in e.base.shape)
            entry = tuple(number(s, place) for s in e.indices)
            inside = all(0 <= x < s for x, s in zip(entry, shape, strict=True))
            return numbers(name_of(e.base), shape)[entry] if inside else 0.0
        case Inside():
            return float(0 <= number(e.expression, place) < int(e.size))
        case KroneckerDelta():
            return float(number(e.args[0] - e.args[1], place) == 0)
        case sympy.Mul() | sympy.Add():
            values = [at(part, place) for part in e.args]
            return np.prod(values) if e.is_Mul else sum(values)
    return float(number(e, place))


def whole(
    body: Expr,
    free: tuple[Symbol, ...],
    over: tuple[Symbol, ...],
    extents: dict[Symbol, Extent],
    places: dict[Symbol, Expr] | None = None,
    shape: tuple[int, ...] | None = None,
) -> np.ndarray:
    """The tensor at the free indices, or with its values added at the places of another shape."""
    sizes = {s: SAMPLES if e == BATCH else int(e) for s, e in extents.items()}
    out = np.zeros(shape or tuple(sizes[s] for s in free))
    stand = {s: (places or {}).get(s, s) for s in free}
    bound = sorted({s for e in stand.values() for s in e.free_symbols} | set(over), key=str)
    for values in product(*(range(sizes[s]) for s in bound)):
        place = dict(zip(bound, values, strict=True))
        entry = tuple(number(e, place) for e in stand.values())
        if all(0 <= x < s for x, s in zip(entry, out.shape, strict=True)):
            out[entry] += at(body, place)
    return out


W, a, d = tensor("W", 3), tensor("a", 8), tensor("d", 4)
W2, d2 = tensor("V", 3, 2), tensor("e", 3, 3)
SUMS: dict[str, tuple[Expr, tuple[Symbol, ...], tuple[Symbol, ...], dict[Symbol, Extent], list[str]]] = {
    "windows": (W[u] * a[2 * i + u - 1], (i,), (u,), {i: 4, u: 3}, ["", "exchanged"]),
    "adjoint": (W[p - 2 * i + 1] * d[i], (p,), (i,), {p: 8, i: 4}, ["", ""]),
    "of the kernel": (d[i] * a[i + u - 1], (u,), (i,), {i: 4, u: 3}, ["", "", "exchanged"]),
    "of an axis": (d[i] * a[2 * i + u - 1], (u,), (i,), {i: 4, u: 3}, ["", ""]),
    "delta": (
        KroneckerDelta(p, i + u - 1) * d[i] * W[u],
        (p,),
        (i, u),
        {p: 6, i: 4, u: 3},
        ["", "exchanged"],
    ),
    "delta of a difference": (KroneckerDelta(p - 2 * i, 0) * d[i], (p,), (i,), {p: 8, i: 4}, [""]),
    "guard": (Inside(i + u - 1, Integer(4)) * d[i] * W[u], (i,), (u,), {i: 4, u: 3}, ["", "exchanged"]),
    "two axes": (
        W2[p - i + 1, q - j] * d2[i, j],
        (p, q),
        (i, j),
        {p: 4, q: 4, i: 3, j: 3},
        ["", "mixed", "mixed", "", "exchanged"],
    ),
    "samples": (
        tensor("x", N, 8)[n, i + u] * W[u],
        (n, i),
        (u,),
        {n: BATCH, i: 6, u: 3},
        ["", "", "exchanged"],
    ),
    "plain": (d[i] * W[u], (i, u), (), {i: 4, u: 3}, [""]),
    "reversed": (a[7 - i - u] * W[u], (i,), (u,), {i: 6, u: 3}, ["", "", "exchanged"]),
}


@pytest.mark.parametrize("name", SUMS)
def test_every_plain_form_gives_the_sum(name: str) -> None:
    body, free, over, extents, kinds = SUMS[name]
    direct = whole(body, free, over, extents)
    found = plain_forms(body, free, over, frozenset(extents.items()))
    for form in found:
        assert np.array_equal(
            whole(form.body, free, form.over, form.extents, form.places, direct.shape), direct
        )
        assert not form.body.has(Inside) and not form.body.has(KroneckerDelta)
    assert [form.kind for form in found] == kinds


def test_windows_alone_are_the_first_plain_form() -> None:
    body, free, over, extents, _ = SUMS["adjoint"]
    found = windows(body, over, extents)
    assert found is not None and found.places == {}
    assert found.body == W[2 * i + p - 5] * d[3 - i] and found.over == (i,)
    assert np.array_equal(
        whole(found.body, free, found.over, found.extents), whole(body, free, over, extents)
    )
    assert windows(Inside(p - i, Integer(3)) * d[i], (i,), {p: 8, i: 4}) is None
    assert windows(KroneckerDelta(p, 2 * i) * d[i], (i,), {p: 8, i: 4}) is None
    assert windows(tensor("x", N)[n - i] * d[i], (i,), {n: BATCH, i: 4}) is None


def test_a_body_that_is_not_zero_beyond_its_axis_has_no_form_with_places() -> None:
    body = (1 + a[i + u]) * W[u]
    found = plain_forms(body, (i,), (u,), frozenset({i: 4, u: 3}.items()))
    assert [form.places for form in found] == [{}]
    divided = plain_forms(d[i] / W[p - i], (p,), (i,), frozenset({i: 4, p: 6}.items()))
    assert [form.places for form in divided] == [{}]


# ---- Subscripts ----------------------------------------------------------------------------------------

EXTENTS: dict[Symbol, Extent] = {i: 3, j: 4, k: 1, u: 2, n: BATCH}


@pytest.mark.parametrize(
    ("read", "plain"),
    [
        (tensor("x", 3, 4)[i, j], True),
        (tensor("x", N, 4)[n, j], True),
        (tensor("x", 3)[j], False),
        (tensor("x", 4)[i], False),
        (tensor("x", 3)[i + 1], False),
        (tensor("x", 3, 3)[i, i], False),
        (tensor("x", N)[i], False),
    ],
)
def test_a_plain_access_runs_over_just_its_axes(read: Indexed, plain: bool) -> None:
    assert is_plain(read, EXTENTS) == plain


def test_windows_of_a_tensor_that_hold_the_same_have_one_key() -> None:
    x = tensor("x", 9)
    sizes: dict[Symbol, Extent] = {i: 3, j: 3, u: 2, v: 2, k: 5}
    key = window_key(x[2 * i + u - 1], sizes)
    assert key == window_key(x[2 * j + v - 1], sizes) == ("x", (-1, (1, "2"), (2, "3")))
    others = (x[2 * i + u], x[i + u - 1], x[2 * i + k - 1], tensor("y", 9)[2 * i + u - 1])
    assert all(key != window_key(read, sizes) for read in others)


def test_slopes_and_volumes() -> None:
    assert sorted(slopes(2 * i - 3 * j + 5), key=str) == [(2, i), (3, j)] and slopes(Integer(5)) == []
    assert (
        nominal_volume((i, j), EXTENTS),
        nominal_volume((i, n), EXTENTS),
        nominal_volume((), EXTENTS),
    ) == (12, 3 * 64, 1)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (4 * i + j, (i, j)),
        (3 * j + i, (j, i)),
        (8 * i + 2 * j + u, (i, j, u)),
        (4 * i + j + k, (i, j, k)),
        (i, (i,)),
        (2 * i, None),
        (4 * i + j + 1, None),
        (5 * i + j, None),
        (3 * i + j, None),
        (4 * i - j, None),
        (4 * n + j, None),
        (4 * o + j, None),
    ],
)
def test_positions_in_row_major_order(expression: Expr, found: tuple[Symbol, ...] | None) -> None:
    assert mixed_radix(expression, EXTENTS) == found


@pytest.mark.parametrize(
    ("free", "places", "found"),
    [
        ((n, p, c), {p: 2 * i + u - 1}, (n, i, u, c)),
        ((n, p), {p: i + 2 * u - 1}, (n, u, i)),
        ((n, p), {p: i + u}, (n, i, u)),
        ((n, p), {p: j + i}, (n, j, i)),
        ((p, q), {p: 2 * i + u, q: 3 * j + v}, (i, j, u, v)),
        ((p, n, q), {p: 2 * i + u, q: 3 * j + v}, (i, j, u, n, v)),
        ((n, c), {}, (n, c)),
        ((p, q), {p: i + 2 * u, q: 2 * u + v}, (u, i, v)),
    ],
)
def test_positions_come_before_the_places_in_a_window(
    free: tuple[Symbol, ...], places: dict[Symbol, Expr], found: tuple[Symbol, ...]
) -> None:
    sizes: dict[Symbol, Extent] = {i: 4, j: 5, u: 3, v: 2, c: 2, n: BATCH}
    assert place_indices(Plain(d[i], (), places, sizes), free) == found


def test_an_index_of_one_value_is_no_part_of_a_subscript() -> None:
    sizes: dict[Symbol, Extent] = {i: 3, k: 1}
    x = tensor("x", 3, 1)
    winner = Winner(a[2 * i + k], [i], (k, Integer(1)))
    assert _unit_indices_dropped(x[i + k, k] * winner, sizes) == x[i, k] * winner
    assert _unit_indices_dropped(x[i + k, k], {i: 3}) == x[i + k, k]


@pytest.mark.parametrize(
    ("body", "turned"),
    [
        (a[5 - i] * W[i], {i: 2 - i}),
        (a[5 - i - j], {i: 2 - i}),
        (a[5 + i], {}),
        (tensor("x", 3)[i] * a[i], {}),
        (a[5 - i] * tensor("b", 9)[i - u - j + 3], {}),
        (tensor("y", 9)[5 - i] + Winner(a[u], [u], (u, Integer(2))), {}),
    ],
)
def test_the_largest_window_runs_forwards(body: Expr, turned: dict[Symbol, Expr]) -> None:
    assert _reflections(body, (i,), EXTENTS) == turned


def test_where_an_expression_stands_as_a_subscript() -> None:
    body = W[i + 1] * Inside(j - 1, Integer(5)) * tensor("x", N)[n]
    assert sorted(affine_parts(body), key=str) == sorted([(i + 1, 3), (j - 1, 5), (n, BATCH)], key=str)
    winner = Winner(a[i + u], [2 * j], (u, Integer(2)))
    assert (2 * j, 2) in list(affine_parts(winner))


@pytest.mark.parametrize(
    ("body", "finite"),
    [
        (1 / W[i], True),
        (1 / W[i + 1], False),
        (1 / W[i - 1], False),
        (W[i + 1], True),
        (sympy.log(W[i - 1]), False),
        (1 / (1 + W[i + 1]), True),
        (1 / tensor("x", N)[n], True),
        (1 / tensor("x", 3, 9)[i, j + 5], True),
        (1 / tensor("x", 3, 8)[i, j + 5], False),
    ],
)
def test_what_is_zero_outside_may_be_divided_by_inside_alone(body: Expr, finite: bool) -> None:
    assert finite_beyond(body, EXTENTS) == finite


# ---- Costs ---------------------------------------------------------------------------------------------


ADJOINT_WINDOW = ("W", (-5, (1, "8"), (2, "4")))


@pytest.mark.parametrize(
    ("name", "costs", "copied", "chosen"),
    [
        ("adjoint", Costs(window=1, place=2.9, product=0), (), 1),
        ("adjoint", Costs(window=1, place=3.1, product=0), (), 0),
        ("adjoint", Costs(window=1, place=3.1, product=0.1), (), 1),
        ("adjoint", Costs(window=1, place=2.9, product=0), (ADJOINT_WINDOW,), 0),
        ("two axes", Costs(window=1, place=2, product=0), (), 3),
        ("two axes", Costs(window=1, place=3, product=0), (), 4),
        ("two axes", Costs(window=1, place=3, product=0, exchanged=1.1), (), 0),
        ("two axes", Costs(window=1, place=3, product=0, mixed=1.3), (), 2),
        ("two axes", Costs(window=1, place=3, product=0, mixed=1.45, exchanged=1.1), (), 2),
        ("two axes", Costs(window=1, place=3, product=0, mixed=1.46, exchanged=1.1), (), 0),
        ("two axes", Costs(window=1, place=2.85, product=0, exchanged=math.inf), (), 2),
    ],
)
def test_the_cheapest_form_is_chosen(name: str, costs: Costs, copied: tuple[Any, ...], chosen: int) -> None:
    """Of the adjoint, windows have 8·4 + 4 values, and 4·3 are added to places.

    Of two axes, windows have 144 + 9 values and the two mixed forms 45 and 33, beside 36 and 24 added
    to places; 54 are added with both axes as places, 16 beside 6 + 96 in windows where the sum is exchanged.
    """
    body, free, over, extents, _ = SUMS[name]
    found = Choice(costs, frozenset(copied)).form(body, free, over, extents)
    anybody, tensors = anonymous(body)
    form = plain_forms(anybody, free, over, frozenset(extents.items()))[chosen]
    assert found == replace(form, body=form.body.xreplace(tensors))


def test_the_worked_page_holds() -> None:
    found = doctest.testmod(affine)
    assert found.attempted > 15 and not found.failed

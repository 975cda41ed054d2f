"""Sums over the places of a winner, Σ_p [p = argmax a] f(p) = f(argmax a): what comes back behind a maximum.

The cotangent of what a maximum over windows reads is 0 but at the winners:

    δ[p] = Σ_i [p − 2i = argmax_u a[2i+u]] g[i] h(a[p])

So Σ_p δ[p] f(p) has one term for each window, not one for each place: p = 2i + r, where r is the place of the
winner, and a[p] is the maximum y[i]:

    Σ_p δ[p] f(p) = Σ_i g[i] h(y[i]) Σ_r [r = argmax_u a[2i+u]] f(2i+r)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy
from sympy import Expr, Indexed, IndexedBase, KroneckerDelta, Mul, Symbol, Tuple

from chainrule.derive.differentiate import contract
from chainrule.derive.index import (
    Equation,
    Inside,
    Max,
    Sum,
    Winner,
    accesses,
    canonical_sums,
    fresh_index,
    index,
    reductions,
    same_up_to_names,
)

if TYPE_CHECKING:
    from chainrule.derive.numbering import NumberedEquation

PLACES = (("p", "q"), ("u", "v"), ("r", "s"))  # what places in windows are called, as is free
BOUND = ("j", "i", "m", "l", "k")


def picked(node: Sum) -> Expr:
    """Apply Σ_p [p = argmax a] f(p) = f(argmax a): where f reads a at p alone, it has the maximum there."""
    factors = Mul.make_args(node.body)
    for winner in (f for f in factors if isinstance(f, Winner)):
        at = winner.at
        if not {*at} <= {*node.bound} or len({*at}) < len(at):
            continue
        there = winner.body.xreplace(dict(zip((s for s, _ in winner.axes), at, strict=True)))
        rest = Mul(*(f for f in factors if f != winner))
        known = rest.xreplace({there: Max(winner.body, *winner.axes)})
        if not {*at} & known.free_symbols:
            return Sum(known, *(axis for axis in node.axes if axis[0] not in at))
        if known != rest:
            return Sum(winner * known, *node.axes)
    return node


def read_by_windows(equations: Sequence[NumberedEquation]) -> Iterator[ReadByWindows]:
    """Give the cotangents that are 0 but at winners, and are read by sums alone."""
    maxima = [e.computed for e in equations if e.role == "forward"]
    for each in equations:
        if each.role != "backward" or not each.computed.right.has(Winner):
            continue
        found, name = winnings(each.computed, maxima), each.symbol
        readers = [e for e in equations if name in e.computed.read]
        if found is None or not readers:
            continue
        sums = {e.number: over_winners(e.computed, e.computed.reads()[name], found) for e in readers}
        whole = {number: instead for number, instead in sums.items() if instead is not None}
        if len(whole) == len(readers):
            yield ReadByWindows(each, found, tuple(readers), whole)


@dataclass(frozen=True)
class ReadByWindows:
    """A cotangent that is 0 but at winners, what reads it, and by its number how as a sum over windows."""

    definition: NumberedEquation
    found: Winnings
    readers: tuple[NumberedEquation, ...]
    sums: Mapping[int, Equation]


@dataclass(frozen=True)
class Winnings:
    """A tensor that is 0 but at winners: of each window it gets ``value``, at ``subscripts``.

    ``cells`` are the indices of windows with their sizes, in the order of the tensor's axes, ``places`` those
    inside a window, and ``winner`` is 1 at the winner's.
    """

    cells: tuple[Tuple, ...]
    places: tuple[Tuple, ...]
    subscripts: tuple[Expr, ...]
    winner: Winner
    value: Expr

    @property
    def at(self) -> tuple[Symbol, ...]:
        return tuple(i for i, _ in self.cells)


def winnings(definition: Equation, maxima: Iterable[Equation] = ()) -> Winnings | None:
    """Return what an equation defines as winnings, None where it is none.

    ``maxima`` are forward equations: where one of them has the maximum, its tensor is read.
    """
    sums = [f for f in Mul.make_args(definition.right) if isinstance(f, Sum) and f.has(Winner)]
    if len(sums) != 1:
        return None
    opened = sums[0].renamed()
    winners = [f for f in Mul.make_args(opened.body) if isinstance(f, Winner)]
    if len(winners) != 1 or opened.body.has(KroneckerDelta, Inside):
        return None
    (winner,) = winners
    windows = _windows(definition, opened, winner)
    if windows is None:
        return None
    places = tuple(
        Tuple(fresh_index(index(name)), n) for name, (_, n) in zip(PLACES[-1], winner.axes, strict=False)
    )
    moved = {p: r + start for (r, _), (p, (_, start)) in zip(places, windows.items(), strict=True)}
    sizes = {i: n for i, n in (*definition.axes, *opened.axes, *places)}
    window = {p: i for p, (i, _) in windows.items()}
    cells = tuple(Tuple(window.get(i, i), sizes[window.get(i, i)]) for i in definition.free)
    if not all(_within(moved[p], sizes[p], sizes) for p in moved):
        return None
    own = Winner(winner.body, [r for r, _ in places], *winner.axes)
    factors = (*Mul.make_args(opened.body), *Mul.make_args(definition.right))
    given = Mul(*(f for f in factors if f not in (winner, sums[0])))
    value = picked(Sum(own * _expanded(given.xreplace(moved)), *places))
    if value.has(Winner, *moved, *(r for r, _ in places)):
        return None
    best = Max(winner.body, *winner.axes)
    value = value.xreplace({best: _tensor_of(best, tuple(i for i, _ in cells), maxima)})
    return Winnings(cells, places, tuple(moved.get(i, i) for i in definition.free), own, value)


def over_winners(
    reader: Equation, base: IndexedBase, found: Winnings, value: Expr | None = None, won: Expr | None = None
) -> Equation | None:
    """Return an equation whose sums read winnings, ``base``, as sums over windows; None where one does not.

    ``value`` and ``won`` are what stands for the winnings' own value and winner.
    """
    sums = [r for r in reductions(reader.right) if accesses(r, base)]
    exchange = {each: _summed(each, reader, base, found, value, won) for each in sums}
    right = reader.right.xreplace(
        {each: instead for each, instead in exchange.items() if instead is not None}
    )
    if None in exchange.values() or accesses(right, base):
        return None
    whole = canonical_sums(right, BOUND, reader.free)
    return Equation(reader.left, whole.xreplace({w: _in_its_places(w) for w in whole.atoms(Winner)}))


def _summed(
    node: Expr, reader: Equation, base: IndexedBase, found: Winnings, value: Expr | None, won: Expr | None
) -> Expr | None:
    """Return a sum as one over windows: of each place that is summed, p = 2i + r is put in."""
    if not isinstance(node, Sum):
        return None
    opened = node.renamed()
    factors = Mul.make_args(opened.body)
    reads = [f for f in factors if isinstance(f, Indexed) and f.base == base]
    rest = Mul(*(f for f in factors if f not in reads))
    if len(reads) != 1 or accesses(rest, base):
        return None
    axes = (*found.cells, *found.places)
    fresh = {i: fresh_index(i) for i, _ in found.cells}
    names = next(pair for pair in (*PLACES, PLACES[-1]) if not {*map(index, pair)} & {*reader.free})
    fresh |= {r: fresh_index(index(name)) for (r, _), name in zip(found.places, names, strict=False)}
    terms = (found.value if value is None else value) * (found.winner if won is None else won)
    subscripts = [e.xreplace(fresh) for e in found.subscripts]
    equal = Mul(*(KroneckerDelta(e, s) for e, s in zip(reads[0].indices, subscripts, strict=True)))
    summed = (*opened.axes, *(Tuple(fresh[i], n) for i, n in axes))
    shape = reader.left.base.shape
    whole = contract(rest * terms.xreplace(fresh) * equal, reader.free, reader.free, shape, summed)
    if not isinstance(whole, Sum) or any(not d.has(Indexed) for d in whole.body.atoms(KroneckerDelta)):
        return None
    sizes = {i: n for i, n in (*reader.axes, *whole.axes)}
    held = {g: sympy.S.One for g in whole.body.atoms(Inside) if _within(g.expression, g.size, sizes)}
    body, places = whole.body.xreplace(held), {fresh[r] for r, _ in found.places}
    asking = [f for f in Mul.make_args(body) if f.free_symbols & places]
    if len(asking) == 1 and isinstance(asking[0], Winner | KroneckerDelta):  # some place wins
        return Sum(body / asking[0], *(axis for axis in whole.axes if axis[0] not in places))
    return Sum(body, *whole.axes)


def _windows(definition: Equation, opened: Sum, winner: Winner) -> dict[Symbol, tuple[Symbol, Expr]] | None:
    """Return by place the index of its windows and where one starts: p: (i, 2i) for a winner at p − 2i."""
    found: dict[Symbol, tuple[Symbol, Expr]] = {}
    for at in winner.at:
        places = [p for p in definition.free if at.coeff(p) == 1 and p not in found]
        starts = [i for i in opened.bound if at.coeff(i).is_negative]
        if len(places) != 1 or len(starts) != 1 or at.free_symbols != {*places, *starts}:
            return None
        found[places[0]] = starts[0], places[0] - at
    windows = {i for i, _ in found.values()}
    if windows != {*opened.bound} or not len(windows) == len(found) <= len(PLACES[-1]):
        return None
    return None if {*found} & winner.body.free_symbols else found


def _in_its_places(winner: Winner) -> Winner:
    """Return the same with the letters of its places in its maximum, too."""
    letters = dict(zip((i for i, _ in winner.axes), winner.at, strict=True))
    sizes = (Tuple(letters[i], n) for i, n in winner.axes)
    return Winner(winner.body.xreplace(letters), winner.at, *sizes)


def _tensor_of(best: Expr, at: tuple[Symbol, ...], maxima: Iterable[Equation]) -> Expr:
    """Return the access to what an equation has computed a maximum as, at these indices, or the maximum."""
    wanted = same_up_to_names(best)
    for equation in maxima:
        fits = isinstance(equation.right, Max) and len(equation.free) == len(at)
        if fits and same_up_to_names(equation.at(at)) == wanted:
            return equation.left.xreplace(dict(zip(equation.free, at, strict=True)))
    return best


def _within(expression: Expr, size: Expr, sizes: dict[Symbol, Expr]) -> bool:
    """Whether an affine expression of indices of these sizes stays in 0 … size − 1."""
    constant, terms = sympy.expand(expression).as_coeff_Add()
    low = high = constant
    for term in sympy.Add.make_args(terms):
        slope, symbol = term.as_coeff_Mul()
        if term != 0:
            reach = slope * (sizes.get(symbol, sympy.oo) - 1)
            low, high = low + sympy.Min(0, reach), high + sympy.Max(0, reach)
    return bool(low.is_number and high.is_number and low >= 0 and size.is_number and high < size)


def _expanded(expression: Expr) -> Expr:
    """Multiply subscripts out, so that p − 2i at p = r + 2i is r."""
    return expression.replace(
        lambda e: isinstance(e, Indexed),
        lambda e: e.func(e.base, *(sympy.expand(i) for i in e.indices)),
    )

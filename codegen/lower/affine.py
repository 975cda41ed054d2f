"""Sums with affine subscripts, brought to plain ones: what is read as windows, and what is added to places.

A body such as W[o, u, c] a[n, 2i + u − 1, c] has one access that is not plain.  Read as a *window*
a[n, i, u, c], it leaves an ordinary product.  The adjoint, Σ_{i,o} W[o, p − 2i + 1, c] δ[n, i, o] for
da[n, p, c], can be written with a new index u = p − 2i + 1 instead of p: then every access is plain, and the
sum goes *to* the places p = 2i + u − 1 of the output.  And Σ_{n,i} δ[n, i, o] a[n, i + u − 1, c] can run over
p = i + u − 1 instead of i, so that a is plain and δ[n, p − u + 1, o] the window: tensors are zero outside
their boxes.  All are exact; the smaller tensor of windows decides, and one that another equation copies
anyway costs nothing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Mul, Symbol

from chainrule.codegen.ir.box import (
    Extents,
    bounds,
    extent_of,
    finite_beyond,
    placed,
    vanishes,
    zero_beyond,
    zero_outside,
)
from chainrule.codegen.ir.program import BATCH, Extent
from chainrule.codegen.lower.copies import WindowKey
from chainrule.derive.index import Inside, Winner, access, anonymous, fresh_index, name_of

NOMINAL_BATCH = 64  # for comparing sizes only
MOST_SUBSETS = 6  # free indices that are tried as places


@dataclass(frozen=True)
class Costs:
    """What forms cost a value: to read it in a window, to add it to a place, to multiply it in a product.

    ``mixed`` is a factor for windows in one direction and places in the other, which are hard to read,
    ``exchanged`` one for a sum that runs over other indices.
    """

    window: float
    place: float
    product: float
    mixed: float = 1.5
    exchanged: float = 1


COPIED = Costs(window=1, place=2, product=0.2)  # windows are copied for a matrix product
IN_PLACE = Costs(window=0, place=2, product=0.02, exchanged=math.inf)  # a product reads them where they lie


@dataclass(frozen=True)
class Plain:
    """A sum of ``body`` over ``over``, added up at ``places`` of the output (by free index; {} for none).

    Every access is a window at worst: no delta, guard or winner stands at an affine expression any more.
    ``kind`` says whether it is mixed or exchanged, as in ``Costs``.
    """

    body: Expr
    over: tuple[Symbol, ...]
    places: dict[Symbol, Expr]
    extents: dict[Symbol, Extent]
    kind: str = ""


def window_key(read: Indexed, extents: Extents) -> WindowKey:
    """Return what two windows of a tensor share that hold the same values under other names."""
    axes = []
    for subscript in read.indices:
        constant, terms = subscript.as_coeff_add()
        pairs = (term.as_coeff_Mul() for term in terms)
        axes.append((int(constant), *sorted((int(slope), str(extents.get(i))) for slope, i in pairs)))
    return name_of(read.base), *axes


def is_plain(read: Indexed, extents: Extents) -> bool:
    """Whether an access has distinct subscripts that run over just the axes they read."""
    pairs = zip(read.indices, read.base.shape, strict=True)
    whole = all(isinstance(i, Symbol) and extents.get(i) == extent_of(n) for i, n in pairs)
    return whole and len(set(read.indices)) == len(read.indices)


def slopes(expression: Expr) -> list[tuple[int, Symbol]]:
    """Return the terms of an affine expression as (|slope|, index)."""
    terms = (term.as_coeff_Mul() for term in expression.as_coeff_add()[1])
    return [(abs(int(slope)), index) for slope, index in terms]


def nominal_volume(indices: Iterable[Symbol], extents: Extents) -> int:
    """Return the number of points of some indices, for a batch of nominal size."""
    sizes = (extents[i] for i in indices)
    return math.prod(NOMINAL_BATCH if e == BATCH else int(e) for e in sizes)


@dataclass(frozen=True)
class Choice:
    """Chooses plain forms by what they cost; windows in ``copied`` are there anyway."""

    costs: Costs
    copied: Set[WindowKey] = frozenset()

    def form(
        self, body: Expr, free: tuple[Symbol, ...], over: tuple[Symbol, ...], extents: Extents
    ) -> Plain | None:
        """Return the cheapest plain form of Σ_over body at the free indices, None where there is none."""
        factor = {"": 1.0, "mixed": self.costs.mixed, "exchanged": self.costs.exchanged}
        anybody, tensors = anonymous(body)
        forms = plain_forms(anybody, free, over, frozenset(extents.items()))
        return min(
            (replace(form, body=form.body.xreplace(tensors)) for form in forms),
            key=lambda form: factor[form.kind] * _cost(form, free, self.costs, self.copied),
            default=None,
        )


@functools.lru_cache(maxsize=1024)  # asked for again by equal layers, and where forms are chosen twice
def plain_forms(
    body: Expr, free: tuple[Symbol, ...], over: tuple[Symbol, ...], sizes: frozenset[tuple[Symbol, Extent]]
) -> tuple[Plain, ...]:
    """Return the plain forms of Σ_over body at the free indices."""
    extents = dict(sizes)
    movable = [i for i in free if _stands_in_affine(i, body) and extents[i] != BATCH][:MOST_SUBSETS]
    kinds = [(chosen, "mixed" if 0 < len(chosen) < len(movable) else "") for chosen in _subsets(movable)]
    summed = tuple(i for i in over if _stands_in_affine(i, body) and extents[i] != BATCH)
    kinds += [(summed, "exchanged")] if summed else []
    forms = ((_with_places(body, chosen, free, over, dict(extents)), kind) for chosen, kind in kinds)
    return tuple(replace(form, kind=kind) for form, kind in forms if form is not None)


def windows(body: Expr, over: tuple[Symbol, ...], extents: Extents) -> Plain | None:
    """Return the form of a body, reduced in any way, that only reads windows; None where there is none."""
    return _with_places(body, (), (), over, dict(extents))


def _subsets(symbols: Sequence[Symbol]) -> list[tuple[Symbol, ...]]:
    """Return all subsets, the smaller ones first."""
    found: list[tuple[Symbol, ...]] = [()]
    for symbol in symbols:
        found += [(*subset, symbol) for subset in found]
    return sorted(found, key=len)


def affine_parts(body: Expr) -> Iterator[tuple[Expr, Extent]]:
    """Give every expression that stands as a subscript, guard or winner's place, with its extent."""
    for node in sympy.preorder_traversal(body):
        yield from placed(node)


def _stands_in_affine(index: Symbol, body: Expr) -> bool:
    parts = [e for e, _ in affine_parts(body)]
    parts += [d.args[0] - d.args[1] for d in body.atoms(KroneckerDelta) if not d.has(Indexed)]
    return any(index in e.free_symbols and e != index for e in parts)


def _with_places(
    body: Expr,
    chosen: tuple[Symbol, ...],
    free: tuple[Symbol, ...],
    over: tuple[Symbol, ...],
    extents: dict[Symbol, Extent],
) -> Plain | None:
    """Exchange each chosen index, free or summed, for the index of an axis that it reads.

    That leaves out the values of the chosen index for which the axis is left: the body must be 0 there.  And
    a summed index takes values outside its own range, for which the body must be 0, too.
    """
    places: dict[Symbol, Expr] = {}
    for index in chosen:
        if index in over and not zero_outside(index, body, extents):
            return None
        solved = _solve(body, index, extents)
        if solved is None:
            return None
        solution, fresh, extent = solved
        if fresh is not None:
            extents[fresh] = extent
            over = (*over, fresh)
        body = _expanded(body, {index: solution})
        places = {p: sympy.expand(e.xreplace({index: solution})) for p, e in places.items()}
        if index in over:
            over = tuple(i for i in over if i != index)
        else:
            places[index] = solution
        if index in body.free_symbols:
            return None
    body = decided(body, extents)
    body = _unit_indices_dropped(body, extents)
    exchanged = bool(chosen) and not places  # a sum over other indices: the free ones are those of the window
    reflections = _reflections(body, (*free, *over) if exchanged else over, extents)
    body = _expanded(body, reflections) if reflections else body
    if exchanged:
        places = {i: i for i in free if _stands_in_affine(i, body)}
    places = {i: sympy.expand(e.xreplace(reflections)) for i, e in places.items()}
    for read in body.atoms(Indexed):  # the samples are taken in order, all of them
        sizes = map(extent_of, read.base.shape)
        if any(n == BATCH and extents.get(i) != BATCH for i, n in zip(read.indices, sizes, strict=True)):
            return None
    if body.has(Inside) or any(not d.has(Indexed) for d in body.atoms(KroneckerDelta)):
        return None
    for winner in body.atoms(Winner):  # whose window it is must not depend on the place in it
        places_in = set(winner.at)
        whole = all(isinstance(e, Symbol) and extents.get(e) == n for e, n in placed(winner))
        if not whole or places_in & winner.body.free_symbols:
            return None
    if chosen and not finite_beyond(body, extents):
        return None
    return Plain(body, over, places, extents)


def _solve(body: Expr, index: Symbol, extents: Extents) -> tuple[Expr, Symbol | None, Extent] | None:
    """Solve an affine part, beyond which the body is 0, for an index.

    Returns the index's value, the new index that this takes, and its extent.
    """
    for delta in sorted(body.atoms(KroneckerDelta), key=str):
        argument = sympy.expand(delta.args[0] - delta.args[1])
        slope = argument.coeff(index)
        if slope in (1, -1) and not delta.has(Indexed) and vanishes(body, [delta]):
            return sympy.expand(index - argument / slope), None, 1
    parts = {e: n for e, n in affine_parts(body) if e != index and index in e.free_symbols}
    for part in sorted(parts, key=lambda e: (len(e.free_symbols), str(e))):
        slope = part.coeff(index)
        known = all(s in extents for s in part.free_symbols)
        if slope in (1, -1) and known and vanishes(body, zero_beyond(part, parts[part], body)):
            fresh = fresh_index(index)
            return sympy.expand((fresh - (part - slope * index)) / slope), fresh, parts[part]
    return None


def _expanded(body: Expr, replace: Mapping[Symbol, Expr]) -> Expr:
    """Substitute in a body, affine parts multiplied out, deltas that hold dropped."""
    body = body.xreplace(dict(replace))

    def tidy(node: Expr) -> Expr:
        if isinstance(node, Indexed):
            return access(node.base, *(sympy.expand(i) for i in node.indices))
        if isinstance(node, Inside):
            return Inside(sympy.expand(node.expression), node.size)
        if isinstance(node, Winner):
            return Winner(node.body, [sympy.expand(e) for e in node.at], *node.axes)
        return KroneckerDelta(sympy.expand(node.args[0] - node.args[1]), 0)

    def wanted(node: Expr) -> bool:
        return isinstance(node, Indexed | Inside | Winner) or (
            isinstance(node, KroneckerDelta) and not node.has(Indexed)
        )

    return body.replace(wanted, tidy)


def decided(body: Expr, extents: Extents) -> Expr:
    """Put 1 for the guards that hold for every value of their indices, 0 for those that hold for none."""

    def rule(guard: Inside) -> Expr:
        if isinstance(guard.expression, Symbol) and extents.get(guard.expression) == extent_of(guard.size):
            return sympy.S.One
        found = bounds(guard.expression, extents)
        if found is None or not guard.size.is_Integer:
            return guard
        if found[1] < 0 or found[0] >= int(guard.size):
            return sympy.S.Zero
        return sympy.S.One if found[0] >= 0 and found[1] < int(guard.size) else guard

    guards = body.atoms(Inside)
    return body.xreplace({guard: rule(guard) for guard in guards}) if guards else body


def _unit_indices_dropped(body: Expr, extents: Extents) -> Expr:
    """An index with one value is 0 beside others in a subscript; winners keep it, as their maximum does."""
    zero = dict.fromkeys((i for i, n in extents.items() if n == 1), sympy.S.Zero)
    if not zero:
        return body
    closed = {w: sympy.Dummy() for w in body.atoms(Winner)}

    def rule(read: Indexed) -> Expr:
        return access(read.base, *(e if e in zero else e.xreplace(zero) for e in read.indices))

    dropped = body.xreplace(closed).replace(lambda e: isinstance(e, Indexed), rule)
    return dropped.xreplace({slot: winner for winner, slot in closed.items()})


def _reflections(body: Expr, indices: tuple[Symbol, ...], extents: Extents) -> dict[Symbol, Expr]:
    """Count indices so that the largest window runs forwards: size − 1 − u is only another order."""
    windows = [r for r in body.atoms(Indexed) if not is_plain(r, extents)]
    if not windows or body.has(Winner):
        return {}
    largest = max(windows, key=lambda r: (nominal_volume(r.free_symbols & extents.keys(), extents), str(r)))
    return {
        i: sympy.Integer(int(extents[i]) - 1) - i
        for e in largest.indices
        for i in e.free_symbols
        if i in indices and extents[i] != BATCH and e.coeff(i).is_negative and e != i
    }


def _cost(form: Plain, free: tuple[Symbol, ...], costs: Costs, copied: Set[WindowKey]) -> float:
    """Return what is read in windows, added to places and multiplied, in copies of a value."""
    total = costs.product * nominal_volume(form.body.free_symbols & form.extents.keys(), form.extents)
    for read in form.body.atoms(Indexed):
        if not is_plain(read, form.extents) and window_key(read, form.extents) not in copied:
            total += costs.window * nominal_volume(read.free_symbols & form.extents.keys(), form.extents)
    if form.places:
        total += costs.place * nominal_volume(place_indices(form, free), form.extents)
    return total


def place_indices(form: Plain, free: tuple[Symbol, ...]) -> tuple[Symbol, ...]:
    """Return the indices of the tensor that is added to places, outermost first."""
    order: list[Symbol] = []
    inner: list[Symbol] = []
    for index in free:
        if index not in form.places:
            (inner if inner else order).append(index)
            continue
        symbols = sorted(
            form.places[index].free_symbols & form.extents.keys(), key=lambda s: _stride(form, index, s)
        )
        order += [s for s in symbols[:1] if s not in order]
        inner += [s for s in symbols[1:] if s not in inner]
    return tuple(dict.fromkeys((*order, *inner)))


def _stride(form: Plain, index: Symbol, symbol: Symbol) -> tuple[object, ...]:
    """Positions come before the places in a window: the wider stride, the larger extent."""
    slope = int(form.places[index].coeff(symbol))
    return -abs(slope), -int(form.extents[symbol]), symbol.name


def mixed_radix(expression: Expr, extents: Extents) -> tuple[Symbol, ...] | None:
    """Return the indices (i, j, …) of (i·J + j)·… : a position in row-major order; None if it is none."""
    terms = [t.as_coeff_Mul() for t in sympy.Add.make_args(sympy.expand(expression))]
    if any(not isinstance(s, Symbol) or s not in extents or extents[s] == BATCH for _, s in terms):
        return None
    ordered = sorted(terms, key=lambda t: (-int(t[0]), -int(extents[t[1]])))
    step = 1
    for slope, symbol in reversed(ordered):
        if slope != step:
            return None
        step *= int(extents[symbol])
    return tuple(s for _, s in ordered)


def factors(body: Expr) -> tuple[Expr, ...]:
    """Return the factors of a product."""
    return tuple(Mul.make_args(body))

"""Sums with affine subscripts, brought to plain ones: what is read as windows, and what is added to places.

A convolution of 5 numbers with a kernel of 3, at stride 2 and with a zero on each side, has 3 outputs:

    z[n, i] = Σ_u W[u] a[n, 2i + u − 1]          a = 1 2 3 4 5,  W = 10 20 30:  z = 80 200 140

It reads a at an *affine* subscript.  Matrix products, maps and reductions read tensors at *plain* ones: an
index for each axis, over the whole of it.  Three ways lead there, all of them exact, as every tensor is 0
outside its box.

**Window.**  Call what is read w[n, i, u] = a[n, 2i + u − 1], a tensor of its own.  What is left is a product:

    w = 0 1 2        z[n, i] = Σ_u W[u] w[n, i, u]        200 = 10·2 + 20·3 + 30·4
        2 3 4
        4 5 0

**Exchange.**  Let the sum run over the place in a, q = 2i + u − 1, instead of u = q − 2i + 1.  No term is
lost: where q leaves 0 … 4, a is 0.  And none is new: where u leaves 0 … 2, W is 0.  Now a is plain, and the
windows are those of W:

    v = 20 30  0  0  0        z[n, i] = Σ_q v[i, q] a[n, q]        v[i, q] = W[q − 2i + 1]
         0 10 20 30  0
         0  0  0 10 20

**Place.**  The way back, from d = ∂E/∂z, is da[n, q] = Σ_i W[q − 2i + 1] d[n, i]: for d = 1 2 3 it gives
da = 20 50 40 90 60.  v would do again, read downwards.  But q belongs to no sum, it says where a result goes;
exchanged for u, each term W[u] d[n, i] is *added to the place* q = 2i + u − 1 (−1 and 5 are cut off):

    10 20 30        for i = 0, added at q = −1 0 1
    20 40 60        for i = 1, added at q =  1 2 3
    30 60 90        for i = 2, added at q =  3 4 5

What the interpreter of equations says:

    >>> from chainrule.derive.index import Equation, Sum, index, tensor
    >>> from chainrule.derive.interpret import evaluate
    >>> from chainrule.derive.network import N
    >>> n, i, u, q = map(index, "niuq")
    >>> a, da, W = tensor("a", N, 5), tensor("da", N, 5), tensor("W", 3)
    >>> z, d = tensor("z", N, 3), tensor("d", N, 3)
    >>> numbers = {"a": [[1, 2, 3, 4, 5]], "W": [10, 20, 30], "d": [[1, 2, 3]]}
    >>> forward, backward = W[u] * a[n, 2 * i + u - 1], W[q - 2 * i + 1] * d[n, i]
    >>> evaluate(Equation(z[n, i], Sum(forward, (u, 3))), numbers)
    array([[ 80., 200., 140.]])
    >>> evaluate(Equation(z[n, i], Sum(W[q - 2 * i + 1] * a[n, q], (q, 5))), numbers)
    array([[ 80., 200., 140.]])
    >>> evaluate(Equation(da[n, q], Sum(backward, (i, 3))), numbers)
    array([[20., 50., 40., 90., 60.]])

``plain_forms`` finds these ways.  Each is a ``Plain``: a body, what it is summed over, and the places of free
indices.  ``_u`` is q, an index in the place of u; i is counted backwards, 2 − i, for the larger window to run
forwards.

    >>> extents = {n: "N", i: 3, u: 3, q: 5}
    >>> def show(body, free, over):
    ...     for form in plain_forms(body, free, over, frozenset(extents.items())):
    ...         print(form.kind or "as it is", form.body, form.over, form.places, sep=";  ")
    >>> show(forward, free=(n, i), over=(u,))
    as it is;  W[u]*a[n, 2*i + u - 1];  (u,);  {}
    exchanged;  W[_u + 2*i - 3]*a[n, _u];  (_u,);  {i: 2 - i}
    >>> show(backward, free=(n, q), over=(i,))
    as it is;  W[2*i + q - 3]*d[n, 2 - i];  (i,);  {}
    as it is;  W[_q]*d[n, i];  (i, _q);  {q: _q + 2*i - 1}

Which is best depends on who computes: ``Costs`` says what a value costs in a window, at a place and in a
product, and a ``Choice`` takes the form that costs least.  Where windows are copied, those of W are fewer, 15
values for a whole batch against 9 for each sample.  Where a product reads windows where they lie, they cost
nothing.  And windows of a that another equation copies anyway, as dW[u] = Σ_ni d[n, i] a[n, 2i + u − 1] may,
are not copied again.

    >>> def chosen(choice):
    ...     return choice.form(forward, (n, i), (u,), extents).body
    >>> chosen(Choice(COPIED))
    W[_u + 2*i - 3]*a[n, _u]
    >>> chosen(Choice(IN_PLACE))
    W[u]*a[n, 2*i + u - 1]
    >>> chosen(Choice(COPIED, copied={window_key(a[n, 2 * i + u - 1], extents)}))
    W[u]*a[n, 2*i + u - 1]
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Symbol

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
from chainrule.codegen.lower.subscripts import affine_parts, is_plain, nominal_volume, window_key
from chainrule.derive.index import Inside, Winner, access, anonymous, fresh_index

MOST_SUBSETS = 6  # free indices that are tried as places


@dataclass(frozen=True)
class Costs:
    """What forms cost a value: to read it in a window, to add it to a place, to multiply it in a product.

    ``mixed`` is a factor for windows in one direction and places in the other, which are hard to read,
    ``exchanged`` one for a sum that runs over other indices.  ``pick`` is what a product costs of which one
    factor is read, or added, where the winner of a window stands.
    """

    window: float
    place: float
    product: float
    mixed: float = 1.5
    exchanged: float = 1
    pick: float = math.inf


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

"""Tensors that are zero but at winners, held by their windows: what each window gives, and to which place.

What the rewrite of ``derive/winners.py`` finds is taken where that costs less: all that reads such a tensor
sums over its windows then, and the tensor itself is never made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Symbol, Tuple

from chainrule.codegen.ir.program import BATCH, Extent, Load, Pick, Read
from chainrule.codegen.lower.affine import Costs, Plain, plain_forms
from chainrule.codegen.lower.emitter import extent
from chainrule.codegen.lower.subscripts import factors, is_plain, nominal_volume
from chainrule.derive.index import Equation, Reduction, Sum, index, name_of, reductions, tensor
from chainrule.derive.numbering import NumberedEquation
from chainrule.derive.winners import Winnings, over_winners, read_by_windows

VECTOR = 16  # a shorter run of numbers takes as long as one of these


@dataclass(frozen=True)
class ByWindows:
    """A tensor that is held by its windows: ``value`` and ``place`` name what each gives, and where to."""

    found: Winnings
    value: str
    place: str

    @cached_property
    def _names(self) -> dict[Symbol, Symbol]:
        return {i: index(i.name) for i, _ in (*self.found.cells, *self.found.places)}

    @property
    def shape(self) -> tuple[Extent, ...]:
        return tuple(extent(n) for _, n in self.found.cells)

    @property
    def places(self) -> int:
        """How many places a window has."""
        return int(sympy.Mul(*(n for _, n in self.found.places)))

    def equations(self) -> tuple[Equation, Equation]:
        """Return the equations of what each window gives, and where: Σ_rs (2r + s) [(r, s) = argmax]."""
        number = numbered(self.found.places)
        place = Sum(number * self.found.winner, *self.found.places)
        pairs = ((self.value, self.found.value), (self.place, place))
        first, second = (Equation(self._at(name), right).replace(self._names) for name, right in pairs)
        return first, second

    def read_by(self, equation: Equation, name: str) -> Equation | None:
        """Return an equation that reads the tensor of that name as sums over windows."""
        won = KroneckerDelta(self._at(self.place), numbered(self.found.places))
        return over_winners(equation, equation.reads()[name], self.found, self._at(self.value), won)

    def _at(self, name: str) -> Indexed:
        return tensor(name, *(n for _, n in self.found.cells))[self.found.at]


def numbered(places: Iterable[Tuple]) -> Expr:
    """Return the number of a place in a window, the last index fastest."""
    number: Expr = sympy.S.Zero
    for i, n in places:
        number = number * n + i
    return sympy.expand(number)


def held_by_winners(equations: Sequence[NumberedEquation], costs: Costs) -> dict[str, ByWindows]:
    """Return the tensors that are held by their windows, because that costs less."""
    if not costs.pick < sympy.oo:
        return {}
    found: dict[str, ByWindows] = {}
    for each in read_by_windows(equations):
        name = each.definition.symbol
        held = ByWindows(each.found, f"{name}_won", f"{name}_place")
        if held.places < 256 and _pays(held, name, [e.computed for e in each.readers], costs):
            found[name] = held
    return found


def _pays(held: ByWindows, name: str, readers: Iterable[Equation], costs: Costs) -> bool:
    """Whether sums over windows cost all readers less than sums over all places."""
    dense = picked = 0.0
    for reader in readers:
        instead = held.read_by(reader, name)
        if instead is None:
            return False
        for node in reductions(reader.right):
            if node.has(reader.reads()[name]):
                extents = _extents(reader, node)
                dense += costs.product * nominal_volume(_indices(node.body, extents), extents)
        for node in reductions(instead.right):
            extents = _extents(instead, node)
            if node.has(KroneckerDelta):
                free = tuple(i for i in instead.free if i in node.free_symbols)
                pick = found_pick(node.body, free, node.bound, extents)
                if pick is None:
                    return False
                picked += costs.pick * pick.products
            elif held.value in map(name_of, node.atoms(sympy.IndexedBase)):
                picked += costs.product * nominal_volume(_indices(node.body, extents), extents)
    return picked < dense


def _extents(equation: Equation, node: Reduction) -> dict[Symbol, Extent]:
    return {i: extent(n) for i, n in (*equation.axes, *node.axes)}


def _indices(body: Expr, extents: dict[Symbol, Extent]) -> list[Symbol]:
    return [i for i in extents if i in body.free_symbols]


@dataclass(frozen=True)
class FoundPick:
    """The parts of a sum over windows: ``scale`` · value · factor, at the place of which ``digits`` tell."""

    scale: Expr
    value: Load
    place: Load
    digits: tuple[Symbol, ...]
    factor: Read
    form: Plain

    @property
    def run(self) -> int:
        """How many numbers stand side by side in the factor and in the result: those of the last index."""
        last = self.factor.subscripts[-1]
        single = isinstance(last, Symbol) and last not in (*self.value.indices, *self.digits)
        return int(self.form.extents[last]) if single else 1

    @property
    def products(self) -> int:
        indices = {i for e in (*self.value.indices, *self.factor.subscripts) for i in e.free_symbols}
        wanted = [i for i in self.form.extents if i in indices and i not in self.digits]
        whole = -(-self.run // VECTOR) * VECTOR
        return nominal_volume(wanted, self.form.extents) // self.run * whole

    def statement(self, name: str, free: tuple[Symbol, ...], number: int) -> Pick:
        subscripts = tuple(self.form.places.get(i, i) for i in free)
        read = (*self.value.indices, *self.digits, *subscripts, *self.factor.subscripts)
        used = (i for e in read for i in sorted(e.free_symbols & self.form.extents.keys(), key=str))
        extents = tuple((i, self.form.extents[i]) for i in dict.fromkeys(used))
        return Pick(name, free, number, self.value, self.place, self.digits, self.factor, subscripts, extents)


def found_pick(
    body: Expr, free: tuple[Symbol, ...], over: tuple[Symbol, ...], extents: dict[Symbol, Extent]
) -> FoundPick | None:
    """Return Σ_over [place = 2r + s] value factor as a sum over windows, of the fewest products."""
    if not any(d.args[0].has(Indexed) or d.args[1].has(Indexed) for d in body.atoms(KroneckerDelta)):
        return None
    forms = plain_forms(body, free, over, frozenset(extents.items()))
    found = (_parts(form, over) for form in forms)
    return min((each for each in found if each is not None), key=lambda each: each.products, default=None)


def _parts(form: Plain, over: tuple[Symbol, ...]) -> FoundPick | None:
    parts = factors(form.body)
    deltas = [f for f in parts if isinstance(f, KroneckerDelta)]
    reads = [f for f in parts if isinstance(f, Indexed)]
    rest = sympy.Mul(*(f for f in parts if f not in deltas and f not in reads))
    if len(deltas) != 1 or len(reads) != 2 or rest.free_symbols:
        return None
    place, number = sorted(deltas[0].args, key=lambda e: not isinstance(e, Indexed))
    digits = [i for i in form.over if i in number.free_symbols]
    if not isinstance(place, Indexed) or not is_plain(place, form.extents):
        return None
    if number != numbered((i, sympy.Integer(form.extents[i])) for i in digits):
        return None
    values = [r for r in reads if r.indices == place.indices]
    if len(values) != 1:
        return None
    (factor,) = (r for r in reads if r is not values[0])
    if not _by_sample(form, values[0], factor, digits):
        return None
    loads = [Load(name_of(r.base), tuple(r.indices)) for r in (values[0], place)]
    read = Read(name_of(factor.base), tuple(factor.indices))
    return FoundPick(rest, loads[0], loads[1], tuple(digits), read, form)


def _by_sample(form: Plain, value: Indexed, factor: Indexed, digits: Sequence[Symbol]) -> bool:
    """Whether each sample has its own windows, and the place of a winner moves the factor or the result."""
    batch = [i for i, n in form.extents.items() if n == BATCH]
    if not value.indices or batch != [value.indices[0]]:
        return False
    factor_moves = bool({*digits} & factor.free_symbols)
    result_moves = any({*digits} & e.free_symbols for e in form.places.values())
    return factor_moves != result_moves

"""The reductions that values hold already, so that none is computed twice."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from sympy import Indexed, Symbol

from chainrule.codegen.ir.box import Extents
from chainrule.derive.index import Max, Reduction, name_of, same_up_to_names


@dataclass(frozen=True)
class Contest:
    """A maximum's free and bound indices, its value, and what competed for it (None: what it reads)."""

    indices: tuple[Symbol, ...]
    value: Indexed
    candidates: Indexed | None


@dataclass
class Known:
    """The reductions that values hold already, by a form in which names do not matter, and its extents."""

    reductions: dict[tuple[object, ...], Indexed] = field(default_factory=dict)
    maxima: dict[tuple[object, ...], Contest] = field(default_factory=dict)

    def copy(self) -> Known:
        """Return what is known so far, to be added to apart."""
        return Known(dict(self.reductions), dict(self.maxima))

    def remember(
        self, reduction: Reduction, value: Indexed, extents: Extents, candidates: Indexed | None = None
    ) -> None:
        self.reductions[_form(reduction, extents)] = value
        if isinstance(reduction, Max):
            for form, order in (_as_named(reduction, extents), _anonymous(reduction, extents)):
                self.maxima[form] = Contest((*order, *reduction.bound), value, candidates)

    def value(self, reduction: Reduction, extents: Extents) -> Indexed | None:
        """Return the value that holds a reduction at the same indices, of the same extents."""
        return self.reductions.get(_form(reduction, extents))

    def maximum(self, reduction: Max, extents: Extents) -> tuple[Indexed | None, Indexed | None]:
        """Return the values that hold a maximum, and what competed for it, at this one's indices."""
        for form, order in (_as_named(reduction, extents), _anonymous(reduction, extents)):
            if form in self.maxima:
                known = self.maxima[form]
                names = dict(zip(known.indices, (*order, *reduction.bound), strict=True))
                candidates = None if known.candidates is None else known.candidates.xreplace(names)
                return known.value.xreplace(names), candidates
        return None, None


def _form(reduction: Reduction, extents: Extents) -> tuple[object, ...]:
    """Return what reductions share that have the same values over the same extents."""
    free = sorted(reduction.free_symbols & extents.keys(), key=str)
    return _named_alike(reduction), *((i, extents[i]) for i in free)


_named_alike = functools.lru_cache(maxsize=1024)(same_up_to_names)  # asked for at every use


def _as_named(reduction: Reduction, extents: Extents) -> tuple[tuple[object, ...], tuple[Symbol, ...]]:
    """Return the form of a reduction at free indices of just these names, and none that is renamed."""
    return _form(reduction, extents), ()


def _anonymous(reduction: Reduction, extents: Extents) -> tuple[tuple[object, ...], tuple[Symbol, ...]]:
    """Return a reduction with its free indices numbered by first appearance, and these indices."""
    order: list[Symbol] = []
    for read in sorted(reduction.body.atoms(Indexed), key=lambda r: _unnamed(r, reduction.bound)):
        for subscript in read.indices:
            free = subscript.free_symbols - set(reduction.bound)
            order += sorted((s for s in free if s not in order), key=lambda s: (subscript.coeff(s), s.name))
    numbered = {s: Symbol(f"free{d}", integer=True) for d, s in enumerate(order)}
    form = same_up_to_names(reduction.xreplace(numbered)), *(extents.get(i) for i in order)
    return form, tuple(order)


def _unnamed(read: Indexed, bound: tuple[Symbol, ...]) -> tuple[str, ...]:
    """Return what tells reads apart whatever their free indices are called."""
    free = Symbol("free", integer=True)
    known = {s: Symbol(f"bound{d}", integer=True) for d, s in enumerate(bound)}
    return (
        name_of(read.base),
        *(str(e.xreplace({s: known.get(s, free) for s in e.free_symbols})) for e in read.indices),
    )

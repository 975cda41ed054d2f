"""The reductions that values hold already, so that none is computed twice."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sympy import Indexed, Symbol, Tuple

from chainrule.codegen.ir.box import Extents
from chainrule.codegen.ir.formula import Form, structure
from chainrule.derive.index import Max, Reduction, name_of, same_up_to_names


@dataclass(frozen=True)
class Contest:
    """A maximum's free and bound indices, its value, and what competed for it (None: what it reads)."""

    indices: tuple[Symbol, ...]
    value: Indexed
    candidates: Indexed | None


@dataclass(frozen=True, eq=False)
class Fact:
    """That a value holds a reduction over these extents, and what competed for it where it is a maximum."""

    reduction: Reduction
    value: Indexed
    extents: Extents
    candidates: Indexed | None

    @cached_property
    def form(self) -> Form:
        return Form(Tuple(self.reduction, self.value, *([self.candidates] if self.candidates else [])))

    @cached_property
    def structure(self) -> tuple[Hashable, tuple[int, ...]]:
        """What it shares with facts of other tensors; and which of the form's tensors these are, in order."""
        found, names = structure(self.form.expression)
        return (found, tuple(self.extents.items())), tuple(map(self.form.tensors.index, names))

    @cached_property
    def reduced(self) -> tuple[int, ...]:
        """Which of the form's tensors the reduction reads."""
        names = Form(self.reduction).tensors
        return tuple(place for place, name in enumerate(self.form.tensors) if name in names)


@dataclass(frozen=True, eq=False)
class Held:
    """A fact about tensors that are called ``names``, in the order of those of its form."""

    fact: Fact
    names: tuple[str, ...]

    @cached_property
    def reads(self) -> frozenset[str]:
        return frozenset(self.names[place] for place in self.fact.reduced)

    def pattern(self, place: Mapping[str, int]) -> tuple[Hashable, ...]:
        """Return the fact without names, and the places that its tensors have in an equation's."""
        shared, order = self.fact.structure
        return shared, *(place[self.names[position]] for position in order)

    def told(self) -> Fact:
        """Return the fact in these names."""
        reduction, value, *candidates = self.fact.form.called(self.names)
        return Fact(reduction, value, self.fact.extents, *(candidates or [None]))


class Facts:
    """What is held so far, by each of the tensors that are reduced."""

    def __init__(self) -> None:
        self.by_tensor: dict[str, list[Held]] = {}

    def add(self, held: Held) -> None:
        for name in held.reads:
            self.by_tensor.setdefault(name, []).append(held)

    def about(self, names: Iterable[str]) -> tuple[tuple[str, ...], list[Held]]:
        """Return what is held of reductions of these tensors alone, and of the values that hold them.

        The names of these values follow those that were given.
        """
        seen: dict[str, None] = {}
        found: dict[Held, None] = {}
        coming = list(dict.fromkeys(names))
        while coming:
            seen |= dict.fromkeys(coming)
            news = [h for name in coming for h in self.by_tensor.get(name, ()) if h not in found]
            found |= {held: None for held in news if held.reads <= seen.keys()}
            coming = list(dict.fromkeys(n for held in found for n in held.names if n not in seen))
        return tuple(seen), list(found)


@dataclass
class Known:
    """The reductions that values hold already, by a form in which names do not matter, and its extents.

    ``learnt`` is what was remembered since.
    """

    reductions: dict[tuple[object, ...], Indexed] = field(default_factory=dict)
    maxima: dict[tuple[object, ...], Contest] = field(default_factory=dict)
    learnt: list[Fact] = field(default_factory=list)

    @staticmethod
    def of(facts: Iterable[Fact]) -> Known:
        known = Known()
        for fact in facts:
            known.remember(fact.reduction, fact.value, fact.extents, fact.candidates)
        known.learnt.clear()
        return known

    def remember(
        self, reduction: Reduction, value: Indexed, extents: Extents, candidates: Indexed | None = None
    ) -> None:
        free = {i: n for i, n in extents.items() if i in reduction.free_symbols}
        self.learnt.append(Fact(reduction, value, free, candidates))
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

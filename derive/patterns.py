"""Equations that are equal up to the names of their tensors: found once, made under other names when read.

A pattern is the first equation of its kind, written out.  ``Renamed`` is the same under other names: it has
tensors, shapes and indices from the pattern, and makes its sides only when somebody reads them.  SymPy sorts
terms and factors by name, so names are exchanged only where they sort as those of the pattern do: then a tree
stays what it is, with other leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final, Generic, TypeVar

from sympy import Add, Basic, Expr, Function, Mul, Piecewise, Pow, Symbol, Tuple
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFunction

from chainrule.derive.index import Equation, access, name_of, tensor
from chainrule.derive.tensors import Indexed, IndexedBase

Made = TypeVar("Made")
Order = tuple[tuple[int, ...], tuple[int, ...]]
MOST: Final = 4096  # patterns that are kept


class Firsts(Generic[Made]):
    """What was made first of each kind, of those that were asked for lately.

    Another thread may make the same at the same time: the first is taken.
    """

    def __init__(self) -> None:
        self._places = lru_cache(maxsize=MOST)(self._place)

    def of(self, make: Callable[[], Made], *kind: Hashable) -> Made:
        """Return what was made first of that kind; ``make`` makes it, if that is now."""
        place = self._places(*kind)
        if not place:
            place.append(make())
        return place[0]

    def _place(self, *_kind: Hashable) -> list[Made]:
        return []


class Renamed(Equation):
    """A pattern's equation under other names, given in the order of the pattern's ``tensors``."""

    def __init__(self, pattern: Equation, tensors: tuple[str, ...]) -> None:
        self.__dict__.update(pattern=pattern, tensors=tensors)

    @cached_property
    def names(self) -> dict[str, str]:
        """What the tensors of the pattern are called here."""
        return dict(zip(self.pattern.tensors, self.tensors, strict=True))

    @cached_property
    def left(self) -> Indexed:
        return renamed(self.pattern.left, self.names)

    @cached_property
    def right(self) -> Expr:
        return renamed(self.pattern.right, self.names)

    @property
    def name(self) -> str:
        return self.tensors[0]

    @property
    def free(self) -> tuple[Symbol, ...]:
        return self.pattern.free

    @property
    def axes(self) -> tuple[Tuple, ...]:
        return self.pattern.axes

    @cached_property
    def read(self) -> tuple[str, ...]:
        return tuple(self.names[name] for name in self.pattern.read)

    @cached_property
    def _reads(self) -> dict[str, IndexedBase]:
        found = self.pattern.reads()
        return {self.names[name]: tensor(self.names[name], *base.shape) for name, base in found.items()}


def under(equation: Equation, names: Mapping[str, str]) -> Equation:
    """Return an equation with its tensors under other names, which sort as its own do."""
    tensors = tuple(names[name] for name in equation.tensors)
    return equation if tensors == equation.tensors else Renamed(equation.pattern, tensors)


def order(names: Sequence[str]) -> Order:
    """Return how names sort, alone and at the head of an access: the same for names that may be exchanged."""
    return _ranks(names), _ranks([f"{name}[" for name in names])


def _ranks(names: Sequence[str]) -> tuple[int, ...]:
    ranks = {name: rank for rank, name in enumerate(sorted(set(names)))}
    return tuple(ranks[name] for name in names)


def renamed(expression: Expr, names: Mapping[str, str]) -> Expr:
    """Return an expression with its tensors under other names, which sort as its own do."""
    known: dict[Basic, Basic] = {}

    def of(node: Basic) -> Basic:
        if not node.args:
            return node
        if node not in known:
            known[node] = made(node)
        return known[node]

    def made(node: Basic) -> Basic:
        if isinstance(node, IndexedBase):
            return tensor(names.get(name_of(node), name_of(node)), *node.shape)
        arguments = [of(a) for a in node.args]
        same = all(a is b for a, b in zip(arguments, node.args, strict=True))
        return node if same else _rebuilt(node, arguments)

    return of(expression)


def _rebuilt(node: Basic, arguments: Sequence[Basic]) -> Basic:
    """Return a node of the same kind with other arguments in the same order: nothing is worked out anew."""
    match node:
        case Indexed():
            return access(*arguments)
        case Add() | Mul():
            return node._new_rawargs(*arguments)
        case Pow() | Function() | Piecewise() | Relational() | BooleanFunction():
            return node.func(*arguments, evaluate=False)
    return node.func(*arguments)


_INSTANCES: Final = Firsts[tuple[Equation, tuple[str, ...]]]()  # and the names for the template's tensors
_SHARED: Final = Firsts[Equation]()


def instantiated(template: Equation, names: Mapping[str, str], sizes: Mapping[Symbol, Expr]) -> Equation:
    """Return a template's equation with its tensors under these names and with these sizes."""
    own = tuple(names[name] for name in template.tensors)

    def made() -> tuple[Equation, tuple[str, ...]]:
        tensors = {
            base: tensor(names[name_of(base)], *(n.xreplace(sizes) for n in base.shape))
            for base in (template.left.base, *template.reads().values())
        }
        return template.replace({**sizes, **tensors}), own

    pattern, first = _INSTANCES.of(made, template, tuple(sizes.items()), order(own))
    return under(pattern, dict(zip(first, own, strict=True)))


def shared(equation: Equation) -> Equation:
    """Return an equation as its pattern under its own names; the first of its kind becomes one itself."""
    numbers = {name: f"{rank:03}" for rank, name in enumerate(sorted(equation.tensors))}
    sides = (renamed(side, numbers) for side in (equation.left, equation.right))
    pattern = _SHARED.of(lambda: equation.pattern, *sides, order(equation.tensors))
    return equation if equation.pattern is pattern else Renamed(pattern, equation.tensors)

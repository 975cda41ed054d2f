"""Equations that are equal up to the names of their tensors: found once, made under other names when read.

A pattern is the first equation of its kind, written out.  ``Renamed`` is the same under other names: it has
tensors, shapes and indices from the pattern, and makes its sides only when somebody reads them.  SymPy sorts
terms and factors by name, so names are exchanged only where they sort as those of the pattern do: then a tree
stays what it is, with other leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

from sympy import Add, Basic, Expr, Function, Mul, Piecewise, Pow, Symbol, Tuple
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFunction

from chainrule.derive.index import Equation, access, name_of, tensor
from chainrule.derive.tensors import Indexed, IndexedBase

Order = tuple[tuple[int, ...], tuple[int, ...]]
MOST = 4096  # patterns that are kept


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


@lru_cache(maxsize=MOST)
def _place(*_key: object) -> list[tuple[Equation, Equation]]:
    """Return where the pattern of that key stands, with the equation that it was made of.

    Another thread may put there the same at the same time: the first is taken.
    """
    return []


def instantiated(template: Equation, names: Mapping[str, str], sizes: Mapping[Symbol, Expr]) -> Equation:
    """Return a template's equation with its tensors under these names and with these sizes."""
    own = tuple(names[name] for name in template.tensors)
    place = _place(template, tuple(sizes.items()), order(own))
    if not place:
        tensors = {
            base: tensor(names[name_of(base)], *(n.xreplace(sizes) for n in base.shape))
            for base in (template.left.base, *template.reads().values())
        }
        place.append((template.replace({**sizes, **tensors}), Renamed(template, own)))
    pattern, first = place[0]
    return under(pattern, dict(zip(first.tensors, own, strict=True)))


def shared(equation: Equation) -> Equation:
    """Return an equation as its pattern under its own names; the first of its kind becomes one itself."""
    numbers = {name: f"{rank:03}" for rank, name in enumerate(sorted(equation.tensors))}
    sides = (renamed(side, numbers) for side in (equation.left, equation.right))
    place = _place(*sides, order(equation.tensors))
    if not place:
        place.append((equation.pattern, equation))
    pattern, _first = place[0]
    return equation if equation.pattern is pattern else Renamed(pattern, equation.tensors)

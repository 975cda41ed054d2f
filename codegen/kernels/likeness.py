"""What work may have in common with other work: all but the names of tensors and the numbers of equations."""

from __future__ import annotations

from collections.abc import Hashable, Set
from functools import cached_property

from sympy import Basic, Dummy, IndexedBase

from chainrule.codegen.ir.program import Program
from chainrule.codegen.kernels.views import Views
from chainrule.codegen.kernels.work import (
    Assignment,
    Drawing,
    Elements,
    GroupReduction,
    Picking,
    Product,
    Quotient,
    Samples,
    Work,
)
from chainrule.codegen.lower.patterns import Pattern
from chainrule.derive.index import name_of


class WorkLikeness:
    """Work, taken apart: ``key`` is equal for work that is alike, ``names`` and ``numbers`` are its own."""

    def __init__(self, work: Work, program: Program, views: Views, kept: Set[str]) -> None:
        self.program = program
        self.views = views
        self.kept = kept
        self.places: dict[str, int] = {}
        self.equations: dict[int, int] = {}
        self.dummies: dict[Dummy, int] = {}
        self.form = self._work(work)

    @cached_property
    def key(self) -> Hashable:
        values = self._values()
        order = sorted(self.dummies, key=lambda dummy: dummy.dummy_index)
        ranks = tuple(self.dummies[dummy] for dummy in order)
        return self.form, ranks, values, Pattern(self.form, self.names).likeness

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.places)

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(self.equations)

    def _values(self) -> tuple[Hashable, ...]:
        """Return what is known of each tensor, those among them in whose memory others lie."""
        found: list[Hashable] = []
        names = list(self.places)
        for name in names:
            value, memory = self.program.values[name], self.views.memory(name)
            names += [] if memory in self.places else [memory]
            kind = value.shape, value.kind, value.truth, value.integer
            found.append((kind, self._name(memory), name in self.kept))
        return tuple(found)

    def _name(self, name: str) -> int:
        return self.places.setdefault(name, len(self.places))

    def _number(self, equation: int) -> int:
        return self.equations.setdefault(equation, len(self.equations))

    def _work(self, work: Work) -> Hashable:
        match work:
            case Elements(axes=axes, steps=steps):
                return Elements, self._of(axes), tuple(map(self._assignment, steps))
            case Samples(sample=sample, works=works):
                return Samples, self._of(sample), tuple(map(self._work, works))
            case GroupReduction(axes=axes, over=over, body=body, operation=operation, parts=parts):
                head = self._name(work.out), self._number(work.equation)
                rest = map(self._of, (axes, over, body))
                return GroupReduction, head, operation, parts, *rest, tuple(map(self._assignment, work.steps))
            case Product(axes=axes, left=left, right=right, blocks=blocks, extents=extents, parts=parts):
                head = self._name(work.out), self._number(work.equation)
                loads = tuple((self._shown(x.name), self._of(x.indices)) for x in (left, right))
                runs = (blocks.batch, blocks.rows, blocks.summed, blocks.columns)
                rest = map(self._of, (axes, runs, tuple(extents.items())))
                return Product, head, parts, loads, *rest, tuple(map(self._assignment, work.steps))
            case Picking(axes=axes, digits=digits, extents=extents):
                head = self._name(work.out), self._number(work.equation)
                read = (work.value, work.place, work.factor, work.target)
                rest = map(self._of, (axes, digits, tuple(extents.items()), read))
                return Picking, head, *rest, tuple(map(self._assignment, work.steps))
            case Drawing():
                return (
                    Drawing,
                    self._name(work.out),
                    self._number(work.equation),
                    work.probability,
                    work.stream,
                )

    def _assignment(self, step: Assignment) -> Hashable:
        parts = map(self._of, (step.body, step.over, step.quotients, step.best))
        return self._name(step.out), self._number(step.equation), step.operation, *parts

    def _shown(self, name: str) -> Hashable:
        """Return the way from a value to the memory that it is read from."""
        way: list[Hashable] = [self._name(name)]
        while name in self.views.shown:
            form, (_out, name) = self.views.shown[name].pattern
            way += [form, self._name(name)]
        return tuple(way)

    def _of(self, part: object) -> Hashable:
        match part:
            case tuple():
                return tuple(map(self._of, part))
            case Quotient():
                numerator = self._of(part.numerator)
                return self._of(part.index), numerator, part.divisor, part.extent
            case IndexedBase():
                return self._name(name_of(part)), part.args[1:]
            case Dummy():
                return Dummy, part.name, self.dummies.setdefault(part, len(self.dummies))
            case Basic() if part.args:
                return type(part), *map(self._of, part.args)
        return part

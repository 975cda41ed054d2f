"""A step of the walk back, taken once for all layers where it is the same up to names and numbers.

What a step does depends on the layer's templates, on what waits for its tensors, and on what is known of
these.  Where all of that is equal, up to names that sort alike and numbers in the same order, the step writes
down what it wrote before under other names and numbers, and no mathematics is done.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chainrule.derive.index import Equation, cotangent, primal
from chainrule.derive.network import Instance
from chainrule.derive.numbering import Book, NumberedEquation
from chainrule.derive.patterns import order, shared, under


@dataclass(frozen=True)
class Cotangent:
    """What reaches a tensor from an equation that reads it, or all that reaches it.

    ``of`` numbers the equations that were differentiated, in the order of the chain rule; what the equation
    itself reads is not among them.  ``long`` is the same as the chain rule gives it, where ``equation`` is a
    compact form of it.
    """

    equation: Equation
    rule: str
    of: tuple[int, ...]
    long: Cotangent | None = None

    def mapped(
        self, equation: Callable[[Equation], Equation], number: Callable[[int], int] = lambda n: n
    ) -> Cotangent:
        """Return the same with its equations and numbers exchanged."""
        long = self.long.mapped(equation, number) if self.long else None
        return Cotangent(equation(self.equation), self.rule, tuple(map(number, self.of)), long)

    def all(self) -> Iterator[Cotangent]:
        """Yield it and its long form."""
        yield self
        if self.long is not None:
            yield self.long


Parts = dict[str, list[Cotangent]]


@dataclass(frozen=True)
class Scene:
    """What a step finds: names of tensors, numbers of equations, and ``form``, all else about it."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    form: Hashable


@dataclass(frozen=True)
class Step:
    """What a step did in a scene: the equations it wrote from a number on, the numbers and parts it left."""

    scene: Scene
    start: int
    written: tuple[NumberedEquation, ...]
    numbers: Mapping[str, int | None]
    parts: Mapping[str, tuple[Cotangent, ...]]

    @property
    def is_closed(self) -> bool:
        """Whether all that it wrote has its names and numbers from the scene, or is new."""
        left = [c for parts in self.parts.values() for part in parts for c in part.all()]
        equations = [e for w in self.written for e in (w.equation, w.computed)] + [c.equation for c in left]
        numbers = {n for w in self.written for n in w.because} | {n for c in left for n in c.of}
        names = {name for e in equations for name in e.tensors}
        known = names <= {*self.scene.names}
        return known and {n for n in numbers if n < self.start} <= {*self.scene.numbers}


class Replay:
    """The steps of a walk that writes into ``book`` and keeps what waits in ``parts``.

    ``known`` tells what else a step depends on of a tensor: its own name, too, where that means something.
    """

    def __init__(self, book: Book, parts: Parts, known: Callable[[str], Hashable]) -> None:
        self.book, self.parts, self.known = book, parts, known
        self.steps: dict[Hashable, Step] = {}

    def step(self, instances: Sequence[Instance], take: Callable[[], None]) -> None:
        """Take a step over these instances, or write down what it was where it was taken before."""
        scene = self._scene(instances)
        taken = self.steps.get(scene.form)
        if taken is None:
            self._take(scene, take)
        else:
            self._repeat(taken, scene)

    def _scene(self, instances: Sequence[Instance]) -> Scene:
        own = [tuple(i.names[local] for local in i.template.tensors) for i in instances]
        waiting = {name: self.parts.get(name, ()) for names in own for name in names}
        parts = [c for some in waiting.values() for part in some for c in part.all()]
        tensors = dict.fromkeys(name for names in own for name in names)
        tensors |= dict.fromkeys(primal(t) or t for c in parts for t in c.equation.tensors)
        names = (*tensors, *map(cotangent, tensors))
        at = {name: place for place, name in enumerate(names)}
        numbers = tuple(self.book.number_of.get(name, 0) for name in names)
        numbers += tuple(n for c in parts for n in c.of)

        def form(part: Cotangent) -> Hashable:
            equation, long = part.equation, part.long
            places = tuple(at[t] for t in equation.tensors)
            return equation.pattern, places, part.rule, len(part.of), long and form(long)

        ranks = {number: rank for rank, number in enumerate(sorted({0, *numbers}))}
        return Scene(
            names,
            numbers,
            (
                tuple((i.template, tuple(i.sizes.items())) for i in instances),
                tuple(tuple(at[name] for name in names) for names in own),
                tuple(tuple(map(form, some)) for some in waiting.values()),
                tuple(map(self.known, tensors)),
                order(names),
                tuple(ranks[number] for number in numbers),
            ),
        )

    def _take(self, scene: Scene, take: Callable[[], None]) -> None:
        book, start = self.book, len(self.book.equations)
        before = {name: book.number_of.get(name) for name in scene.names}
        take()
        written = [
            replace(e, equation=shared(e.equation), computed=shared(e.computed))
            for e in book.equations[start:]
        ]
        book.equations[start:] = written
        parts = {name: [p.mapped(shared) for p in self.parts[name]] for name in self._waiting(scene)}
        self.parts.update(parts)
        after = {name: book.number_of.get(name) for name in scene.names}
        numbers = {name: number for name, number in after.items() if number != before[name]}
        left = {name: tuple(some) for name, some in parts.items()}
        step = Step(scene, start + 1, tuple(written), numbers, left)
        if step.is_closed:
            self.steps[scene.form] = step

    def _repeat(self, step: Step, scene: Scene) -> None:
        book, ahead = self.book, len(self.book.equations) + 1 - step.start
        names = dict(zip(step.scene.names, scene.names, strict=True))
        known = dict(zip(step.scene.numbers, scene.numbers, strict=True))

        def equation(old: Equation) -> Equation:
            return under(old, names)

        def number(old: int) -> int:
            return old + ahead if old >= step.start else known[old]

        for e in step.written:
            sides = equation(e.equation), equation(e.computed)
            book.add(e.role, *sides, map(number, e.because), e.rule, e.mode, e.shown_only)
        for name, new in step.numbers.items():
            book.number_of.pop(names[name], None)
            if new is not None:
                book.number_of[names[name]] = number(new)
        for name in self._waiting(scene):
            del self.parts[name]
        for name, parts in step.parts.items():
            self.parts[names[name]] = [part.mapped(equation, number) for part in parts]

    def _waiting(self, scene: Scene) -> list[str]:
        return [name for name in scene.names if name in self.parts]

"""The program between equations and source text: statements on named values with concrete shapes.

Past this point there are no derivatives: a statement is a contraction of two tensors, an elementwise map, a
reduction of one, a reshape, windows of a tensor or their sum at its places, or (what fits none of them) a map
over a whole index grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.formula import NamedForm
from chainrule.codegen.ir.section import Section

Extent = int | str  # a number, or "N" for the batch
Shape = tuple[Extent, ...]
BATCH = "N"
GIVEN = ("input", "target", "parameter", "statistic")  # kinds of values that no statement of a step computes


@dataclass(frozen=True)
class Load:
    """A tensor read at plain indices."""

    name: str
    indices: tuple[Symbol, ...]


@dataclass(frozen=True)
class Read:
    """A tensor read at affine subscripts."""

    name: str
    subscripts: tuple[Expr, ...]


@dataclass(frozen=True)
class Statement:
    """``out`` at ``indices`` is computed; ``equation`` is the number of the equation this belongs to."""

    out: str
    indices: tuple[Symbol, ...]
    equation: int

    @cached_property
    def pattern(self) -> tuple[tuple[object, ...], tuple[str, ...]]:
        """What statements share that differ in names alone, and the names: ``out``, then what is read."""
        own, read = _told(self)
        names = (self.out, *read)
        return (type(self), self.indices, *own, tuple(map(names.index, names))), names

    @cached_property
    def reads(self) -> frozenset[str]:
        """The names of the values that the statement reads."""
        return frozenset(self.pattern[1][1:])


@dataclass(frozen=True)
class Contract(Statement):
    """out[indices] = Σ over every other index of left · right."""

    left: Load
    right: Load


class Calculation(Statement):
    """A statement that computes a formula, which may be given as an expression."""

    formula: NamedForm

    def __post_init__(self) -> None:
        if isinstance(self.formula, Expr):
            object.__setattr__(self, "formula", NamedForm.of(self.formula))

    @property
    def expression(self) -> Expr:
        return self.formula.expression

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        """What is read where: at plain indices, but in a grid."""
        return tuple(Load(name, indices) for name, indices in self.formula.reads)


@dataclass(frozen=True)
class Map(Calculation):
    """out[indices] = expression, whose accesses all have plain subscripts out of the indices."""

    formula: NamedForm


@dataclass(frozen=True)
class Reduce(Calculation):
    """out[indices] = ``operation`` ("sum" or "max") of the expression over ``over``."""

    operation: str
    formula: NamedForm
    over: tuple[Symbol, ...]


@dataclass(frozen=True)
class Reshape(Statement):
    """out = the values of source in another shape, the last index fastest."""

    source: str


@dataclass(frozen=True)
class Pad(Statement):
    """out = source with zeros around it: ``before`` and ``after`` say how many on each axis."""

    source: str
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class Window(Statement):
    """out[indices] = source[subscripts], affine and within its box: a copy if ``copy``, else a view."""

    source: str
    subscripts: tuple[Expr, ...]
    copy: bool


@dataclass(frozen=True)
class Scatter(Statement):
    """out[subscripts] += source at its own indices and those of ``extents``; out is zero elsewhere.

    ``zero`` says that some place gets nothing, ``add`` that some place gets more than one value.
    """

    source: Load
    subscripts: tuple[Expr, ...]
    extents: tuple[tuple[Symbol, Extent], ...]
    zero: bool
    add: bool


@dataclass(frozen=True)
class First(Statement):
    """out[indices] = whether source is the first along ``over`` that equals best: who won a maximum."""

    source: Load
    best: Load
    over: tuple[Symbol, ...]


@dataclass(frozen=True)
class FirstPlace(First):
    """out[indices] = the number of the first place along ``over``, the last index fastest, that is best."""


@dataclass(frozen=True)
class Pick(Statement):
    """out[subscripts] += value · factor, for all indices of ``extents`` but ``digits``: those of ``place``.

    What lies outside the box of out or factor, at affine subscripts, is left out; out is zero elsewhere.
    """

    value: Load
    place: Load
    digits: tuple[Symbol, ...]
    factor: Read
    subscripts: tuple[Expr, ...]
    extents: tuple[tuple[Symbol, Extent], ...]


@dataclass(frozen=True)
class Draw(Statement):
    """out = random truth values, true with ``probability``; ``stream`` tells the draws of a step apart."""

    probability: Expr
    stream: int


@dataclass(frozen=True)
class Grid(Calculation):
    """out[indices] = Σ over ``over`` of the expression, its subscripts affine in any way: slow and right.

    ``extents`` gives the range of every index.
    """

    formula: NamedForm
    over: tuple[Symbol, ...]
    extents: tuple[tuple[Symbol, Extent], ...]


@dataclass(frozen=True)
class Loop:
    """Statements for one piece of the batch after the other, ``size`` samples at a time.

    ``sums`` names what they add up from piece to piece.
    """

    statements: tuple[Statement, ...]
    size: int
    sums: frozenset[str]


@dataclass(frozen=True)
class Value:
    """A named tensor of the program.

    ``kind`` is input, target, parameter, statistic, gradient, state or local; ``identifier`` what programs
    call it, ``slot`` the value whose memory it takes over ("" for its own), ``piece`` how many samples it
    holds at a time (0: all).  ``integer`` is whether it holds labels, ``truth`` whether truth values,
    ``zeroed`` whether it starts as zeros, some of which stay, ``place`` whether it holds places in windows.
    ``of`` is the parameter whose gradient it is.
    """

    name: str
    shape: Shape
    kind: str
    identifier: str
    slot: str = ""
    integer: bool = False
    piece: int = 0
    truth: bool = False
    zeroed: bool = False
    of: str = ""
    place: bool = False


@dataclass(frozen=True)
class EquationNote:
    """What a comment says of an equation: its number, text, shape and role."""

    number: int
    role: str
    symbol: str
    write: Callable[[], str]
    shape: str

    @cached_property
    def text(self) -> str:
        return self.write()


Sections = dict[Section, tuple[Statement | Loop, ...]]


@dataclass(frozen=True)
class Program:
    """The statements of a training program by section, in the order in which they run.

    ``output`` and ``input_gradient`` name the values that programs give out.
    ``constants`` maps the symbols that stand for hyper-parameters to their identifiers, ``shared`` what is
    computed for several equations to the numbers of the others.
    """

    sections: Sections
    values: dict[str, Value]
    notes: dict[int, EquationNote]
    output: str
    constants: dict[str, str]
    shared: dict[str, tuple[int, ...]] = field(default_factory=dict)
    input_gradient: str = ""

    @cached_property
    def truths(self) -> frozenset[str]:
        """The values that hold truth values."""
        return frozenset(v.name for v in self.values.values() if v.truth)

    @cached_property
    def has_loops(self) -> bool:
        """Whether anything runs in pieces of the batch, which threads share."""
        return any(isinstance(entry, Loop) for section in self.sections.values() for entry in section)

    def memory(self, name: str) -> str:
        """Return the value in whose memory a value lives."""
        while self.values[name].slot:
            name = self.values[name].slot
        return name

    @cached_property
    def window_views(self) -> frozenset[str]:
        """The values that show windows of others, in whose memory they lie."""
        statements = self.statements(*self.sections)
        return frozenset(s.out for s in statements if isinstance(s, Window) and not s.copy)

    def statements(self, *sections: Section) -> Iterator[Statement]:
        """Give the statements of some sections in order, those of loops among them."""
        for section in sections:
            for entry in self.sections[section]:
                yield from statements_of(entry)


def statements_of(entry: Statement | Loop) -> tuple[Statement, ...]:
    """Return the statements of an entry of a section: itself, or those of a loop."""
    return entry.statements if isinstance(entry, Loop) else (entry,)


def _told(statement: Statement) -> tuple[tuple[object, ...], tuple[str, ...]]:
    """Return what a statement says beside its output: without names, and the names."""
    match statement:
        case Map(formula=f):
            return (f.form,), f.names
        case Contract(left=left, right=right):
            return (left.indices, right.indices), (left.name, right.name)
        case Reduce(formula=f, operation=operation, over=over):
            return (f.form, operation, over), f.names
        case Window(source=source, subscripts=subscripts, copy=copy):
            return (subscripts, copy), (source,)
        case Reshape(source=source):
            return (), (source,)
        case Pad(source=source, before=before, after=after):
            return (before, after), (source,)
        case Scatter(source=source, subscripts=subscripts, extents=extents, zero=zero, add=add):
            return (source.indices, subscripts, extents, zero, add), (source.name,)
        case First(source=source, best=best, over=over):
            return (source.indices, best.indices, over), (source.name, best.name)
        case Pick(value=value, place=place, factor=factor):
            told = (statement.digits, factor.subscripts, statement.subscripts, statement.extents)
            return (value.indices, place.indices, *told), (value.name, place.name, factor.name)
        case Grid(formula=f, over=over, extents=extents):
            return (f.form, over, extents), f.names
        case Draw(probability=probability, stream=stream):
            return (probability, stream), ()
    raise TypeError(f"not a statement: {statement}")


def renamed(statement: Statement, called: Mapping[str, str], equation: int | None = None) -> Statement:
    """Return a statement with other names for values, and the number of another equation."""
    out = called.get(statement.out, statement.out)
    number = statement.equation if equation is None else equation
    head = (out, statement.indices, number)

    def load(x: Load) -> Load:
        return Load(called[x.name], x.indices) if x.name in called else x

    match statement:
        case Map(formula=f):
            return Map(*head, f.called(called))
        case Contract(left=left, right=right):
            return Contract(*head, load(left), load(right))
        case Reduce(formula=f, operation=operation, over=over):
            return Reduce(*head, operation, f.called(called), over)
        case Window(source=source, subscripts=subscripts, copy=copy):
            return Window(*head, called.get(source, source), subscripts, copy)
        case Reshape(source=source):
            return Reshape(*head, called.get(source, source))
        case Pad(source=source, before=before, after=after):
            return Pad(*head, called.get(source, source), before, after)
        case Scatter(source=source, subscripts=subscripts, extents=extents, zero=zero, add=add):
            return Scatter(*head, load(source), subscripts, extents, zero, add)
        case First(source=source, best=best, over=over):
            return type(statement)(*head, load(source), load(best), over)
        case Pick(value=value, place=place, factor=factor):
            read = replace(factor, name=called.get(factor.name, factor.name))
            return replace(
                statement, out=out, equation=number, value=load(value), place=load(place), factor=read
            )
        case Grid(formula=f, over=over, extents=extents):
            return Grid(*head, f.called(called), over, extents)
        case Draw(probability=probability, stream=stream):
            return Draw(*head, probability, stream)
    raise TypeError(f"not a statement: {statement}")


def viewed(statement: Statement) -> str | None:
    """Return the value whose memory a statement only shows again (a reshape, a view, a copy), or None."""
    if isinstance(statement, Reshape) or (isinstance(statement, Window) and not statement.copy):
        return statement.source
    return copied(statement)


def copied(statement: Statement) -> str | None:
    """Return the other value that a map gives as it is, at its own indices, or None."""
    if not isinstance(statement, Map) or not isinstance(statement.formula.form.expression, Indexed):
        return None
    ((name, indices),) = statement.formula.reads
    return name if indices == statement.indices and name != statement.out else None


def views(program: Program) -> dict[str, str]:
    """Return the values that only show another's memory, each with that other.

    What one mode computes and the other only shows (dropout) has memory of its own.
    """
    statements = list(program.statements(*program.sections))
    computed = {s.out for s in statements if viewed(s) is None}
    return {s.out: source for s in statements if (source := viewed(s)) is not None and s.out not in computed}


def padded_shape(sizes: Shape, before: tuple[int, ...], after: tuple[int, ...]) -> Shape:
    """Return the shape of a tensor with zeros around it."""
    return tuple(n if n == BATCH else int(n) + b + a for n, b, a in zip(sizes, before, after, strict=True))


def count(shape: Shape, batch: int = 1) -> int:
    """Return the number of values of a shape, for a batch of that size."""
    return math.prod(batch if e == BATCH else int(e) for e in shape)

"""The program between equations and source text: statements on named values with concrete shapes.

Past this point there are no derivatives: a statement is a contraction of two tensors, an elementwise map, a
reduction of one, a reshape, windows of a tensor or their sum at its places, or (what fits none of them) a map
over a whole index grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.section import Section
from chainrule.derive.index import name_of

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
class Statement:
    """``out`` at ``indices`` is computed; ``equation`` is the number of the equation this belongs to."""

    out: str
    indices: tuple[Symbol, ...]
    equation: int


@dataclass(frozen=True)
class Contract(Statement):
    """out[indices] = Σ over every other index of left · right."""

    left: Load
    right: Load


@dataclass(frozen=True)
class Map(Statement):
    """out[indices] = expression, whose accesses all have plain subscripts out of the indices."""

    expression: Expr


@dataclass(frozen=True)
class Reduce(Statement):
    """out[indices] = operation ("sum" or "max") of body over ``over``."""

    operation: str
    body: Expr
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
class Draw(Statement):
    """out = random truth values, true with ``probability``; ``stream`` tells the draws of a step apart."""

    probability: Expr
    stream: int


@dataclass(frozen=True)
class Grid(Statement):
    """out[indices] = Σ over ``over`` of body, whose subscripts are any affine expressions: slow and right.

    ``extents`` gives the range of every index.
    """

    body: Expr
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
    ``zeroed`` whether it starts as zeros, some of which stay.  ``of`` is the parameter whose gradient it is.
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
    def window_views(self) -> frozenset[str]:
        """The values that show windows of others, in whose memory they lie."""
        statements = self.statements(*self.sections)
        return frozenset(s.out for s in statements if isinstance(s, Window) and not s.copy)

    def statements(self, *sections: Section) -> Iterator[Statement]:
        """Give the statements of some sections in order, those of loops among them."""
        for section in sections:
            for entry in self.sections[section]:
                yield from entry.statements if isinstance(entry, Loop) else (entry,)


def operands(statement: Statement) -> list[Expr | Load]:
    """Return what a statement reads: loads and expressions."""
    match statement:
        case Contract(left=left, right=right):
            return [left, right]
        case Map(expression=expression):
            return [expression]
        case Reduce(body=body) | Grid(body=body):
            return [body]
        case Reshape(source=source) | Pad(source=source) | Window(source=source):
            return [Load(source, ())]
        case Scatter(source=source):
            return [source]
        case First(source=source, best=best):
            return [source, best]
        case Draw():
            return []
    raise TypeError(f"not a statement: {statement}")


def reads(statement: Statement) -> set[str]:
    """Return the names of the values that a statement reads."""
    found: set[str] = set()
    for operand in operands(statement):
        if isinstance(operand, Load):
            found.add(operand.name)
        else:
            found |= _names(operand)
    return found


@lru_cache(maxsize=4096)  # asked for by every pass
def _names(expression: Expr) -> frozenset[str]:
    return frozenset(name_of(a.base) for a in expression.atoms(Indexed))


def viewed(statement: Statement) -> str | None:
    """Return the value whose memory a statement only shows again (a reshape, a view, a copy), or None."""
    if isinstance(statement, Reshape) or (isinstance(statement, Window) and not statement.copy):
        return statement.source
    if not isinstance(statement, Map) or not isinstance(statement.expression, Indexed):
        return None
    read = statement.expression
    return name_of(read.base) if read.indices == statement.indices else None


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

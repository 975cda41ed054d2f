"""The work of a kernel: elements of tensors, each computed by one thread or by a group of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.contraction import Blocks
from chainrule.codegen.ir.program import Extent, Load, count
from chainrule.derive.index import Inside

Axes = tuple[tuple[Symbol, Extent], ...]


class Guarded(Expr):
    """An access that is zero where a guard does not hold: args are the access and its ``Inside`` guards."""

    is_commutative = True
    is_extended_real = True

    @property
    def read(self) -> Indexed:
        return self.args[0]

    @property
    def guards(self) -> tuple[Inside, ...]:
        return self.args[1:]


@dataclass(frozen=True)
class Quotient:
    """``index`` = numerator / divisor: a whole number in 0 … extent − 1, or else nothing is added."""

    index: Symbol
    numerator: Expr
    divisor: int
    extent: int


@dataclass(frozen=True)
class Assignment:
    """``out`` at the kernel's axes = ``operation`` of body over ``over`` ("" for no reduction).

    Operations are sum, max, first and place; ``first`` is whether body is the first along ``over`` that
    equals ``best``, at the place that the axes say, and ``place`` the number of that place.
    """

    out: str
    body: Expr
    equation: int
    operation: str = ""
    over: Axes = ()
    quotients: tuple[Quotient, ...] = ()
    best: Expr | None = None


@dataclass
class Elements:
    """One thread computes one element, step after step."""

    axes: Axes
    steps: list[Assignment]


@dataclass
class Samples:
    """One thread computes a sample's few elements, one work after the other; ``sample`` is the index."""

    sample: Symbol
    works: list[Elements]

    @property
    def steps(self) -> list[Assignment]:
        return [step for work in self.works for step in work.steps]


@dataclass
class GroupReduction:
    """A group of threads reduces ``body`` over ``over`` for one element; one of them takes the steps.

    ``parts`` is how many groups share the terms where one would take too long (1: no sharing).
    """

    axes: Axes
    out: str
    operation: str
    over: Axes
    body: Expr
    equation: int
    steps: list[Assignment] = field(default_factory=list)
    parts: int = 1


@dataclass
class Product:
    """Blocks of threads compute tiles of Σ left · right; each thread takes the steps for its elements."""

    axes: Axes
    out: str
    left: Load
    right: Load
    blocks: Blocks
    extents: dict[Symbol, Extent]
    equation: int
    steps: list[Assignment] = field(default_factory=list)
    parts: int = 1


@dataclass
class Picking:
    """Σ value · factor over windows, added at ``target``; the place in each is ``place``, by its digits r, s.

    ``factor`` and ``target`` are zero, or left out, outside their boxes.
    """

    axes: Axes
    out: str
    value: Expr
    place: Expr
    digits: Axes
    factor: Expr
    target: Expr
    extents: dict[Symbol, Extent]
    equation: int
    steps: list[Assignment] = field(default_factory=list)


@dataclass(frozen=True)
class Drawing:
    """Random truth values for a whole tensor."""

    out: str
    stream: int
    probability: Expr
    equation: int


Work = Elements | Samples | GroupReduction | Product | Picking | Drawing


def parts(work: Work) -> Sequence[Work]:
    """Return what work consists of, where it is that of a sample."""
    return work.works if isinstance(work, Samples) else [work]


def made(work: Work) -> list[str]:
    """Return the tensors that work computes, in order."""
    own = [] if isinstance(work, Elements | Samples) else [work.out]
    return own if isinstance(work, Drawing) else [*own, *(step.out for step in work.steps)]


def expressions(work: Work) -> list[Expr]:
    """Return the expressions that work evaluates; the factors of a product are none."""
    if isinstance(work, Drawing):
        return []
    bodies = [step.body for step in work.steps] + [s.best for s in work.steps if s.best is not None]
    bodies += [work.body] if isinstance(work, GroupReduction) else []
    return [*bodies, work.value, work.place, work.factor] if isinstance(work, Picking) else bodies


def operations(work: Work) -> int:
    """Return the floating-point operations of products for one sample."""
    if not isinstance(work, Product | Picking):
        return 0
    digits = {i for i, _ in work.digits} if isinstance(work, Picking) else set()
    return 2 * count(tuple(n for i, n in work.extents.items() if i not in digits))

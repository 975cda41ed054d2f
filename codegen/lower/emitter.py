"""Where the statements of one equation are collected, with the names and extents they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import sympy
from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.box import axes, bounds, element
from chainrule.codegen.ir.program import BATCH, Extent, Map, Pad, Shape, Statement, Window, padded_shape
from chainrule.codegen.lower.copies import WindowKey
from chainrule.codegen.lower.subscripts import is_plain, window_key
from chainrule.derive.index import access, name_of
from chainrule.derive.network import N


class LoweringError(ValueError):
    """An equation that cannot be turned into statements; the message names it."""


def extent(size: Expr) -> Extent:
    """Return a concrete size, or "N" for the batch."""
    if size == N:
        return BATCH
    if not size.is_Integer:
        raise LoweringError(f"size {size} is not a number")
    return int(size)


class Emitter:
    """The statements of equation ``number`` so far, and the windows that they copy.

    ``fresh`` declares a value, named after another with a suffix, under a name that is free.
    """

    def __init__(self, number: int, fresh: Callable[..., str]) -> None:
        self.number = number
        self.fresh = fresh
        self.out: list[Statement] = []
        self.copies: set[WindowKey] = set()
        self.truths: set[str] = set()  # values that hold truth values
        self.extents: dict[Symbol, Extent] = {}

    def shape(self, indices: Iterable[Symbol]) -> Shape:
        return tuple(self.extents[i] for i in indices)

    def temporary(self, of: str, suffix: str, indices: Iterable[Symbol], truth: bool = False) -> str:
        """Declare a fresh value over these indices, named after another, and return its name."""
        made = self.fresh(of, suffix, self.shape(indices), truth=truth)
        self.truths |= {made} if truth else set()
        return made

    def read(self, name: str, indices: tuple[Symbol, ...]) -> Indexed:
        """Return the access to a value at its own indices."""
        return element(name, self.shape(indices), indices)

    def units(self) -> set[Symbol]:
        """Return the indices that have a single value."""
        return {i for i, n in self.extents.items() if n == 1}

    # ---- Windows ---------------------------------------------------------------------------------

    def window(self, read: Indexed, order: tuple[Symbol, ...], copy: bool) -> Indexed:
        """Read a tensor at affine subscripts as a value over the indices ``order``, padded where need be."""
        shows = not copy and name_of(read.base) in self.truths
        truth = shows and not any(map(any, self.overhang(tuple(read.indices), self._sizes(read))))
        name = self.temporary(name_of(read.base), "windows", order, truth)
        self.window_as(name, read, order, copy)
        return self.read(name, order)

    def window_as(self, name: str, read: Indexed, order: tuple[Symbol, ...], copy: bool) -> None:
        """Read a tensor at affine subscripts as the value of that name."""
        if copy:
            self.copies.add(window_key(read, self.extents))
        constant = {i: sympy.S.Zero for i in self.units() if i not in order}
        source, subscripts = self._padded(access(read.base, *(e.xreplace(constant) for e in read.indices)))
        self.out.append(Window(name, order, self.number, source, subscripts, copy))

    def _padded(self, read: Indexed) -> tuple[str, tuple[Expr, ...]]:
        """Return a tensor in whose box all subscripts lie, and the subscripts in it."""
        source = name_of(read.base)
        sizes = self._sizes(read)
        before, after = self.overhang(tuple(read.indices), sizes)
        if not any((*before, *after)):
            return source, tuple(read.indices)
        name = self.fresh(source, "padded", padded_shape(sizes, before, after), zeroed=True)
        self.out.append(Pad(name, axes(len(sizes)), self.number, source, before, after))
        return name, tuple(i + b for i, b in zip(read.indices, before, strict=True))

    def _sizes(self, read: Indexed) -> Shape:
        return tuple(extent(n) for n in read.base.shape)

    def overhang(self, subscripts: tuple[Expr, ...], sizes: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return how far subscripts reach before and after each axis."""
        before, after = [], []
        for subscript, size in zip(subscripts, sizes, strict=True):
            found = None if size == BATCH else bounds(subscript, self.extents)
            if found is None and not (isinstance(subscript, Symbol) and self.extents[subscript] == size):
                raise LoweringError(f"subscript {subscript} has no bounds")
            low, high = found or (0, 0)
            before.append(max(0, -low))
            after.append(0 if size == BATCH else max(0, high - (int(size) - 1)))
        return tuple(before), tuple(after)

    def views(self, body: Expr, order: tuple[Symbol, ...] = ()) -> Expr:
        """Replace every access that is not plain by one to a view of windows, its indices in that order."""
        windows = sorted((r for r in body.atoms(Indexed) if not is_plain(r, self.extents)), key=str)
        orders = {r: tuple(i for i in order if i in r.free_symbols) or self.native(r) for r in windows}
        return body.xreplace({r: self.window(r, orders[r], copy=False) for r in windows})

    def native(self, read: Indexed) -> tuple[Symbol, ...]:
        """Return the indices of an access in memory order: positions, then places in the window."""
        outer: list[Symbol] = []
        inner: list[Symbol] = []
        for subscript in read.indices:
            symbols = sorted(
                subscript.free_symbols & self.extents.keys(),
                key=partial(self._outermost, subscript),
            )
            first = inner if inner and len(symbols) == 1 else outer
            first += [s for s in symbols[:1] if s not in (*outer, *inner)]
            inner += [s for s in symbols[1:] if s not in (*outer, *inner)]
        return tuple(dict.fromkeys((*outer, *inner)))

    def _outermost(self, subscript: Expr, index: Symbol) -> tuple[int, int, str]:
        return -abs(int(subscript.coeff(index))), -_size(self.extents[index]), index.name

    def materialize(self, body: Expr, order: tuple[Symbol, ...], of: str, suffix: str) -> Indexed:
        """Return the access, over the indices ``order``, to a value that holds an expression.

        What is computed runs over the indices with a single value that it reads, too.
        """
        if isinstance(body, Indexed) and tuple(body.indices) == order and is_plain(body, self.extents):
            return body
        if isinstance(body, Indexed):
            return self.window(body, order, copy=bool(order))  # a number needs no memory
        read = body.free_symbols.difference(order)
        order += tuple(i for i, n in self.extents.items() if n == 1 and i in read)
        value = self.temporary(of, suffix, order)
        self.out.append(Map(value, order, self.number, self.views(body)))
        return self.read(value, order)


def _size(extent: Extent) -> int:
    return 2**31 if extent == BATCH else int(extent)

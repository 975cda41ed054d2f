"""One equation, from the inside out: its reductions first, then the map that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Symbol

from codegen.affine import (
    Choice,
    Plain,
    factors,
    is_plain,
    mixed_radix,
    place_indices,
    slopes,
    volume,
)
from codegen.contraction import distinct
from codegen.emitter import extent
from codegen.products import Products
from codegen.program import (
    Contract,
    Extent,
    First,
    Grid,
    Load,
    Map,
    Reduce,
    Reshape,
    Scatter,
    Statement,
    Window,
    padded_shape,
)
from derive.index import (
    Equation,
    Inside,
    Max,
    Reduction,
    Sum,
    Winner,
    access,
    name_of,
    reductions,
    same_up_to_names,
    tensor,
)


@dataclass
class Known:
    """The reductions that values hold already, by a form in which names do not matter."""

    reductions: dict[Expr, Indexed] = field(default_factory=dict)
    maxima: dict[Expr, tuple[tuple[Symbol, ...], Indexed]] = field(default_factory=dict)

    def copy(self) -> Known:
        """Return what is known so far, to be added to apart."""
        return Known(dict(self.reductions), dict(self.maxima))

    def remember(self, reduction: Reduction, value: Indexed) -> None:
        self.reductions[same_up_to_names(reduction)] = value
        if isinstance(reduction, Max):
            form, order = _anonymous(reduction)
            self.maxima[form] = order, value

    def maximum(self, reduction: Max) -> Indexed | None:
        """Return the value that holds a maximum, at the indices that this one has."""
        form, order = _anonymous(reduction)
        if form not in self.maxima:
            return None
        names, value = self.maxima[form]
        return value.xreplace(dict(zip(names, order, strict=True)))


def _anonymous(reduction: Reduction) -> tuple[Expr, tuple[Symbol, ...]]:
    """Return a reduction with its free indices numbered by first appearance, and these indices."""
    order: list[Symbol] = []
    for read in sorted(reduction.body.atoms(Indexed), key=lambda r: (name_of(r.base), len(r.indices))):
        for subscript in read.indices:
            free = subscript.free_symbols - set(reduction.bound)
            order += sorted((s for s in free if s not in order), key=lambda s: s.name)
    numbered = {s: Symbol(f"free{d}", integer=True) for d, s in enumerate(order)}
    return same_up_to_names(reduction.xreplace(numbered)), tuple(order)


class EquationLowering(Products):
    """Turns one equation into statements."""

    def __init__(
        self,
        equation: Equation,
        number: int,
        fresh: Callable[..., str],
        known: Known,
        choice: Choice,
    ) -> None:
        super().__init__(number, fresh)
        self.choice = choice
        self.equation = equation
        self.name = equation.name
        self.known = known
        self.extents.update((i, extent(n)) for i, n in equation.axes)

    def statements(self) -> list[Statement]:
        """Return the equation's statements, in order."""
        equation = self.equation
        reshape = self._reshape()
        if reshape is not None:
            return [reshape]
        right, free = equation.right, equation.free
        if isinstance(right, Reduction) and set(free) <= right.free_symbols and not self._is_known(right):
            self._compute(equation.name, free, right)
            self.known.remember(right, equation.left)
            return self.out
        rest = self._shared_bodies(right)
        rest = self._without_reductions(rest, free)
        self._assign(equation.name, free, rest)
        return self.out

    def _plain(self, expression: Expr, indices: tuple[Symbol, ...]) -> bool:
        """Whether every access is plain, and no guard or winner is left."""
        if expression.has(Inside, Winner):
            return False
        extents = {i: self.extents[i] for i in indices}
        if not all(is_plain(read, extents) for read in expression.atoms(Indexed)):
            return False
        deltas = expression.atoms(KroneckerDelta)
        return all(any(isinstance(a, Indexed) for a in delta.args) for delta in deltas)

    # ---- Maps ------------------------------------------------------------------------------------

    def _assign(self, name: str, free: tuple[Symbol, ...], expression: Expr) -> None:
        """Compute an expression without reductions."""
        if self._plain(expression, free):
            self.out.append(Map(name, free, self.number, expression))
            return
        form = self.choice.form(expression, free, (), self.extents)
        if form is None:
            self.out.append(Grid(name, free, self.number, expression, (), self._ranges(free)))
            return
        self.extents |= form.extents
        if form.places:
            self._scatter(name, free, form)
        elif isinstance(form.body, Indexed):
            self.window_as(name, form.body, free, copy=True)
        else:
            body = self._winners(form.body, free)
            self.out.append(Map(name, free, self.number, self._complete(body, free, ())))

    def _complete(self, body: Expr, free: tuple[Symbol, ...], over: tuple[Symbol, ...]) -> Expr:
        """Return a body in which every access is plain and every free index stands, if only to be 0."""
        reads = sorted(body.atoms(Indexed), key=lambda r: (-len(r.free_symbols), str(r)))
        missing = [i for i in (*free, *over) if i not in body.free_symbols]
        if missing and reads:
            wanted = {*reads[0].free_symbols, *missing}
            order = tuple(i for i in (*free, *over) if i in wanted)
            body = body.xreplace({reads[0]: self.window(reads[0], order, copy=False)})
        return self.views(body, (*free, *over))

    def _ranges(self, indices: Iterable[Symbol]) -> tuple[tuple[Symbol, Extent], ...]:
        return tuple((i, self.extents[i]) for i in indices)

    def _reshape(self) -> Reshape | None:
        """Recognise an exchange of axes for one, or one for several, in row-major order."""
        equation = self.equation
        right, free = equation.right, equation.free
        if isinstance(right, Indexed):
            extents = self.extents
            source, wanted = right, free
            parts = list(right.indices)
        elif isinstance(right, Sum):
            extents = {**self.extents, **{i: extent(n) for i, n in right.axes}}
            parts_of = factors(right.body)
            deltas = [f for f in parts_of if isinstance(f, KroneckerDelta) and not f.has(Indexed)]
            reads = [f for f in parts_of if isinstance(f, Indexed)]
            if len(reads) != 1 or len(deltas) + 1 != len(parts_of) or not is_plain(reads[0], extents):
                return None
            (source,), wanted = reads, tuple(reads[0].indices)
            place = {i: d.args[0] + d.args[1] - i for d in deltas for i in d.args if i in free}
            parts = [place.get(i, i) for i in free]
        else:
            return None
        order: list[Symbol] = []
        for part in parts:
            decoded = (part,) if isinstance(part, Symbol) else mixed_radix(part, extents)
            if decoded is None:
                return None
            order += decoded
        if tuple(order) != tuple(wanted) or all(isinstance(p, Symbol) for p in parts):
            return None
        return Reshape(equation.name, free, self.number, name_of(source.base))

    def _shared_bodies(self, right: Expr) -> Expr:
        """Compute once what a reduction's body and the expression around it share (softmax's exp)."""
        for reduction in reductions(right):
            if isinstance(reduction.body, Indexed) or len(reduction.bound) != 1:
                continue
            outside = right.xreplace({reduction: sympy.Dummy("r")})
            (bound,) = reduction.bound
            for free, size in self.equation.axes:
                if size != reduction.axes[0][1]:
                    continue
                here = _rename_bound(reduction.body, bound, free)
                match = next((e for e in outside.atoms(type(here)) if _same(e, here)), None)
                if match is None:
                    continue
                inner = self._without_reductions(here, self.equation.free)
                suffix = type(here).__name__.lower()
                name = self.temporary(f"{self.equation.name}_{suffix}", self.equation.free)
                self._assign(name, self.equation.free, inner)
                shared = tensor(name, *self.equation.left.base.shape)
                read = access(shared, *self.equation.free)
                total = reduction.func(read.xreplace({free: bound}), *reduction.axes)
                self.known.remember(reduction, self._reduce(total, self.equation.free))
                return right.xreplace({reduction: total, match: read})
        return right

    # ---- Reductions ------------------------------------------------------------------------------

    def _without_reductions(self, expression: Expr, scope: tuple[Symbol, ...]) -> Expr:
        """Replace every reduction by an access to a value that holds it."""
        found = reductions(expression)
        return expression.xreplace({r: self._reduce(r, scope) for r in found}) if found else expression

    def _is_known(self, reduction: Reduction) -> bool:
        return same_up_to_names(reduction) in self.known.reductions

    def _reduce(self, reduction: Reduction, scope: tuple[Symbol, ...]) -> Indexed:
        key = same_up_to_names(reduction)
        if key in self.known.reductions:
            return self.known.reductions[key]
        free = tuple(i for i in scope if i in reduction.free_symbols)
        operation = type(reduction).__name__.lower()
        name = self.temporary(f"{self.equation.name}_{operation}", free)
        self._compute(name, free, reduction)
        value = self.read(name, free)
        self.known.remember(reduction, value)
        return value

    def _compute(self, name: str, free: tuple[Symbol, ...], reduction: Reduction) -> None:
        """Emit the statements of a reduction whose free indices are ``free``."""
        for index, size in reduction.axes:
            self.extents[index] = extent(size)
        over = reduction.bound
        body = self._without_reductions(reduction.body, (*free, *over))
        if isinstance(reduction, Max):
            self._max(name, free, over, body)
            return
        if self._plain(body, (*free, *over)):
            self._sum(name, free, over, body)
            return
        form = self.choice.form(body, free, over, self.extents)
        if form is None:
            self.out.append(Grid(name, free, self.number, body, over, self._ranges((*free, *over))))
            return
        self.extents |= form.extents
        if form.places:
            self._scatter(name, free, form)
        else:
            self._sum(name, free, form.over, form.body)

    def _max(self, name: str, free: tuple[Symbol, ...], over: tuple[Symbol, ...], body: Expr) -> None:
        if not self._plain(body, (*free, *over)):
            form = self.choice.form(body, (), over, self.extents)
            if form is not None:
                body = self._complete(form.body, free, over)
            else:
                shape = (*free, *over)
                grid = self.temporary(f"{name}_window", shape)
                self.out.append(Grid(grid, shape, self.number, body, (), self._ranges(shape)))
                body = self.read(grid, shape)
        self.out.append(Reduce(name, free, self.number, "max", body, over))

    def _sum(self, name: str, free: tuple[Symbol, ...], over: tuple[Symbol, ...], body: Expr) -> None:
        """Emit a sum whose accesses are plain, or windows."""
        body = self._winners(body, (*free, *over))
        product = self._product(body, free, over)
        if product is None:
            self.out.append(Reduce(name, free, self.number, "sum", self._complete(body, free, over), over))
            return
        left, right, scale = product
        self.out.append(Contract(name, free, self.number, left, right))
        if scale != 1:
            self.out.append(Map(name, free, self.number, scale * self.read(name, free)))

    def _scatter(self, name: str, free: tuple[Symbol, ...], form: Plain) -> None:
        """Emit what is summed at places of the output: first the tensor of windows, then its places."""
        inner = place_indices(form, free)
        body = self._winners(form.body, tuple(dict.fromkeys((*inner, *form.over))))
        held = tuple(i for i in inner if i in body.free_symbols)
        summed = tuple(i for i in form.over if i not in inner)
        if summed:
            held = self._product_order(body, held, summed)
            value = self.temporary(f"{name}_windows", held)
            self._sum(value, held, summed, body)
            source = self.read(value, held)
        else:
            source = self.materialize(body, held, f"{name}_windows")
        subscripts = tuple(form.places.get(i, i) for i in free)
        sizes = self.shape(free)
        before, after = self.overhang(subscripts, sizes)
        overlaps = not all(distinct(slopes(e), self.extents) for e in subscripts)
        filled = not overlaps and volume(inner, self.extents) == volume(free, self.extents)
        load = Load(name_of(source.base), tuple(source.indices))
        if not any((*before, *after)):
            ranges = self._ranges(held if set(held) == set(inner) else inner)
            self.out.append(Scatter(name, free, self.number, load, subscripts, ranges, not filled, overlaps))
            return
        wider = self.fresh(f"{name}_padded", padded_shape(sizes, before, after))
        moved = tuple(e + b for e, b in zip(subscripts, before, strict=True))
        axes = tuple(Symbol(f"axis{d}", integer=True) for d in range(len(free)))
        self.out.append(Scatter(wider, axes, self.number, load, moved, self._ranges(inner), True, overlaps))
        cropped = tuple(i + b for i, b in zip(free, before, strict=True))
        self.out.append(Window(name, free, self.number, wider, cropped, copy=True))

    def _winners(self, body: Expr, scope: tuple[Symbol, ...]) -> Expr:
        """Replace who wins a maximum by truth values that hold it."""
        for winner in sorted(body.atoms(Winner), key=str):
            bound = tuple(s for s, _ in winner.axes)
            whole = Max(winner.body, *winner.axes)
            best = self.known.maximum(whole)
            outer = tuple(i for i in scope if i in winner.free_symbols and i not in winner.at)
            if best is None:
                best = self._reduce(whole, outer)
            at = tuple(winner.at)
            here = winner.body.xreplace(dict(zip(bound, at, strict=True)))
            order = self.native(here) if isinstance(here, Indexed) else (*outer, *at)
            order = order if set(order) >= set(at) else (*outer, *at)
            source = self.views(here)
            if not isinstance(source, Indexed):
                source = self.materialize(source, order, f"{self.equation.name}_candidates")
            name = self.temporary(f"{self.equation.name}_winner", order, truth=True)
            loads = [Load(name_of(r.base), tuple(r.indices)) for r in (source, best)]
            self.out.append(First(name, order, self.number, loads[0], loads[1], at))
            body = body.xreplace({winner: self.read(name, order)})
        return body


def _rename_bound(body: Expr, bound: Symbol, free: Symbol) -> Expr:
    return body.xreplace({bound: free}) if free not in body.free_symbols else body


def _same(one: Expr, other: Expr) -> bool:
    return bool(same_up_to_names(one) == same_up_to_names(other))

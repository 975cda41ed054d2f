"""One equation, from the inside out: its reductions first, then the map that is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Symbol

from chainrule.codegen.ir.box import axes, element
from chainrule.codegen.ir.contraction import distinct
from chainrule.codegen.ir.program import (
    BATCH,
    Contract,
    Extent,
    First,
    FirstPlace,
    Grid,
    Load,
    Map,
    Reduce,
    Scatter,
    Statement,
    Window,
    padded_shape,
)
from chainrule.codegen.lower.affine import Choice, Plain, decided, place_indices, windows
from chainrule.codegen.lower.emitter import extent
from chainrule.codegen.lower.known import Known
from chainrule.codegen.lower.picks import found_pick, numbered
from chainrule.codegen.lower.positions import without_positions
from chainrule.codegen.lower.products import Products
from chainrule.codegen.lower.reshapes import reshaped
from chainrule.codegen.lower.subscripts import is_plain, nominal_volume, slopes
from chainrule.derive.index import (
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
)
from chainrule.derive.network import N


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
        self.competing: Indexed | None = None  # for the last maximum
        self.positions: dict[Expr, str] = {}  # by the size of their axis
        self.known = known
        self.extents.update((i, extent(n)) for i, n in equation.axes)

    def statements(self) -> list[Statement]:
        """Return the equation's statements, in order."""
        equation = self.equation
        shown = reshaped(equation, self.number, self.extents)
        if shown is not None:
            return [shown]
        if isinstance(equation.right, Sum) and self._place(equation.right):
            return self.out
        right = without_positions(equation.right, dict(map(tuple, equation.axes)), self._position)
        free = equation.free
        if (
            isinstance(right, Reduction)
            and set(free) <= right.free_symbols
            and not self.known.value(right, self.extents)
        ):
            self._compute(equation.name, free, right)
            self.known.remember(right, equation.left, self.extents, self.competing)
            return self.out
        rest = self._shared_bodies(right)
        rest = self._without_reductions(rest, free)
        self._assign(equation.name, free, rest)
        return self.out

    def _position(self, index: Symbol, size: Expr) -> Indexed:
        """Return the access at an index to the places of its axis, 0 1 2 …"""
        (axis,) = axes(1)
        if size not in self.positions:
            self.extents[axis] = extent(size)
            self.positions[size] = self.temporary(self.name, "places", (axis,))
            self.out.append(Grid(self.positions[size], (axis,), self.number, axis, (), self._ranges((axis,))))
        return element(self.positions[size], (extent(size),), (index,))

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
        expression = decided(expression, self.extents)
        if self._plain(expression, free):
            self.out.append(Map(name, free, self.number, expression))
            return
        form = self.choice.form(expression, free, (), self.extents)
        if form is None and expression.has(Winner):
            self._assign(name, free, self._winners_apart(expression, free))
            return
        if form is None:
            self.out.append(Grid(name, free, self.number, expression, (), self._ranges(free)))
            return
        self.extents |= form.extents
        if form.places:
            self._scatter(name, free, form)
        else:
            self._elementwise(name, free, self._winners(form.body, free))

    def _elementwise(self, name: str, free: tuple[Symbol, ...], body: Expr) -> None:
        """Emit a map whose accesses are plain, or windows."""
        shown = isinstance(body, Indexed) and is_plain(body, self.extents) and set(body.indices) == set(free)
        if free and isinstance(body, Indexed) and not shown:
            self.window_as(name, body, free, copy=True)
        else:
            self.out.append(Map(name, free, self.number, self._complete(body, free, ())))

    def _complete(self, body: Expr, free: tuple[Symbol, ...], over: tuple[Symbol, ...]) -> Expr:
        """Return a body in which every access is plain and every free index stands, if only to be 0."""
        reads = sorted(body.atoms(Indexed), key=lambda r: (-len(r.free_symbols), str(r)))
        missing = [i for i in (*free, *over) if i not in body.free_symbols]
        if missing and reads:
            wanted = {*reads[0].free_symbols, *missing}
            order = tuple(i for i in (*free, *over) if i in wanted)
            body = body.xreplace({reads[0]: self.window(reads[0], order, copy=False)})
        outer = sorted((*free, *over), key=lambda i: self.extents[i] != BATCH)  # samples first, as pieces
        return self.views(body, tuple(outer))

    def _ranges(self, indices: Iterable[Symbol]) -> tuple[tuple[Symbol, Extent], ...]:
        return tuple((i, self.extents[i]) for i in indices)

    def _shared_bodies(self, right: Expr) -> Expr:
        """Compute once what a reduction's body and the expression around it share (softmax's exp)."""
        for reduction in reductions(right):
            computed = reduction.body.has(Indexed) and not isinstance(reduction.body, Indexed)
            if (
                not computed
                or len(reduction.bound) != 1
                or reduction.bound[0] not in reduction.body.free_symbols
            ):
                continue
            outside = right.xreplace({reduction: sympy.Dummy("r")})
            (bound,) = reduction.bound
            for free, size in self.equation.axes:
                if size != reduction.axes[0][1] or free in reduction.body.free_symbols:
                    continue
                here = reduction.body.xreplace({bound: free})
                alike = (e for e in sympy.preorder_traversal(outside) if isinstance(e, type(here)))
                match = next((e for e in alike if _same(e, here)), None)
                if match is None:
                    continue
                inner = self._without_reductions(here, self.equation.free)
                suffix = type(here).__name__.lower()
                name = self.temporary(self.name, suffix, self.equation.free)
                self._assign(name, self.equation.free, inner)
                read = self.read(name, self.equation.free)
                total = reduction.func(read.xreplace({free: bound}), *reduction.axes)
                self.known.remember(reduction, self._reduce(total, self.equation.free), self.extents)
                return right.xreplace({reduction: total, match: read})
        return right

    # ---- Reductions ------------------------------------------------------------------------------

    def _without_reductions(self, expression: Expr, scope: tuple[Symbol, ...]) -> Expr:
        """Replace every reduction by an access to a value that holds it."""
        found = reductions(expression)
        return expression.xreplace({r: self._reduce(r, scope) for r in found}) if found else expression

    def _reduce(self, reduction: Reduction, scope: tuple[Symbol, ...]) -> Indexed:
        known = self.known.value(reduction, self.extents)
        if known is not None:
            return known
        free = tuple(i for i in scope if i in reduction.free_symbols)
        operation = type(reduction).__name__.lower()
        name = self.temporary(self.name, operation, free)
        self._compute(name, free, reduction)
        value = self.read(name, free)
        self.known.remember(reduction, value, self.extents, self.competing)
        return value

    def _compute(self, name: str, free: tuple[Symbol, ...], reduction: Reduction) -> None:
        """Emit the statements of a reduction whose free indices are ``free``."""
        self.competing = None
        for index, size in reduction.axes:
            self.extents[index] = extent(size)
        over = reduction.bound
        body = decided(self._without_reductions(reduction.body, (*free, *over)), self.extents)
        if isinstance(reduction, Max):
            self._max(name, free, over, body, isinstance(reduction.body, Indexed))
            return
        self._total(name, free, over, body)

    def _total(self, name: str, free: tuple[Symbol, ...], over: tuple[Symbol, ...], body: Expr) -> None:
        """Emit a sum, in its best form."""
        if self._plain(body, (*free, *over)):
            self._sum(name, free, over, body)
            return
        pick = found_pick(body, free, over, self.extents) if self.choice.costs.pick < math.inf else None
        if pick is not None:
            self.out.append(pick.statement(name, free, self.number))
            self._scaled(name, free, pick.scale)
            return
        form = self.choice.form(body, free, over, self.extents)
        if form is None and body.has(Winner):
            self._total(name, free, over, self._winners_apart(body, (*free, *over)))
        elif form is None:
            self.out.append(Grid(name, free, self.number, body, over, self._ranges((*free, *over))))
        else:
            self.extents |= form.extents
            if form.places:
                self._scatter(name, free, form)
            else:
                self._sum(name, free, form.over, form.body)

    def _max(
        self, name: str, free: tuple[Symbol, ...], over: tuple[Symbol, ...], body: Expr, copied: bool
    ) -> None:
        """Emit a maximum; what is computed to compete for it, not copied, is kept, for who asks who won."""
        if copied and isinstance(body, Indexed):
            form = None if self._plain(body, (*free, *over)) else windows(body, over, self.extents)
            body = body if form is None else self._complete(form.body, free, over)
        else:
            body = self.competing = self._candidates(body, (*free, *over), name)
        over = tuple(i for i in over if i in body.free_symbols)
        if not over:
            self._elementwise(name, free, body)
            return
        self.out.append(Reduce(name, free, self.number, "max", body, over))

    def _sum(self, name: str, free: tuple[Symbol, ...], over: tuple[Symbol, ...], body: Expr) -> None:
        """Emit a sum whose accesses are plain, or windows."""
        body = self._winners(body, (*free, *over))
        alike = [i for i in over if i not in body.free_symbols]
        if alike:  # so many equal terms
            count = sympy.Mul(*(N if self.extents[i] == BATCH else self.extents[i] for i in alike))
            body, over = count * body, tuple(i for i in over if i not in alike)
        if not over:
            self._elementwise(name, free, body)
            return
        product = self._product(body, free, over)
        if product is None:
            self.out.append(Reduce(name, free, self.number, "sum", self._complete(body, free, over), over))
            return
        left, right, scale = product
        self.out.append(Contract(name, free, self.number, left, right))
        self._scaled(name, free, scale)

    def _scaled(self, name: str, free: tuple[Symbol, ...], scale: Expr) -> None:
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
            value = self.temporary(name, "windows", held)
            self._sum(value, held, summed, body)
            source = self.read(value, held)
        else:
            source = self.materialize(body, held, name, "windows")
        subscripts = tuple(form.places.get(i, i) for i in free)
        sizes = self.shape(free)
        before, after = self.overhang(subscripts, sizes)
        overlaps = not all(distinct(slopes(e), self.extents) for e in subscripts)
        filled = not overlaps and nominal_volume(inner, self.extents) == nominal_volume(free, self.extents)
        load = Load(name_of(source.base), tuple(source.indices))
        if not any((*before, *after)):
            ranges = self._ranges(held if set(held) == set(inner) else inner)
            self.out.append(Scatter(name, free, self.number, load, subscripts, ranges, not filled, overlaps))
            return
        wider = self.fresh(name, "padded", padded_shape(sizes, before, after))
        moved = tuple(e + b for e, b in zip(subscripts, before, strict=True))
        ranges = self._ranges(inner)
        self.out.append(Scatter(wider, axes(len(free)), self.number, load, moved, ranges, True, overlaps))
        cropped = tuple(i + b for i, b in zip(free, before, strict=True))
        self.out.append(Window(name, free, self.number, wider, cropped, copy=True))

    def _winners(self, body: Expr, scope: tuple[Symbol, ...]) -> Expr:
        """Replace who wins a maximum, at places that run over its window, by truth values that hold it."""
        for winner in sorted(body.atoms(Winner), key=str):
            at = tuple(winner.at)
            bound = tuple(s for s, _ in winner.axes)
            outer = tuple(i for i in scope if i in winner.free_symbols and i not in at)
            here = winner.body.xreplace(dict(zip(bound, at, strict=True)))
            body = body.xreplace({winner: self._winner(Max(winner.body, *winner.axes), outer, here, at)})
        return body

    def _winners_apart(self, body: Expr, scope: tuple[Symbol, ...]) -> Expr:
        """Replace who wins a maximum by truth values for all of its window, read at the places asked."""
        for winner in sorted(body.atoms(Winner), key=str):
            bound = tuple(s for s, _ in winner.axes)
            self.extents |= {s: extent(n) for s, n in winner.axes}
            outer = tuple(i for i in scope if i in winner.body.free_symbols and i not in bound)
            won = self._winner(Max(winner.body, *winner.axes), outer, winner.body, bound)
            at = dict(zip(bound, winner.at, strict=True))
            body = body.xreplace({winner: access(won.base, *(i.xreplace(at) for i in won.indices))})
        return body

    def _place(self, total: Sum) -> bool:
        """Emit the place of a winner, Σ_rs (2r + s) [(r, s) = argmax], if a sum is one."""
        winner = next(iter(total.body.atoms(Winner)), None)
        if winner is None or total.body != numbered(total.axes) * winner or winner.at != total.bound:
            return False
        self.extents |= {i: extent(n) for i, n in total.axes}
        here = winner.body.xreplace(dict(zip((s for s, _ in winner.axes), winner.at, strict=True)))
        source, best, _ = self._contest(Max(winner.body, *winner.axes), self.equation.free, here, winner.at)
        name, free = self.name, self.equation.free
        self.out.append(FirstPlace(name, free, self.number, _load(source), _load(best), winner.at))
        return True

    def _winner(self, whole: Max, outer: tuple[Symbol, ...], here: Expr, at: tuple[Symbol, ...]) -> Indexed:
        """Return whether ``here``, what a window holds at the indices ``at``, is its first greatest."""
        source, best, order = self._contest(whole, outer, here, at)
        name = self.temporary(self.name, "winner", order, truth=True)
        self.out.append(First(name, order, self.number, _load(source), _load(best), at))
        return self.read(name, order)

    def _contest(
        self, whole: Max, outer: tuple[Symbol, ...], here: Expr, at: tuple[Symbol, ...]
    ) -> tuple[Indexed, Indexed, tuple[Symbol, ...]]:
        """Return what competes for a maximum, over which indices, and the maximum."""
        best, source = self.known.maximum(whole, self.extents)
        if best is None:
            best = self._reduce(whole, outer)
            source = self.known.maximum(whole, self.extents)[1]
        order = self.native(here) if isinstance(here, Indexed) else (*outer, *at)
        order = order if set(order) >= set(at) else (*outer, *at)
        if source is None:  # copies are equal wherever they stand
            source = self._complete(here, order, ())
        else:  # but what was computed must be the very values that competed
            source = source.xreplace(dict(zip(whole.bound, at, strict=True)))
            order = tuple(source.indices)
        return source, best, order

    def _candidates(self, body: Expr, order: tuple[Symbol, ...], name: str) -> Indexed:
        """Compute what competes for a maximum, over the indices ``order``; return the access to it."""
        if isinstance(body, Indexed) and set(body.indices) == set(order):
            return body
        value = self.temporary(name, "candidates", order)
        self._assign(value, order, body)
        return self.read(value, order)


def _load(read: Indexed) -> Load:
    return Load(name_of(read.base), tuple(read.indices))


def _same(one: Expr, other: Expr) -> bool:
    return bool(same_up_to_names(one) == same_up_to_names(other))

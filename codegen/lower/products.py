"""Sums of products that are matrix products, and the operands they take."""

from __future__ import annotations

import sympy
from sympy import Expr, Indexed, Mul, Symbol

from chainrule.codegen.ir.contraction import arranged
from chainrule.codegen.ir.program import BATCH, Load
from chainrule.codegen.lower.emitter import Emitter
from chainrule.codegen.lower.subscripts import factors, is_plain, nominal_volume
from chainrule.derive.index import name_of


class Products(Emitter):
    """Finds matrix products; what is copied for them is named after the equation, ``name``."""

    name: str

    def _product(
        self, body: Expr, free: tuple[Symbol, ...], over: tuple[Symbol, ...]
    ) -> tuple[Load, Load, Expr] | None:
        """Split a product into a matrix product: two groups of factors that share the summed indices.

        Returns None where a broadcast reduction is as good: no group is smaller than the whole.
        """
        units = self.units()
        groups, scale = self._groups(body, free, over)
        if len(groups) != 2:
            return None
        first, second = groups
        summed = {i for i in over if i not in units}
        if not summed or not summed <= first & second or first <= second or second <= first:
            return None
        wanted = [i for i in free if i not in units]
        if wanted and next(i for i in wanted if i not in first & second) not in first:
            first, second = second, first
        batch = tuple(i for i in wanted if i in first & second)
        rows, columns = (
            tuple(i for i in wanted if i in one - other) for one, other in ((first, second), (second, first))
        )
        one, other = (Mul(*groups[g]) for g in (first, second))
        inner = self._summed_order(one, other, summed)
        blocks = (batch, rows, columns)
        if arranged(wanted, blocks, units) is None or (batch == () and wanted[: len(rows)] != list(rows)):
            return None
        left = self._operand(one, (rows, batch, inner))
        right = self._operand(other, (columns, batch, inner))
        return left, right, scale

    def _product_order(
        self, body: Expr, free: tuple[Symbol, ...], over: tuple[Symbol, ...]
    ) -> tuple[Symbol, ...]:
        """Return the free indices in an order in which a matrix product can give them, where one can.

        Within each operand they keep the order that they have in memory.
        """
        groups = self._groups(body, free, over)[0]
        if len(groups) != 2 or not free:
            return free
        first, second = sorted(groups, key=lambda g: (free[0] not in g, sorted(map(str, g))))
        native = [i for f in groups[first] + groups[second] if isinstance(f, Indexed) for i in self.native(f)]
        placed = [*(i for i in free if i not in native), *native]
        side = {i: 0 if i not in second else 1 if i in first else 2 for i in free}
        return tuple(sorted(free, key=lambda i: (side[i], placed.index(i))))

    def _groups(
        self, body: Expr, free: tuple[Symbol, ...], over: tuple[Symbol, ...]
    ) -> tuple[dict[frozenset[Symbol], list[Expr]], Expr]:
        """Return the factors of a product by their indices, and the factor without any."""
        units = self.units()
        groups: dict[frozenset[Symbol], list[Expr]] = {}
        scale: Expr = sympy.S.One
        for factor in factors(body):
            indices = frozenset(i for i in (*free, *over) if i in factor.free_symbols and i not in units)
            if not indices and not factor.has(Indexed):
                scale *= factor
            else:
                groups.setdefault(indices, []).append(factor)
        _merge_smaller(groups)
        return groups, scale

    def _summed_order(self, one: Expr, other: Expr, summed: set[Symbol]) -> tuple[Symbol, ...]:
        """Return the order of the summed indices that copies least: that of the larger factor."""

        def order(e: Expr) -> tuple[Symbol, ...]:
            indices = self.native(e) if isinstance(e, Indexed) else tuple(self.extents)
            return tuple(i for i in indices if i in summed)

        return order(
            max(
                (one, other), key=lambda e: nominal_volume(e.free_symbols & self.extents.keys(), self.extents)
            )
        )

    def _operand(self, factor: Expr, blocks: tuple[tuple[Symbol, ...], ...]) -> Load:
        """Return a factor as a load whose indices are whole blocks, copied where they are not."""
        own, batch, inner = blocks
        units = self.units()
        plain = isinstance(factor, Indexed) and is_plain(factor, self.extents)
        if plain and arranged(factor.indices, blocks, units) is not None:
            return Load(name_of(factor.base), tuple(factor.indices))
        leading = inner if any(self.extents[i] == BATCH for i in inner) else own
        trailing = own if leading is inner else inner
        order = (*leading, *batch, *trailing)
        read = self.materialize(factor, order, self.name, "factor")
        return Load(name_of(read.base), tuple(read.indices))


def _merge_smaller(groups: dict[frozenset[Symbol], list[Expr]]) -> None:
    """Let factors over fewer indices join a group that has them all, until two groups are left."""
    while len(groups) > 2:
        pairs = [(a, b) for a in groups for b in groups if a < b]
        if not pairs:
            return
        small, large = min(pairs, key=lambda p: (len(p[1]), len(p[0]), *(sorted(map(str, g)) for g in p)))
        groups[large] += groups.pop(small)

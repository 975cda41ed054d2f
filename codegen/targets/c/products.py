"""Products as tiles: rows of one factor times panels of columns of the other, summed in registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy
from sympy import Symbol

from chainrule.codegen.ir.program import BATCH
from chainrule.codegen.kernels.work import Product
from chainrule.codegen.targets.c.functions import Function, Share
from chainrule.codegen.targets.c.operands import Operand, operand

if TYPE_CHECKING:
    from chainrule.codegen.targets.c.writer import Writer

Level = tuple[int, int, list[Symbol], int]  # strides of rows and columns, the indices of a run, its length


class Tiles:
    """Plans the tiles of one product, and prints them by its writer."""

    def __init__(self, writer: Writer, work: Product) -> None:
        self.writer, self.work = writer, work
        self.extents = {i: e for i, e in work.extents.items() if e != 1}

    def functions(self) -> list[Function] | None:
        """Return the functions, or None where the product has no such form."""
        work, b = self.work, self.work.blocks
        inner = [i for i in b.batch if self.extents.get(i) != BATCH]
        if inner or not b.summed or any(e == BATCH for i, e in self.extents.items() if i in b.columns):
            return None
        samples = [i for i, e in self.extents.items() if e == BATCH]
        if len(samples) > 1:
            return None
        last = next((i for i, e in reversed(work.axes) if e != 1), None)
        rows, columns, left, right = b.rows, b.columns, work.left, work.right
        if last in rows and self.extents[last] != BATCH:
            rows, columns, left, right = columns, rows, right, left
        sample = samples[0] if samples else None
        program, views = self.writer.program, self.writer.views
        one = operand(program, views, left, work.extents, sample)
        other = operand(program, views, right, work.extents, sample)
        if one is None or other is None or any(self.extents.get(i) == BATCH for i in columns):
            return None
        return None  # not yet


__all__ = ["Operand", "Share", "Tiles", "sympy"]

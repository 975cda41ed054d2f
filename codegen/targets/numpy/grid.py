"""The general statement in NumPy: a map over a whole index grid, then a sum.  Slow and right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sympy import Expr, Indexed, Integer, Symbol, expand

from chainrule.codegen.ir.program import Grid, Program
from chainrule.codegen.ir.scalar import ADD, COMPARE
from chainrule.codegen.lower.subscripts import is_plain
from chainrule.codegen.targets.numpy.expressions import ExpressionPrinter


class GridPrinter(ExpressionPrinter):
    """Prints a grid statement's body with every index an open range, and subscripts of any affine form.

    Tensors are zero outside their box: the helper ``read`` of the generated program sees to that.
    """

    def __init__(self, statement: Grid, program: Program, names: Mapping[str, str]) -> None:
        grid = tuple(i for i, _ in statement.extents)
        super().__init__(grid, names, dict(statement.extents), program.constants)
        self.program = program
        self.statement = statement
        self.reads_outside = False

    def text(self, expression: Expr | None = None, above: int = COMPARE) -> str:
        """Return the whole right side, or the text of a part of it."""
        if expression is not None:
            return super().text(expression, above)
        body = super().text(self.statement.expression)
        over = tuple(n for n, i in enumerate(self.indices) if i in self.statement.over)
        if not over:
            return body
        shape = ", ".join(str(n) for _, n in self.statement.extents)
        return f"np.broadcast_to({body}, ({shape})).sum(axis={over})"

    def truth(self, mask: Expr) -> str:
        """Return the text of a mask, guards and winners among them, as truth values."""
        match type(mask).__name__:
            case "Inside":
                subscript = self.text(mask.args[0], ADD)
                return f"({subscript} >= 0) & ({subscript} < {mask.args[1]})"
            case "Winner":
                return self._winner(mask)
        return super().truth(mask)

    def _winner(self, e: Expr) -> str:
        """1 where ``at`` is the first place of the maximum over the winner's own axes."""
        extents = (*self.statement.extents, *((i, int(n)) for i, n in e.axes))
        wider = GridPrinter(replace(self.statement, extents=extents, over=()), self.program, self.names)
        body = ExpressionPrinter.text(wider, e.body)
        self.reads_outside |= wider.reads_outside
        self.constant_branch |= wider.constant_branch
        place: Expr = Integer(0)
        for at, (_, size) in zip(e.at, e.axes, strict=True):
            place = place * size + at
        shape = ", ".join(str(n) for _, n in self.statement.extents)
        first = f"np.broadcast_to({body}, ({shape}, {', '.join(str(n) for _, n in e.axes)}))"
        return f"{first}.reshape({shape}, -1).argmax(axis=-1) == {self.text(expand(place), ADD)}"

    def _symbol(self, symbol: Symbol) -> str:
        if symbol in self.extents:
            return f"np.arange({self.extents[symbol]})" + self._expand((symbol,))
        return super()._symbol(symbol)

    def _load(self, read: Indexed) -> str:
        if is_plain(read, self.extents):
            return super()._load(read)
        self.reads_outside = True
        subscripts = ", ".join(self.text(i, ADD) for i in read.indices)
        return f"read({self.names[read.base.label.name]}, {subscripts})"

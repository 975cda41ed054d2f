"""What every printer of statements needs: names, memory, and expressions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import sympy
from sympy import Expr, Symbol

from chainrule.codegen.ir.program import Extent, Load, Loop, Program, Statement, Value
from chainrule.codegen.ir.scalar import is_mask
from chainrule.codegen.ir.verify import VerificationError
from chainrule.codegen.targets.numpy.expressions import FUNCTIONS, ExpressionPrinter


class Lines:
    """Prints statements of one function, or of a loop in it.

    ``names`` says what each value is called there, ``buffer`` where its memory is found (None: allocate),
    ``scratch`` a vector for what comes between, if there is one.
    """

    def __init__(
        self,
        program: Program,
        names: Mapping[str, str],
        buffer: Callable[[str], str | None],
        scratch: str = "",
        loop: Loop | None = None,
        bound: Sequence[Value] = (),
        totals: Mapping[str, str] | None = None,
        printed: dict[Hashable, Any] | None = None,
    ) -> None:
        self.printed = {} if printed is None else printed  # lines, by what statements share
        self.scratch = scratch
        self.program = program
        self.truths, self.views = program.truths, program.window_views
        self.names = names
        self.buffer = buffer
        self.helpers: set[str] = set()
        self.needs_real = False
        self.loop = loop
        self.threaded = program.has_loops
        self.bound = bound  # what a loop names anew for every piece
        self.totals = totals or {}  # what a loop adds up, and where its sums go
        self.batch = "N" if loop is None else "m"
        self.sums: set[tuple[int, int]] = set()  # (samples of a piece, places) of what ones are summed with

    def _memory(self, value: str) -> str:
        """Return what holds a value's memory, or raise: only values with memory can be filled."""
        out = self.buffer(value)
        if out is None:
            raise VerificationError(f"{value} has no memory to be filled")
        return out

    @staticmethod
    def _cut(text: str, sides: list[str]) -> str:
        """Return a tensor cut on each axis."""
        while sides and sides[-1] == ":":
            sides = sides[:-1]
        return f"{text}[{', '.join(sides)}]" if sides else text

    def _assigned(self, value: str) -> str:
        """Return "name = " where the value has a name of its own, "" where it is a buffer's."""
        name, out = self.names[value], self.buffer(value)
        return "" if name == out else f"{name} = "

    def _store(self, value: str, text: str) -> list[str]:
        name, out = self.names[value], self.buffer(value)
        if out is None:
            return [f"{name} = {text}"]
        return [f"{out}[...] = {text}"] if name == out else [f"{name} = {out}", f"{name}[...] = {text}"]

    def _spread(self, load: Load, order: tuple[Symbol, ...]) -> str:
        """Return a value with an axis for every index of ``order``, in that order."""
        printer = ExpressionPrinter(order, self.names, {}, self.program.constants)
        return printer.spread(self.names[load.name], load.indices)

    def _is_mask(self, e: Expr) -> bool:
        return is_mask(e, self.truths)

    def _is_view(self, name: str) -> bool:
        """Whether a value shows windows of another."""
        return name in self.views

    def _helper(self, function: str) -> None:
        if not function.startswith("np."):
            self.helpers.add(function)

    def _register(self, e: Expr) -> None:
        for node in sympy.preorder_traversal(e):
            self._helper(FUNCTIONS.get(type(node).__name__, "np."))

    def _expression(
        self, e: Expr, indices: tuple[Symbol, ...], statement: Statement, factor: bool = False
    ) -> str:
        """Return the text of an expression; as a ``factor`` beside an array, a mask is its truth values."""
        self._register(e)
        extents = self._extents(statement)
        printer = ExpressionPrinter(indices, self.names, extents, self.program.constants, self.truths)
        text = printer.truth(e) if factor and self._is_mask(e) else printer.text(e)
        self.needs_real |= printer.constant_branch
        return text

    def _extents(self, statement: Statement) -> dict[Symbol, Extent]:
        shape = self.program.values[statement.out].shape
        return dict(zip(statement.indices, shape, strict=True))

"""Windows, places, winners and draws in NumPy."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Expr, Symbol

from chainrule.codegen.ir.program import Draw, Extent, First, Pad, Scatter, Statement, Window, count
from chainrule.codegen.targets.numpy.lines import Lines
from chainrule.codegen.targets.numpy.windows import looped, pattern, slices


class Gathering(Lines):
    """Prints what reads windows and adds to places."""

    def _pad(self, s: Pad) -> str:
        sides = [
            ":" if not (b or a) else f"{b or ''}:{-a or ''}" for b, a in zip(s.before, s.after, strict=True)
        ]
        return f"{self._cut(self._memory(s.out), sides)} = {self.names[s.source]}"

    def _window(self, s: Window) -> str:
        source, shape = self.names[s.source], self.program.values[s.source].shape
        text = self._windows(source, s.subscripts, shape, s.indices, self._extents(s))
        return f"np.copyto({self._memory(s.out)}, {text})" if s.copy else f"{self.names[s.out]} = {text}"

    def _windows(
        self,
        source: str,
        subscripts: tuple[Expr, ...],
        shape: tuple[Extent, ...],
        order: tuple[Symbol, ...],
        extents: Mapping[Symbol, Extent],
    ) -> str:
        cut = slices(subscripts, shape, order, extents)
        if cut is not None:
            return self._cut(source, cut)
        self.helpers.add("windows")
        return f"windows({source}, {pattern(subscripts, shape, order, extents)})"

    def _scatter(self, s: Scatter) -> list[str]:
        memory, extents = self._memory(s.out), dict(s.extents)
        order = tuple(extents)
        places = self._windows(memory, s.subscripts, self.program.values[s.out].shape, order, extents)
        values = self._spread(s.source, order)
        lines = [f"{memory}[...] = 0"] if s.zero else []
        if not s.add:
            cut = slices(s.subscripts, self.program.values[s.out].shape, order, extents)
            target = f"{places}[...]" if cut is None or places == memory else places
            return [*lines, f"{target} = {values}"]
        self.helpers.add("add_windows")
        return [*lines, f"add_windows({places}, {values}, axes={looped(s.subscripts, order, extents)})"]

    def _draw(self, s: Draw) -> str:
        self.helpers.add("draw")
        probability = self._expression(s.probability, (), statement=s)
        before = f", before={count(self.program.values[s.out].shape)} * s.start" if self.loop else ""
        return f"draw(seed, {s.stream}, {probability}, out={self._memory(s.out)}{before})"

    def _first(self, s: First) -> str:
        values = self._spread(s.source, s.indices)
        return f"{self._won(s, values)}, out={self._memory(s.out)})"

    def winners(self, s: First, window: Statement | None) -> str:
        """Return the text of who wins a maximum, over the whole batch and in memory of its own."""
        values = self._spread(s.source, s.indices)
        if isinstance(window, Window):
            shape = self.program.values[window.source].shape
            here = dict(zip(window.indices, s.source.indices, strict=True))
            subscripts = tuple(e.xreplace(here) for e in window.subscripts)
            values = self._windows(self.names[window.source], subscripts, shape, s.indices, self._extents(s))
        return f"{self._won(s, values)})"

    def _won(self, s: First, values: str) -> str:
        self.helpers.add("first")
        axes = tuple(n for n, i in enumerate(s.indices) if i in s.over)
        best = self._spread(s.best, tuple(i for i in s.indices if i not in s.over))
        return f"first({values}, {best}, axes={axes}"

"""Contractions in NumPy: matrix products of tensors whose blocks of indices are made one axis each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sympy import Symbol

from chainrule.codegen.ir.contraction import Blocks, arranged, blocks
from chainrule.codegen.ir.program import BATCH, Contract, Extent, Load
from chainrule.codegen.ir.verify import VerificationError
from chainrule.codegen.targets.numpy.lines import Lines


class Contractions(Lines):
    """Prints contractions."""

    def _contract(self, s: Contract) -> str:
        found, extents = self._blocks(s)
        left = self._matrix(s.left, found.left(), extents)
        right = self._matrix(s.right, found.right(), extents)
        out, name = self.buffer(s.out), self.names[s.out]
        if out is None:
            return f"{name} = {left} @ {right}"
        product = "np.matmul" if found.batch else "np.dot" if self.loop or not self.threaded else "dot"
        into = self._matrix(Load(s.out, s.indices), found.out(), extents, out)
        if s.out in self.totals:
            return f"{into}{'' if into == out else '[...]'} += {product}({left}, {right})"
        return f"{self._assigned(s.out)}{product}({left}, {right}, out={into})"

    def _blocks(self, s: Contract) -> tuple[Blocks, dict[Symbol, Extent]]:
        extents = self._loaded_extents(s)
        units = {i for i, n in extents.items() if n == 1}
        return blocks(s.indices, s.left.indices, s.right.indices, units), extents

    def _loaded_extents(self, s: Contract) -> dict[Symbol, Extent]:
        extents = self._extents(s)
        for load in (s.left, s.right):
            extents |= dict(zip(load.indices, self.program.values[load.name].shape, strict=True))
        return extents

    def _matrix(
        self,
        load: Load,
        wanted: tuple[tuple[Symbol, ...], ...],
        extents: Mapping[Symbol, Extent],
        text: str | None = None,
    ) -> str:
        """Return a value as a matrix (batch, first, second), each block of indices one axis."""
        text = text or self.names[load.name]
        units = {i for i, n in extents.items() if n == 1}
        starts = arranged(load.indices, wanted, units)
        if starts is None:
            raise VerificationError(f"{load.name}: {load.indices} does not consist of the blocks {wanted}")
        order = [b for start in starts for b in wanted if b and b[0] == start]
        order += [b for b in wanted[1:] if not b]
        if len(load.indices) != len(order) or any(len(b) != 1 for b in order):
            sizes = [math.prod(-1 if extents[i] == BATCH else int(extents[i]) for i in b) for b in order]
            if not any(n < 0 for n in sizes):
                sizes[-1 if len(order) > 1 else 0] = -1
            text += f".reshape({', '.join(str(n if n > 0 else -1) for n in sizes)})"
        used = [b for b in wanted if b in order]
        if order == used:
            return text
        if len(order) == 2:
            return f"{text}.T"
        return f"{text}.transpose({', '.join(str(order.index(b)) for b in used)})"

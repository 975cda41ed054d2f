"""Sums and maxima in NumPy."""

from __future__ import annotations

import math

from sympy import Expr, Indexed, Mul, Symbol

from chainrule.codegen.ir.program import BATCH, Reduce
from chainrule.codegen.ir.scalar import arrays_first
from chainrule.codegen.targets.numpy.expressions import FUNCTIONS
from chainrule.codegen.targets.numpy.lines import Lines


class Reductions(Lines):
    """Prints reductions."""

    def _reduce(self, s: Reduce) -> str:
        indices = self._natural(s)
        axes = tuple(n for n, i in enumerate(indices) if i in s.over)
        out = self.buffer(s.out) if s.indices else None
        adds = s.out in self.totals
        call = self._dot(s, indices, None if adds else out) or self._greatest(s, axes, out)
        if call is None:
            body = self._expression(s.expression, indices, statement=s)
            arguments = [] if len(axes) == len(indices) else [f"axis={axes[0] if len(axes) == 1 else axes}"]
            arguments += [] if out is None or adds else [f"out={out}"]
            if not isinstance(s.expression, Indexed) and type(s.expression).__name__ not in FUNCTIONS:
                body = f"({body})"
            call = f"{body}.{s.operation}({', '.join(arguments)})"
        if adds:
            return f"{self._memory(s.out)} += {call}"
        return f"{self.names[s.out]} = {call}" if out is None else f"{self._assigned(s.out)}{call}"

    def _greatest(self, s: Reduce, axes: tuple[int, ...], out: str | None) -> str | None:
        """A maximum of windows: few of many values each, which NumPy's own reduction is slow at."""
        if s.operation != "max" or out is None or not isinstance(s.expression, Indexed):
            return None
        name = s.expression.base.label.name
        if name not in self.views:
            return None
        self.helpers.add("greatest")
        return f"greatest({self.names[name]}, axes={axes}, out={out})"

    def _natural(self, s: Reduce) -> tuple[Symbol, ...]:
        """Return the indices of a reduction as a tensor in it has them, if the result then has its order."""
        wanted = {*s.indices, *s.over}
        for read in sorted(s.expression.atoms(Indexed), key=str):
            kept = tuple(i for i in read.indices if i in s.indices)
            if set(read.indices) == wanted and kept == s.indices:
                return tuple(read.indices)
        return (*s.indices, *s.over)

    def _dot(self, s: Reduce, indices: tuple[Symbol, ...], out: str | None) -> str | None:
        """A sum over the batch as 1ᵀ a, a sum of all products as an inner product: BLAS does these faster."""
        if s.operation != "sum":
            return None
        whole = [r for r in s.expression.atoms(Indexed) if r.indices == indices]
        plain = isinstance(s.expression, Indexed)
        if whole and len(indices) > 1 and s.over == indices[:-1] and (plain or len(indices) > 2):
            shape = self.program.values[whole[0].base.label.name].shape
            if shape[0] == BATCH and not any(self._is_view(r.base.label.name) for r in whole):
                places = math.prod(int(e) for e in shape[1:-1])
                self.sums.add((self.loop.size if self.loop else 0, places))
                matrix = self._expression(s.expression, indices, statement=s)
                matrix = matrix if plain else f"({matrix})"
                matrix += f".reshape(-1, {shape[-1]})" if len(shape) > 2 else ""
                ones = "w.ones"
                if self.loop is not None or places > 1:
                    ones = f"w.places[: {f'{self.batch} * {places}' if places > 1 else self.batch}]"
                return f"np.dot({ones}, {matrix}{f', out={out}' if out else ''})"
        squared = s.expression.base if s.expression.is_Pow and s.expression.exp == 2 else None
        if not s.indices and isinstance(squared, Indexed) and squared.indices == indices:
            return "np.vdot({0}, {0})".format(self._expression(squared, indices, statement=s))
        factors = arrays_first(Mul.make_args(s.expression))
        if s.indices or len(factors) != 2 or len(indices) < 2:
            return None
        whole = [f for f in factors if isinstance(f, Indexed) and f.indices == indices]
        other = [f for f in factors if f not in whole[:1]]
        if not whole or len(other) != 1 or not _covers(other[0], indices):
            return None
        texts = [self._expression(f, indices, statement=s) for f in (whole[0], other[0])]
        return f"np.vdot({', '.join(texts)})"


def _covers(e: Expr, indices: tuple[Symbol, ...]) -> bool:
    """Whether an elementwise expression has the full shape by itself, without being broadcast."""
    return any(read.indices == indices for read in e.atoms(Indexed))

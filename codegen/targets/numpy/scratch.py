"""A long expression in steps: one operation a line, in memory that is there already.

Over a vector of all parameters every temporary costs a pass over fresh memory; one scratch vector is enough
for any expression in which each operation has at most one operand that is itself an operation.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy
from sympy import Expr, Indexed, Mul, Pow, Rational

from chainrule.codegen.ir.scalar import quotient
from chainrule.codegen.targets.numpy.expressions import FUNCTIONS

Printed = Callable[[Expr], str]


def steps(expression: Expr, text: Printed, scratch: str) -> list[str] | None:
    """Return the lines that leave the expression's values in ``scratch``, None where one is not enough.

    A line is a call with ``out``, which is also the text of its value, or an update in place.
    """
    return _Steps(text, scratch).of(expression)


class _Steps:
    def __init__(self, text: Printed, scratch: str) -> None:
        self.text = text
        self.scratch = scratch

    def of(self, e: Expr) -> list[str] | None:
        match e:
            case Mul():
                return self._product(e)
            case sympy.Add():
                return self._sum(e)
            case Pow(exp=power) if power == 2 or power == Rational(1, 2):
                return self._call("np.square" if power == 2 else "np.sqrt", e.base)
        function = FUNCTIONS.get(type(e).__name__)
        return None if function is None else self._call(function, e.args[0])

    def _call(self, function: str, argument: Expr) -> list[str] | None:
        if isinstance(argument, Indexed):
            return [f"{function}({self.text(argument)}, out={self.scratch})"]
        before = self.of(argument)
        return None if before is None else [*before, f"{function}({self.scratch}, out={self.scratch})"]

    def _sum(self, e: sympy.Add) -> list[str] | None:
        compound = [t for t in e.args if t.has(Indexed) and not isinstance(t, Indexed)]
        if len(compound) != 1:
            return None
        before = self.of(compound[0])
        if before is None:
            return None
        rest = [t for t in e.args if t is not compound[0]]
        return [*before, *(f"{self.scratch} += {self.text(t)}" for t in rest)]

    def _product(self, e: Mul) -> list[str] | None:
        """Tensors first, one after the other, and the constants last, in one factor."""
        over, under = (list(Mul.make_args(part)) for part in quotient(e))
        constant = Mul(*(f for f in over if not f.has(Indexed))) / Mul(
            *(f for f in under if not f.has(Indexed))
        )
        above = [f for f in over if f.has(Indexed)]
        below = [f for f in under if f.has(Indexed)]
        compound = [f for f in (*above, *below) if not isinstance(f, Indexed)]
        if len(compound) > 1:
            return None
        if not compound and len(above) == 1 and not below:
            return [f"np.multiply({self.text(constant)}, {self.text(above[0])}, out={self.scratch})"]
        lines = self._quotient(above, below, compound)
        if lines is None or constant == 1:
            return lines
        return [*lines, f"{self.scratch} *= {self.text(constant)}"]

    def _quotient(self, above: list[Expr], below: list[Expr], compound: list[Expr]) -> list[str] | None:
        out = f"out={self.scratch}"
        if compound:
            lines = self.of(compound[0])
            if lines is None:
                return None
            if compound[0] in below:
                first = self.text(above.pop(0)) if above else "1"
                lines = [*lines, f"np.divide({first}, {self.scratch}, {out})"]
        elif len(above) > 1:
            lines = [f"np.multiply({self.text(above.pop(0))}, {self.text(above.pop(0))}, {out})"]
        elif above and below:
            lines = [f"np.divide({self.text(above.pop(0))}, {self.text(below.pop(0))}, {out})"]
        else:
            return None
        lines += [f"{self.scratch} *= {self.text(f)}" for f in above if f not in compound]
        return [*lines, *(f"{self.scratch} /= {self.text(f)}" for f in below if f not in compound)]

"""What NumPy holds on the way to an expression's values, in bytes for each of them in float32."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import sympy
from sympy import Expr, Indexed, Mul, Piecewise, Symbol

from chainrule.codegen.ir.formula import Form
from chainrule.codegen.ir.program import Draw, Map, Reduce, Statement
from chainrule.codegen.ir.scalar import extremum, indicator, is_mask, quotient

REAL, TRUTH = 4, 1
HELPERS = {
    "logcosh": 5 * REAL + TRUTH,
    "sigmoid": 0,
    "softplus": 0,
}  # what functions of programs hold themselves


def temporaries(statement: Statement) -> int:
    """Return the bytes that a statement holds at once beside its result, for each value that it goes through.

    They are those at its indices, and at those that it sums over.
    """
    match statement:
        case Draw():
            return 2  # its numbers of 16 bits, where its truth values have 8
        case Map(formula=formula) if statement.indices:
            own = (
                formula.form.tensors[formula.names.index(statement.out)]
                if statement.out in formula.names
                else ""
            )
            return _held(formula.form, statement.indices, own)
        case Reduce(formula=formula, over=over):
            squares = formula.form.expression.is_Pow and not statement.indices
            return 0 if squares else _held(formula.form, (*statement.indices, *over), None)
    return 0


@lru_cache(maxsize=4096)
def _held(form: Form, indices: tuple[Symbol, ...], out: str | None) -> int:
    """Return the bytes for a map's form, ``out`` what it calls the output, or for a reduction's (None)."""
    held = _Held(indices)
    return held.value(form.expression) if out is None else held.of_map(form.expression, out)


class _Held:
    """Bytes held at once while NumPy computes expressions over these indices."""

    def __init__(self, indices: tuple[Symbol, ...]) -> None:
        self.indices = indices

    def of_map(self, e: Expr, out: str) -> int:
        """Where the values go to memory that is there already: the last operation takes none."""
        own = [r for r in e.atoms(Indexed) if r.base.label.name == out]
        if own and isinstance(e, Mul):
            rest = e / own[0]
            return TRUTH if is_mask(rest) else self.value(rest)
        if own and e.is_Add:
            rest = [t for t in e.args if not t.has(own[0])]
            return self.value(sympy.Add(*rest))
        if isinstance(e, Piecewise) and extremum(e) is None:
            return self.value(e)
        if is_mask(e):
            return TRUTH if isinstance(e, Piecewise) else 0
        return self._operands(e)

    def value(self, e: Expr) -> int:
        """While the expression becomes an array of its own, that one counted; 0 where it is one already."""
        if self._is_there(e):
            return 0
        if isinstance(e, Piecewise) and extremum(e) is None:
            return self._where(e)
        result = TRUTH if is_mask(e) else REAL
        held = self._operands(e)
        return max(held, result if self._overwrites(e) else result + self._result(e))

    def _is_there(self, e: Expr) -> bool:
        return isinstance(e, Indexed) or not e.free_symbols.issuperset(self.indices)

    def _result(self, e: Expr) -> int:
        """The arrays that the last operation reads and that are made for it."""
        return sum(REAL for a in self._terms(e) if not self._is_there(a))

    def _terms(self, e: Expr) -> Iterable[Expr]:
        if e.is_Add:
            return [-t if t.could_extract_minus_sign() else t for t in e.args]
        if isinstance(e, Mul):
            above, below = quotient(e)
            return [*Mul.make_args(above), *Mul.make_args(below)]
        if isinstance(e, Piecewise):
            return [branch for branch, _ in e.args]
        return e.args

    def _operands(self, e: Expr) -> int:
        """While operands become arrays, one after the other, which then wait for the last of them."""
        waiting, most = 0, 0
        for term in self._terms(e):
            held = self.value(term)
            most = max(most, waiting + held)
            merges = e.is_Add or isinstance(e, Mul)  # into the sum or product so far
            waiting = max(waiting, min(held, REAL)) if merges else waiting + min(held, REAL)
        return max(most, waiting + HELPERS.get(type(e).__name__, 0))

    def _overwrites(self, e: Expr) -> bool:
        """Whether the last operation takes the memory of an operand: sums and products do, no others.

        Of 1 − x and of 1/x the operand stands on the right, where NumPy leaves it.
        """
        made = [t for t in e.args if not self._is_there(t)]
        if e.is_Add:
            return any(not t.could_extract_minus_sign() for t in made)
        return isinstance(e, Mul)

    def _where(self, e: Piecewise) -> int:
        """np.where: the condition and both branches, and then the result."""
        if indicator(e) is not None:
            return TRUTH + REAL
        branch, condition = e.args[0]
        rest = Piecewise(*e.args[1:]) if len(e.args) > 2 else e.args[1][0]
        asked = max((self.value(side) for side in condition.args if isinstance(side, Expr)), default=0)
        first, second = self.value(branch), self.value(rest)
        kept = TRUTH + min(first, REAL)
        return max(asked, TRUTH + first, kept + second, kept + min(second, REAL) + REAL)

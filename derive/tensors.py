"""Real tensors and their accesses as SymPy has them, which are made and compared many times as fast.

SymPy works out for each of them anew what follows from its being real, and compares two by all of that.  Here
all of them share one set of facts.  The names of the classes are SymPy's, by which it sorts and prints.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Expr, Symbol, Tuple
from sympy.core.assumptions import StdFactKB

_FACTS = StdFactKB({"real": True, "commutative": True})


class Indexed(sympy.Indexed):
    """The value of a real tensor at subscripts."""

    def __new__(cls, base: Expr, *subscripts: object) -> Indexed:
        if not subscripts:
            raise sympy.tensor.indexed.IndexException("Indexed needs at least one index.")
        made = Expr.__new__(cls, base, *map(sympy.sympify, subscripts))
        made._assumptions = _FACTS
        return made

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.args


class IndexedBase(sympy.IndexedBase):
    """A real tensor; without ``shape``, of any."""

    def __new__(cls, label: Symbol, shape: Tuple | None = None) -> IndexedBase:
        made = Expr.__new__(cls, label) if shape is None else Expr.__new__(cls, label, shape)
        made._shape, made._offset, made._strides, made._name = shape, sympy.S.Zero, None, label.name
        made._assumptions = _FACTS
        return made

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.args

    def __getitem__(self, subscripts: Any) -> Indexed:
        at = subscripts if isinstance(subscripts, tuple | Tuple) else (subscripts,)
        if self.shape and len(self.shape) != len(at):
            raise sympy.tensor.indexed.IndexException("Rank mismatch.")
        return Indexed(self, *at)

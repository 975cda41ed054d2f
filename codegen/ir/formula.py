"""Scalar expressions as statements have them: a form, and what its tensors are called in a statement.

Fifty equal layers give fifty statements and one form; what is found out about a form is found once for all.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import sympy
from sympy import Basic, Expr, Indexed, IndexedBase

from chainrule.derive.index import name_of, tensor
from chainrule.derive.patterns import Firsts, Order, order, renamed


@dataclass(frozen=True, eq=False)
class Form:
    """An expression, the same object for all statements that share it."""

    expression: Expr

    @cached_property
    def bases(self) -> tuple[IndexedBase, ...]:
        return tuple(self.expression.atoms(IndexedBase))

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """The names of the tensors, sorted."""
        return tuple(sorted({*map(name_of, self.bases)}))

    @cached_property
    def order(self) -> Order:
        """How the names sort: SymPy orders terms and factors by it, so that no others fit the form."""
        return order(self.tensors)

    @cached_property
    def accesses(self) -> tuple[tuple[int, tuple[Expr, ...]], ...]:
        """The distinct accesses: which tensor is read, and its subscripts."""
        found = dict.fromkeys(e for e in sympy.preorder_traversal(self.expression) if isinstance(e, Indexed))
        return tuple((self.tensors.index(name_of(read.base)), tuple(read.indices)) for read in found)

    def called(self, names: Iterable[str]) -> Expr:
        """Return the expression with its tensors called otherwise."""
        instead = dict(zip(self.tensors, names, strict=True))
        return self.expression.xreplace({b: tensor(instead[name_of(b)], *b.shape) for b in self.bases})


_FORMS: Final = Firsts[Form]()


def structure(expression: Basic) -> tuple[Hashable, tuple[str, ...]]:
    """Return an expression without the names of its tensors, and these, in order of appearance."""
    names: dict[str, int] = {}

    def of(node: Basic) -> Hashable:
        if isinstance(node, IndexedBase):
            return names.setdefault(name_of(node), len(names)), node.args[1:]
        return (type(node), *map(of, node.args)) if node.args else node

    found = of(expression)
    return found, tuple(names)


@dataclass(frozen=True, eq=False)
class NamedForm:
    """A form with its tensors, in its order, under the names of a statement."""

    form: Form
    names: tuple[str, ...]

    @staticmethod
    def of(expression: Expr) -> NamedForm:
        """Return an expression as a form of its own."""
        shared, names = structure(expression)
        form = _FORMS.of(lambda: Form(expression), shared, order(names))
        return NamedForm(form, tuple(sorted(names)))

    @cached_property
    def expression(self) -> Expr:
        if self.names == self.form.tensors:
            return self.form.expression
        return renamed(self.form.expression, dict(zip(self.form.tensors, self.names, strict=True)))

    @property
    def reads(self) -> Iterable[tuple[str, tuple[Expr, ...]]]:
        """The distinct accesses: the name of what is read, and the subscripts."""
        return ((self.names[place], subscripts) for place, subscripts in self.form.accesses)

    def called(self, instead: Mapping[str, str]) -> NamedForm:
        """Return the formula with tensors called otherwise: of the same form if their order stays."""
        names = tuple(instead.get(name, name) for name in self.names)
        if names == self.names:
            return self
        if len({*names}) == len(names) and order(names) == self.form.order:
            return NamedForm(self.form, names)
        return NamedForm.of(self.form.called(names))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NamedForm):
            return NotImplemented
        if self.form is other.form:
            return self.names == other.names
        return bool(self.expression == other.expression)

    def __hash__(self) -> int:
        return hash(frozenset(self.names))

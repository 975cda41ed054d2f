"""Changes of an equation's right side: the slips that people make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sympy import Add, Expr, Indexed

from chainrule.derive.index import access, name_of, tensor

Change = Callable[[Expr], Expr]


def negate(right: Expr) -> Expr:
    return -right


def times(factor: Any) -> Change:
    return lambda right: right * factor


def exchange(old: Any, new: Any) -> Change:
    return lambda right: right.xreplace({old: new})


def on_reads(name: str, change: Callable[[Indexed], Expr]) -> Change:
    """Change every access to one tensor."""
    return lambda right: right.replace(
        lambda e: isinstance(e, Indexed) and name_of(e.base) == name, lambda e: change(e)
    )


def transposed(name: str) -> Change:
    return on_reads(name, lambda e: access(e.base, *reversed(e.indices)))


def renamed(name: str, other: str) -> Change:
    return on_reads(name, lambda e: access(tensor(other, *e.base.shape), *e.indices))


def without_a_term(pick: Callable[[Expr], bool]) -> Change:
    def change(right: Expr) -> Expr:
        return right.replace(
            lambda e: isinstance(e, Add) and any(map(pick, e.args)),
            lambda e: Add(*(t for t in e.args if not pick(t))),
        )

    return change


def on_nodes(kind: type, change: Callable[[Any], Expr]) -> Change:
    return lambda right: right.replace(lambda e: isinstance(e, kind), change)

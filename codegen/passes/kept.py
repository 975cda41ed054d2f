"""The pass that keeps what a costly function gives on the way forward, for the way back."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from functools import lru_cache
from typing import cast

import sympy
from sympy import Expr

from chainrule.codegen.ir.box import axes, element
from chainrule.codegen.ir.formula import Form, NamedForm
from chainrule.codegen.ir.program import Map, Program, Statement, Value
from chainrule.codegen.ir.section import BACKWARDS, FORWARDS, Section

COSTLY = ("erf", "erfc")  # functions that take longer than to write their values to memory and to read them


def keep_costly_values(program: Program) -> Program:
    """Return the program with a value for each call of a costly function that both directions make."""
    again = {form for s in program.statements(Section.BACKWARD) for form in _calls(s).values()}
    kept: dict[Expr, Value] = {}
    values, sections = dict(program.values), dict(program.sections)
    taken = {*values, *(v.identifier for v in values.values())}
    for name in FORWARDS:
        statements: list[Statement] = []
        made: set[str] = set()
        for statement in program.statements(name):
            for call, form in _calls(statement).items():
                if form not in again:
                    continue
                if form not in kept:
                    of = values[statement.out]
                    own = _free(f"{of.identifier}_{type(call).__name__}", taken)
                    kept[form] = values[own] = Value(own, of.shape, "local", own)
                    taken.add(own)
                if kept[form].name not in made:
                    made.add(kept[form].name)
                    statements.append(Map(kept[form].name, statement.indices, statement.equation, call))
                statement = _reading(cast("Map", statement), call, kept[form])
            statements.append(statement)
        sections[name] = tuple(statements)
    for name in BACKWARDS:
        statements = []
        for statement in program.statements(name):
            for call, form in _calls(statement).items():
                if form in kept:
                    statement = _reading(cast("Map", statement), call, kept[form])
            statements.append(statement)
        sections[name] = tuple(statements)
    return replace(program, sections=sections, values=values)


def _calls(statement: Statement) -> dict[Expr, Expr]:
    """Return the calls that a map makes for each value, with their form, whatever its indices are called."""
    if not isinstance(statement, Map) or not _costs(statement.formula.form):
        return {}
    places = dict(zip(statement.indices, axes(len(statement.indices)), strict=True))
    return {
        node: node.xreplace(places)
        for node in sympy.preorder_traversal(statement.expression)
        if type(node).__name__ in COSTLY and node.free_symbols.issuperset(places)
    }


@lru_cache(maxsize=4096)
def _costs(form: Form) -> bool:
    return any(type(node).__name__ in COSTLY for node in sympy.preorder_traversal(form.expression))


def _free(wanted: str, taken: Set[str]) -> str:
    """Return the name that is wanted, or the next like it that is free."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _reading(statement: Map, call: Expr, value: Value) -> Map:
    """Return a map with a value in the place of a call."""
    read = element(value.name, value.shape, statement.indices)
    return replace(statement, formula=NamedForm.of(statement.expression.xreplace({call: read})))

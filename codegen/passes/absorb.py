"""The pass that lets statements write where their result is wanted: temporaries go."""

from __future__ import annotations

from dataclasses import replace

from sympy import Indexed

from chainrule.codegen.ir.program import (
    Contract,
    Map,
    Program,
    Reduce,
    Statement,
    Value,
    reads,
    renamed,
)
from chainrule.codegen.ir.section import Section
from chainrule.derive.index import name_of


def absorb_temporaries(program: Program) -> Program:
    """Let the statement that makes a temporary write to the value that alone reads it, right after it."""
    sections = {name: list(program.statements(name)) for name in program.sections}
    order = dict.fromkeys(s.equation for s in sections[Section.EVALUATION])
    shared = {s.equation for s in sections[Section.FORWARD]}
    sections[Section.EVALUATION] = [s for s in sections[Section.EVALUATION] if s.equation not in shared]
    values = dict(program.values)
    readers: dict[str, int] = {}
    for statements in sections.values():
        for statement in statements:
            for name in reads(statement):
                readers[name] = readers.get(name, 0) + 1
    for statements in sections.values():
        position = 0
        while position < len(statements):
            statement = statements[position]
            source = _absorbable(statement, statements[:position], values, readers)
            if source is not None:
                made = next(i for i in range(position) if statements[i].out == source)
                statements[made] = replace(statements[made], out=statement.out)
                for later in range(made + 1, position + 1):
                    statements[later] = renamed(statements[later], {source: statement.out})
                del values[source]
                readers[statement.out] = readers.get(statement.out, 0) + 1
                if _is_copy(statements[position]):
                    del statements[position]
                    continue
            position += 1
    by_equation: dict[int, list[Statement]] = {}
    for statement in (*sections[Section.FORWARD], *sections[Section.EVALUATION]):
        by_equation.setdefault(statement.equation, []).append(statement)
    sections[Section.EVALUATION] = [s for number in order for s in by_equation[number]]
    return replace(program, sections={n: tuple(s) for n, s in sections.items()}, values=values)


def _absorbable(
    statement: Statement, before: list[Statement], values: dict[str, Value], readers: dict[str, int]
) -> str | None:
    """Return a temporary of the same equation and shape that this map alone reads, at its own indices."""
    if not isinstance(statement, Map) or statement.out in reads(statement) or not statement.indices:
        return None
    makers = {s.out: s for s in before if s.equation == statement.equation}
    for read in sorted(statement.expression.atoms(Indexed), key=str):
        name = name_of(read.base)
        maker = makers.get(name)
        if (
            maker is not None
            and readers[name] == 1
            and read.indices == statement.indices == maker.indices
            and isinstance(maker, Contract | Reduce)
            and sum(name_of(r.base) == name for r in statement.expression.atoms(Indexed)) == 1
            and values[name].kind == "local"
        ):
            return name
    return None


def _is_copy(statement: Statement) -> bool:
    return (
        isinstance(statement, Map)
        and isinstance(statement.expression, Indexed)
        and name_of(statement.expression.base) == statement.out
    )

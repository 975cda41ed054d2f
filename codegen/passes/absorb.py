"""The pass that lets statements write where their result is wanted: temporaries go."""

from __future__ import annotations

from dataclasses import replace

from chainrule.codegen.ir.program import (
    Contract,
    Map,
    Pick,
    Program,
    Reduce,
    Statement,
    Value,
    copied,
    renamed,
)
from chainrule.codegen.ir.section import Section


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
            for name in statement.reads:
                readers[name] = readers.get(name, 0) + 1
    for statements in sections.values():
        kept: list[Statement] = []
        made: dict[str, int] = {}  # where a value was made last
        for statement in statements:
            makers = {name: kept[made[name]] for name in statement.reads & made.keys()}
            source = _absorbable(statement, makers, values, readers)
            if source is not None:
                start = made.pop(source)
                kept[start] = replace(kept[start], out=statement.out)
                made[statement.out] = start
                del values[source]
                if copied(statement) == source:
                    continue
                statement = renamed(statement, {source: statement.out})
                readers[statement.out] = readers.get(statement.out, 0) + 1
            made[statement.out] = len(kept)
            kept.append(statement)
        statements[:] = kept
    by_equation: dict[int, list[Statement]] = {}
    for statement in (*sections[Section.FORWARD], *sections[Section.EVALUATION]):
        by_equation.setdefault(statement.equation, []).append(statement)
    sections[Section.EVALUATION] = [s for number in order for s in by_equation[number]]
    return replace(program, sections={n: tuple(s) for n, s in sections.items()}, values=values)


def _absorbable(
    statement: Statement, makers: dict[str, Statement], values: dict[str, Value], readers: dict[str, int]
) -> str | None:
    """Return a temporary of the same equation and shape that this map alone reads, at its own indices."""
    if not isinstance(statement, Map) or statement.out in statement.reads or not statement.indices:
        return None
    found = []
    at = [name for name, _ in statement.formula.reads]
    for name, indices in statement.formula.reads:
        maker = makers.get(name)
        if (
            isinstance(maker, Contract | Pick | Reduce)
            and maker.equation == statement.equation
            and readers[name] == 1
            and indices == statement.indices == maker.indices
            and at.count(name) == 1
            and values[name].kind == "local"
        ):
            found.append(name)
    return min(found, key=lambda name: f"{name}[", default=None)

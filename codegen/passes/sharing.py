"""The pass that copies windows once that two equations on the way back read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from chainrule.codegen.ir.box import axes
from chainrule.codegen.ir.program import (
    Loop,
    Pad,
    Program,
    Statement,
    Value,
    Window,
    renamed,
)
from chainrule.codegen.ir.section import Section


def share_windows(program: Program) -> Program:
    """Copy windows once that two equations on the way back read, both in one loop or both in none."""
    kept: list[Statement | Loop] = []
    whole = _Sharing(program.values)
    sharing = [whole]
    for entry in program.sections[Section.BACKWARD]:
        if isinstance(entry, Loop):
            sharing.append(_Sharing(program.values))
            kept.append(replace(entry, statements=tuple(sharing[-1].kept(entry.statements))))
        else:
            kept += whole.kept([entry])
    instead = {name: own for each in sharing for name, own in each.instead.items()}
    numbers = {s.out: s.equation for s in program.statements(Section.BACKWARD)}
    shared: dict[str, tuple[int, ...]] = {}
    for name, own in instead.items():
        shared[own] = (*shared.get(own, ()), numbers[name])
    values = {name: value for name, value in program.values.items() if name not in instead}
    sections = {**program.sections, Section.BACKWARD: tuple(kept)}
    return replace(program, sections=sections, values=values, shared=shared)


class _Sharing:
    """Windows copied so far, by what they show, and the names that took the place of others."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values
        self.copies: dict[tuple[object, ...], str] = {}
        self.instead: dict[str, str] = {}

    def kept(self, statements: Iterable[Statement]) -> Iterator[Statement]:
        for statement in statements:
            for name in statement.reads & self.instead.keys():
                statement = renamed(statement, {name: self.instead[name]})
            shown = self._shown(statement)
            if shown is None or shown not in self.copies:
                yield statement
            else:
                self.instead[statement.out] = self.copies[shown]
            if shown is not None:
                self.copies.setdefault(shown, statement.out)

    def _shown(self, statement: Statement) -> tuple[object, ...] | None:
        """Return what a copy of windows, or of a tensor with zeros around it, shows; None for others."""
        match statement:
            case Pad(source=source, before=before, after=after):
                return source, before, after
            case Window(source=source, subscripts=subscripts, copy=True):
                at = dict(zip(statement.indices, axes(len(statement.indices)), strict=True))
                shape = self.values[statement.out].shape
                return source, shape, *(e.xreplace(at) for e in subscripts)
        return None

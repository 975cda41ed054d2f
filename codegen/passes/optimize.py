"""Passes over a program: absorb temporaries, then give every value its memory.

No pass does mathematics; after each, ``verify`` holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sympy import Indexed, Symbol

from chainrule.codegen.ir.program import (
    BATCH,
    GIVEN,
    Contract,
    Loop,
    Map,
    Pad,
    Program,
    Reduce,
    Statement,
    Value,
    Window,
    reads,
    renamed,
    viewed,
)
from chainrule.codegen.ir.section import ON_BATCH, Section
from chainrule.codegen.ir.verify import verify
from chainrule.codegen.passes.kept import keep_costly_values
from chainrule.codegen.passes.kinks import kept_for_jumps
from chainrule.codegen.passes.pieces import loop_over_pieces
from chainrule.derive.index import name_of


def optimize(program: Program) -> Program:
    """Return the program with fewer values and every value's memory chosen.  Raises VerificationError."""
    for transform in (absorb_temporaries, keep_costly_values, loop_over_pieces, share_windows, assign_slots):
        program = transform(program)
        verify(program, transform.__name__)
    return program


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
    shared = {own: tuple(numbers[n] for n in instead if instead[n] == own) for own in instead.values()}
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
            for name in reads(statement) & self.instead.keys():
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
                axes = {i: Symbol(f"axis{d}", integer=True) for d, i in enumerate(statement.indices)}
                shape = self.values[statement.out].shape
                return source, shape, *(e.xreplace(axes) for e in subscripts)
        return None


def assign_slots(program: Program) -> Program:
    """Choose whose memory each local value takes: that of an operand that ends here, or of a dead value."""
    order = list(program.statements(*ON_BATCH))
    last = _last_uses(program)
    values = dict(program.values)
    owner: dict[str, str] = {}  # value -> the value whose memory it lives in
    users: dict[str, set[str]] = {}  # memory -> values that live in it now
    free: dict[tuple[object, ...], list[str]] = {}

    def release(position: int) -> None:
        for memory, names in users.items():
            dead = {n for n in names if last[n] < position}
            if dead and dead == names and values[memory].kind == "local" and not values[memory].zeroed:
                free.setdefault(_kind(values[memory]), []).append(memory)
            names -= dead

    for position, statement in enumerate(order):
        name = statement.out
        if name in owner or values[name].kind != "local":
            continue
        release(position)
        source = viewed(statement)
        if source is not None and values[owner.get(source, source)].kind in (*GIVEN, "local"):
            slot, memory = source, owner.get(source, source)
        else:
            slot = _overwritten(statement, values, owner, users, last, position)
            pool = [] if values[name].zeroed else free.get(_kind(values[name]))
            slot = memory = slot or (pool.pop() if pool else "")
        owner[name] = memory or name
        users.setdefault(owner[name], set()).add(name)
        values[name] = replace(values[name], slot=slot)
    return replace(program, values=values)


def _last_uses(program: Program) -> dict[str, int]:
    """Return where each value is used last; what a loop reads anew for every piece lives until its end.

    What tells the sides of jumps lives longer than the step.
    """
    last: dict[str, int] = {}
    position = 0
    for section in ON_BATCH:
        for entry in program.sections[section]:
            statements = entry.statements if isinstance(entry, Loop) else (entry,)
            end = position + len(statements) - 1
            for statement in statements:
                for name in (*reads(statement), statement.out):
                    whole = isinstance(entry, Loop) and program.values[name].shape[:1] != (BATCH,)
                    last[name] = max(last.get(name, -1), end if whole else position)
                position += 1
    return last | dict.fromkeys(kept_for_jumps(program), position)


def _kind(value: Value) -> tuple[object, ...]:
    """Return what two values must share to share memory."""
    return value.shape, value.truth, value.piece


def _overwritten(
    statement: Statement,
    values: dict[str, Value],
    owner: dict[str, str],
    users: dict[str, set[str]],
    last: dict[str, int],
    position: int,
) -> str:
    """Return the memory of an operand that ends with this map and may be overwritten by it, or ""."""
    for candidate in _in_place_candidates(statement):
        memory = owner.get(candidate, "")
        if (
            memory
            and values[memory].kind == "local"
            and users[memory] == {candidate}
            and last[candidate] == position
            and _kind(values[memory]) == _kind(values[statement.out])
            and not values[memory].zeroed
        ):
            return memory
    return ""


def _in_place_candidates(statement: Statement) -> list[str]:
    """Return the operands that a map reads only at its own indices, and so may overwrite."""
    if not isinstance(statement, Map):
        return []
    found: dict[str, bool] = {}
    for read in statement.expression.atoms(Indexed):
        name = name_of(read.base)
        found[name] = found.get(name, True) and read.indices == statement.indices
    return sorted(name for name, plain in found.items() if plain)

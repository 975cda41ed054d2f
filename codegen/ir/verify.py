"""The verifier: what must hold of a program after every pass."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from sympy import Expr, Indexed, KroneckerDelta, Symbol
from sympy.core.numbers import One

from chainrule.codegen.ir.box import bounds
from chainrule.codegen.ir.liveness import Contents, VerificationError
from chainrule.codegen.ir.program import (
    BATCH,
    GIVEN,
    Calculation,
    Contract,
    Extent,
    First,
    Grid,
    Loop,
    Map,
    Pad,
    Pick,
    Program,
    Reduce,
    Reshape,
    Scatter,
    Shape,
    Statement,
    Window,
    padded_shape,
    statements_of,
    viewed,
)
from chainrule.codegen.ir.section import EVALUATION, ON_BATCH, Section
from chainrule.derive.index import Winner, name_of


def verify(program: Program, after: str) -> None:
    """Check names, shapes, integer use and memory of a program.  Raises VerificationError."""
    _check_slots(program, after)
    orders: list[tuple[Section, ...]] = [(*ON_BATCH, Section.UPDATE)]
    if program.sections[Section.EVALUATION]:
        orders.append(EVALUATION)
    for order in orders:
        _check_order(program, order, after)
    _check_equations(program, after)


def _check_slots(program: Program, after: str) -> None:
    """Every value's memory is its own in the end, or another's that is declared."""
    for name, value in program.values.items():
        way = [name]
        while value.slot:
            if value.slot in way or value.slot not in program.values:
                what = "a circle" if value.slot in way else "not declared"
                raise VerificationError(
                    f"after {after}: the memory of {' → '.join((*way, value.slot))}: {what}"
                )
            way.append(value.slot)
            value = program.values[value.slot]


def _check_order(program: Program, order: tuple[Section, ...], after: str) -> None:
    defined = {v.name for v in program.values.values() if v.kind in GIVEN or v.kind == "state"} | {"g"}
    memory = Contents({name: value.slot for name, value in program.values.items()})
    checked: set[object] = set()  # what statements are alike, and the shapes of their values
    for section in order:
        for entry in program.sections[section]:
            if isinstance(entry, Loop):  # sums start as zeros, before the first piece
                for name in entry.sums:
                    memory.write(name)
            for statement in statements_of(entry):
                where = _Place(after, section, statement)
                read = statement.reads
                if not read <= defined:
                    own = {statement.out} if section in (Section.UPDATE, Section.STATISTICS) else set()
                    missing = read - defined - own
                    if missing:
                        raise VerificationError(f"{where}: reads {sorted(missing)} before it is computed")
                for name in (statement.out, *read):
                    if name not in program.values:
                        raise VerificationError(f"{where}: {name} is not declared")
                pattern, names = statement.pattern
                alike = pattern, tuple(program.values[name].shape for name in names)
                if alike not in checked:
                    _check_shapes(program, statement, where)
                    checked.add(alike)
                _check_labels(program, statement, read, where)
                if section != Section.UPDATE:
                    _check_memory(program, statement, read, memory, where)
                defined.add(statement.out)
            if isinstance(entry, Loop):
                _check_pieces(program, entry, memory, after, section)


@dataclass(frozen=True)
class _Place:
    """Where a statement stands, for messages."""

    after: str
    section: Section
    statement: Statement
    again: str = ""

    def __str__(self) -> str:
        number, out = self.statement.equation, self.statement.out
        return f"after {self.after}: {self.section}, equation ({number}), {out}{self.again}"


def _check_pieces(program: Program, loop: Loop, memory: Contents, after: str, section: Section) -> None:
    """What is no piece of the batch must outlive a loop that reads it, and only sums are made in one."""

    def batched(name: str) -> bool:
        return program.values[name].shape[:1] == (BATCH,)

    for statement in loop.statements:
        here = _Place(after, section, statement, ", in the next piece")
        if not batched(statement.out) and statement.out not in loop.sums:
            raise VerificationError(f"{here}: is made anew by every piece, and is no sum of them")
        _check_memory(program, statement, {n for n in statement.reads if not batched(n)}, memory, here)


def _check_equations(program: Program, after: str) -> None:
    computed = {s.equation for s in program.statements(*program.sections)}
    lost = set(program.notes) - computed
    if lost:
        raise VerificationError(f"after {after}: equations {sorted(lost)} have no statement")


def _check_shapes(program: Program, statement: Statement, where: _Place) -> None:
    extents: dict[Symbol, Extent] = {}
    given = dict(statement.extents) if isinstance(statement, Grid) else {}

    def bind(name: str, indices: tuple[Symbol, ...]) -> None:
        shape = program.values[name].shape
        if len(indices) != len(shape):
            raise VerificationError(f"{where}: {name} of shape {shape} is read with {len(indices)} indices")
        for index, size in zip(indices, shape, strict=True):
            if extents.setdefault(index, size) != size:
                raise VerificationError(f"{where}: index {index} is {extents[index]} and, in {name}, {size}")

    bind(statement.out, statement.indices)
    match statement:
        case Contract(left=left, right=right):
            for load in (left, right):
                bind(load.name, load.indices)
            summed = (set(left.indices) | set(right.indices)) - set(statement.indices)
            summed = {i for i in summed if extents[i] != 1}
            if not summed <= set(left.indices) & set(right.indices):
                raise VerificationError(f"{where}: {summed} is summed but not shared by both factors")
        case Map(loads=loads) | Reduce(loads=loads):
            for load in loads:
                bind(load.name, load.indices)
            over = statement.over if isinstance(statement, Reduce) else ()
            loose = {i for i in extents if i not in {*statement.indices, *over}}
            if loose:
                raise VerificationError(
                    f"{where}: index {sorted(map(str, loose))} is neither free nor summed"
                )
        case Grid():
            bound = {s for winner in statement.expression.atoms(Winner) for s, _ in winner.axes}
            for read in statement.expression.atoms(Indexed):
                loose = read.free_symbols - set(given) - bound - set(read.base.free_symbols) - {read}
                loose = {s for s in loose if s.is_integer}
                if loose:
                    raise VerificationError(f"{where}: index {sorted(map(str, loose))} has no extent")
        case Window(source=source, subscripts=subscripts):
            _check_box(subscripts, program.values[source].shape, extents, where)
        case Scatter(source=source):
            bind(source.name, source.indices)
            extents |= dict(statement.extents)
            _check_box(statement.subscripts, program.values[statement.out].shape, extents, where)
        case First(source=source, best=best):
            bind(source.name, source.indices)
            bind(best.name, best.indices)
        case Pick(value=value, place=place, factor=factor):
            extents = dict(statement.extents)
            bind(value.name, value.indices)
            bind(place.name, place.indices)
            read = (*statement.subscripts, *factor.subscripts)
            loose = {i for e in read for i in e.free_symbols} - extents.keys()
            ranks = len(program.values[statement.out].shape), len(program.values[factor.name].shape)
            if loose or ranks != (len(statement.subscripts), len(factor.subscripts)):
                raise VerificationError(f"{where}: {factor.name} is read at {factor.subscripts}")
            if not program.values[place.name].place:
                raise VerificationError(f"{where}: {place.name} holds no places")
        case Pad(source=source, before=before, after=after):
            wanted = padded_shape(program.values[source].shape, before, after)
            if program.values[statement.out].shape != wanted:
                raise VerificationError(f"{where}: {source} padded has shape {wanted}")
        case Reshape(source=source):
            _check_reshape(program, statement.out, source, where)


def _check_box(
    subscripts: tuple[Expr, ...], shape: Shape, extents: dict[Symbol, Extent], where: _Place
) -> None:
    """Every subscript stays within its axis."""
    for subscript, size in zip(subscripts, shape, strict=True):
        if size == BATCH:
            if extents.get(subscript) != size:
                raise VerificationError(f"{where}: {subscript} does not run over an axis of {size}")
            continue
        found = bounds(subscript, extents)
        if found is None or found[0] < 0 or found[1] >= int(size):
            raise VerificationError(f"{where}: {subscript} leaves its axis of {size}: {found}")


def _check_reshape(program: Program, out: str, source: str, where: _Place) -> None:
    def volume(name: str) -> int:
        total = 1
        for size in program.values[name].shape[1:]:
            total *= int(size)
        return total

    if volume(out) != volume(source):
        raise VerificationError(f"{where}: {source} and {out} differ in size")


def _check_labels(program: Program, statement: Statement, read: Set[str], where: _Place) -> None:
    """Integer labels may be compared with an index and nothing else."""
    if not any(program.values[name].integer for name in read):
        return
    if isinstance(statement, Contract | Reshape):
        raise VerificationError(
            f"{where}: labels are numbered, not measured: they take no part in arithmetic"
        )
    if not isinstance(statement, Calculation):
        return
    measured = statement.expression.replace(lambda e: isinstance(e, KroneckerDelta), lambda _: One())
    for access in measured.atoms(Indexed):
        if program.values[name_of(access.base)].integer:
            raise VerificationError(
                f"{where}: labels are numbered, not measured: they take no part in arithmetic"
            )


def _check_memory(
    program: Program, statement: Statement, read: Set[str], memory: Contents, where: _Place
) -> None:
    """No value is read after its memory went to another, and nothing given is overwritten."""
    for name in read:
        if program.values[name].kind == "local":
            memory.require(name, where)
    if program.values[statement.out].kind != "local":
        return
    source = viewed(statement)
    if source is not None and program.values[statement.out].slot == source:
        memory.show(statement.out, source)
        return
    root = memory.memory(statement.out)
    if program.values[root].kind in GIVEN:
        raise VerificationError(f"{where}: would overwrite {root}")
    memory.write(statement.out)


__all__ = ["VerificationError", "verify"]

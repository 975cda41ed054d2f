"""The pass that runs what is done to every sample alike in pieces of the batch that stay in the cache.

Images are large, and a window copy is larger still by the size of the kernel.  A run of statements that treat
samples alike becomes a loop over pieces of the batch; what only the loop uses has the memory of one piece.
Sums over the batch add up from piece to piece.  Dense layers stay whole: their weights would be read anew for
every piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field, replace

from sympy import Indexed, Symbol

from chainrule.codegen.ir.liveness import places
from chainrule.codegen.ir.machine import Machine
from chainrule.codegen.ir.program import (
    BATCH,
    GIVEN,
    Contract,
    Draw,
    First,
    Load,
    Loop,
    Map,
    Pad,
    Program,
    Reduce,
    Reshape,
    Scatter,
    Statement,
    Value,
    Window,
    count,
    statements_of,
    views,
)
from chainrule.codegen.passes.kinks import kept_for_jumps

REAL = 4  # bytes of a value in float32


def loop_over_pieces(program: Program, machine: Machine) -> Program:
    """Return the program with loops over pieces of the batch, and values that live in one piece only."""
    sections = {name: _Runs(program, machine).loops(program.statements(name)) for name in program.sections}
    looped = replace(program, sections=sections)
    return replace(looped, values=_piece_values(looped))


@dataclass
class _Run:
    """Statements of a loop to be: what is computed before it, in it and after it, and which sums it gives."""

    before: list[Statement] = field(default_factory=list)
    inside: list[Statement] = field(default_factory=list)
    after: list[Statement] = field(default_factory=list)
    sums: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)  # in it
    results: set[str] = field(default_factory=set)  # there only after it: its sums, and what is made of them

    def put(self, statement: Statement) -> None:
        """Compute a statement in the loop."""
        self.inside.append(statement)
        self.made.add(statement.out)


class _Runs:
    """Finds the runs of a section."""

    def __init__(self, program: Program, machine: Machine) -> None:
        self.program = program
        self.machine = machine
        self.views = views(program)
        self.out: list[Statement | Loop] = []
        self.run = _Run()
        self.input_views: set[str] = set()
        self.draws: list[Statement] = []

    def loops(self, statements: Iterable[Statement]) -> tuple[Statement | Loop, ...]:
        for statement in statements:
            self._place(statement)
        self._close()
        rest, self.out = self.out, []
        self._emit(_Run(inside=self.draws))
        return (*self.out, *rest)

    def _place(self, statement: Statement) -> None:
        read = statement.reads
        if isinstance(statement, Draw):
            self.draws.append(statement)
            return
        if self._shows_input(statement) or (isinstance(statement, Reshape) and not self._made_here(read)):
            self.run.before.append(statement)
            return
        if read & self.run.results:
            if not self._batched(statement.out) and not any(map(self._batched, read)):
                self.run.after.append(statement)
                self.run.results.add(statement.out)
                return
            self._close()
        if not self._batched(statement.out) and not any(map(self._batched, read)):
            if self.run.inside and not self._made_here(read):
                self.run.before.append(statement)
            else:
                self._close()
                self.out.append(statement)
        elif any(BATCH in self.program.values[name].shape[1:] for name in (*read, statement.out)):
            self._close()
            self.out.append(statement)
        elif self._samplewise(statement):
            self.run.put(statement)
        elif self._adds_up(statement):
            self.run.put(statement)
            self.run.sums.add(statement.out)
            self.run.results.add(statement.out)
        else:
            self._close()
            self.out.append(statement)

    def _made_here(self, names: Set[str]) -> bool:
        return bool(names & self.run.made)

    def _close(self) -> None:
        run, self.run = self.run, _Run()
        shown = _only_shown(run.inside)
        left = {id(s) for s in shown}
        run.inside = [s for s in run.inside if id(s) not in left]
        self._emit(run)
        self.out += [*run.after, *shown]

    def _emit(self, run: _Run) -> None:
        touched = {name for s in run.inside for name in (*s.reads, s.out) if self._batched(name)}
        largest = max((count(self.program.values[name].shape) for name in touched), default=0)
        first = run.inside[0] if run.inside else None
        lone = len(run.inside) == 1 and not (
            isinstance(first, Draw)
            or (isinstance(first, Reduce) and not isinstance(first.formula.form.expression, Indexed))
        )
        machine = self.machine
        held = any(machine.held(s) >= REAL for s in run.inside)
        cached = held and largest >= machine.cached_sample
        self.out += run.before
        if not cached and (largest < machine.sample or not run.inside or lone):
            self.out += run.inside
            return
        elementwise = all(isinstance(s, Map | Reduce | Reshape) for s in run.inside)
        size = max(1, (machine.cached_piece if elementwise else machine.piece) // largest)
        self.out.append(Loop(tuple(run.inside), size, frozenset(run.sums)))

    def _shows_input(self, statement: Statement) -> bool:
        """Whether a statement gives what the program is given another name or shape."""
        source = self.views.get(statement.out)
        if source is None or isinstance(statement, Window):
            return False
        shown = self.program.values[source].kind in GIVEN or source in self.input_views
        self.input_views |= {statement.out} if shown else set()
        return shown

    def _batched(self, name: str) -> bool:
        return self.program.values[name].shape[:1] == (BATCH,)

    def _samplewise(self, statement: Statement) -> bool:
        """Whether sample n of the output is made from sample n of what is read, and from nothing batched."""
        if not self._batched(statement.out):
            return False
        match statement:
            case Pad() | Reshape():
                return True
            case Window(indices=indices, subscripts=subscripts):
                return subscripts[0] == indices[0]
            case Scatter(source=source, subscripts=subscripts):
                return source.indices[:1] == subscripts[:1]
            case First(indices=indices, source=source, best=best):
                return source.indices[:1] == best.indices[:1] == indices[:1]
            case Contract(left=left, right=right):
                enough = self._rows(statement) >= self.machine.rows
                return enough and self._first(statement.indices[0], left, right)
            case Map(loads=loads) | Reduce(loads=loads):
                return self._first(statement.indices[0], *loads)
        return False

    def _first(self, sample: Symbol, *loads: Load) -> bool:
        for load in loads:
            if self._batched(load.name) and (load.indices[0] != sample or sample in load.indices[1:]):
                return False
        return True

    def _rows(self, statement: Contract) -> int:
        """Return how many rows of a matrix one sample has in the operand that has samples."""
        shape = self.program.values[statement.left.name].shape
        load = statement.left
        if shape[:1] != (BATCH,):
            load, shape = statement.right, self.program.values[statement.right.name].shape
        other = statement.right if load is statement.left else statement.left
        rows = 1
        for index, extent in zip(load.indices[1:], shape[1:], strict=True):
            batched_sum = statement.indices[:1] != load.indices[:1]
            shared = index in other.indices
            rows *= (
                int(extent) if shared == batched_sum and not (shared and index in statement.indices) else 1
            )
        return rows

    def _adds_up(self, statement: Statement) -> bool:
        """Whether the output is a tensor of sums over the batch."""
        if self._batched(statement.out) or not statement.indices:
            return False
        match statement:
            case Contract(left=left, right=right):
                summed = left.indices[0]
                return (
                    summed == right.indices[0]
                    and summed not in statement.indices
                    and self._batched(left.name)
                    and self._batched(right.name)
                    and self._rows(statement) >= self.machine.rows
                )
            case Reduce(operation="sum", loads=loads, over=over):
                batched = [load for load in loads if self._batched(load.name)]
                return (
                    all(r.indices[0] == batched[0].indices[0] for r in batched)
                    and batched[0].indices[0] in over
                )
        return False


def _only_shown(statements: list[Statement]) -> list[Statement]:
    """Return those that only show what others made, for what comes after all of these statements."""
    found: list[Statement] = []
    read: set[str] = set()
    for statement in reversed(statements):
        view = isinstance(statement, Reshape) or (isinstance(statement, Window) and not statement.copy)
        if view and statement.out not in read:
            found.insert(0, statement)
        else:
            read |= statement.reads
    return found


def _piece_values(program: Program) -> dict[str, Value]:
    """Return the values; what every loop that reads it makes itself is marked with the size of its pieces.

    What shares memory with another value lives wherever that does.
    """
    shows = views(program)

    def memory(name: str) -> str:
        while name in shows:
            name = shows[name]
        return name

    entries = [entry for section in program.sections.values() for entry in section]
    loops = {place: entry for place, entry in enumerate(entries) if isinstance(entry, Loop)}
    within = [statements_of(entry) for entry in entries]
    touched = places({memory(n) for s in statements for n in (*s.reads, s.out)} for statements in within)
    made = places({memory(s.out) for s in statements if s.out not in shows} for statements in within)
    used = {n for statements in within for s in statements for n in s.reads if n != s.out}
    results = (program.output, *(name for name in made if name not in used), *kept_for_jumps(program))
    kept = {*map(memory, results)}  # for whoever called
    values = dict(program.values)
    for name, value in program.values.items():
        own = memory(name)
        at = {*touched.get(own, ())}
        if own in kept or not at or not at <= loops.keys() or not at <= {*made.get(own, ())}:
            continue
        if value.kind == "local" and value.shape[:1] == (BATCH,):
            values[name] = replace(value, piece=max(loops[place].size for place in at))
    return values

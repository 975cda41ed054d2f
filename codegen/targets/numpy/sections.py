"""The bodies of the generated functions: lines with their equations, and what the lines need around them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import sympy
from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.box import axes, element
from chainrule.codegen.ir.program import (
    BATCH,
    GIVEN,
    Contract,
    Draw,
    EquationNote,
    First,
    Grid,
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
    statements_of,
    viewed,
    views,
)
from chainrule.codegen.ir.scalar import is_mask
from chainrule.codegen.ir.section import BACKWARDS, FORWARDS, IN_WORKSPACE, Section
from chainrule.codegen.passes.kinks import conditions, jumps
from chainrule.codegen.targets.numpy.expressions import ExpressionPrinter
from chainrule.codegen.targets.numpy.grid import GridPrinter
from chainrule.codegen.targets.numpy.helpers import HELPERS
from chainrule.codegen.targets.numpy.machine import MACHINE, shares_update
from chainrule.codegen.targets.numpy.statements import ProgramLine, StatementPrinter

TRAINING = (*IN_WORKSPACE, Section.INPUT_GRADIENT)  # all but the update
BRANCHES = "branches"  # a function beside those of sections
COMMENT_COLUMN = 66
TEXT_WIDTH, SHAPE_WIDTH = 30, 12


@dataclass(frozen=True)
class Allocation:
    """A line of the workspace: a value, its memory or another value's, and its shape."""

    name: str
    text: str
    shape: str


class Sections:
    """The bodies of the generated functions."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.helpers: set[str] = set()
        self.needs_real: dict[str, bool] = dict.fromkeys((*Section, BRANCHES), False)
        self.sums: set[tuple[int, int]] = set()
        self.scratch = ""  # the shape of the update's own memory
        self.shared_numbers = self._shared_numbers()
        self.given_views = self._given_views()
        self.printed: dict[Hashable, Any] = {}
        self.named: dict[Section, tuple[dict[str, str], dict[str, str], set[str]]] = {}
        self.texts = {section: self._section(section) for section in Section}
        self.output = self._printer(Section.FORWARD).names[program.output]
        self.branches: list[str] = []
        self.preambles: dict[str, list[str]] = {}
        self._find_branches()
        for name, texts in self.texts.items():
            self._preamble(name, {n for s in program.statements(name) for n in s.reads}, texts)

    def _printer(self, section: Section, loop: Loop | None = None) -> StatementPrinter:
        """Return the printer of a function's statements, or of those of a loop in it."""
        if section not in self.named:
            self.named[section] = self._named(section)
        names, stored, shown_windows = self.named[section]
        scratch = "s" if section == Section.UPDATE else ""
        if loop is None:
            return StatementPrinter(self.program, names, stored.get, scratch, printed=self.printed)
        names, stored = dict(names), dict(stored)
        totals = {s.out: stored[s.out] for s in loop.statements if s.out in loop.sums}
        for name in totals:
            names[name] = stored[name] = self.program.values[name].identifier
        bound = self._bind_pieces(loop, names, stored, shown_windows)
        return StatementPrinter(self.program, names, stored.get, scratch, loop, bound, totals, self.printed)

    def _named(self, section: Section) -> tuple[dict[str, str], dict[str, str], set[str]]:
        """Return what a function calls values, where their memory is found, and which show windows."""
        names, stored = {}, {}
        made = {s.out for s in self.program.statements(section)}
        for value in self.program.values.values():
            names[value.name] = self._name(value)
            if value.name in self.shared_numbers:
                names[value.name] = f"w.{value.identifier}"
            if value.kind == "local" and value.shape:
                stored[value.name] = f"w.{value.identifier}"
                if section not in (*FORWARDS, Section.LOSS) or value.name not in made:
                    names[value.name] = stored[value.name]
            if value.kind == "gradient" and value.name != "g":
                stored[value.name] = f'g["{value.of}"]'
                names[value.name] = stored[value.name]
            if value.kind == "statistic":
                stored[value.name] = names[value.name]
            if value.kind == "state" or value.name in ("theta", "g"):
                stored[value.name] = value.identifier
        shown_windows: set[str] = set()
        for statement in self.program.statements(*TRAINING):
            source = viewed(statement)
            if self._fills(statement):
                names[statement.out] = stored.get(statement.out, names[statement.out])
            elif source is not None and (isinstance(statement, Window) or statement.out in self.given_views):
                names[statement.out] = self.program.values[statement.out].identifier
                stored.pop(statement.out, None)
                shown_windows |= {statement.out} if isinstance(statement, Window) else set()
        for name in self._made_in_loops():
            names[name] = stored.get(name, names[name])
        return names, stored, shown_windows

    def _bind_pieces(
        self, loop: Loop, names: dict[str, str], stored: dict[str, str], shown_windows: set[str]
    ) -> list[Value]:
        """Give what a loop takes of the workspace names of its own; the input is read sample by sample."""
        used = dict.fromkeys(n for s in loop.statements for n in (*sorted(s.reads), s.out))
        made = {s.out for s in loop.statements}
        named_by_loop = {s.out for s in loop.statements if isinstance(s, Reshape)}
        bound = []
        for value in (self.program.values[name] for name in used):
            if value.shape[:1] != (BATCH,) or value.name in shown_windows & made:
                continue
            if value.name in shown_windows or value.kind != "local" or value.name in self.given_views:
                names[value.name] += "[s]"
                continue
            names[value.name] = stored[value.name] = value.identifier
            bound += [] if value.name in named_by_loop else [value]
        return bound

    def _made_in_loops(self) -> set[str]:
        """Return the values that loops make: what follows a loop finds them in the workspace."""
        entries = [e for section in TRAINING for e in self.program.sections[section]]
        return {s.out for e in entries if isinstance(e, Loop) for s in e.statements}

    def _fills(self, statement: Statement) -> bool:
        """Whether a statement fills memory rather than giving an array of the value's shape."""
        match statement:
            case Contract(indices=indices):
                return len(indices) > 2
            case Window(copy=copy):
                return copy
        return isinstance(statement, Pad | Scatter | First | Draw)

    def _given_views(self) -> dict[str, str]:
        """Return the views of what a function is given, each with the value that it shows."""
        found: dict[str, str] = {}
        shows = views(self.program)
        for statement in self.program.statements(*TRAINING):
            source = shows.get(statement.out)
            local = self.program.values[statement.out].kind == "local"
            if source is None or not local or isinstance(statement, Window):
                continue
            if source in found or self.program.values[source].kind in GIVEN:
                found[statement.out] = source
        return found

    def _shared_numbers(self) -> set[str]:
        """Return the values without axes that more functions than one have to do with."""
        touched = [
            {n for s in self.program.statements(section) for n in (s.out, *s.reads)} for section in TRAINING
        ]
        numbers = (v.name for v in self.program.values.values() if v.kind == "local" and not v.shape)
        return {name for name in numbers if sum(name in names for names in touched) > 1}

    def _name(self, value: Value) -> str:
        if value.kind in ("parameter", "statistic") and value.name != "theta":
            return f'p["{value.name}"]'
        return value.identifier

    def _section(self, section: Section) -> list[str]:
        lines: list[str] = []
        seen: set[int] = set()
        before: list[str] = []
        whole = self._printer(section)
        shared = self._shared_update() if section == Section.UPDATE else ()
        for entry in self.program.sections[section]:
            printer, indent = whole, "    " if entry in shared else ""
            if entry in shared[:1]:
                before, lines = lines, []
            if isinstance(entry, Loop):
                printer, indent = self._printer(section, entry), "    "
                lines += printer.loop_head(entry)
                self.helpers |= {"pieces", "threads"}
            code = [line for statement in statements_of(entry) for line in printer.lines(statement)]
            if isinstance(entry, Window | Pad):  # made ready for a loop, where its equation is computed
                code = [replace(line, remark="") for line in code]
            for (number, remark), group in itertools.groupby(code, lambda line: (line.equation, line.remark)):
                own = [replace(line, text=indent + line.text) for line in group]
                if remark is not None:
                    lines += [commented(line, remark) for line in own]
                    continue
                lines += annotated(own, self.program.notes[number], number in seen)
                seen.add(number)
            lines += printer.loop_end(entry) if isinstance(entry, Loop) else []
            self.helpers |= printer.helpers
            self.needs_real[section] |= printer.needs_real
            self.sums |= printer.sums
        return [*before, *self._on_threads(shared, lines)] if shared else lines

    def _shared_update(self) -> tuple[Statement, ...]:
        """Return the statements of the update that threads do, each on its part of the vectors.

        They are those after the last number.
        """
        if not shares_update(self.program):
            return ()
        found: list[Statement] = []
        for statement in self.program.statements(Section.UPDATE):
            found = [*found, statement] if self.program.values[statement.out].shape else []
        return tuple(found)

    def _on_threads(self, shared: tuple[Statement, ...], lines: list[str]) -> list[str]:
        """Return the lines of the statements that threads share in a function of a part of the vectors."""
        read = dict.fromkeys(n for s in shared for n in (*sorted(s.reads), s.out))
        names = ", ".join(self.program.values[n].identifier for n in read if self.program.values[n].shape)
        own = []
        if _uses_scratch([line.split("  # ")[0] for line in lines]):
            self.scratch, own = f"THREADS, {MACHINE.vector}", ["    s = w.s[thread, :count]"]
        return [
            f"vectors = {names}",
            "",
            "def part(entries, count, thread):",
            f"    {names} = (vector[entries] for vector in vectors)",
            *own,
            *lines,
            "",
            f"on_threads(part, COUNT, {MACHINE.vector})",
        ]

    def _views(self, function: str, wanted: set[str]) -> list[str]:
        """Return the lines that make views of what is given again, for a function that reads them."""
        for view, shown in reversed(self.given_views.items()):
            wanted |= {shown} if view in wanted else set()
        printer = self._printer(Section.FORWARD)
        lines: dict[str, list[str]] = {}
        for statement in self.program.statements(*(s for s in TRAINING if s != function)):
            if statement.out in wanted & self.given_views.keys() and statement.out not in lines:
                lines[statement.out] = [line.text for line in printer.lines(statement)]
        return [line for found in lines.values() for line in found]

    def buffers(self, *sections: Section, after: tuple[Section, ...] = ()) -> list[Allocation]:
        """Return the workspace's lines for the local values of sections ``after`` others, in their order."""
        result: list[Allocation] = []
        done = {s.out for s in self.program.statements(*after)}
        for statement in self.program.statements(*sections):
            value = self.program.values[statement.out]
            source = viewed(statement)
            if value.name in done or value.kind != "local" or not value.shape:
                continue
            if source is not None and (isinstance(statement, Window) or value.name in self.given_views):
                continue
            done.add(value.name)
            extents = [str(e) for e in value.shape]
            if value.piece:
                extents[:1] = ["THREADS", f"piece({value.piece})"]
            shape = ", ".join(extents)
            shape += "," if len(extents) == 1 else ""
            if source is not None and value.slot == source:
                text = f"self.{self.program.values[source].identifier}"
                if self.program.values[source].shape != value.shape:
                    kept = [f"*{text}.shape[:2]", *extents[2:]] if value.piece else extents
                    text += f".reshape({', '.join(kept)})"
            elif value.slot:
                text = f"self.{self.program.values[value.slot].identifier}"
            else:
                options = ", fill=np.zeros" if value.zeroed else ", dtype=bool" if value.truth else ""
                text = f'room("{value.identifier}", {shape.rstrip(",")}{options})'
            result.append(Allocation(value.identifier, text, f"({shape})"))
        return result

    def ones(self) -> list[Allocation]:
        """Return the workspace's vectors of ones: for a sum over samples, and for one over their places."""
        wanted = [
            f"{'N' if not piece else f'piece({piece})'} * {places}" for piece, places in sorted(self.sums)
        ]
        samples = Allocation("ones", 'room("ones", N, fill=np.ones)', "(N,)")
        wanted = [w for w in wanted if w != "N * 1"]
        many = f"max({', '.join(wanted)})" if len(wanted) > 1 else "".join(wanted)
        found = [samples] if (0, 1) in self.sums else []
        return found + ([Allocation("places", f'room("places", {many}, fill=np.ones)', "")] if wanted else [])

    def _find_branches(self) -> None:
        """Find the conditions on which the derivatives depend, as texts, one for each kind of kink."""
        printer = self._printer(Section.INPUT_GRADIENT)
        names = printer.names
        found: dict[str, None] = {}
        wanted: set[str] = set()
        made: dict[str, Statement] = {}
        forward = list(self.program.statements(Section.FORWARD, Section.LOSS))
        late = {s.out for s in self.program.statements(Section.INPUT_GRADIENT)}
        late -= {s.out for s in self.program.statements(*IN_WORKSPACE)}  # what is there only then
        back = list(self.program.statements(*BACKWARDS))
        for position, statement in enumerate((*back, *forward)):
            made[statement.out] = statement
            on_the_way_back = position < len(back)
            if isinstance(statement, First) and on_the_way_back:
                window = made.get(statement.source.name)
                source = statement.source.name if window is None else next(iter(window.reads))
                if late & {source, statement.best.name}:
                    continue
                found[printer.winners(statement, window)] = None
                wanted |= {source, statement.best.name}
                self.helpers |= printer.helpers
            if not isinstance(statement, Map | Reduce | Grid):
                continue
            body = statement.expression
            over = statement.over if isinstance(statement, Reduce) else ()
            indices = (*statement.indices, *over)
            for found_condition in conditions(body) if on_the_way_back else jumps(body):
                condition, at = _at_source(found_condition, indices, made, self.program.values)
                needed = {read.base.label.name for read in condition.atoms(Indexed)}
                if late & needed:
                    continue
                texts = ExpressionPrinter(at, names, {}, self.program.constants)
                if isinstance(statement, Grid):
                    texts = GridPrinter(statement, self.program, names)
                truth = texts.truth(condition) if is_mask(condition) else texts.text(condition)
                found[truth] = None
                self.needs_real[BRANCHES] |= texts.constant_branch
                wanted |= needed
                self.helpers |= {"read"} if isinstance(texts, GridPrinter) and texts.reads_outside else set()
                for node in sympy.preorder_traversal(condition):
                    if type(node).__name__ in HELPERS:
                        self.helpers.add(type(node).__name__)
        self.branches = list(found)
        self._preamble(BRANCHES, wanted, self.branches)

    def _preamble(self, function: str, wanted: set[str], texts: list[str]) -> None:
        """Say what a function must fetch before its lines: sizes, the dtype, views of the input."""
        lines = [] if function in FORWARDS else self._views(function, wanted)
        batch = ["N = len(t)" if function == Section.LOSS else "N = len(x)"]
        code = [line.split("  # ")[0] for line in (*lines, *texts)]
        whole = function == Section.UPDATE and not shares_update(self.program) and _uses_scratch(code)
        self.scratch = "COUNT" if whole else self.scratch
        self.preambles[function] = [
            *(batch if any(re.search(r"\bN\b", line) for line in code) else []),
            *(["p = parameters"] if function == BRANCHES and any('p["' in line for line in code) else []),
            *(["real = w.real"] if self.needs_real[function] else []),
            *(["s = w.s"] if whole else []),
            *lines,
        ]


def _uses_scratch(code: list[str]) -> bool:
    return any(re.search(r"\bs\b", line) for line in code)


def _at_source(
    condition: Expr, indices: tuple[Symbol, ...], made: dict[str, Statement], values: dict[str, Value]
) -> tuple[Expr, tuple[Symbol, ...]]:
    """Return a condition on the windows of a value as the same on the value itself, and its indices."""
    accesses = condition.atoms(Indexed)
    read = next(iter(accesses))
    name = read.base.label.name
    if len(accesses) > 1 or not isinstance(made.get(name), Window):
        return condition, indices
    while isinstance(shown := made.get(name), Window | Pad):
        name = shown.source
    shape = values[name].shape
    at = axes(len(shape))
    return condition.xreplace({read: element(name, shape, at)}), at


def annotated(lines: list[ProgramLine], note: EquationNote, again: bool) -> list[str]:
    """Return an equation's lines with its text, shape and number: beside them, or above if they are long.

    Where the equation stood before (``again``), or goes on, its number is enough.
    """
    whole = f"{note.text:<{TEXT_WIDTH}} {note.shape:<{SHAPE_WIDTH}}"
    beside = all(len(line.text) <= COMMENT_COLUMN for line in lines)
    indent = " " * (len(lines[0].text) - len(lines[0].text.lstrip()))
    above = [] if again or beside else [f"{indent}# {whole} ({note.number})"]
    first = whole if beside and not again else ""
    return [*above, commented(lines[0], first), *(commented(line, "") for line in lines[1:])]


def commented(line: ProgramLine, text: str) -> str:
    """Return a line with a comment that ends with its number."""
    return f"{line.text:<{COMMENT_COLUMN}}  # {f'{text} ' if text else ''}{line.label}"

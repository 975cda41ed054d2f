"""Values that need no memory: windows, padding, copies and reshapes show that of others."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.box import bounds, element, size_of
from chainrule.codegen.ir.program import (
    BATCH,
    Extent,
    Map,
    Pad,
    Program,
    Reshape,
    Shape,
    Statement,
    Value,
    Window,
    copied,
)
from chainrule.codegen.kernels.work import Guarded
from chainrule.derive.index import Inside, name_of


@dataclass(frozen=True)
class Place:
    """An entry of a buffer, in the shape in which it is read, and the guards under which it is not zero."""

    buffer: str
    shape: Shape
    subscripts: tuple[Expr, ...]
    guards: tuple[Inside, ...]


class Views:
    """Resolves accesses to the memory that holds them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.shown = self._shown()

    def _shown(self) -> dict[str, Statement]:
        """Return the values that need no memory, with the statement that shows another in them."""
        statements = list(self.program.statements(*self.program.sections))
        writers: dict[str, list[Statement]] = {}
        for statement in statements:
            writers.setdefault(statement.out, []).append(statement)
        results = (self.program.output, self.program.input_gradient)
        stored = {*results, *(s.source for s in statements if isinstance(s, Reshape))}
        for statement in reversed(statements):
            stored |= statement.reads if _only_copies(statement) and statement.out in stored else set()
        found: dict[str, Statement] = {}
        for name, written in writers.items():
            first = written[0]
            if self.program.values[name].kind != "local" or any(w != first for w in written):
                continue
            window = isinstance(first, Window | Pad) and name not in stored
            if window or isinstance(first, Reshape) or _only_copies(first):
                found[name] = first
        return found

    def memory(self, name: str) -> str:
        """Return the buffer whose memory a reshaped or copied value has."""
        while isinstance(self.shown.get(name), Reshape | Map):
            (name,) = self.shown[name].reads
        return name

    def place(self, read: Indexed) -> Place:
        """Return where an access reads."""
        name, subscripts = name_of(read.base), tuple(read.indices)
        guards: list[Inside] = []
        while True:
            statement = self.shown.get(name)
            match statement:
                case Window(indices=indices, source=source, subscripts=affine):
                    at = dict(zip(indices, subscripts, strict=True))
                    subscripts = tuple(e.xreplace(at).expand() for e in affine)
                    name = source
                case Pad(source=source, before=before, after=after):
                    subscripts = tuple(e - b for e, b in zip(subscripts, before, strict=True))
                    sizes = self.program.values[source].shape
                    guards += [
                        Inside(e, size_of(n))
                        for e, n, b, a in zip(subscripts, sizes, before, after, strict=True)
                        if b or a
                    ]
                    name = source
                case Map():
                    (name,) = statement.reads
                case _:
                    shape = self.program.values[name].shape
                    return Place(self.memory(name), shape, subscripts, tuple(guards))

    def resolved(self, body: Expr) -> Expr:
        """Return an expression whose accesses are to memory, zero where a guard says so.

        An access keeps the name of a reshaped value, whose shape it has.
        """
        found: dict[Expr, Expr] = {}
        for read in body.atoms(Indexed):
            place = self.place(read)
            name = place.buffer if self._same_shape(place) else self._last_named(read)
            direct = element(name, place.shape, place.subscripts)
            found[read] = Guarded(direct, *place.guards) if place.guards else direct
        return body.xreplace(found)

    def _same_shape(self, place: Place) -> bool:
        return self.program.values[place.buffer].shape == place.shape

    def _last_named(self, read: Indexed) -> str:
        """Return the reshaped value at which the way of an access to memory ends."""
        name = name_of(read.base)
        while name in self.shown and not isinstance(self.shown[name], Reshape):
            (name,) = self.shown[name].reads
        return name


def guarded(read: Indexed, extents: dict[Symbol, Extent], value: Value) -> Expr:
    """Return an access of a tensor that is zero outside its box, guarded on the axes that may be left."""
    guards = []
    for subscript, extent in zip(read.indices, value.shape, strict=True):
        if isinstance(subscript, Symbol) and extents.get(subscript) == extent:
            continue
        found = None if extent == BATCH else bounds(subscript, extents)
        if found is None or found[0] < 0 or found[1] >= int(extent):
            guards.append(Inside(subscript, size_of(extent)))
    return Guarded(read, *guards) if guards else read


def _only_copies(statement: Statement) -> bool:
    """Whether a statement gives another tensor as it is; a number is copied to a place of its own."""
    return statement.indices != () and copied(statement) is not None

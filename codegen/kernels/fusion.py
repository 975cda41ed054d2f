"""From statements to the work of kernels, as few of them as their indices allow.

A statement becomes elements, a reduction or a product.  What follows over the same axes, and reads what the
kernel made at the same indices only, joins it as a further step: a bias and an activation are computed where
the product that they follow leaves its sums.
"""

from __future__ import annotations

import math
from dataclasses import replace

import sympy
from sympy import Expr, Indexed, Symbol

from chainrule.codegen.ir.box import element
from chainrule.codegen.ir.contraction import blocks
from chainrule.codegen.ir.machine import Machine
from chainrule.codegen.ir.program import (
    BATCH,
    Contract,
    Draw,
    Extent,
    First,
    FirstPlace,
    Grid,
    Loop,
    Map,
    Pad,
    Pick,
    Program,
    Reduce,
    Reshape,
    Scatter,
    Statement,
    Window,
)
from chainrule.codegen.ir.section import Section
from chainrule.codegen.kernels.views import Views, guarded
from chainrule.codegen.kernels.work import (
    Assignment,
    Axes,
    Drawing,
    Elements,
    GroupReduction,
    Guarded,
    Picking,
    Product,
    Quotient,
    Samples,
    Work,
    expressions,
)
from chainrule.codegen.lower.emitter import LoweringError
from chainrule.codegen.lower.subscripts import nominal_volume
from chainrule.derive.index import Winner, fresh_index, name_of


class Fusion:
    """Turns the statements of a section into work."""

    def __init__(self, program: Program, machine: Machine) -> None:
        self.program = program
        self.machine = machine
        self.views = Views(program)
        self.accesses: dict[Expr, set[Indexed]] = {}

    def works(self, section: Section) -> list[Work]:
        """Return the work of a section, in order."""
        found: list[Work] = []
        statements = [s for s in self.program.sections[section] if not isinstance(s, Loop)]
        draws = [s for s in statements if isinstance(s, Draw)]
        for statement in (*draws, *(s for s in statements if s not in draws)):
            if statement.out in self.views.shown:
                continue
            work = self._work(statement)
            if not (found and self._joined(found[-1], work)):
                found.append(work)
        return self._by_sample(found)

    # ---- Samples ---------------------------------------------------------------------------------

    def _by_sample(self, works: list[Work]) -> list[Work]:
        """Let neighbours that compute few elements a sample from that sample's own be one work (softmax)."""
        found: list[Work] = []
        for work in works:
            last = found[-1] if found else None
            if not isinstance(work, Elements) or not self._is_small([work]):
                found.append(work)
            elif isinstance(last, Samples) and self._joins(last, work):
                last.works.append(_of_sample(work, last.sample))
            else:
                sample = fresh_index(Symbol("n"))
                found.append(Samples(sample, [_of_sample(work, sample)]))
        return [w.works[0] if isinstance(w, Samples) and len(w.works) == 1 else w for w in found]

    def _is_small(self, works: list[Elements]) -> bool:
        """Whether a thread can compute all of these elements of a sample."""
        if any(not work.axes or work.axes[0][1] != BATCH for work in works):
            return False
        extents = [[e for _, e in work.axes[1:]] for work in works]
        if any(e == BATCH for inner in extents for e in inner):
            return False
        return sum(math.prod(map(int, inner)) for inner in extents) <= self.machine.alone

    def _joins(self, samples: Samples, work: Elements) -> bool:
        return self._is_small([*samples.works, work]) and self._follows(samples, work)

    def _follows(self, samples: Samples, work: Elements) -> bool:
        """Whether work reads what the samples made for its own sample only, and changes nothing they read."""
        made = {step.out for step in samples.steps}
        own = work.axes[0][0]
        reads = [r for step in work.steps for r in _reads(step)]
        earlier = {self._memory(r) for step in samples.steps for r in _reads(step)}
        apart = any(self._memory(r) in made and tuple(r.indices)[:1] != (own,) for r in reads)
        return not apart and not {step.out for step in work.steps} & earlier

    # ---- Statements ------------------------------------------------------------------------------

    def _work(self, s: Statement) -> Work:
        match s:
            case Draw():
                return Drawing(s.out, s.stream, s.probability, s.equation)
            case Map():
                return self._elements(s, s.expression)
            case Window(source=source, subscripts=subscripts):
                return self._elements(s, self._read(source, subscripts))
            case Pad(source=source, before=before):
                inner = tuple(i - b for i, b in zip(s.indices, before, strict=True))
                read = guarded(self._read(source, inner), dict(self._axes(s)), self.program.values[source])
                return self._elements(s, read)
            case Reshape(source=source):
                raise LoweringError(f"{s.out}: a reshape of {source} that needs memory of its own")
            case FirstPlace():
                return self._place(s)
            case First():
                return self._first(s)
            case Pick():
                return self._pick(s)
            case Scatter():
                return self._scatter(s)
            case Grid():
                return self._grid(s)
            case Reduce():
                return self._reduce(s)
            case Contract():
                return self._product(s)
        raise TypeError(f"not a statement: {s}")

    def _axes(self, s: Statement) -> Axes:
        return tuple(zip(s.indices, self.program.values[s.out].shape, strict=True))

    def _read(self, name: str, subscripts: tuple[Expr, ...]) -> Indexed:
        return element(name, self.program.values[name].shape, subscripts)

    def _with_scalars(self, body: Expr) -> Expr:
        """Return an expression in which what is one number a step is read from where it was computed."""
        names = {read.base.label for read in body.atoms(Indexed)}
        values = self.program.values
        numbers = [x for x in body.free_symbols - names if isinstance(x, Symbol) and x.name in values]
        return body.xreplace({x: element(x.name, (), ()) for x in numbers if values[x.name].shape == ()})

    def _elements(self, s: Statement, body: Expr) -> Elements:
        body = self._with_scalars(body)
        return Elements(self._axes(s), [Assignment(s.out, self.views.resolved(body), s.equation)])

    def _first(self, s: First) -> Elements:
        over = tuple((i, e) for i, e in self._axes(s) if i in s.over)
        best = self.views.resolved(self._read(s.best.name, s.best.indices))
        body = self.views.resolved(self._read(s.source.name, s.source.indices))
        return Elements(self._axes(s), [Assignment(s.out, body, s.equation, "first", over, best=best)])

    def _place(self, s: FirstPlace) -> Elements:
        source = self.program.values[s.source.name].shape
        over = tuple((i, e) for i, e in zip(s.source.indices, source, strict=True) if i in s.over)
        best = self.views.resolved(self._read(s.best.name, s.best.indices))
        body = self.views.resolved(self._read(s.source.name, s.source.indices))
        step = Assignment(s.out, body, s.equation, "place", over, best=best)
        return Elements(self._axes(s), [_apart(step)])

    def _pick(self, s: Pick) -> Picking:
        extents = dict(s.extents)
        value, place = (
            self.views.resolved(self._read(load.name, load.indices)) for load in (s.value, s.place)
        )
        factor = self._inside(self._read(s.factor.name, s.factor.subscripts), extents)
        target = guarded(self._read(s.out, s.subscripts), extents, self.program.values[s.out])
        digits = tuple((i, extents[i]) for i in s.digits)
        return Picking(self._axes(s), s.out, value, place, digits, factor, target, extents, s.equation)

    def _scatter(self, s: Scatter) -> Elements:
        """Gather what is added to a place: of each subscript one index is solved for, and the others run."""
        axes = tuple(
            (fresh_index(Symbol(name)), extent)
            for name, extent in zip("npqrst", self.program.values[s.out].shape, strict=False)
        )
        extents = dict(s.extents)
        over: list[tuple[Symbol, Extent]] = []
        quotients: list[Quotient] = []
        known: dict[Symbol, Expr] = {}
        for (place, extent), subscript in zip(axes, s.subscripts, strict=True):
            seen = {*known, *(i for i, _ in over), *(q.index for q in quotients)}
            terms = [t.as_coeff_Mul() for t in subscript.as_coeff_add()[1]]
            terms = [(int(slope), index) for slope, index in terms if index not in seen]
            if not terms:  # all of it is known: the place must be that
                quotients.append(Quotient(fresh_index(place), (place - subscript).xreplace(known), 1, 1))
                continue
            slope, solved = max(terms, key=lambda t: (abs(t[0]), nominal_volume(t[1:], extents)))
            over += [(i, extents[i]) for _, i in terms if i != solved]
            if subscript == solved and extents[solved] == extent:
                known[solved] = place
                continue
            rest = sympy.expand(place - (subscript - slope * solved)).xreplace(known)
            quotients.append(Quotient(solved, rest if slope > 0 else -rest, abs(slope), extents[solved]))
        body = self.views.resolved(self._read(s.source.name, s.source.indices)).xreplace(known)
        step = Assignment(s.out, body, s.equation, "sum", tuple(over), tuple(quotients))
        return Elements(axes, [_apart(step)])

    def _grid(self, s: Grid) -> Elements:
        if s.expression.has(Winner):
            raise LoweringError(f"{s.out}: no kernel for a winner at affine indices")
        extents = dict(s.extents)
        body = s.expression.xreplace({r: self._inside(r, extents) for r in s.expression.atoms(Indexed)})
        over = tuple((i, extents[i]) for i in s.over)
        return Elements(
            self._axes(s), [_apart(Assignment(s.out, body, s.equation, "sum" if over else "", over))]
        )

    def _inside(self, read: Indexed, extents: dict[Symbol, Extent]) -> Expr:
        """Return an access to memory that is zero outside the box of what it reads and what that shows."""
        bounded = guarded(read, extents, self.program.values[name_of(read.base)])
        direct = self.views.resolved(read)
        if not isinstance(bounded, Guarded):
            return direct
        shown, guards = (direct.read, direct.guards) if isinstance(direct, Guarded) else (direct, ())
        return Guarded(shown, *bounded.guards, *guards)

    def _reduce(self, s: Reduce) -> Work:
        extents = {i: e for r in s.expression.atoms(Indexed) for i, e in self._read_extents(r)}
        over = tuple((i, extents[i]) for i in s.over)
        body = self.views.resolved(self._with_scalars(s.expression))
        terms = _volume(over)
        if terms <= self.machine.alone and s.indices and all(e != BATCH for _, e in over):
            return Elements(self._axes(s), [_apart(Assignment(s.out, body, s.equation, s.operation, over))])
        parts = self._parts(_volume(self._axes(s)), terms) if s.operation == "sum" else 1
        return GroupReduction(self._axes(s), s.out, s.operation, over, body, s.equation, parts=parts)

    def _read_extents(self, read: Indexed) -> list[tuple[Symbol, Extent]]:
        shape = self.program.values[name_of(read.base)].shape
        return [(i, e) for i, e in zip(read.indices, shape, strict=True) if isinstance(i, Symbol)]

    def _product(self, s: Contract) -> Product:
        extents: dict[Symbol, Extent] = dict(self._axes(s))
        for load in (s.left, s.right):
            extents |= dict(zip(load.indices, self.program.values[load.name].shape, strict=True))
        units = {i for i, n in extents.items() if n == 1}
        found = blocks(s.indices, s.left.indices, s.right.indices, units)
        rows, columns, terms, batch = (
            nominal_volume(b, extents) for b in (found.rows, found.columns, found.summed, found.batch)
        )
        tiles = -(-rows // 64) * -(-columns // 64) * batch
        parts = self._parts(tiles, terms)
        return Product(self._axes(s), s.out, s.left, s.right, found, extents, s.equation, parts=parts)

    def _parts(self, groups: int, terms: int) -> int:
        """Return among how many groups of threads a sum is divided, so that enough of them have work."""
        parts = 1
        while groups * parts < self.machine.groups and terms >= 2 * parts * self.machine.shared:
            parts *= 2
        return parts

    # ---- Joining ---------------------------------------------------------------------------------

    def _joined(self, work: Work, following: Work) -> bool:
        """Let elements over the same axes become steps of the work before them, where they may."""
        if isinstance(work, Drawing | Samples) or not isinstance(following, Elements):
            return False
        if [e for _, e in work.axes] != [e for _, e in following.axes]:
            return False
        renamed = {i: j for (i, _), (j, _) in zip(following.axes, work.axes, strict=True)}
        indices = tuple(i for i, _ in work.axes)
        made = {step.out for step in work.steps} | ({work.out} if not isinstance(work, Elements) else set())
        steps = [_renamed(step, renamed) for step in following.steps]
        for step in steps:
            reads = _reads(step)
            if any(self._memory(r) in made and tuple(r.indices) != indices for r in reads):
                return False
            if step.operation and any(self._memory(r) in made for r in reads):
                return False
            if any(self._memory(r) == step.out and tuple(r.indices) != indices for r in reads):
                return False
            if self._read_apart(work, step.out, indices):
                return False
        work.steps += steps
        return True

    def _memory(self, read: Indexed) -> str:
        return self.views.memory(name_of(read.base))

    def _read_apart(
        self, work: Elements | GroupReduction | Product | Picking, name: str, indices: tuple[Symbol, ...]
    ) -> bool:
        """Whether work reads a tensor elsewhere than at its own element, which a later step would write."""
        bodies = expressions(work)
        if isinstance(work, Product) and name in {
            self.views.memory(self.views.place(self._read(load.name, load.indices)).buffer)
            for load in (work.left, work.right)
        }:
            return True
        for body in bodies:
            if body not in self.accesses:
                self.accesses[body] = body.atoms(Indexed)
        reads = (read for body in bodies for read in self.accesses[body])
        return any(self._memory(r) == name and tuple(r.indices) != indices for r in reads)


def _reads(step: Assignment) -> list[Indexed]:
    parts = [step.body, *([step.best] if step.best is not None else [])]
    return [read for part in parts for read in sorted(part.atoms(Indexed), key=str)]


def _of_sample(work: Elements, sample: Symbol) -> Elements:
    """Return work with the sample's index as its first, and indices of its own as the others."""
    names = {i: fresh_index(i) for i, _ in work.axes[1:]} | {work.axes[0][0]: sample}
    axes = tuple((names[i], e) for i, e in work.axes)
    return Elements(axes, [_renamed(step, names) for step in work.steps])


def _apart(step: Assignment) -> Assignment:
    """Return a step whose bound indices are no other step's."""
    fresh = {i: fresh_index(i) for i in (*(i for i, _ in step.over), *(q.index for q in step.quotients))}
    return replace(
        step,
        body=step.body.xreplace(fresh),
        over=tuple((fresh[i], e) for i, e in step.over),
        quotients=tuple(
            replace(q, index=fresh[q.index], numerator=q.numerator.xreplace(fresh)) for q in step.quotients
        ),
    )


def _renamed(step: Assignment, names: dict[Symbol, Symbol]) -> Assignment:
    return replace(
        step,
        body=step.body.xreplace(names),
        best=None if step.best is None else step.best.xreplace(names),
        over=tuple((names.get(i, i), e) for i, e in step.over),
        quotients=tuple(replace(q, numerator=q.numerator.xreplace(names)) for q in step.quotients),
    )


def _volume(axes: Axes) -> int:
    return nominal_volume((i for i, _ in axes), dict(axes))

"""The door where symbolic tensors stop: numbered index equations become statements.

What an equation is, is read off its index structure alone.  Sums of products whose factors have plain
subscripts are contractions, accesses at plain subscripts are elementwise maps and reductions, a row-major
position is a reshape, affine subscripts are windows or places; whatever fits no pattern becomes a map over
its whole index grid.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Set
from dataclasses import dataclass, replace
from functools import partial

from sympy import KroneckerDelta

from chainrule.codegen.ir.box import axes
from chainrule.codegen.ir.program import (
    BATCH,
    Draw,
    EquationNote,
    Program,
    Sections,
    Shape,
    Statement,
    Value,
    renamed,
)
from chainrule.codegen.ir.section import Section
from chainrule.codegen.ir.verify import verify
from chainrule.codegen.lower.affine import COPIED, Choice, Costs
from chainrule.codegen.lower.copies import Copies, WindowKey
from chainrule.codegen.lower.emitter import LoweringError, extent
from chainrule.codegen.lower.equation import EquationLowering
from chainrule.codegen.lower.known import Fact, Facts, Held, Known
from chainrule.codegen.lower.patterns import Pattern
from chainrule.codegen.lower.picks import held_by_winners
from chainrule.codegen.lower.subscripts import is_plain
from chainrule.derive.derivation import Derivation
from chainrule.derive.index import Equation, Inside, Reduction, accesses, cotangent, primal
from chainrule.derive.numbering import NumberedEquation
from chainrule.present import notation
from chainrule.present.text import matrix_text, shape_text

SECTION = {
    "definition": Section.LOSS,
    "forward": Section.FORWARD,
    "loss": Section.LOSS,
    "backward": Section.BACKWARD,
    "update": Section.UPDATE,
}
INPUT_GRADIENT = cotangent("x")
MODE = {
    ("training", Section.FORWARD): Section.FORWARD,
    ("evaluation", Section.FORWARD): Section.EVALUATION,
    ("training", Section.UPDATE): Section.STATISTICS,
}


def lower(derivation: Derivation, costs: Costs = COPIED) -> Program:
    """Return the training program of a derivation, not yet optimized, and verified.  Raises LoweringError.

    Forms are chosen twice: first as if every copy of windows served two equations, then as it does.
    """
    shared = replace(costs, window=costs.window / 2)
    copies = _Lowering(derivation, shared, Copies()).windows() if costs.window else Copies()
    program = _Lowering(derivation, costs, copies).program()
    verify(program, "lower")
    return program


@dataclass(frozen=True)
class _Made:
    """A value that an equation's statements take beside its own: called after ``of``, with a suffix."""

    name: str
    of: str
    suffix: str
    shape: Shape
    truth: bool
    zeroed: bool

    @property
    def ending(self) -> str:
        """What its name adds to the other's."""
        return self.name.removeprefix(self.of)


@dataclass(frozen=True)
class _Lowered:
    """An equation's statements, for all equations like it: ``names`` are those of its tensors here."""

    names: tuple[str, ...]
    made: tuple[_Made, ...]
    statements: tuple[Statement, ...]
    learnt: tuple[Fact, ...]
    copies: frozenset[WindowKey]


class _Lowering:
    """``copies`` says which windows the equations copy, as far as that is known."""

    def __init__(self, derivation: Derivation, costs: Costs, copies: Copies) -> None:
        self.derivation = derivation
        self.costs = costs
        self.copies = copies
        self.lowered: dict[Hashable, _Lowered] = {}
        self.gradients = {cotangent(p.name) for p in derivation.network.parameters}
        self.values: dict[str, Value] = {}
        constants = derivation.network.spec.optimizer.options
        self.constants = {name: notation.name(name).identifier for name in constants}
        self.identifiers = {*notation.RESERVED, *self.constants.values()}
        self.sections: dict[Section, list[Statement]] = {section: [] for section in Section}
        self.facts = Facts()
        self.held = held_by_winners(self._computed(), costs)
        self.needed = self._needed()

    def program(self) -> Program:
        network = self.derivation.network
        if not network.parameters:
            raise LoweringError("no layer has parameters, so there is nothing to train; add a dense layer")
        self._declare("x", (BATCH, *network.spec.input_shape), "input")
        self._declare("t", (BATCH,) if network.labels else (BATCH, *network.output_shape), "target")
        for parameter in network.parameters:
            self._declare(parameter.name, parameter.shape, "parameter")
        for statistic in network.statistics:
            self._declare(statistic.name, statistic.shape, "statistic")
        for noise in network.noise:
            self._add(Value(noise.name, (BATCH, *noise.shape), "local", "", truth=True))
        for equation in self._computed():
            self._lower(equation)
        self.sections[Section.EVALUATION] = self._evaluation()
        notes = {e.number: _note(e) for e in self._computed()}
        sections: Sections = {section: tuple(found) for section, found in self.sections.items()}
        return Program(
            sections, self.values, notes, network.output, self.constants, input_gradient=INPUT_GRADIENT
        )

    def windows(self) -> Copies:
        """Return which windows the equations copy, which alone are lowered for it."""
        found: dict[Equation, bool] = {}
        for equation in self._computed():
            pattern = equation.computed.pattern
            if pattern not in found:
                found[pattern] = _reads_windows(pattern)
            if found[pattern]:
                self._lower(equation)
        return self.copies

    def _computed(self) -> list[NumberedEquation]:
        return [e for e in self.derivation.equations if not e.shown_only]

    def _evaluation(self) -> list[Statement]:
        """Return the forward statements of evaluation mode; [] where they are those of training."""
        if not self.sections[Section.EVALUATION]:
            return []
        by_equation: dict[int, list[Statement]] = {}
        for statement in (*self.sections[Section.FORWARD], *self.sections[Section.EVALUATION]):
            by_equation.setdefault(statement.equation, []).append(statement)
        return [s for e in self.derivation.forward("evaluation") for s in by_equation[e.number]]

    def _declare(self, name: str, shape: Shape, kind: str) -> None:
        integer = kind == "target" and self.derivation.network.labels
        of = primal(name) if kind == "gradient" else None
        if name not in self.values:
            self._add(Value(name, shape, kind, "", integer=integer, of=of or ""))

    def _add(self, value: Value) -> None:
        """Declare a value under the identifier that the table of names gives it, or the next that is free."""
        wanted = notation.identifier(value.name)
        identifier, count = wanted, 1
        while identifier in self.identifiers:
            count += 1
            identifier = f"{wanted}_{count}"
        self.identifiers.add(identifier)
        self.values[value.name] = replace(value, identifier=identifier)

    def _lower(self, numbered: NumberedEquation) -> None:
        equation = numbered.computed
        section = SECTION[numbered.role]
        if section == Section.UPDATE and numbered.mode == "both":
            kinds = {"g": "gradient", "theta": "parameter"}
            for name, base in [(equation.name, equation.left.base), *equation.reads().items()]:
                kind = kinds.get(name, "state") if base.shape else "local"
                self._declare(name, tuple(map(extent, base.shape)), kind)
        kind = "gradient" if equation.name in self.gradients else "local"
        self._declare(equation.name, tuple(map(extent, equation.left.base.shape)), kind)
        learns = True
        if section == Section.BACKWARD and self._only_for_input(equation.name):
            section, learns = Section.INPUT_GRADIENT, False
        elif numbered.mode != "both":  # what one mode computes the other does not know
            section, learns = MODE[numbered.mode, section], False
        if section == Section.FORWARD:
            self._draw(numbered)
        for each in self._by_windows(equation):
            self.sections[section] += self._statements(each, numbered.number, section, learns)

    def _by_windows(self, equation: Equation) -> Iterable[Equation]:
        """Give what is computed for an equation, where tensors are held by their windows."""
        own = self.held.get(equation.name)
        if own is not None:
            for each in own.equations():
                place = each.name == own.place
                self._add(Value(each.name, own.shape, "local", "", place=place))
                yield each
            return
        for name in sorted(self.held.keys() & {*equation.read}):
            equation = self.held[name].read_by(equation, name) or equation
        yield equation

    def _statements(
        self, equation: Equation, number: int, section: Section, learns: bool
    ) -> Iterable[Statement]:
        """Return an equation's statements: those of one like it under other names, where there is one.

        Equations are alike where the same is known of what they read, and others copy the same windows.
        """
        names, held = self.facts.about(equation.tensors)
        copied = self.copies.by_others(number, names) if section == Section.BACKWARD else set()
        place = {name: position for position, name in enumerate(names)}
        known = tuple(each.pattern(place) for each in held)
        windows = frozenset((place[str(key[0])], *key[1:]) for key in copied)
        alike = Pattern((equation.pattern, known, windows), names)
        key = alike.form, alike.likeness
        called = self._called(self.lowered[key], names) if key in self.lowered else None
        if called is None:
            facts = Known.of(each.told() for each in held)
            lowered = self._anew(equation, number, names, facts, Choice(self.costs, copied))
            called = {name: name for name in (*names, *(made.name for made in lowered.made))}
            self.lowered.setdefault(key, lowered)
            statements = lowered.statements
        else:
            lowered = self.lowered[key]
            for made in lowered.made:
                self._make(called[made.name], made)
            statements = tuple(renamed(s, called, number) for s in lowered.statements)
        for fact in lowered.learnt if learns else ():
            self.facts.add(Held(fact, tuple(called[name] for name in fact.form.tensors)))
        if section == Section.BACKWARD:
            self.copies.put(number, frozenset((called[str(key[0])], *key[1:]) for key in lowered.copies))
        return statements

    def _called(self, lowered: _Lowered, names: tuple[str, ...]) -> dict[str, str] | None:
        """Return what is called how for other tensors; None where a value does not get a like name."""
        called = dict(zip(lowered.names, names, strict=True))
        taken: set[str] = set()
        for made in lowered.made:
            name = self._free(called[made.of], made.suffix, taken)
            if name.removeprefix(called[made.of]) != made.ending:
                return None
            called[made.name] = name
            taken.add(name)
        return called

    def _anew(
        self, equation: Equation, number: int, names: tuple[str, ...], known: Known, choice: Choice
    ) -> _Lowered:
        made: list[_Made] = []

        def fresh(of: str, suffix: str, shape: Shape, truth: bool = False, zeroed: bool = False) -> str:
            """Declare an intermediate value under a name that is free."""
            name = self._free(of, suffix)
            made.append(_Made(name, of, suffix, shape, truth, zeroed))
            self._make(name, made[-1])
            return name

        lowering = EquationLowering(equation, number, fresh, known, choice)
        statements = tuple(lowering.statements())
        return _Lowered(names, tuple(made), statements, tuple(known.learnt), frozenset(lowering.copies))

    def _draw(self, numbered: NumberedEquation) -> None:
        """Draw the noise that an equation reads."""
        for noise in self.derivation.network.noise:
            if noise.name in numbered.computed.reads():
                stream = sum(isinstance(s, Draw) for s in self.sections[Section.FORWARD])
                self.sections[Section.FORWARD].append(
                    Draw(noise.name, axes(len(noise.shape) + 1), numbered.number, noise.probability, stream)
                )

    def _needed(self) -> set[str]:
        """Return the cotangents on the way to the gradient of a parameter."""
        needed = set(self.gradients)
        for later in reversed(self.derivation.role("backward")):
            if later.symbol in needed:
                needed |= set(later.computed.reads())
        return needed

    def _only_for_input(self, name: str) -> bool:
        """Whether a cotangent leads to no trained parameter, but only to the gradient of the input."""
        return name not in self.needed

    def _make(self, name: str, made: _Made) -> None:
        self._add(Value(name, made.shape, "local", "", truth=made.truth, zeroed=made.zeroed))

    def _free(self, of: str, suffix: str, taken: Set[str] = frozenset()) -> str:
        """Return a free name after another's."""
        name, count = f"{of}_{suffix}", 1
        while name in self.values or name in taken:
            count += 1
            name = f"{of}_{suffix}_{count}"
        return name


def _reads_windows(equation: Equation) -> bool:
    """Whether an equation may need values in another arrangement than that in which a tensor has them."""
    extents = {i: extent(n) for i, n in equation.axes}
    for node in equation.right.atoms(Reduction):
        extents |= {i: extent(n) for i, n in node.axes}
    plain = all(is_plain(read, extents) for read in accesses(equation.right))
    return not plain or equation.right.has(Inside, KroneckerDelta)


def _note(numbered: NumberedEquation) -> EquationNote:
    equation = numbered.equation
    return EquationNote(
        numbered.number, numbered.role, numbered.name, partial(matrix_text, equation), shape_text(equation)
    )


__all__ = ["LoweringError", "lower"]

"""The page of a worked pass: every equation, then the same with its numbers, and what comes out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from numpy.typing import NDArray

from chainrule.derive.index import Equation
from chainrule.derive.prose import _
from chainrule.present.build import symbol
from chainrule.present.counting import origin_of
from chainrule.present.matrix import NoMatrixForm, matrix_sides
from chainrule.present.notation import name
from chainrule.present.numerals import Inexact, pictured, plain
from chainrule.present.order import BATCH
from chainrule.present.page import Entry, Page, WorkedLines, page_of
from chainrule.present.sides import Line
from chainrule.present.substitute import element, matrices
from chainrule.present.tree import Leaf, Node, Ref, Related, contains

if TYPE_CHECKING:
    from chainrule.derive.network import KeptTensor
    from chainrule.present.numbers import Worked, WorkedEquation

Array = NDArray[np.float64]
NOTHING = Leaf("", "")


def page_of_numbers(
    worked: Worked, form: str = "index", steps: bool = False, notes: Sequence[str] = ()
) -> Page:
    """Return the page of a derivation with a worked pass in it.

    ``notes`` say where the numbers come from.
    """
    page = page_of(worked.derivation, form, steps)
    writer = _Writer(worked, form)
    sections = tuple(
        replace(section, entries=tuple(map(writer.entry, section.entries))) for section in page.sections
    )
    return replace(
        page, sections=sections, given=writer.given(), notes=(*page.notes, *notes, *writer.notes())
    )


@dataclass(frozen=True)
class _Writer:
    worked: Worked
    form: str

    @property
    def samples(self) -> int:
        return self.worked.given.count

    @property
    def first(self) -> int:
        """What indices count from."""
        return origin_of(e.equation for e in self.worked.derivation.equations)

    # ---- What is given

    def given(self) -> tuple[WorkedLines, ...]:
        """Return the samples, the parameters, the masks and the constants."""
        network = self.worked.derivation.network
        kept = [*network.parameters, *network.statistics]
        found = [self._tensor("x", True), self._tensor("t", True)]
        found += [self._tensor(p.name, False) for p in kept]
        found += [self._tensor(m.name, True) for m in network.noise]
        used = {key for row in self.worked.rows for key in row.reads}
        for key, value in self.worked.constants.items():
            if key in used and key != "N":
                line = _result(symbol(sympy.Symbol(key)), np.asarray(value))
                found.append(WorkedLines(name(key).identifier, (line,), value))
        return tuple(found)

    def _tensor(self, key: str, is_sample: bool) -> WorkedLines:
        values = self.worked.start[key]
        lines = tuple(
            _result(Ref(key, (), mark), value, is_sample)
            for mark, value in (self._samples(values) if is_sample else [("", values)])
        )
        return WorkedLines(key, lines, plain(values))

    def _samples(self, values: Array) -> Iterator[tuple[str, Array]]:
        for row in range(self.samples):
            yield self._mark(row), np.asarray(values[row])

    def _mark(self, row: int) -> str:
        return str(row + self.first) if self.samples > 1 else ""

    def notes(self) -> list[str]:
        """Return how the numbers are to be read."""
        found: list[str] = []
        if self.first:
            found.append(_("Indices count from 1."))
        if self.samples > 1:
            found.append(
                _("The first index, or the mark of a vector, counts the samples in the order asked for.")
            )
        smallest = (abs(v) for row in self.worked.rows for v in np.ravel(row.value).tolist() if v)
        if any(v < 1e-15 for v in smallest):
            found.append(_("A number like 3e-17 may be what the rounding of float64 leaves of 0."))
        found.append(
            _(
                "≈ stands before numbers that are rounded to 4 significant digits; "
                "all were computed in float64."
            )
        )
        return found

    # ---- One equation

    def entry(self, entry: Entry) -> Entry:
        row = self.worked.row(entry.number)
        equation = row.numbered.equation
        if equation.name in self.worked.flat:
            lines = [line for part in self.worked.parts() for line in self._of_parameter(row, *part)]
            value: Any = {p.name: plain(row.value[at].reshape(p.shape)) for p, at in self.worked.parts()}
        else:
            lines, value = self._of_tensor(row), plain(row.value)
        return replace(entry, worked=WorkedLines(entry.symbol, tuple(lines), value))

    def _of_tensor(self, row: WorkedEquation) -> list[Line]:
        equation = row.numbered.equation
        right = self._matrix_form(equation)
        if right is None:
            return [self._element(row, point) for point in itertools.product(*map(range, row.value.shape))]
        per_example = bool(equation.axes) and equation.axes[0][1] == BATCH
        lines = []
        for example in range(self.samples if per_example else 1):
            put = matrices(right, equation, row.reads, self.samples, example)
            value = np.asarray(row.value[example]) if per_example else row.value
            left = (
                Ref(equation.name, (), self._mark(example)) if per_example and self.samples > 1 else NOTHING
            )
            lines.append(_line(left, put, value, per_example))
        return lines

    def _matrix_form(self, equation: Equation) -> Node | None:
        if self.form == "index":
            return None
        if self.worked.flat & equation.reads().keys():  # the norm of all gradients
            return None
        try:
            return matrix_sides(equation)[1]
        except NoMatrixForm:
            return None

    def _element(self, row: WorkedEquation, point: tuple[int, ...]) -> Line:
        equation = row.numbered.equation
        put = element(equation, row.reads, point, self.samples)
        shown = point
        if point and equation.axes[0][1] == BATCH and self.samples == 1:
            shown = point[1:]
        left = Ref(equation.name, tuple(self._place(at) for at in shown))
        return _line(left, put, row.value[point], False)

    def _place(self, at: int) -> Leaf:
        return Leaf(str(at + self.first), str(at + self.first))

    # ---- Equations of all parameters at once, shown parameter by parameter

    def _of_parameter(self, row: WorkedEquation, parameter: KeptTensor, at: slice) -> Iterator[Line]:
        """Yield θ ← θ − η g for the part of θ that is one parameter."""
        equation = row.numbered.equation
        part = {key: v[at].reshape(parameter.shape) if v.ndim else v for key, v in row.reads.items()}
        own = equation.name
        after = row.value[at].reshape(parameter.shape)
        if self.form != "index":
            left = Ref(parameter.name) if own == "theta" else Ref(own, (Ref(parameter.name),))
            right = matrix_sides(equation)[1]
            yield _line(left, matrices(right, equation, part, self.samples, 0), after, False)
            return
        for place, point in enumerate(itertools.product(*map(range, parameter.shape))):
            put = element(equation, row.reads, (at.start + place,), self.samples)
            subscripts = tuple(map(self._place, point))
            of = Ref(parameter.name, subscripts)
            left = of if own == "theta" else Ref(own, (of,))
            yield _line(left, put, after[point], False)


def _result(left: Node, value: Array, is_sample: bool = False) -> Line:
    shown = pictured(np.asarray(value), is_sample)
    return Line(left, _relation(shown), shown)


def _line(left: Node, put: Node, value: Any, is_sample: bool) -> Line:
    """Return left = numbers put in = result, ≈ wherever something is rounded on the page."""
    result = _result(left, np.asarray(value), is_sample)
    if put == result.right:
        return result
    return Line(left, _relation(put), Related(result.relation, put, result.right))


def _relation(shown: Node) -> str:
    return "≈" if contains(shown, Inexact) else "="

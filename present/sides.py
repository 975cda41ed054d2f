"""Both sides of an equation as they stand on the page, in index or matrix form."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from chainrule.derive.index import Equation
from chainrule.present.batch import batch_sides
from chainrule.present.build import Writer, textbook
from chainrule.present.counting import origin_of
from chainrule.present.matrix import NoMatrixForm, matrix_sides
from chainrule.present.tree import Node

FORMS = ("index", "matrix")
_ROWS = {"rows": True, "columns": False}


@dataclass(frozen=True, eq=False)
class Line:
    """left relation right, the relation "=" or "←"."""

    left: Node
    relation: str
    right: Node

    def _sides(self) -> tuple[Node, str, Node]:
        return self.left, self.relation, self.right

    def __eq__(self, other: object) -> bool:
        return self._sides() == other._sides() if isinstance(other, Line) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._sides())


def line(
    equation: Equation,
    form: str,
    exact: bool = False,
    limits: bool = False,
    batch: str = "example",
    origin: int | None = None,
) -> Line:
    """Return an equation in a form; the matrix form falls back on the index form where there is none.

    ``exact`` keeps the functions of the computed form, ``limits`` gives sums their range.  ``batch``: the
    matrix form is that of one example, or of a batch whose examples are "rows" or "columns".  Indices count
    from ``origin``; of an equation by itself it is what its own subscripts ask for.
    """
    origin = origin_of((equation,)) if origin is None else origin
    relation = "←" if equation.name in equation.reads() else "="
    if form == "matrix":
        for layout in dict.fromkeys((batch, "example")):
            with suppress(NoMatrixForm):
                if layout == "example":
                    left, right = matrix_sides(equation, exact, limits, origin)
                else:
                    left, right = batch_sides(equation, exact, limits, _ROWS[layout], origin)
                return Line(left, relation, right)
    writer = Writer(equation.name, limits, origin)
    body = equation.right if exact else textbook(equation.right)
    return Line(writer.tree(equation.left), relation, writer.tree(body))

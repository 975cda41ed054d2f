"""Both sides of an equation as they stand on the page, in index or matrix form."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from derive.index import Equation
from derive.present.batch import batch_sides
from derive.present.build import Writer, plain_subscripts, textbook
from derive.present.matrix import NoMatrixForm, matrix_sides
from derive.present.tree import Node

FORMS = ("index", "matrix")


@dataclass(frozen=True)
class Line:
    """left relation right, the relation "=" or "←"."""

    left: Node
    relation: str
    right: Node


def line(
    equation: Equation, form: str, exact: bool = False, limits: bool = False, batch: str = "example"
) -> Line:
    """Return an equation in a form; the matrix form falls back on the index form where there is none.

    ``exact`` keeps the functions of the computed form, ``limits`` gives sums their range.  ``batch``: the
    matrix form is that of one example, or of a batch whose examples are "rows" or "columns".
    """
    relation = "←" if equation.name in equation.reads() else "="
    if form == "matrix":
        for layout in dict.fromkeys((batch, "example")):
            with suppress(NoMatrixForm):
                if layout == "example":
                    left, right = matrix_sides(equation, exact, limits)
                else:
                    left, right = batch_sides(equation, exact, limits, layout == "rows")
                return Line(left, relation, right)
    writer = Writer(equation.name, limits and plain_subscripts(equation))
    body = equation.right if exact else textbook(equation.right)
    return Line(writer.tree(equation.left), relation, writer.tree(body))

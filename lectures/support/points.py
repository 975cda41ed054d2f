"""Points (x_i, y_i) that are given, and the exact value of a formula of sums at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sympy
from sympy import Add, Expr, Integer, Rational

from chainrule.derive.index import Sum, access, index, size, tensor
from chainrule.lectures.model import TopicError
from chainrule.lectures.support import givens

EXAMPLE: Final = "1, 2, 3"
i, n = index("i"), size("n")
LETTERS: Final = ("x", "y")


@dataclass(frozen=True)
class GivenPoints:
    """The points of a worked example, as fractions."""

    x: tuple[Rational, ...]
    y: tuple[Rational, ...]

    @property
    def count(self) -> int:
        return len(self.x)

    def value(self, formula: Expr, known: Mapping[Expr, Expr] | None = None) -> Expr:
        """Return a formula of Σ over x_i and y_i, and of n, with the points put in."""
        letters = {name: tensor(name, n)[i] for name in LETTERS}

        def summed(node: Sum) -> Expr:
            rows = zip(self.x, self.y, strict=True)
            body = node.body.xreplace(dict(known or {}))
            return Add(*(body.xreplace({letters["x"]: a, letters["y"]: b}) for a, b in rows))

        opened = formula.replace(lambda e: isinstance(e, Sum), summed)
        return opened.xreplace({**(known or {}), n: Integer(self.count)})

    def means(self) -> dict[Expr, Rational]:
        """Return x̄ and ȳ with their values."""
        return {
            access(tensor("xbar")): sympy.Add(*self.x) / self.count,
            access(tensor("ybar")): sympy.Add(*self.y) / self.count,
        }


def points(given: Mapping[str, str], y_usual: str = EXAMPLE, x_usual: str = EXAMPLE) -> GivenPoints:
    """Return the points of --given x=… and y=….  Raises TopicError for what no line goes through."""
    if ("x" in given) != ("y" in given):
        raise TopicError("give x and y, one value for each point")
    x, y = givens.numbers(given, "x", x_usual), givens.numbers(given, "y", y_usual)
    if len(x) != len(y):
        raise TopicError(f"x has {len(x)} values and y has {len(y)}; they must be as many")
    if len(x) < 2:
        raise TopicError("one point is not enough: a line needs at least two")
    if len(set(x)) == 1:
        raise TopicError(f"all x are {x[0]}: no line y = α + βx goes through them, Σ(x_i − x̄)² is 0")
    return GivenPoints(tuple(x), tuple(y))

"""Choices inside choices as one list of cases: conditions joined, cases that never occur dropped.

What decides is a comparison of a quantity with a number, so that where several hold is a box: an interval for
each quantity.  The boxes of equal values are put together where they touch, empty ones fall out, and what an
earlier case has taken needs no condition any more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import sympy
from sympy import Expr, Piecewise

MAX_CHOICES: Final = 64
MOST_BOXES: Final = 40
TOO_MANY: Final = "too many choices inside one another (max, min, relu, where)"


class TooManyChoices(ValueError):
    """More cases than anybody would read."""


@dataclass(frozen=True)
class Interval:
    """The numbers between two ends, None for none; ``closed`` says which ends belong to it."""

    low: Expr | None = None
    high: Expr | None = None
    closed: tuple[bool, bool] = (False, False)


EVERYWHERE: Final = Interval()
Box = dict[Expr, Interval]  # what is missing may be anything


def _sides(box: Box) -> int:
    return sum((i.low is not None) + (i.high is not None) for i in box.values())


class Cases:
    """Joins conditions; ``less`` compares two constants."""

    def __init__(self, less: Callable[[Expr, Expr], bool]) -> None:
        self.less = less
        self.written: dict[tuple[Expr, Expr, str], sympy.Basic] = {}

    def joined(self, cases: Iterable[tuple[Expr, list[tuple[sympy.Basic, bool]]]]) -> Expr:
        """Return values, each under all of its conditions (or their opposites), as one expression."""
        groups: dict[Expr, list[Box]] = {}
        for value, conditions in cases:
            for box in self._boxes(conditions):
                groups.setdefault(value, []).append(box)
        if sum(map(len, groups.values())) > MOST_BOXES:
            raise TooManyChoices(TOO_MANY)
        for value in groups:
            groups[value] = self._merged(groups[value])
        *first, last = sorted(groups, key=lambda value: len(groups[value]) > 1)
        taken: list[Box] = []
        pieces: list[tuple[Expr, Any]] = []
        for value in first:
            boxes = [self._without_taken(box, taken) for box in groups[value]]
            if math.prod(map(_sides, boxes)) > MAX_CHOICES:  # SymPy multiplies conditions out
                raise TooManyChoices(TOO_MANY)
            pieces.append((value, sympy.Or(*(self._condition(box) for box in boxes))))
            taken += groups[value]
        return Piecewise(*pieces, (last, True)) if pieces else last

    # ---- boxes -----------------------------------------------------------------------------

    def _boxes(self, conditions: list[tuple[sympy.Basic, bool]]) -> list[Box]:
        """Return the boxes in which all conditions hold."""
        boxes: list[Box] = [{}]
        for condition, holds in conditions:
            parts = self._opened(condition, holds)
            boxes = [both for box in boxes for part in parts if (both := self._met(box, part)) is not None]
            if len(boxes) > MAX_CHOICES:
                raise TooManyChoices(TOO_MANY)
        return boxes

    def _opened(self, condition: sympy.Basic, holds: bool) -> list[Box]:
        """Return the boxes of one condition, or of its opposite."""
        if condition in (sympy.true, sympy.false):
            return [{}] if bool(condition) == holds else []
        if isinstance(condition, sympy.Not):
            return self._opened(condition.args[0], not holds)
        if isinstance(condition, sympy.And | sympy.Or):
            if isinstance(condition, sympy.And) == holds:
                return self._boxes([(part, holds) for part in condition.args])
            return [box for part in condition.args for box in self._opened(part, holds)]
        return [self._side(condition if holds else condition.negated)]

    def _side(self, relation: Any) -> Box:
        """Return a comparison as a quantity with the numbers it may be; the greatest factor is 1."""
        difference = sympy.expand(relation.lhs - relation.rhs)
        constant, rest = difference.as_coeff_Add()
        factor = rest.as_coeff_Mul()[0] if not rest.is_Add else rest.as_content_primitive()[0]
        if rest.could_extract_minus_sign():
            factor = -abs(factor)
        quantity, edge = sympy.expand(rest / factor), -constant / factor
        above = relation.rel_op in (">", ">=")
        above = not above if factor < 0 else above
        closed = relation.rel_op in (">=", "<=")
        operator = f"{'>' if above else '<'}{'=' if closed else ''}"
        self.written.setdefault((quantity, edge, operator), relation)
        interval = Interval(edge, None, (closed, False)) if above else Interval(None, edge, (False, closed))
        return {quantity: interval}

    def _met(self, one: Box, other: Box) -> Box | None:
        """Return the box in which both hold, None if it is empty."""
        both = dict(one)
        for quantity, interval in other.items():
            met = self._narrowed(both.get(quantity, EVERYWHERE), interval)
            if met is None:
                return None
            both[quantity] = met
        return both

    def _narrowed(self, a: Interval, b: Interval) -> Interval | None:
        low, low_closed = self._end(a.low, a.closed[0], b.low, b.closed[0], lambda p, q: self.less(q, p))
        high, high_closed = self._end(a.high, a.closed[1], b.high, b.closed[1], self.less)
        if low is not None and high is not None:
            if low == high:
                if not (low_closed and high_closed):
                    return None
            elif self.less(high, low):
                return None
        return Interval(low, high, (low_closed, high_closed))

    @staticmethod
    def _end(
        a: Expr | None, a_closed: bool, b: Expr | None, b_closed: bool, nearer: Callable[[Expr, Expr], bool]
    ) -> tuple[Expr | None, bool]:
        if a is None or b is None:
            return (b, b_closed) if a is None else (a, a_closed)
        if a == b:
            return a, a_closed and b_closed
        return (a, a_closed) if nearer(a, b) else (b, b_closed)

    # ---- putting boxes together ------------------------------------------------------------

    def _merged(self, boxes: list[Box]) -> list[Box]:
        """Return fewer boxes that cover the same."""
        boxes = list(boxes)
        found = True
        while found:
            found = False
            for one, other in itertools.combinations(boxes, 2):
                whole = self._union(one, other)
                if whole is not None:
                    boxes = [box for box in boxes if box is not one and box is not other] + [whole]
                    found = True
                    break
        return boxes

    def _union(self, one: Box, other: Box) -> Box | None:
        """Return the box of two, if together they are one."""
        if self._within(one, other):
            return other
        if self._within(other, one):
            return one
        differing = [q for q in {*one, *other} if one.get(q, EVERYWHERE) != other.get(q, EVERYWHERE)]
        if len(differing) != 1:
            return None
        (quantity,) = differing
        a, b = one.get(quantity, EVERYWHERE), other.get(quantity, EVERYWHERE)
        if a.low is None or (b.low is not None and self.less(b.low, a.low)):
            a, b = b, a  # a reaches further up now, b further down
        if b.high is None or a.low is None or self.less(b.high, a.low):
            return None
        if b.high == a.low and not (b.closed[1] or a.closed[0]):
            return None
        if a.high is not None and self.less(a.high, b.high):
            return None
        joined = Interval(b.low, a.high, (b.closed[0], a.closed[1]))
        return {q: i for q, i in {**one, quantity: joined}.items() if i != EVERYWHERE}

    def _within(self, inner: Box, outer: Box) -> bool:
        return all(
            self._narrowed(inner.get(q, EVERYWHERE), i) == inner.get(q, EVERYWHERE) for q, i in outer.items()
        )

    def _without_taken(self, box: Box, taken: list[Box]) -> Box:
        """Return a larger box: what it has more belongs to cases before it."""
        for quantity, interval in list(box.items()):
            for side in (0, 1):
                edge, closed = (interval.low, interval.high)[side], interval.closed[side]
                if edge is None:
                    continue
                beyond = (
                    Interval(None, edge, (False, not closed))
                    if side == 0
                    else Interval(edge, None, (not closed, False))
                )
                if any(self._within({**box, quantity: beyond}, before) for before in taken):
                    low, high = (None, interval.high) if side == 0 else (interval.low, None)
                    ends = (False, interval.closed[1]) if side == 0 else (interval.closed[0], False)
                    interval = Interval(low, high, ends)
                    box = {**box, quantity: interval}
        return {q: i for q, i in box.items() if i != EVERYWHERE}

    def _condition(self, box: Box) -> sympy.Basic:
        """Return the comparisons that say a box, as they were written where they were."""
        parts = []
        for quantity, interval in box.items():
            for edge, closed, sign in (
                (interval.low, interval.closed[0], ">"),
                (interval.high, interval.closed[1], "<"),
            ):
                if edge is not None:
                    operator = f"{sign}{'=' if closed else ''}"
                    plain = sympy.Rel(quantity, edge, operator)
                    parts.append(self.written.get((quantity, edge, operator), plain))
        return sympy.And(*parts)

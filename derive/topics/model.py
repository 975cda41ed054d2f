"""A topic: numbered steps, each with the rule that gave it; what they come to; and the errata they settle."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from sympy import Expr

from derive.present.build import Writer, textbook
from derive.present.page import Entry, Page, Section, explanations
from derive.present.sides import Line
from derive.present.text import write
from derive.present.tree import Leaf, Node, Slope
from derive.prose import _


class TopicError(ValueError):
    """Givens that a topic cannot take."""


@dataclass(frozen=True)
class Erratum:
    """What a slide has, what is right, and the numbers, computed, that show it."""

    slide: str
    right: str
    shown: str

    @property
    def note(self) -> str:
        return _(
            "Erratum: {slide}; right is: {right}. {shown}",
            slide=self.slide,
            right=self.right,
            shown=self.shown,
        )


@dataclass(frozen=True)
class Topic:
    """A derived topic.  Entries of role "result" are what is shown without the steps.

    ``formulas`` holds the right sides of results as expressions, for whoever wants to compute with them;
    ``errata`` stand among the notes too; ``headings`` gives the number of the step before which each stands.
    """

    id: str
    title: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    results: Mapping[str, str] = field(default_factory=dict)
    formulas: Mapping[str, Expr] = field(default_factory=dict)
    errata: tuple[Erratum, ...] = ()
    headings: Mapping[int, str] = field(default_factory=dict)

    def page(self, steps: bool = False) -> Page:
        """Return all steps, or the results alone."""
        starts = sorted({1, *self.headings}) if self.entries else []
        sections = []
        for start, after in itertools.zip_longest(starts, starts[1:], fillvalue=len(self.entries) + 1):
            run = self.entries[start - 1 : after - 1]
            shown = tuple(e for e in run if steps or e.role == "result")
            if shown:
                sections.append(Section(self.headings.get(start, ""), shown))
        page = Page(self.id, self.title, tuple(sections), (), self.notes, dict(self.results))
        if not steps:
            return page
        where = tuple(explanations(page))
        return Page(page.name, page.description, page.sections, where, page.notes, page.results)


class Steps:
    """Collects the steps of a topic as they are derived."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.results: dict[str, str] = {}
        self.formulas: dict[str, Expr] = {}
        self.headings: dict[int, str] = {}

    def heading(self, text: str) -> None:
        """Put a heading before the next step."""
        self.headings[len(self.entries) + 1] = text

    def add(
        self,
        left: Expr | Node | str,
        right: Expr | Node,
        rule: str,
        because: tuple[int, ...] = (),
        result: str = "",
        relation: str = "=",
        formula: Expr | None = None,
    ) -> int:
        """Add a step and return its number; ``result`` names it among the results.

        ``formula`` is the expression behind a right side that is laid out already.
        """
        number = len(self.entries) + 1
        shown = Line(node(left), relation, node(right))
        role = "result" if result else "step"
        self.entries.append(
            Entry(number, role, result or "step", shown, "", tuple(sorted(set(because))), rule)
        )
        expression = right if isinstance(right, Expr) else formula
        if result and expression is not None:
            self.results[result] = write(shown.right)
            self.formulas[result] = expression
        return number

    def topic(self, id: str, title: str, *notes: str | Erratum, **results: str) -> Topic:
        """Return the topic of the steps so far, with notes and errata in the order given."""
        errata = tuple(note for note in notes if isinstance(note, Erratum))
        written = tuple(note.note if isinstance(note, Erratum) else note for note in notes)
        found = {**self.results, **results}
        return Topic(id, title, tuple(self.entries), written, found, self.formulas, errata, self.headings)


def node(side: Expr | Node | str) -> Node:
    """Return what is written for one side: a letter, an expression, or what is laid out already."""
    if isinstance(side, str):
        return Leaf(side, side)
    return Writer().tree(textbook(side)) if isinstance(side, Expr) else side


def partial(of: Expr | Node | str, by: Expr | Node | str, total: bool = False) -> Slope:
    """Return ∂of/∂by, or d of/d by."""
    return Slope(node(of), node(by), total)

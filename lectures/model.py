"""A topic: numbered steps, each with the rule that gave it; what they come to; and the errata they settle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sympy import Expr

from chainrule.derive.prose import _
from chainrule.derive.shown import ShownPage
from chainrule.lectures.plot import Plot
from chainrule.present.build import Writer, textbook
from chainrule.present.page import Entry, Page, PageSection, explanations
from chainrule.present.sides import Line
from chainrule.present.text import write
from chainrule.present.tree import Leaf, Node, Slope, counted


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
class Topic(ShownPage):
    """A derived topic.  Entries of role "result" are what is shown without the steps.

    ``formulas`` holds the right sides of results as expressions, for whoever wants to compute with them;
    ``errata`` stand among the notes too.  ``headings`` stand above the entries of these numbers.
    ``origin`` is what indices count from.  In a notebook a topic shows all its steps.
    """

    id: str
    title: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    results: Mapping[str, str] = field(default_factory=dict)
    formulas: Mapping[str, Expr] = field(default_factory=dict)
    errata: tuple[Erratum, ...] = ()
    plots: tuple[Plot, ...] = ()
    headings: Mapping[int, str] = field(default_factory=dict)
    origin: int = 1

    def page(self, steps: bool = False) -> Page:
        """Return all steps, or the results alone."""
        sections = tuple(self._sections(steps))
        page = Page(self.id, self.title, sections, (), self.notes, dict(self.results), steps=steps)
        page = page if self.origin else replace(page, preface=(_("Indices count from 0."),))
        return replace(page, where=tuple(explanations(page))) if steps else page

    def __repr__(self) -> str:
        return f"<topic {self.id}: {len(self.entries)} steps>"

    def _sections(self, steps: bool) -> Iterator[PageSection]:
        heading = ""
        shown: list[Entry] = []
        for entry in self.entries:
            if entry.number in self.headings:
                if shown:
                    yield PageSection(heading, tuple(shown))
                heading, shown = self.headings[entry.number], []
            if steps or entry.role == "result":
                shown.append(entry)
        if shown:
            yield PageSection(heading, tuple(shown))


class Steps:
    """Collects the steps of a topic as they are derived; indices count from ``origin``."""

    def __init__(self, origin: int = 1) -> None:
        self.origin = origin
        self.entries: list[Entry] = []
        self.results: dict[str, str] = {}
        self.formulas: dict[str, Expr] = {}
        self.plots: list[Plot] = []
        self.headings: dict[int, str] = {}
        self.shown: dict[str, dict[tuple[int, ...], int]] = {}  # the steps with a tensor's numbers, by place

    def heading(self, text: str) -> None:
        """Put a heading above the steps that follow; plain words, for every format writes it as it is."""
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

        ``because`` numbers the steps that it follows from, what is differentiated first.
        ``formula`` is the right side as an expression where that is laid out already.
        """
        number = len(self.entries) + 1
        shown = Line(counted(node(left), self.origin), relation, counted(node(right), self.origin))
        role = "result" if result else "step"
        numbers = tuple(dict.fromkeys(because))
        self.entries.append(Entry(number, role, result or "step", shown, "", numbers, rule))
        if isinstance(right, Expr):
            formula = right
        if result and formula is not None:
            self.results[result] = write(shown.right)
            self.formulas[result] = formula
        return number

    def topic(self, id: str, title: str, *notes: str | Erratum, **results: str) -> Topic:
        """Return the topic of the steps so far, with notes and errata in the order given."""
        errata = tuple(note for note in notes if isinstance(note, Erratum))
        written = tuple(note.note if isinstance(note, Erratum) else note for note in notes)
        found = {**self.results, **results}
        return Topic(
            id,
            title,
            tuple(self.entries),
            written,
            found,
            self.formulas,
            errata,
            tuple(self.plots),
            self.headings,
            self.origin,
        )


def node(side: Expr | Node | str) -> Node:
    """Return what is written for one side: a letter, an expression, or what is laid out already."""
    if isinstance(side, str):
        return Leaf(side, side)
    return Writer().tree(textbook(side)) if isinstance(side, Expr) else side


def partial(of: Expr | Node | str, by: Expr | Node | str, total: bool = False) -> Slope:
    """Return ∂of/∂by, or d of/d by."""
    return Slope(node(of), node(by), total)

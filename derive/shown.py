"""How what is derived shows itself: by a writer of pages, which this package does not have and is told of.

``chainrule`` says at its import which writer that is (``shown_by``); the writer itself is imported when the
first thing is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Display(Protocol):
    """Writes what is derived, and faults about it, for whoever reads now."""

    def text_of(self, subject: Any, /) -> str:
        """Return what is shown, in plain text."""

    def html_of(self, subject: Any, /) -> str:
        """Return what is shown as a fragment of HTML."""

    def markdown_of(self, page: Any, /) -> str:
        """Return a page in Markdown with a display for each equation."""

    def latex_of(self, numbered: Any, /) -> str:
        """Return an equation as a display with its number."""

    def equation_text(self, numbered: Any, form: str, /) -> str:
        """Return an equation on one line of plain text."""

    def equation_latex(self, numbered: Any, form: str, /) -> str:
        """Return an equation in LaTeX, without its number."""

    def page_of(self, derivation: Any, form: str, steps: bool, /) -> LaidOut:
        """Return the page of a derivation."""

    def fault_text(self, fault: Any, /) -> str:
        """Return why something cannot be differentiated, with its equation."""


_load: list[Callable[[], Display]] = []


def shown_by(load: Callable[[], Display]) -> None:
    """Say who writes what is derived; ``load`` is called when something is shown."""
    _load[:] = [load]


def display() -> Display:
    """Return who writes what is derived."""
    return _load[-1]()


class Shown:
    """What prints itself as text and shows itself in a notebook."""

    def __str__(self) -> str:
        return display().text_of(self)

    def _repr_html_(self) -> str:
        return display().html_of(self)


class ShownPage(Shown):
    """What shows itself as a page, in Markdown too."""

    def _repr_markdown_(self) -> str:
        return display().markdown_of(self)


class LaidOut(ShownPage):
    """A page: its sections, each of which shows itself, and the notes that close it."""

    sections: tuple[Any, ...]
    notes: tuple[str, ...]

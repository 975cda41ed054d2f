"""How equations and pages show themselves, and what is said of those that have no derivative.

In a notebook: LaTeX in ``$$``, Markdown, HTML with MathML.  One equation a display, because that is what both
MathJax and KaTeX set with its number (``\\tag``); an align* inside of ``$$`` only KaTeX takes, without them
only MathJax.  ``chainrule`` names this module to ``derive.shown``, so that whatever was derived shows itself.
"""

from __future__ import annotations

from typing import Protocol

import sympy

from chainrule.derive.derivation import Derivation
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.derive.numbering import NumberedEquation
from chainrule.present import escape, mathml
from chainrule.present import latex as tex
from chainrule.present import text as plain
from chainrule.present.build import CannotPresent
from chainrule.present.formats import as_html, as_markdown, as_text
from chainrule.present.letters import in_notation
from chainrule.present.page import Page, PageSection
from chainrule.present.page import page_of as laid_out
from chainrule.present.sides import FORMS, Line, line


class Paged(Protocol):
    """What lays itself out, as a topic of the lectures does."""

    def page(self, *, steps: bool) -> Page:
        """Return its page."""


def page_of(derivation: Derivation, form: str, steps: bool) -> Page:
    """Return the page of a derivation."""
    return laid_out(derivation, form, steps)


def text_of(subject: NumberedEquation | Derivation | PageSection | Page | Paged) -> str:
    """Return an equation with its number on a line, anything else as its page, as text."""
    if isinstance(subject, NumberedEquation):
        return f"({subject.number}) {equation_text(subject)}"
    page = shown_page(subject)
    return as_text(page, page.steps).rstrip("\n")


def html_of(subject: NumberedEquation | Derivation | PageSection | Page | Paged) -> str:
    """Return an equation in MathML with its number beside it, a page as a fragment of HTML."""
    if isinstance(subject, NumberedEquation):
        return _equation_html(subject)
    page = shown_page(subject)
    return as_html(page, page.steps)


def markdown_of(subject: Derivation | PageSection | Page | Paged) -> str:
    """Return a page in Markdown with a display for each equation."""
    page = shown_page(subject)
    return as_markdown(page, page.steps)


def shown_page(subject: Derivation | PageSection | Page | Paged) -> Page:
    """Return the page that something shows, in the reader's notation: a topic with its steps."""
    match subject:
        case Page():
            page = subject
        case PageSection():
            page = Page("", "", (subject,))
        case Derivation():
            page = laid_out(subject)
        case _:
            page = subject.page(steps=True)
    return page if page.letters else in_notation(page)


def latex_of(numbered: NumberedEquation) -> str:
    """Return an equation as a display with its number."""
    return rf"$${equation_latex(numbered)} \tag{{{numbered.number}}}$$"


def equation_text(numbered: NumberedEquation, form: str = "index") -> str:
    """Return an equation on one line of plain text.  Raises ValueError for another form."""
    return plain.write_line(_sides(numbered, form))


def equation_latex(numbered: NumberedEquation, form: str = "index") -> str:
    """Return an equation in LaTeX, without dollar signs and without its number.  Raises ValueError."""
    return tex.write_line(_sides(numbered, form))


def fault_text(fault: CannotDifferentiate) -> str:
    """Return the equation that cannot be differentiated, as a derivation shows it, and why."""
    why = fault.why if fault.expression is None else f"{fault.why} {_part(fault.expression)}"
    if fault.equation is None:
        return why
    if fault.number is None:
        return f"{fault.equation}: {why}"
    return f"equation ({fault.number}), {plain.index_text(fault.equation)}: {why}"


def _part(expression: sympy.Basic) -> str:
    try:
        return plain.text(expression)
    except CannotPresent:
        return str(expression)


def _sides(numbered: NumberedEquation, form: str) -> Line:
    if form not in FORMS:
        raise ValueError(f"form is one of {', '.join(FORMS)}, not {form!r}")
    return line(numbered.equation, form)


def _equation_html(numbered: NumberedEquation) -> str:
    shown = _sides(numbered, "index")
    source = escape.markup(tex.write_line(shown))
    annotation = f'<annotation encoding="application/x-tex">{source}</annotation>'
    formula = f'<math display="block"><semantics>{mathml.write_line(shown)}{annotation}</semantics></math>'
    style = "display: flex; align-items: center; gap: 2em"
    return f'<div class="equation" style="{style}">{formula}<span>({numbered.number})</span></div>'

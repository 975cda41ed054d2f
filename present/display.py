"""How equations and pages display themselves in a notebook: LaTeX in ``$$``, Markdown, HTML with MathML.

One equation a display, because that is what both MathJax and KaTeX set with its number (``\\tag``); an align*
inside of ``$$`` only KaTeX takes, without them only MathJax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.present import FORMS, escape, mathml
from chainrule.present import latex as tex
from chainrule.present import text as plain
from chainrule.present.formats import as_html, as_markdown, as_text
from chainrule.present.page import Page
from chainrule.present.sides import Line, line

if TYPE_CHECKING:
    from chainrule.derive.numbering import NumberedEquation


def sides(numbered: NumberedEquation, form: str) -> Line:
    """Return both sides of an equation in a form.  Raises ValueError for another form."""
    if form not in FORMS:
        raise ValueError(f"form is one of {', '.join(FORMS)}, not {form!r}")
    return line(numbered.equation, form)


def equation_text(numbered: NumberedEquation, form: str = "index") -> str:
    """Return an equation on one line of plain text."""
    return plain.write_line(sides(numbered, form))


def equation_latex(numbered: NumberedEquation, form: str = "index") -> str:
    """Return an equation in LaTeX, without dollar signs and without its number."""
    return tex.write_line(sides(numbered, form))


def displayed_latex(numbered: NumberedEquation) -> str:
    """Return an equation as a display with its number."""
    return rf"$${equation_latex(numbered)} \tag{{{numbered.number}}}$$"


def displayed_html(numbered: NumberedEquation) -> str:
    """Return an equation in MathML, its number beside it."""
    shown = sides(numbered, "index")
    source = escape.markup(tex.write_line(shown))
    annotation = f'<annotation encoding="application/x-tex">{source}</annotation>'
    formula = f'<math display="block"><semantics>{mathml.write_line(shown)}{annotation}</semantics></math>'
    style = "display: flex; align-items: center; gap: 2em"
    return f'<div class="equation" style="{style}">{formula}<span>({numbered.number})</span></div>'


def page_text(page: Page) -> str:
    """Return a page, or a section by itself, as text."""
    return as_text(page, page.steps).rstrip("\n")


def page_markdown(page: Page) -> str:
    """Return a page in Markdown with a display for each equation."""
    return as_markdown(page, page.steps)


def page_html(page: Page) -> str:
    """Return a page as a fragment of HTML."""
    return as_html(page, page.steps)

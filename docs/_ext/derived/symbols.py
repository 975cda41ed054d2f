"""The directives of the page on notation: symbols as they stand in LaTeX, in text and in programs."""

from __future__ import annotations

from docutils import nodes
from markupsafe import Markup
from sphinx.util.docutils import SphinxDirective

from chainrule import derivation
from chainrule.cli.handout.markup import element, formula, joined, math
from chainrule.present import page_for
from chainrule.present.notation import FIXED, Name
from chainrule.present.page import Entry

from .equations import raw
from .examples import Example


class Symbols(Example):
    """``{symbols} SPEC``: every tensor that a derivation defines."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        page = page_for(derivation(self.place.folder / self.arguments[0]), "index")
        heads = ("equation", "LaTeX", "in programs", "shape")
        return [grid(heads, [_row(entry) for entry in page.entries])]


class Constants(SphinxDirective):
    """``{constants}``: the letters of hyper-parameters and what is fixed, from the table of symbols."""

    def run(self) -> list[nodes.Node]:
        heads = ("symbol", "in text", "LaTeX", "in programs")
        return [grid(heads, [_constant(name) for name in FIXED.values()])]


def _row(entry: Entry) -> tuple[Markup, ...]:
    from chainrule.present.latex import write

    left = entry.line.left
    return (
        formula(left) + element("span", f" ({entry.number})"),
        element("code", write(left)),
        element("code", entry.symbol),
        element("span", entry.shape),
    )


def _constant(name: Name) -> tuple[Markup, ...]:
    shown = math(f"<mi>{name.text}</mi>", name.latex)
    return shown, element("span", name.text), element("code", name.latex), element("code", name.identifier)


def grid(heads: tuple[str, ...], rows: list[tuple[Markup, ...]]) -> nodes.raw:
    """Return a table whose cells are HTML."""
    head = element("tr", joined([element("th", each) for each in heads]))
    body = joined([element("tr", joined([element("td", cell) for cell in row])) for row in rows])
    table = element("table", element("thead", head) + element("tbody", body), class_="docutils")
    return raw(str(table), "table-wrapper symbols")

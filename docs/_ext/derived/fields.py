"""Tables of a page; those of the fields of a spec stand row by row on a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from chainrule.spec import field_documentation


@dataclass(frozen=True)
class Documented:
    """What the table of fields says of one table of a spec: a title, sentences, and rows below heads."""

    title: str
    sentences: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def documented() -> list[Documented]:
    """Return the tables of a spec, in order."""
    return [_read(part) for part in re.split(r"^### ", field_documentation(), flags=re.MULTILINE)[1:]]


def _read(text: str) -> Documented:
    title, *lines = [line for line in text.splitlines() if line.strip()]
    cells = [
        tuple(cell.strip() for cell in line[1:-1].split(" | ")) for line in lines if line.startswith("| ")
    ]
    sentences = tuple(line for line in lines if not line.startswith("|"))
    return Documented(title, sentences, cells[0], tuple(cells[1:]))


class Fields(SphinxDirective):
    """``{fields}``: every table of a spec in a section; ``no-layers`` leaves those to their own pages."""

    option_spec: ClassVar[dict[str, Any]] = {"no-layers": directives.flag}

    def run(self) -> list[nodes.Node]:
        return [
            nodes.section("", title(each.title), *content(each), ids=[nodes.make_id(f"spec {each.title}")])
            for each in documented()
            if "no-layers" not in self.options or not each.title.startswith("[[layers]]")
        ]


def title(text: str) -> nodes.title:
    """Return a heading whose keys are code."""
    return nodes.title(
        "", "", *inline(re.sub(r"(\[+[a-z][\w.]*\]+|type = .*)", r"`\1`", text, flags=re.IGNORECASE))
    )


def content(found: Documented) -> list[nodes.Node]:
    """Return the sentences and the rows."""
    out: list[nodes.Node] = [nodes.paragraph("", "", *inline(sentence)) for sentence in found.sentences]
    return [*out, table(found.heads, found.rows, "fields")] if found.rows else out


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str) -> nodes.table:
    """Return a table of texts, in which code stands between backquotes."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _head in heads), cols=len(heads))
    group += nodes.thead("", nodes.row("", *(nodes.entry("", nodes.paragraph("", head)) for head in heads)))
    body = nodes.tbody()
    for cells in rows:
        body += nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *inline(cell))) for cell in cells))
    group += body
    return nodes.table("", group, classes=[kind])


def inline(text: str) -> list[nodes.Node]:
    """Return a text whose parts between backquotes are code."""
    pieces = re.split(r"`([^`]*)`", text)
    return [
        nodes.literal("", piece) if place % 2 else nodes.Text(piece)
        for place, piece in enumerate(pieces)
        if piece
    ]

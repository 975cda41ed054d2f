"""The generated program as lines of coloured text, each with the numbers of the equations it computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from chainrule.cli.handout.markup import element, joined
from chainrule.derive.prose import _, say


@dataclass(frozen=True)
class CodeLine:
    """A line of the program; ``name`` is what a screen reader calls it."""

    number: int
    text: Markup
    equations: tuple[int, ...]
    name: str


def code_lines(source: str, lines: Mapping[int, tuple[int, ...]]) -> tuple[CodeLine, ...]:
    """Return the lines of a program, from 1, given the ``lines`` of every equation."""
    of: dict[int, list[int]] = {}
    for equation, numbers in lines.items():
        for number in numbers:
            of.setdefault(number, []).append(equation)
    return tuple(
        CodeLine(number, text, tuple(sorted(of.get(number, ()))), _name(number, of.get(number, [])))
        for number, text in enumerate(_coloured(source), 1)
    )


def _name(number: int, equations: list[int]) -> str:
    listed = ", ".join(f"({n})" for n in sorted(equations))
    return say(_("Line {number}: {equations}", number=number, equations=listed)) if listed else ""


def _coloured(source: str) -> Iterator[Markup]:
    """Yield each line; what matters to a reader has a class: k keyword, d defined name, s, n, c."""
    from pygments.lexers import PythonLexer
    from pygments.token import Comment, Keyword, Name, Number, Operator, String

    styles = (
        (Comment, "c"), (String, "s"), (Number, "n"), (Keyword, "k"), (Operator.Word, "k"),
        (Name.Function, "d"), (Name.Class, "d"),
    )  # fmt: skip
    line: list[Markup] = []
    for kind, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(source.removesuffix("\n")):
        style = next((name for parent, name in styles if kind in parent), None)
        for place, piece in enumerate(text.split("\n")):
            if place:
                yield joined(line)
                line = []
            if piece:
                line.append(element("span", piece, class_=style) if style else escape(piece))
    yield joined(line)

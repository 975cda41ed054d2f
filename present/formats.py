"""A page in each format: LaTeX, plain text, Markdown, HTML, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from chainrule.derive.prose import say
from chainrule.present import escape
from chainrule.present import latex as tex
from chainrule.present import text as plain
from chainrule.present.boxes import worked_text
from chainrule.present.page import Entry, Page, PageSection
from chainrule.present.phrases import (
    GIVEN,
    INDEX_FORM,
    MATRIX_FORM,
    NOTES,
    SHAPE,
    WHERE,
    by,
    computed_as,
    note,
    over_windows,
    reason,
)
from chainrule.present.sides import Line
from chainrule.present.tex import document_of, worked_rows
from chainrule.present.text import width

COLUMN: Final = 60
BESIDE: Final = 100  # columns of a terminal, in which both forms of a line stand side by side
LEFT: Final = 16


def as_latex(page: Page, steps: bool = False) -> str:
    """Return one align* environment that KaTeX and TeX both set, with a row for each heading and reason."""
    rows = [rf"&{tex.words(say(text))}" for text in page.preface]
    rows += [rf"&\textbf{{{escape.latex(say(GIVEN))}}}"] if page.given else []
    rows += [row for each in page.given for row in worked_rows(each)]
    beside = not steps and all(_is_short(entry) for entry in page.entries)
    for section in page.sections:
        if section.heading:
            rows.append(rf"&\textbf{{{escape.latex(say(section.heading))}}}")
        for entry in section.entries:
            rows += latex_rows(entry, steps, beside)
    if page.where:
        rows.append(rf"&\textbf{{{escape.latex(say(WHERE))}}}")
        rows += [tex.write_line(shown, "&") for shown in page.where]
    rows += [rf"&{tex.words(note(text))}" for text in page.notes]
    body = " \\\\\n".join(rows)
    return f"% {escape.latex(page.name)}\n\\begin{{align*}}\n{body}\n\\end{{align*}}\n"


def _is_short(entry: Entry) -> bool:
    return all(width(plain.write_line(shown)) < BESIDE // 2 for shown in (entry.line, entry.matrix) if shown)


def latex_rows(entry: Entry, steps: bool, beside: bool = False) -> list[str]:
    """Return the rows of one entry in an align environment; both its forms side by side or in two rows."""
    label = rf" \qquad {tex.words(say(entry.label))}" if entry.label else ""
    matrix = [tex.write_line(entry.matrix, "&")] if entry.matrix else []
    together = f" & {matrix.pop()}" if matrix and beside else ""
    rows = [rf"{tex.write_line(entry.line, '&')}{together}{label} \tag{{{entry.number}}}", *matrix]
    rows += worked_rows(entry.worked)
    if not steps:
        return rows
    rows.append(rf"&\qquad{tex.words(reason(entry))}")
    if entry.computed:
        before, after = map(tex.words, computed_as())
        rows.append(rf"&\qquad{before} {tex.write(entry.computed.right)}{after}")
        if entry.rewrites:
            rows.append(rf"&\qquad{tex.words(by(entry))}")
    if entry.windows:
        before, after = map(tex.words, over_windows())
        rows.append(rf"&\qquad{before} {tex.write(entry.windows.right)}{after}")
    return rows


def as_text(page: Page, steps: bool = False) -> str:
    """Return a page for a terminal, the relations of a section below one another."""
    out = [escape.plain(say(each)) for each in (page.name, page.description) if each]
    out += [""] if out else []
    out += [*map(say, page.preface), ""] if page.preface else []
    if page.given:
        lefts = [plain.write(shown.left) for each in page.given for shown in each.lines]
        column = 2 + max(map(width, lefts))
        out += [say(GIVEN), *(row for each in page.given for row in worked_text(each, column)), ""]
    for section in page.sections:
        out += [*_section(section, steps), ""]
    if page.where:
        out += [say(WHERE), *(f"  {written}" for written in _aligned(page.where)), ""]
    out += [note(text) for text in page.notes]
    out += [f"{name} = {value}" for name, value in page.shown_results()]
    single = (line for line, before in zip(out, ["", *out], strict=False) if line or before)
    return "\n".join(single).rstrip() + "\n"


def _section(section: PageSection, steps: bool) -> list[str]:
    entries = section.entries
    lines = _aligned([entry.line for entry in entries])
    most = _leftmost([entry.line for entry in entries])
    both = {entry.number: entry.matrix for entry in entries if entry.matrix}
    matrices = dict(zip(both, _aligned(list(both.values())), strict=True))
    widest = max(map(width, lines), default=0)
    beside = bool(matrices) and widest + max(map(width, matrices.values())) < BESIDE
    out = [say(section.heading)] if section.heading else []
    for entry, shown in zip(entries, lines, strict=True):
        head = f"  ({entry.number})".ljust(7) + shown
        matrix = matrices.get(entry.number, "")
        if beside:
            head = _padded(_padded(head, widest + 10) + matrix, BESIDE)
        label = f"  {say(entry.label)}" if entry.label else ""
        out.append(f"{_padded(head, COLUMN)}  {entry.shape}{label}".rstrip())
        if matrix and not beside:
            out.append(f"       {matrix}")
        if steps:
            out.append(f"         {say(entry.reason)}")
        if steps and entry.computed:
            before, after = computed_as()
            used = f"  ({by(entry)})" if entry.rewrites else ""
            out.append(f"         {before}{plain.write(entry.computed.right)}{after}{used}")
        if steps and entry.windows:
            before, after = over_windows()
            out.append(f"         {before}{plain.write(entry.windows.right)}{after}")
        column = len(f"  ({entry.number})".ljust(7)) + max(most, width(plain.write(entry.line.left)))
        out += worked_text(entry.worked, column)
    return out


def _aligned(lines: Sequence[Line]) -> list[str]:
    """Return lines with their relations below one another; what is long on the left stands out."""
    lefts = [plain.write(shown.left) for shown in lines]
    most = _leftmost(lines)
    return [
        " " * (most - width(left)) + plain.write_line(shown) for left, shown in zip(lefts, lines, strict=True)
    ]


def _leftmost(lines: Sequence[Line]) -> int:
    """Return the column of the relations."""
    widths = (width(plain.write(shown.left)) for shown in lines)
    return max((each for each in widths if each <= LEFT), default=0)


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def as_markdown(page: Page, steps: bool = False) -> str:
    """Return a page in Markdown, with mathematics between dollar signs; both forms stand in a table."""
    out = [f"# {escape.markdown(page.name)}", ""] if page.name else []
    if page.description:
        out += [escape.markdown(say(page.description)), ""]
    for text in page.preface:
        out += [escape.markdown(say(text)), ""]
    if page.given:
        given = [row for each in page.given for row in worked_rows(each)]
        out += [f"## {escape.markdown(say(GIVEN))}", "", *_worked(given)]
    for section in page.sections:
        if section.heading:
            out += [f"## {escape.markdown(say(section.heading))}", ""]
        if any(entry.matrix for entry in section.entries):
            out += _table(section)
        for entry in section.entries:
            out += [] if any(e.matrix for e in section.entries) else _formula(entry)
            out += _worked(worked_rows(entry.worked))
            out += _reasons(entry) if steps else []
    if page.where:
        out += [f"## {say(WHERE)}", "", *(f"- ${tex.write_line(shown)}$" for shown in page.where), ""]
    if page.notes:
        out += [f"## {say(NOTES)}", "", *(f"- {escape.markdown(say(text))}" for text in page.notes), ""]
    rows = (map(escape.markdown, pair) for pair in page.shown_results())
    out += [f"- {name} = {value}" for name, value in rows]
    return "\n".join(out).rstrip() + "\n"


def _formula(entry: Entry) -> list[str]:
    label = rf" \qquad {tex.words(say(entry.label))}" if entry.label else ""
    return ["$$", rf"{tex.write_line(entry.line)}{label} \tag{{{entry.number}}}", "$$", ""]


def _worked(rows: list[str]) -> list[str]:
    """Return rows of numbers as one display."""
    body = " \\\\\n".join(rows)
    return ["$$", r"\begin{aligned}", body, r"\end{aligned}", "$$", ""] if rows else []


def _table(section: PageSection) -> list[str]:
    def cell(shown: Line | None) -> str:
        written = tex.write_line(shown).replace("|", r"\vert ") if shown else ""
        return f"${written}$" if written else ""

    heads = ("", say(INDEX_FORM), say(MATRIX_FORM), say(SHAPE))
    rows = (
        (f"({e.number})", f"{cell(e.line)} {escape.markdown(say(e.label))}".strip(), cell(e.matrix), e.shape)
        for e in section.entries
    )
    return [f"| {' | '.join(row)} |" for row in (heads, ("---",) * 4, *rows)] + [""]


def _reasons(entry: Entry) -> list[str]:
    number = f"({entry.number}) " if entry.matrix else ""
    out = [number + escape.markdown(reason(entry)), ""]
    if entry.computed:
        before, after = map(escape.markdown, computed_as())
        used = f" ({escape.markdown(by(entry))})" if entry.rewrites else ""
        out += [f"{before} ${tex.write(entry.computed.right)}$ {after}{used}".strip(), ""]
    if entry.windows:
        before, after = map(escape.markdown, over_windows())
        out += [f"{before} ${tex.write(entry.windows.right)}$ {after}".strip(), ""]
    return out


def as_html(page: Page, steps: bool = False) -> str:
    """Return a fragment with the formulas in MathML: no script, no style sheet, no request."""
    from chainrule.present.fragment import html

    return html(page, steps)


def record(entry: Entry) -> dict[str, Any]:
    """Return an entry for a machine to read."""
    found: dict[str, Any] = {
        "number": entry.number,
        "role": entry.role,
        "symbol": entry.symbol,
        "latex": tex.write_line(entry.line),
        "text": plain.write_line(entry.line),
        "shape": entry.shape,
        "because": list(entry.because),
        "rule": say(entry.rule),
    }
    if entry.matrix:
        found["matrix_latex"] = tex.write_line(entry.matrix)
        found["matrix_text"] = plain.write_line(entry.matrix)
    if entry.label:
        found["label"] = say(entry.label)
    if entry.worked:
        found["value"] = entry.worked.value
        found["numbers"] = [plain.write_line(shown) for shown in entry.worked.lines]
        found["numbers_latex"] = [tex.write_line(shown) for shown in entry.worked.lines]
    if entry.computed:
        found["computed_latex"] = tex.write_line(entry.computed)
        found["computed_text"] = plain.write_line(entry.computed)
        found["rewrites"] = say(entry.rewrites)
    if entry.windows:
        found["windows_latex"] = tex.write_line(entry.windows)
        found["windows_text"] = plain.write_line(entry.windows)
    return found


def as_json(page: Page, steps: bool = False) -> str:
    """Return a page as one JSON object."""
    found = {
        "name": page.name,
        **({"given": {each.symbol: each.value for each in page.given}} if page.given else {}),
        "equations": [record(entry) for entry in page.entries],
        "notes": [*map(say, page.preface), *map(say, page.notes)],
        "results": page.results,
    }
    return json.dumps(found, ensure_ascii=False, indent=2) + "\n"


FORMATS: Final[dict[str, Callable[[Page, bool], str]]] = {
    "latex": as_latex,
    "text": as_text,
    "markdown": as_markdown,
    "html": as_html,
    "tex": document_of,
    "json": as_json,
}

"""A page in each format: LaTeX, plain text, Markdown, HTML, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from derive.present import escape, mathml
from derive.present import latex as tex
from derive.present import text as plain
from derive.present.boxes import unchained, worked_text
from derive.present.page import Entry, Page, WorkedLines
from derive.present.substitute import contains
from derive.present.tree import Grid
from derive.prose import _, say

COLUMN: Final = 60
GIVEN: Final = _("Given")
ROW: Final = "display: flex; align-items: center; gap: 2em"


def as_latex(page: Page, steps: bool = False) -> str:
    """Return one align* environment that KaTeX and TeX both set, with a row for each heading and reason."""
    rows: list[str] = []
    if page.given:
        rows.append(rf"&\textbf{{{escape.latex(say(GIVEN))}}}")
        rows += [row for each in page.given for row in worked_rows(each)]
    for section in page.sections:
        if section.heading:
            rows.append(rf"&\textbf{{{section.heading}}}")
        for entry in section.entries:
            rows += latex_rows(entry, steps)
    if page.where:
        rows.append(r"&\textbf{Where}")
        rows += [tex.write_line(shown, "&") for shown in page.where]
    rows += [rf"&\text{{Note: {escape.latex(note)}}}" for note in page.notes]
    body = " \\\\\n".join(rows)
    return f"% {escape.latex(page.name)}\n\\begin{{align*}}\n{body}\n\\end{{align*}}\n"


def latex_rows(entry: Entry, steps: bool) -> list[str]:
    """Return the rows of one entry in an align environment."""
    label = rf" \qquad \text{{{entry.label}}}" if entry.label else ""
    rows = [rf"{tex.write_line(entry.line, '&')}{label} \tag{{{entry.number}}}"]
    rows += worked_rows(entry.worked)
    if not steps:
        return rows
    shape = f"; shape {entry.shape}" if entry.shape else ""
    rows.append(rf"&\qquad\text{{{escape.latex(entry.reason + shape)}}}")
    if entry.computed:
        rows.append(rf"&\qquad\text{{computed as }} {tex.write(entry.computed.right)}")
        if entry.rewrites:
            rows.append(rf"&\qquad\text{{by {escape.latex(entry.rewrites)}}}")
    return rows


def worked_rows(worked: WorkedLines | None) -> list[str]:
    """Return the rows of numbers in an align environment; matrices and their result have a row each."""
    return [
        tex.write_line(part, "&")
        for shown in (worked.lines if worked else ())
        for part in (unchained(shown) if contains(shown.right, Grid) else (shown,))
    ]


def as_text(page: Page, steps: bool = False) -> str:
    """Return a page for a terminal."""
    out = [escape.plain(each) for each in (page.name, page.description) if each]
    out += [""] if out else []
    if page.given:
        given = (row for each in page.given for row in worked_text(each, "  "))
        out += [say(GIVEN), *given, ""]
    for section in page.sections:
        if section.heading:
            out.append(section.heading)
        for entry in section.entries:
            head = f"  ({entry.number})".ljust(7) + plain.write_line(entry.line)
            label = f"  {entry.label}" if entry.label else ""
            out.append(f"{head.ljust(COLUMN)}  {entry.shape}{label}".rstrip())
            if steps:
                out.append(f"         {entry.reason}")
            if steps and entry.computed:
                by = f"  ({entry.rewrites})" if entry.rewrites else ""
                out.append(f"         computed as {plain.write(entry.computed.right)}{by}")
            out += worked_text(entry.worked, "         ")
        out.append("")
    if page.where:
        out += ["Where", *(f"  {plain.write_line(shown)}" for shown in page.where), ""]
    out += [f"Note: {note}" for note in page.notes]
    out += [f"{name} = {value}" for name, value in page.results.items()]
    return "\n".join(_single_spaced(out)).rstrip() + "\n"


def _single_spaced(lines: list[str]) -> Iterator[str]:
    """Yield lines with no more than one blank line in a row."""
    return (line for line, before in zip(lines, ["", *lines], strict=False) if line or before)


def as_markdown(page: Page, steps: bool = False) -> str:
    """Return a page in Markdown, with mathematics between dollar signs."""
    out = [f"# {escape.markdown(page.name)}", ""] if page.name else []
    if page.description:
        out += [escape.markdown(page.description), ""]
    if page.given:
        given = [row for each in page.given for row in worked_rows(each)]
        out += [f"## {escape.markdown(say(GIVEN))}", "", *worked_markdown(given)]
    for section in page.sections:
        if section.heading:
            out += [f"## {section.heading}", ""]
        for entry in section.entries:
            label = rf" \qquad \text{{{entry.label}}}" if entry.label else ""
            out += ["$$", rf"{tex.write_line(entry.line)}{label} \tag{{{entry.number}}}", "$$", ""]
            out += worked_markdown(worked_rows(entry.worked))
            if steps:
                shape = f"; shape {entry.shape}" if entry.shape else ""
                out += [escape.markdown(entry.reason + shape), ""]
            if steps and entry.computed:
                by = f" ({escape.markdown(entry.rewrites)})" if entry.rewrites else ""
                out += [f"computed as ${tex.write(entry.computed.right)}${by}", ""]
    if page.where:
        out += ["## Where", "", *(f"- ${tex.write_line(shown)}$" for shown in page.where), ""]
    if page.notes:
        out += ["## Notes", "", *(f"- {escape.markdown(note)}" for note in page.notes), ""]
    out += [f"- {escape.markdown(name)} = {escape.markdown(value)}" for name, value in page.results.items()]
    return "\n".join(out).rstrip() + "\n"


def worked_markdown(rows: list[str]) -> list[str]:
    """Return rows of numbers as one display."""
    body = " \\\\\n".join(rows)
    return ["$$", r"\begin{aligned}", body, r"\end{aligned}", "$$", ""] if rows else []


def as_html(page: Page, steps: bool = False) -> str:
    """Return a fragment with the formulas in MathML: no script, no style sheet, no request."""
    out = ['<section class="derivation">', *([f"<h2>{escape.markup(page.name)}</h2>"] if page.name else [])]
    if page.description:
        out.append(f"<p>{escape.markup(page.description)}</p>")
    if page.given:
        out += [f"<h3>{escape.markup(say(GIVEN))}</h3>", *(worked_html(each) for each in page.given)]
    for section in page.sections:
        if section.heading:
            out.append(f"<h3>{section.heading}</h3>")
        for entry in section.entries:
            out.append(f'<div class="equation" id="equation-{entry.number}" style="{ROW}">')
            label = f'<span class="label">{entry.label}</span>' if entry.label else ""
            out.append(f'{_math(entry.line, True)}{label}<span class="number">({entry.number})</span></div>')
            if entry.worked:
                out.append(worked_html(entry.worked))
            if steps:
                shape = f"; shape {entry.shape}" if entry.shape else ""
                out.append(f'<p class="reason">{escape.markup(entry.reason + shape)}</p>')
            if steps and entry.computed:
                by = f" ({escape.markup(entry.rewrites)})" if entry.rewrites else ""
                out.append(f'<p class="computed">computed as {_math(entry.computed, False)}{by}</p>')
    if page.where:
        out += ["<h3>Where</h3>", "<ul>", *(f"<li>{_math(x, False)}</li>" for x in page.where), "</ul>"]
    if page.notes:
        out += ["<h3>Notes</h3>", "<ul>", *(f"<li>{escape.markup(n)}</li>" for n in page.notes), "</ul>"]
    if page.results:
        rows = (f"<dt>{escape.markup(k)}</dt><dd>{escape.markup(v)}</dd>" for k, v in page.results.items())
        out += ["<dl>", *rows, "</dl>"]
    return "\n".join((*out, "</section>")) + "\n"


def worked_html(worked: WorkedLines) -> str:
    """Return a formula of numbers for each line."""
    return "\n".join(f'<div class="numbers">{_math(shown, True)}</div>' for shown in worked.lines)


def _math(shown: Any, display: bool) -> str:
    source = escape.markup(tex.write_line(shown))
    block = ' display="block"' if display else ""
    annotation = f'<annotation encoding="application/x-tex">{source}</annotation>'
    return f"<math{block}><semantics>{mathml.write_line(shown)}{annotation}</semantics></math>"


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
        "rule": entry.rule,
    }
    if entry.label:
        found["label"] = entry.label
    if entry.worked:
        found["value"] = entry.worked.value
        found["numbers"] = [plain.write_line(shown) for shown in entry.worked.lines]
        found["numbers_latex"] = [tex.write_line(shown) for shown in entry.worked.lines]
    if entry.computed:
        found["computed_latex"] = tex.write_line(entry.computed)
        found["computed_text"] = plain.write_line(entry.computed)
        found["rewrites"] = entry.rewrites
    return found


def as_json(page: Page, steps: bool = False) -> str:
    """Return a page as one JSON object."""
    found = {
        "name": page.name,
        **({"given": {each.symbol: each.value for each in page.given}} if page.given else {}),
        "equations": [record(entry) for entry in page.entries],
        "notes": list(page.notes),
        "results": page.results,
    }
    return json.dumps(found, ensure_ascii=False, indent=2) + "\n"


FORMATS: Final[dict[str, Callable[[Page, bool], str]]] = {
    "latex": as_latex,
    "text": as_text,
    "markdown": as_markdown,
    "html": as_html,
    "json": as_json,
}

"""A page as a fragment of HTML."""

from __future__ import annotations

from typing import Any, Final

from chainrule.derive.prose import say
from chainrule.present import escape, mathml
from chainrule.present import latex as tex
from chainrule.present.page import Page, WorkedLines
from chainrule.present.phrases import GIVEN, NOTES, WHERE, by, computed_as, over_windows, reason

NUMBERS: Final = "display: flex; margin: 0.5em 2em"
ROW: Final = "display: flex; flex-wrap: wrap; align-items: center; gap: 2em"


def html(page: Page, steps: bool) -> str:
    """Return a fragment with the formulas in MathML: no script, no style sheet, no request."""
    out = ['<section class="derivation">', *([f"<h2>{escape.markup(page.name)}</h2>"] if page.name else [])]
    if page.description:
        out.append(f"<p>{escape.markup(say(page.description))}</p>")
    out += [f'<p class="preface">{escape.markup(say(text))}</p>' for text in page.preface]
    if page.given:
        out += [f"<h3>{escape.markup(say(GIVEN))}</h3>", *map(_in_numbers, page.given)]
    for section in page.sections:
        if section.heading:
            out.append(f"<h3>{escape.markup(say(section.heading))}</h3>")
        for entry in section.entries:
            out.append(f'<div class="equation" id="equation-{entry.number}" style="{ROW}">')
            matrix = _math(entry.matrix, True) if entry.matrix else ""
            label = f'<span class="label">{escape.markup(say(entry.label))}</span>' if entry.label else ""
            number = f'<span class="number">({entry.number})</span></div>'
            out.append(f"{_math(entry.line, True)}{matrix}{label}{number}")
            out += [_in_numbers(entry.worked)] if entry.worked else []
            if steps:
                out.append(f'<p class="reason">{escape.markup(reason(entry))}</p>')
            if steps and entry.computed:
                before, after = map(escape.markup, computed_as())
                used = f" ({escape.markup(by(entry))})" if entry.rewrites else ""
                formula = f"{before} {_math(entry.computed, False)} {after}{used}"
                out.append(f'<p class="computed">{formula.strip()}</p>')
            if steps and entry.windows:
                before, after = map(escape.markup, over_windows())
                out.append(f'<p class="computed">{before} {_math(entry.windows, False)} {after}</p>')
    if page.where:
        items = (f"<li>{_math(x, False)}</li>" for x in page.where)
        out += [f"<h3>{escape.markup(say(WHERE))}</h3>", "<ul>", *items, "</ul>"]
    if page.notes:
        items = (f"<li>{escape.markup(say(n))}</li>" for n in page.notes)
        out += [f"<h3>{escape.markup(say(NOTES))}</h3>", "<ul>", *items, "</ul>"]
    if page.results:
        pairs = (map(escape.markup, pair) for pair in page.shown_results())
        out += ["<dl>", *(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in pairs), "</dl>"]
    return "\n".join((*out, "</section>")) + "\n"


def _in_numbers(worked: WorkedLines) -> str:
    lines = (f'<div class="numbers" style="{NUMBERS}">{_math(shown, True)}</div>' for shown in worked.lines)
    return "\n".join(lines)


def _math(shown: Any, display: bool) -> str:
    source = escape.markup(tex.write_line(shown))
    block = ' display="block"' if display else ""
    annotation = f'<annotation encoding="application/x-tex">{source}</annotation>'
    return f"<math{block}><semantics>{mathml.write_line(shown)}{annotation}</semantics></math>"

"""Equations of the engine as parts of a page: formulas in MathML, which KaTeX sets where scripts run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from docutils import nodes
from markupsafe import Markup, escape
from sphinx.environment import BuildEnvironment

from chainrule.cli.handout.markup import element, formula, joined, raised
from chainrule.derive.prose import say
from chainrule.present.page import Entry, Page, PageSection, WorkedLines
from chainrule.present.phrases import GIVEN, NOTES, WHERE, by, computed_as, note


def parts(
    page: Page,
    key: str,
    steps: bool = True,
    own: Collection[int] = (),
    shown: Callable[[PageSection], bool] | None = None,
) -> Iterator[tuple[str, Markup]]:
    """Yield headings and the HTML below them; ids begin with ``key``, equations in ``own`` are marked.

    The first heading may be empty: what stands before the first section.
    """
    sections = [each for each in page.sections if shown is None or shown(each)]
    numbers = {entry.number for section in sections for entry in section.entries}
    first = [element("p", raised(say(text)), class_="preface") for text in page.preface]
    if first:
        yield "", joined(first)
    if page.given:
        yield say(GIVEN), joined([_numbers(each) for each in page.given])
    for section in sections:
        yield (
            say(section.heading),
            joined([_entry(e, key, numbers, steps, e.number in own) for e in section.entries]),
        )
    if page.where:
        yield (
            say(WHERE),
            element("ul", joined([element("li", formula(x)) for x in page.where]), class_="where"),
        )
    last = [element("p", raised(note(text)), class_="note") for text in page.notes]
    last += [
        element("p", element("code", f"{name} = {value}"), class_="result")
        for name, value in page.shown_results()
    ]
    if last:
        yield say(NOTES), joined(last)


def _entry(entry: Entry, key: str, numbers: Collection[int], steps: bool, own: bool) -> Markup:
    lines = [
        element("div", formula(each, display=True), class_="line")
        for each in (entry.line, entry.matrix)
        if each
    ]
    label = element("span", say(entry.label), class_="label") if entry.label else Markup("")
    shape = element("span", entry.shape, class_="shape") if entry.shape not in ("", "()") else Markup("")
    number = element("a", f"({entry.number})", class_="number", href=f"#{key}-{entry.number}")
    content = [
        element("div", joined(lines), class_="lines"),
        element("div", label + shape + number, class_="side"),
    ]
    if entry.worked:
        content.append(_numbers(entry.worked))
    if steps:
        content.append(element("p", _reason(entry, key, numbers), class_="reason"))
        if entry.computed:
            before, after = computed_as()
            used = f" ({by(entry)})" if entry.rewrites else ""
            shown = escape(before) + " " + formula(entry.computed) + raised(f"{after}{used}")
            content.append(element("p", shown, class_="computed"))
    kind = "equation own" if own else "equation"
    return element("div", joined(content), class_=kind, id=f"{key}-{entry.number}")


def _reason(entry: Entry, key: str, numbers: Collection[int]) -> Markup:
    """Return "from (3), (7): chain rule", the numbers links to those that the page has."""
    if not entry.because:
        return raised(say(entry.rule))
    listed = ", ".join(f"({n})" for n in entry.because)
    head, _found, tail = say(entry.reason).partition(listed)
    links = [
        element("a", f"({n})", href=f"#{key}-{n}") if n in numbers else escape(f"({n})")
        for n in entry.because
    ]
    return raised(head) + Markup(", ").join(links) + raised(tail)


def _numbers(worked: WorkedLines) -> Markup:
    rows = [element("div", formula(shown, display=True), class_="line") for shown in worked.lines]
    return element("div", joined(rows), class_="numbers")


def raw(html: str, kind: str = "derivation") -> nodes.raw:
    """Return HTML as a node."""
    return nodes.raw("", f'<div class="{kind}">{html}</div>', format="html")


def kept(env: BuildEnvironment, name: str) -> tuple[Path, str]:
    """Return where a file goes that the page now read has made, and its address from that page."""
    below = Path("results") / env.docname / name
    target = Path(env.app.outdir) / below
    target.parent.mkdir(parents=True, exist_ok=True)
    return target, "../" * env.docname.count("/") + below.as_posix()


def in_sections(found: Iterator[tuple[str, Markup]], key: str) -> list[nodes.Node]:
    """Return sections, which the contents of the page list."""
    out: list[nodes.Node] = []
    for place, (heading, html) in enumerate(found):
        if not heading:
            out.append(raw(html))
            continue
        section = nodes.section("", nodes.title("", heading), raw(html), ids=[f"{key}-part-{place}"])
        out.append(section)
    return out


def in_line(found: Iterator[tuple[str, Markup]]) -> list[nodes.Node]:
    """Return them one below the other, their headings no sections."""
    out: list[nodes.Node] = []
    for heading, html in found:
        if heading:
            out.append(nodes.rubric("", heading))
        out.append(raw(html))
    return out

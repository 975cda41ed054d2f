"""The numbered equations of the page, each with its reason and the lines of the program it became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from chainrule.cli.handout.markup import element, formula, raised
from chainrule.derive.prose import _, say
from chainrule.present.page import Entry, Page


@dataclass(frozen=True)
class Numbered:
    """An equation as it stands on the page.

    ``name`` is what a screen reader calls it, ``target`` where its number leads: to its first line.
    """

    number: int
    symbol: str
    formula: Markup
    shape: str
    reason: Markup
    label: str
    computed: Markup | None
    rewrites: Markup
    lines: tuple[int, ...]
    name: str
    target: str


@dataclass(frozen=True)
class Group:
    """Equations under a heading."""

    key: str
    heading: str
    equations: tuple[Numbered, ...]


def groups(page: Page, lines: Mapping[int, tuple[int, ...]]) -> tuple[Group, ...]:
    """Return the sections of a page with, of each equation, the ``lines`` of the program by its number."""
    return tuple(
        Group(
            section.entries[0].role,
            say(section.heading),
            tuple(_numbered(entry, lines.get(entry.number, ())) for entry in section.entries),
        )
        for section in page.sections
    )


def _numbered(entry: Entry, lines: tuple[int, ...]) -> Numbered:
    return Numbered(
        entry.number,
        entry.symbol,
        formula(entry.line, display=True),
        "" if entry.shape == "()" else entry.shape,  # a number's needs no word
        _reason(entry),
        say(entry.label),
        formula(entry.computed, display=True) if entry.computed else None,
        raised(say(entry.rewrites)),
        lines,
        _name(entry.number, lines),
        f"L{lines[0]}" if lines else f"eq-{entry.number}",
    )


def _reason(entry: Entry) -> Markup:
    """Return "from (3), (7): chain rule", its numbers links to these equations."""
    if not entry.because:
        return raised(say(entry.rule))
    numbers = ", ".join(f"({n})" for n in entry.because)
    text = say(_("from {equations}: {rule}", equations=numbers, rule=entry.rule))
    head, found, tail = text.partition(numbers)
    links = Markup(", ").join(element("a", f"({n})", href=f"#eq-{n}") for n in entry.because)
    return raised(head) + (links if found else "") + raised(tail)


def _name(number: int, lines: tuple[int, ...]) -> str:
    if not lines:
        return say(_("Equation {number}", number=number))
    return say(_("Equation {number}, program lines {lines}", number=number, lines=runs(lines)))


def runs(numbers: tuple[int, ...]) -> str:
    """Return "3, 5–7" for 3, 5, 6, 7."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in found)

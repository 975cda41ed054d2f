"""A derivation laid out: sections of numbered lines with their reasons.  Every format writes this."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import sympy

from chainrule.derive.index import primal
from chainrule.derive.prose import _, listed, parts_of
from chainrule.derive.reader import reader
from chainrule.derive.shown import LaidOut, ShownPage
from chainrule.derive.winners import read_by_windows
from chainrule.formula import functions
from chainrule.present.alike import AlikeLine, Likeness, likeness
from chainrule.present.build import Writer
from chainrule.present.counting import origin_of, sentences
from chainrule.present.lettering import Lettering, letters_of
from chainrule.present.notation import name, parts
from chainrule.present.order import per_example
from chainrule.present.sides import FORMS, Line, line
from chainrule.present.text import shape_text
from chainrule.present.tree import (
    ONES,
    SOFTMAX,
    Applied,
    Big,
    Dot,
    Exp,
    Hadamard,
    Iverson,
    Leaf,
    Node,
    Over,
    Plus,
    Ref,
    Slid,
    Times,
    Transposed,
    Words,
    children,
)

if TYPE_CHECKING:
    from chainrule.derive.derivation import Derivation
    from chainrule.derive.index import Equation
    from chainrule.derive.network import NoiseTensor
    from chainrule.derive.numbering import NumberedEquation

HEADINGS = {
    "definition": _("Definitions"),
    "forward": _("Forward"),
    "loss": _("Loss"),
    "backward": _("Backward"),
    "update": _("Update"),
}
MODES = {"training": _("in training"), "evaluation": _("in evaluation")}
LONG = _("long form")
ONE_EXAMPLE = _(
    "Without the index n, what each example has of its own is that of one example, and vectors are columns; "
    "n below a letter says which example, where several meet."
)
BATCHED = {
    "rows": _(
        "A capital letter is a matrix with a row for each example. Functions, powers and quotients are taken "
        "of each element, softmax and onehot of each row."
    ),
    "columns": _(
        "A capital letter is a matrix with a column for each example. Functions, powers and quotients are "
        "taken of each element, softmax and onehot of each column."
    ),
}


@dataclass(frozen=True)
class WorkedLines:
    """What an equation comes to in numbers: the lines, and the exact values, in nested lists, by symbol."""

    symbol: str
    lines: tuple[Line, ...]
    value: Any


@dataclass(frozen=True)
class Entry:
    """A numbered line: what it says, its shape, and how it was found.

    ``matrix`` is the line in matrix form, where both are shown and differ.  ``computed`` is the form in which
    programs compute it, where that differs; ``rewrites`` gave that form.
    ``windows`` is the line as a sum over the windows of a maximum, where it is one over all places.
    ``label`` says of what else there is about the line: the mode in which it holds, that it is the long or
    the compact form.  ``worked`` is the line in numbers.
    """

    number: int
    role: str
    symbol: str
    line: Line
    shape: str
    because: tuple[int, ...]
    rule: str
    computed: Line | None = None
    rewrites: str = ""
    label: str = ""
    matrix: Line | None = None
    worked: WorkedLines | None = None
    windows: Line | None = None

    @property
    def reason(self) -> str:
        """Return "from (3), (7): chain rule"."""
        numbers = ", ".join(f"({n})" for n in self.because)
        return _("from {numbers}: {rule}", numbers=numbers, rule=self.rule) if numbers else self.rule


@dataclass(frozen=True)
class PageSection(ShownPage):
    """Lines under a heading."""

    heading: str
    entries: tuple[Entry, ...]

    def __repr__(self) -> str:
        return f"<section {self.heading}: {len(self.entries)} equations>"


@dataclass(frozen=True)
class Page(LaidOut):
    """A derivation to be shown.

    ``preface`` says what the letters mean, ``where`` explains what the lines use; ``notes`` and ``results``
    close it.  ``letters`` are those that the reader's notation exchanged.  ``given`` are the numbers that a
    worked pass starts from; with ``steps`` a page displays the reasons too.
    """

    name: str
    description: str
    sections: tuple[PageSection, ...]
    where: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()
    results: dict[str, str] = field(default_factory=dict)
    preface: tuple[str, ...] = ()
    letters: Mapping[str, str] = field(default_factory=dict)
    given: tuple[WorkedLines, ...] = ()
    steps: bool = False

    def shown_results(self) -> Iterator[tuple[str, str]]:
        """Yield the results that are no line of the page, by the names that machines know them by."""
        lines = {entry.symbol for entry in self.entries}
        yield from ((title, value) for title, value in self.results.items() if title not in lines)

    @property
    def entries(self) -> Iterator[Entry]:
        for section in self.sections:
            yield from section.entries

    def __repr__(self) -> str:
        return f"<page {self.name}: {sum(1 for _entry in self.entries)} equations>"


def page_of(derivation: Derivation, form: str = "index", steps: bool = False) -> Page:
    """Return the page of a derivation; with ``steps`` sums carry their ranges and functions are explained."""
    if form not in (*FORMS, "both"):
        raise ValueError(f"form is one of {', '.join(FORMS)}, both, not {form!r}")
    spec = derivation.network.spec
    groups: dict[str, list[Entry]] = {role: [] for role in HEADINGS}
    equations = [numbered.equation for numbered in derivation.equations]
    origin = origin_of(equations)
    letters = letters_of(derivation.equations)
    layout = _Layout(form, steps, origin, letters)
    sums = over_windows(derivation) if steps else {}
    for equation in derivation.equations:
        entry = layout.entry(equation)
        if equation.number in sums:
            entry = replace(entry, windows=layout.written(sums[equation.number]))
        groups[equation.role].append(entry)
    sections = tuple(
        PageSection(HEADINGS[role], tuple(entries)) for role, entries in groups.items() if entries
    )
    where = tuple(letters.line(drawn(noise)) for noise in derivation.network.noise)
    page = Page(spec.name, spec.description, sections, where)
    page = replace(page, steps=steps, preface=(*sentences(equations), *letters.sentences()))
    batch = reader().batch
    if any(isinstance(node, Ref) and node.matrix for node in nodes(page, alike=True)):
        page = replace(page, preface=(BATCHED[batch], *page.preface))
    elif form != "index":
        page = replace(page, preface=(ONE_EXAMPLE, *page.preface))
    return replace(page, where=(*page.where, *explanations(page))) if steps else page


def over_windows(derivation: Derivation) -> dict[int, Equation]:
    """Return the equations that can be sums over the windows of a maximum as such, by number."""
    found = read_by_windows(derivation.equations)
    return {number: equation for each in found for number, equation in each.sums.items()}


def drawn(noise: NoiseTensor) -> Line:
    """Return m ∼ Bernoulli(p) for what a network draws anew in each step."""
    probability = Writer().tree(noise.probability)
    return Line(Ref(noise.name), "∼", Applied(r"\operatorname{Bernoulli}", "Bernoulli", (probability,)))


@dataclass(frozen=True)
class _Laid:
    """What equations that are alike show."""

    line: Likeness
    computed: Likeness | None
    matrix: Likeness | None
    shape: str


@dataclass
class _Layout:
    """Lays out the equations of a derivation in a form: of those that are alike, the first for all."""

    form: str
    limits: bool
    origin: int
    letters: Lettering
    laid: dict[Hashable, _Laid] = field(default_factory=dict)

    def entry(self, numbered: NumberedEquation) -> Entry:
        """Return the entry of a numbered equation; the form "both" has the index form and the matrix form."""
        equation, computed = numbered.equation, numbered.computed
        names = (*equation.tensors, *computed.tensors)
        letters = tuple(self.letters.tensors.get(name) for name in names)
        key = equation.pattern, computed.pattern, likeness(names), letters
        if key not in self.laid:
            self.laid[key] = self._laid(equation, computed)
        laid = self.laid[key]
        rule: str = numbered.rule
        rewrites: str = ""
        if computed != equation:
            first, *rest = parts_of(rule)
            rule, rewrites = first, listed(*rest)
        return Entry(
            numbered.number,
            numbered.role,
            name(numbered.symbol).identifier,
            AlikeLine(laid.line, equation.tensors),
            laid.shape,
            numbered.because,
            rule,
            None if laid.computed is None else AlikeLine(laid.computed, computed.tensors),
            rewrites,
            label_of(numbered),
            None if laid.matrix is None else AlikeLine(laid.matrix, equation.tensors),
        )

    def written(self, equation: Equation) -> Line:
        """Return a line of an equation that has no number of its own."""
        return self.letters.line(line(equation, "index", True, False, reader().batch, self.origin))

    def _laid(self, equation: Equation, computed: Equation) -> _Laid:
        batch = reader().batch
        form = "index" if self.form == "both" else self.form
        shown = self.letters.line(line(equation, form, False, self.limits, batch, self.origin))
        program = matrix = None
        if computed != equation:
            program = self.letters.line(line(computed, form, True, False, batch, self.origin))
        if self.form == "both":
            matrix = self.letters.line(line(equation, "matrix", False, self.limits, batch, self.origin))
        shape = shape_text(equation, _is_one_example(shown.left, equation))
        if batch == "columns" and isinstance(shown.left, Ref) and shown.left.matrix:
            shape = f"({', '.join(shape.strip('()').split(', ')[::-1])})"
        return _Laid(
            Likeness(shown, equation.tensors),
            None if program is None or program == shown else Likeness(program, computed.tensors),
            None if matrix is None or matrix.right == shown.right else Likeness(matrix, equation.tensors),
            shape,
        )


def _is_one_example(left: Node, equation: Equation) -> bool:
    """Whether a left side is that of one example, as matrix form has it: no index n, no capital letter."""
    bare = isinstance(left, Ref) and not left.subscripts and not left.matrix
    return bare and per_example(equation.left)


def label_of(numbered: NumberedEquation) -> str:
    """Return the mode of a forward equation that holds in one alone, or that programs leave a line out."""
    if numbered.role == "forward" and numbered.mode != "both":
        return MODES[numbered.mode]
    return LONG if numbered.shown_only else ""


def explanations(page: Page) -> list[Line]:
    """Return the definitions of the functions and signs that a page uses."""
    used: set[object] = set()
    for node in nodes(page, alike=True):
        used.add(type(node))
        if isinstance(node, Slid):
            used.add((Slid, node.turned))
        if isinstance(node, Applied):
            used.add(node.text)
        if node == ONES:
            used.add(ONES)
    first, second = free_letters(page)
    u = sympy.Symbol(first, real=True)
    lines = []
    for kind in functions.NAMED:
        called = Writer().tree(kind(u))
        if isinstance(called, Applied) and called.text in used:
            lines.append(Line(called, "=", Writer().tree(kind(u).as_elementary())))
    letter = Leaf(first, first)
    if SOFTMAX in used:
        softmax = Applied(r"\operatorname{softmax}", SOFTMAX, (letter,))
        lines.append(Line(softmax, "=", Over(Exp(letter), Dot((Transposed(ONES), Exp(letter))))))
    for turned in (False, True):
        if (Slid, turned) in used:
            lines.append(_sliding(turned))
    if Hadamard in used:
        product = Hadamard((letter, Leaf(second, second)))
        lines.append(Line(product, ":", Words(_("product element by element"))))
    if ONES in used:
        lines.append(Line(ONES, ":", Words(_("a vector of ones"))))
    if Iverson in used:
        lines.append(Line(Iverson((Leaf("P", "P"),)), "=", Words(_("1 where P holds, else 0"))))
    return lines


def free_letters(page: Page) -> list[str]:
    """Return two letters that nothing of a page is called by: small ones while there are any."""
    taken = {mark for node in nodes(page, alike=True) for mark in _letters(node)}
    return [letter for letter in "uvyqfhabcdgijkrswzlmnopUVQFRSGJ" if letter not in taken][:2]


def _letters(node: Node) -> Iterator[str]:
    match node:
        case Leaf(latex=latex):
            yield latex[:1]
        case Ref(symbol=symbol, letter=letter):
            yield letter[0] if letter else parts(primal(symbol) or symbol).latex
        case Big(indices=indices):
            yield from (index for index, _size in indices)


def _sliding(turned: bool) -> Line:
    """Return what W ⋆ x or W ∗ x is along one axis, with stride s, dilation d and offset p."""
    s, i, d, u, p, c, k = (Leaf(letter, letter) for letter in "sidupck")
    place = Plus(((False, Times((s, i))), (turned, Times((d, u))), (not turned, p)))
    where = Words(_(" (s = d = 1, p = 0 where none is given)"))
    body = Times((Ref("W", (k, u, c)), Ref("x", (place, c)), where))
    return Line(Slid(Ref("W"), Ref("x"), turned), "=", Big("sum", (("u", ""), ("c", "")), body))


def nodes(page: Page, alike: bool = False) -> Iterator[Node]:
    """Yield every node of a page's formulas; ``alike``: of lines that are alike, those of one."""
    lines = [x for e in page.entries for x in (e.line, e.matrix, e.computed) if x]
    if alike:
        seen = {id(like): like for like in (x.like if isinstance(x, AlikeLine) else x for x in lines)}
        lines = [like.line if isinstance(like, Likeness) else like for like in seen.values()]
    worked = [*page.given, *(e.worked for e in page.entries if e.worked)]
    lines += [x for each in worked for x in each.lines]
    waiting = [side for x in (*lines, *page.where) for side in (x.left, x.right)]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += children(node)

"""Every printed formula is read back, by rules of its own, and must be what was meant.

In value: each line of a derivation in index form, LaTeX and text, against the interpreter of index equations,
its sums over the printed ranges.  In structure: every line of every topic and derivation, in all forms and
notations, LaTeX and MathML, against the tree it was written from; what a matrix tree is worth is tested in
``test_batches``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from latex_reader.from_mathml import mathml_tokens
from latex_reader.from_text import text_names, text_tokens
from latex_reader.grammar import read
from latex_reader.names import Names
from latex_reader.shape import line_shape
from latex_reader.tokens import CannotRead, tokens
from printed_pages import Checked, checked, is_small, names_of, printed, smaller

from chainrule.derive.reader import Reader, reading
from chainrule.lectures import TOPICS, topic
from chainrule.present import latex as tex
from chainrule.present import mathml, page_for
from chainrule.present import text as plain
from chainrule.present import tree as t
from chainrule.present.page import Page, nodes
from chainrule.present.sides import Line

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))
CASES = sorted((Path(__file__).parent / "cases").glob("page_*.toml"))
READERS = [
    ("index", Reader()),
    ("matrix", Reader()),
    ("matrix", Reader(batch="rows")),
    ("matrix", Reader(batch="columns")),
    ("index", Reader(notation="lectures")),
    ("matrix", Reader(notation="lectures", batch="rows")),
]
SEEN: set[str] = set()  # formulas that were right already, numbers of layers and sizes aside


def kind(written: str) -> str:
    return re.sub(r"\d+", "#", written)


@cache
def spec(path: Path, small: bool = True) -> str:
    text = path.read_text(encoding="utf-8")
    return smaller(text) if small else text


def differences(path: Path, small: bool = True) -> Iterator[str]:
    """Yield what the lines of a derivation in index form say otherwise than their equations."""
    found = printed(spec(path, small))
    page = page_for(found.derivation, "index", steps=True)
    here = checked(found, page)
    texts = [name_in_text(here, kind_) for kind_ in ("tensor", "constant")]
    for numbered, entry in zip(found.derivation.equations, page.entries, strict=True):
        for equation, shown in ((numbered.equation, entry.line), (numbered.computed, entry.computed)):
            if shown is None or not is_small(equation):
                continue
            latex, text = tex.write_line(shown), plain.write_line(shown)
            if kind(latex) not in SEEN:
                yield here.differs(latex, equation, read(tokens(latex), here.names))
            if kind(text) not in SEEN:
                names = text_names(*texts)
                constants = {(f"C{each}", "", ""): symbol for each, symbol in texts[1].items()}
                of_text = replace(here, names=names, constants=constants)
                yield of_text.differs(text, equation, read(text_tokens(text, *texts), names))
            SEEN.update((kind(latex), kind(text)))


def name_in_text(here: Checked, kind_: str) -> dict[str, str]:
    """Return the symbols of a page's tensors or constants by what they are called in text."""
    page = page_for(here.found.derivation, "index", steps=True)
    found = {}
    for node in nodes(replace(page, where=())):
        if kind_ == "tensor" and isinstance(node, t.Ref):
            found[plain.write(replace(node, subscripts=(), mark=""))] = node.symbol
        elif kind_ == "constant" and isinstance(node, t.Leaf) and node.constant:
            found[node.text] = node.constant
    return found


@pytest.mark.parametrize("path", [*EXAMPLES, *CASES], ids=lambda p: p.stem)
def test_derivations_say_what_their_equations_say(path: Path) -> None:
    assert [found for found in differences(path) if found] == []


def test_m4_what_is_subtracted_stands_in_brackets() -> None:
    found = {entry.number: tex.write_line(entry.line) for entry in topic("forward-3-2-3").page(True).entries}
    assert r"-\left(\sum_{i} W^{(1)}_{ji} a^{(0)}_{i} + b^{(1)}_{j}\right)" in found[14]


# ---- in structure ----------------------------------------------------------------------------------------


def lines(page: Page) -> Iterator[Line]:
    for entry in page.entries:
        yield from filter(None, (entry.line, entry.matrix, entry.computed))
        yield from entry.worked.lines if entry.worked else ()


def line_names(page: Page, names: Names, shown: Line) -> Names:
    """Return the names of a line: a letter is a function where it is applied, a mark says an example."""
    inside = list(nodes(replace(page, sections=(), where=(shown,))))
    functions = {n.latex for n in inside if isinstance(n, t.Applied) and len(n.latex) == 1}
    marks = any(isinstance(n, t.Ref) and n.mark for n in inside)
    has_subscripts = any(isinstance(n, t.Ref) and n.subscripts for n in inside)
    return replace(names, functions=functions, matrix=marks and not has_subscripts)


def misread(page: Page, *writers: Callable[[Line], str]) -> list[str]:
    """Return the lines of a page that are read as something else than what was written."""
    names, _constants = names_of(page, True)
    found = []
    for shown in lines(page):
        if any(isinstance(node, t.Words) for node in (shown.left, shown.right)):
            continue  # prose
        for written in (write(shown) for write in writers):
            if kind(written) in SEEN:
                continue
            here = line_names(page, names, shown)
            meant = line_shape(shown.left, shown.relation, shown.right, here)
            try:
                source = mathml_tokens(written) if written.startswith("<") else tokens(written)
                same = line_shape(*read(source, here), here) == meant
            except CannotRead as error:
                found.append(f"{written}: {error}")
                continue
            found += [] if same else [f"{written} is read otherwise"]
            SEEN.add(kind(written))
    return found


@pytest.mark.parametrize("id", [id for id in TOPICS if id != "errata"])  # prose
def test_topics_are_read_as_they_are_meant(id: str) -> None:
    writers = (tex.write_line, mathml.write_line)[
        : 1 if id == "dropout" else 2
    ]  # ⟨m⟩ is one letter in MathML
    assert misread(page_for(topic(id), steps=True), *writers) == []


@pytest.mark.parametrize("path", [*EXAMPLES, *CASES], ids=lambda p: p.stem)
def test_derivations_are_read_as_they_are_meant(path: Path) -> None:
    derivation = printed(spec(path)).derivation
    for form, who in READERS:
        with reading(who):
            page = page_for(derivation, form, steps=True)
            assert misread(page, tex.write_line, mathml.write_line) == []


# ---- the test itself: what is printed wrongly is noticed -------------------------------------------------

PLANTED = {
    "brackets of a sum": ("(1 - a^{(2)}_{nj})", "1 - a^{(2)}_{nj}"),
    "brackets below e": (r"e^{-z^{(1)}_{nk}}", r"e^{z^{(1)}_{nk}}"),
    "a sign": (r"a^{(3)}_{nk} - T_{nk}", r"a^{(3)}_{nk} + T_{nk}"),
    "an index": (r"W^{(2)}_{kj} a^{(1)}_{nj}", r"W^{(2)}_{jk} a^{(1)}_{nj}"),
    "a letter": (r"\delta^{(1)}_{nk} a^{(0)}_{nj}", r"\delta^{(2)}_{nk} a^{(0)}_{nj}"),
    "a range": (r"\sum_{j=0}^{2} W^{(2)}", r"\sum_{j=1}^{3} W^{(2)}"),
    "a power": (r"g_{i}^{2}", r"g_{i}"),
    "the reach of a maximum": (
        r"z^{(3)}_{nj} - \max_{i} z^{(3)}_{ni}",
        r"\max_{i} z^{(3)}_{ni} - z^{(3)}_{nj}",
    ),
    "a fraction": (r"\frac{1}{N} (a^{(3)}", r"N (a^{(3)}"),
    "brackets of a function": (r"T_{nk} \log a^{(3)}_{nk}", r"\log a^{(3)}_{nk} T_{nk}"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_errors_are_noticed(name: str) -> None:
    right, wrong = PLANTED[name]
    found = printed(spec(Path(__file__).parent.parent / "examples" / "mnist_mlp.toml"))
    page = page_for(found.derivation, "index", steps=True)
    here, noticed, changed = checked(found, page), 0, 0
    for numbered, entry in zip(found.derivation.equations, page.entries, strict=True):
        for equation, shown in ((numbered.equation, entry.line), (numbered.computed, entry.computed)):
            written = tex.write_line(shown) if shown else ""
            if right in written:
                changed += 1
                with contextlib.suppress(CannotRead, ValueError, TypeError):
                    latex = written.replace(right, wrong)
                    noticed += not here.differs(latex, equation, read(tokens(latex), here.names))
    assert changed and not noticed

"""The lectures' letters: changed on a whole page or not at all, in formulas and prose, never in programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from shipped import NETWORKS

from chainrule.codegen.generate import generate
from chainrule.derive.deriving import derive_network
from chainrule.derive.prose import _
from chainrule.derive.reader import BATCHES, NOTATIONS, Reader, reading
from chainrule.lectures import TOPICS, topic
from chainrule.present import FORMS, page_for, present
from chainrule.present import tree as t
from chainrule.present.letters import in_notation
from chainrule.present.page import Entry, Page, PageSection, nodes
from chainrule.present.sides import Line
from chainrule.spec import load_spec

LECTURES = Reader(notation="lectures")
ROOT = Path(__file__).parent.parent
MNIST = ROOT / "examples" / "mnist_mlp.toml"


def test_a_network_in_the_letters_of_the_lectures() -> None:
    derivation = derive_network(load_spec(MNIST))
    text = present(derivation, "index", "text", True, LECTURES)
    assert "xˡ the pre-activation of layer l, y the target, Y the target as a one-hot vector" in text
    assert "x1[n,k] = Σⱼ W1[k,j] a0[n,j] + b1[k]" in text and "Y[n,k] = [k = y[n]]" in text
    assert "δ3[n,k] = (a3[n,k] − Y[n,k])/N" in text and "Σ y = 1" in text
    assert "x[n,i,j,c]" in text and "∂E/∂x[n,i,j,c]" in text  # the input keeps its letter
    assert "z1" not in text and "T[" not in text
    latex = present(derivation, "matrix", "latex", reader=LECTURES)
    assert r"x^{1} &= W^{1} a^{0} + b^{1}" in latex and r"\delta^{3} &= \frac{1}{N} (a^{3} - Y)" in latex
    rows = present(derivation, "matrix", "text", reader=Reader(notation="lectures", batch="rows"))
    assert "X1 = A0 W1ᵀ + 𝟏 b1ᵀ" in rows and "A3 = softmax(X3)" in rows


def test_a_letter_that_is_taken_is_not_given_again() -> None:
    squares = present(topic("mse"), "index", "text", True, LECTURES)
    assert squares == present(topic("mse"), "index", "text", True)  # y is the output, so t stays
    logistic = present(topic("logistic"), "index", "text", True, LECTURES)
    assert "z[i] = w x[i] + b" in logistic
    chain = present(topic("backprop-chain"), "index", "text", True, LECTURES)
    assert "z1 = w1 x" in chain and "y − t" in chain  # the prose speaks of z, and x is the input


@pytest.mark.parametrize("id", TOPICS)
def test_pages_keep_as_many_letters_as_they_had(id: str) -> None:
    found = topic(id)
    with reading(LECTURES):
        after = page_for(found, steps=True)
    before = found.page(True)
    symbols = [{n.symbol for n in nodes(p) if isinstance(n, t.Ref)} for p in (before, after)]
    assert len(symbols[0]) == len(symbols[1]), symbols
    assert symbols[0] == symbols[1] or any("lectures" in text for text in after.preface)


def page(rule: str, *symbols: str) -> Page:
    refs = tuple((False, t.Ref(symbol)) for symbol in symbols)
    line = Line(t.Leaf("E", "E"), "=", t.Plus(refs))
    return Page("p", "", (PageSection("", (Entry(1, "result", "E", line, "", (), rule),)),))


@pytest.mark.parametrize(
    ("symbols", "rule", "expected"),
    [
        (("z", "t"), "", ["x", "y"]),
        (("z1", "x"), "", ["x1", "x"]),
        (("z", "z1", "x"), "", ["z", "z1", "x"]),
        (("t", "T", "y"), "", ["t", "T", "y"]),
        (("t", "T"), "", ["y", "Y"]),
        (("z",), "x goes in", ["z"]),
        (("z1", "d z1", "d x1"), "", ["z1", "d z1", "d x1"]),
        (("z@l", "d z@l"), "", ["x@l", "d z@l"]),
    ],
)
def test_by_rows_of_the_table(symbols: tuple[str, ...], rule: str, expected: list[str]) -> None:
    with reading(LECTURES):
        found = in_notation(page(rule, *symbols))
    assert [n.symbol for n in nodes(found) if isinstance(n, t.Ref)][::-1] == expected


def test_prose_follows() -> None:
    rule = _("∂z_i/∂z_j is δ_ij, don’t tell z′; size zt stays")
    with reading(LECTURES):
        (entry,) = in_notation(page(rule, "z")).entries
    assert entry.rule == "∂x_i/∂x_j is δ_ij, don’t tell x′; size zt stays"


def test_programs_keep_their_own_letters() -> None:
    usual = generate(load_spec(ROOT / "examples" / "or.toml")).files
    with reading(Reader("ko", "lectures", "rows")):
        assert generate(load_spec(ROOT / "examples" / "or.toml")).files == usual


@pytest.mark.parametrize("path", NETWORKS, ids=lambda p: p.stem)
def test_katex_accepts_examples_for_every_reader(
    path: Path, katex: Callable[[Iterable[str]], list[str]]
) -> None:
    derivation = derive_network(load_spec(path))
    written = [
        present(derivation, form, "latex", True, Reader(language, notation, batch))
        for form in FORMS
        for notation in NOTATIONS
        for batch in (BATCHES if form == "matrix" else ("rows",))
        for language in (("en", "ko") if notation == "lectures" else ("en",))
    ]
    assert katex(written) == []

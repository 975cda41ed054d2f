"""Catalogues are whole and compiled; on a Korean page no prose is left in English, in any format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from import_graph import OURS, ROOT

from chainrule.derive.deriving import derive_network
from chainrule.derive.library import ACTIVATIONS, OPTIMIZERS, SCHEDULES
from chainrule.derive.prose import Listed, Prose, _, listed, parts_of, say
from chainrule.derive.reader import LANGUAGES, Reader, reading
from chainrule.lectures import TOPICS, topic
from chainrule.present import FORMATS, FORMS, document, page_for, present
from chainrule.present import tree as t
from chainrule.present.page import Page, nodes
from chainrule.spec import load_spec
from tools import messages

KOREAN = Reader(language="ko")
EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))
TRANSLATED = [language for language in LANGUAGES if language != "en"]
# What stands in prose and is no word of a language: functions, and names that a spec or a program gives.
NAMES = {
    *ACTIVATIONS, *OPTIMIZERS, *SCHEDULES,
    "exp", "log", "erf", "erfc", "expm", "logp", "logcosh", "cosh", "sinh", "tanh", "max", "min", "sum",
    "AND", "XOR", "NumPy", "ReLU", "Adam", "MNIST", "RMSProp", "sigmoid", "softplus", "Cost", "leaky",
}  # fmt: skip
WORD = re.compile(r"(?<![A-Za-z_])[A-Za-z]{3,}(?![A-Za-z_])")
HANGUL = re.compile("[가-힣]")


def catalog(language: str) -> tuple[Path, Catalog]:
    path = messages.LOCALE / language / "LC_MESSAGES" / "chainrule.po"
    with path.open("rb") as file:
        return path, read_po(file, locale=language)


def fields(text: str) -> list[str]:
    return sorted(name for _text, name, _spec, _how in Formatter().parse(text) if name)


def test_every_room_that_marks_messages_is_looked_at() -> None:
    rooms = {room for room in OURS for path in (ROOT / room).rglob("*.py") if list(messages.marked(path))}
    assert rooms <= set(messages.SOURCES) <= set(OURS) and "chainrule" in rooms


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated_and_compiled(language: str) -> None:
    path, found = catalog(language)
    known = {message.id: message for message in found if message.id}
    wanted = {message.id for message in messages.template() if message.id}
    assert wanted == set(known), "make messages"
    for text, message in known.items():
        assert message.string and not message.fuzzy, f"{text!r} has no translation"
        assert fields(text) == fields(message.string), text
        assert not WORD.search(re.sub(r"\{\w+\}", "", text)) or HANGUL.search(message.string) or (
            message.string == text and set(WORD.findall(text)) <= NAMES
        ), text  # fmt: skip
    assert path.read_bytes() == messages.po(messages.updated(language)), "make messages"
    assert path.with_suffix(".mo").read_bytes() == messages.mo(path.read_bytes()), "make messages"
    assert (messages.LOCALE / "chainrule.pot").read_bytes() == messages.po(messages.template())


def test_only_plain_texts_are_marked(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('_("one {n}", n=1)\n_(f"two {n}")\n')
    with pytest.raises(ValueError, match=":2"):
        list(messages.marked(module))


def has_words(text: str) -> bool:
    return bool(set(WORD.findall(text)) - NAMES)


@cache
def found(name: str) -> object:
    return topic(name) if name in TOPICS else derive_network(load_spec(Path(name)))


def prose(page: Page) -> Iterator[str]:
    """Yield what a page says, but for the names and descriptions that users give."""
    for section in page.sections:
        yield section.heading
        for entry in section.entries:
            yield from (entry.label, *parts_of(entry.rule), *parts_of(entry.rewrites))
    yield from (*page.notes, *page.preface)
    yield from (node.text for node in nodes(page) if isinstance(node, t.Words))


SUBJECTS = [*TOPICS, *map(str, EXAMPLES)]


@pytest.mark.parametrize("name", SUBJECTS, ids=lambda name: Path(name).stem)
def test_nothing_of_a_page_is_left_in_english(name: str, katex: Callable[[Iterable[str]], list[str]]) -> None:
    subject = found(name)
    with reading(KOREAN):
        page = page_for(subject, "both", steps=True)
        said = [text for text in prose(page) if text]
        if name in TOPICS:
            said.append(page.description)
        for text in said:
            assert isinstance(text, Prose | Listed) or not has_words(text), f"{text!r} is not marked with _()"
            assert HANGUL.search(say(text)) or not has_words(text), f"{text!r} is said as {say(text)!r}"
    written = {kind: present(subject, "both", kind, True, KOREAN) for kind in FORMATS}
    assert all(HANGUL.search(text) for text in written.values())
    english = {
        str(text) for text in said if isinstance(text, Prose) and len(text.split()) > 2 and has_words(text)
    }
    for text in written["text"].splitlines():
        assert not any(sentence in text for sentence in english), text
    with reading(KOREAN):
        assert "XeLaTeX" in document(subject)
    assert katex([written["latex"]]) == []


def test_descriptions_of_topics_are_translated() -> None:
    with reading(KOREAN):
        for text in TOPICS.values():
            assert not has_words(text) or HANGUL.search(say(text)), text


def test_prose_in_prose() -> None:
    rule = _("learning rate of the step: {rule}", rule=listed("cosine", _("warm-up")))
    assert rule == "learning rate of the step: cosine, warm-up" == say(rule)
    with reading(KOREAN):
        assert say(rule) == "그 스텝의 학습률: cosine, 웜업"
        assert say("warm-up") == "warm-up"  # what a user writes is no message
    assert listed(_("chain rule"), listed("a", _("chain rule")), "") == "chain rule, a"


def test_conditions_stand_where_the_language_has_them() -> None:
    choice = present(topic("elu"), "index", "latex", True, KOREAN)
    assert r"0 \text{일 때}" in choice and r"\text{그 밖의 경우}" in choice
    assert r"\text{if } x" in present(topic("elu"), "index", "latex", True)


@pytest.mark.parametrize("form", FORMS)
def test_english_pages_have_no_hangul(form: str) -> None:
    for kind in FORMATS:
        assert not HANGUL.search(present(topic("delta"), form, kind, True))

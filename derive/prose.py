"""Prose: marked where it is written, translated where it is shown, from gettext's catalogues.

``_("layer {layer} has {count} nodes", layer=2, count=3)`` is that sentence in English, and remembers how it
was made; ``say(sentence)`` is the same sentence in the reader's language.  ``listed(one, two)`` is "one,
two", each part translated by itself.  What is not marked (names, formulas, what a user wrote) stays as it is.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from chainrule.derive.reader import reader

DOMAIN: Final = "chainrule"
LOCALE: Final = Path(__file__).parent / "locale"


class Prose(str):
    """An English sentence that remembers its template and what was put into it."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, values: Mapping[str, object]) -> Prose:
        found = super().__new__(cls, template.format(**values) if values else template)
        found.template = template
        found.values = values
        return found

    def __reduce__(self) -> tuple[object, ...]:
        return Prose, (self.template, dict(self.values))


class Listed(str):
    """Prose in parts, with commas between them."""

    __slots__ = ("parts",)
    parts: tuple[str, ...]

    def __new__(cls, parts: tuple[str, ...]) -> Listed:
        found = super().__new__(cls, ", ".join(parts))
        found.parts = parts
        return found

    def __reduce__(self) -> tuple[object, ...]:
        return Listed, (self.parts,)


def _(template: str, **values: object) -> Prose:
    """Mark a sentence for translation; ``values`` go into its {braces}, prose among them translated too."""
    return Prose(template, values)


def listed(*texts: str) -> Listed:
    """Return the parts of several texts as a list, each part once."""
    parts = (part for text in texts for part in parts_of(text))
    return Listed(tuple(dict.fromkeys(parts)))


def parts_of(text: str) -> tuple[str, ...]:
    """Return the parts of a list; any other text is one part, no text is none."""
    if isinstance(text, Listed):
        return text.parts
    return (text,) if text else ()


def say(text: str) -> str:
    """Return marked prose in the reader's language, any other text as it is."""
    language = reader().language
    if isinstance(text, Listed):
        return ", ".join(map(say, text.parts))
    if not isinstance(text, Prose) or language == "en":
        return str(text)
    template = catalogue(language).gettext(text.template) if text.template else ""
    if not text.values:
        return template
    return template.format(**{k: say(v) if isinstance(v, str) else v for k, v in text.values.items()})


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the translations into a language; English needs none."""
    return gettext.translation(DOMAIN, LOCALE, [language], fallback=True)

"""Prose: marked where it is written, translated where it is shown, from gettext's catalogues.

``_("layer {layer} has {count} nodes", layer=2, count=3)`` is that sentence in English, and remembers how it
was made; ``say(sentence)`` is the same sentence in the reader's language.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from derive.reader import reader

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


def _(template: str, **values: object) -> Prose:
    """Mark a sentence for translation; ``values`` go into its {braces}, prose among them translated too."""
    return Prose(template, values)


def say(text: str) -> str:
    """Return prose in the reader's language; what no catalogue knows stays as it is.

    A plain text that is a list of known parts ("chain rule, definition of σ") is translated part by part.
    """
    language = reader().language
    if language == "en" or not text:
        return str(text)
    if isinstance(text, Prose) and text.values:
        values = {key: say(v) if isinstance(v, str) else v for key, v in text.values.items()}
        return _translated(language, text.template).format(**values)
    whole = _translated(language, str(text))
    if whole != text or ", " not in text:
        return whole
    return ", ".join(_translated(language, part) for part in text.split(", "))


def _translated(language: str, text: str) -> str:
    return catalogue(language).gettext(text) if text else ""


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the translations into a language; English needs none."""
    return gettext.translation(DOMAIN, LOCALE, [language], fallback=True)

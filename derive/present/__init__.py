"""Presentation: equations, derivations and topics as LaTeX, plain text, Markdown, HTML, TeX or JSON.

``present(derivation, form, format, steps)`` and ``document(derivation)`` give texts, ``records(derivation)``
gives dictionaries.  What each of them shows is a ``Page``; a ``Topic`` is one already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derive.reader import Reader, reading
from derive.reader import reader as current

if TYPE_CHECKING:
    from derive.deriving import Derivation
    from derive.present.page import Page
    from derive.topics.model import Topic

FORMS = ("index", "matrix", "both")
FORMATS = ("latex", "text", "markdown", "html", "tex", "json")


def present(
    subject: Derivation | Topic | Page,
    form: str = "index",
    format: str = "latex",
    steps: bool = False,
    reader: Reader | None = None,
) -> str:
    """Return a derivation or a page in a form (FORMS) and a format (FORMATS).

    With ``steps`` every equation comes with its reason, its shape and the form that programs compute.
    ``reader`` chooses language and notation (else: whoever reads now).
    Raises ValueError for another form or format.
    """
    from derive.present.formats import FORMATS as WRITERS

    if form not in FORMS or format not in FORMATS:
        raise ValueError(f"form is one of {', '.join(FORMS)}; format is one of {', '.join(FORMATS)}")
    with reading(reader or current()):
        return WRITERS[format](page_for(subject, form, steps), steps)


def document(subject: Derivation | Topic | Page, form: str = "matrix", steps: bool = True) -> str:
    """Return a LaTeX document of its own, the same bytes for the same derivation."""
    from derive.present.tex import document_of

    return document_of(page_for(subject, form, steps), steps)


def records(derivation: Derivation) -> list[dict[str, Any]]:
    """Return the equations as dictionaries: index form, with matrix form as matrix_latex and matrix_text."""
    from derive.present.formats import record

    found = [record(entry) for entry in page_for(derivation, "both", False).entries]
    return [{"matrix_latex": one["latex"], "matrix_text": one["text"], **one} for one in found]


def page_for(subject: Derivation | Topic | Page, form: str = "index", steps: bool = False) -> Page:
    """Return the page of a derivation or a topic, in the notation of whoever reads now.

    Its prose is in English still, or in the reader's language: ``derive.prose.say`` takes both.
    """
    from derive.deriving import Derivation
    from derive.present.letters import in_notation
    from derive.present.page import Page, page_of

    if isinstance(subject, Derivation):
        return in_notation(page_of(subject, form, steps))
    return in_notation(subject if isinstance(subject, Page) else subject.page(steps))

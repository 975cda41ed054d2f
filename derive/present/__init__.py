"""Presentation: equations, derivations and topics as LaTeX, plain text, Markdown, HTML or JSON.

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

FORMS = ("index", "matrix")
FORMATS = ("latex", "text", "markdown", "html", "json")


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
        return WRITERS[format](_page(subject, form, steps), steps)


def document(subject: Derivation | Topic | Page, form: str = "matrix", steps: bool = True) -> str:
    """Return a LaTeX document of its own, the same bytes for the same derivation."""
    from derive.present.tex import document_of

    return document_of(_page(subject, form, steps), steps)


def records(derivation: Derivation) -> list[dict[str, Any]]:
    """Return the equations as dictionaries: index form, with matrix form as matrix_latex and matrix_text."""
    from derive.present.formats import record

    pairs = zip(
        _page(derivation, "index", False).entries, _page(derivation, "matrix", False).entries, strict=True
    )
    found = []
    for entry, in_matrices in pairs:
        matrix = record(in_matrices)
        found.append({**record(entry), "matrix_latex": matrix["latex"], "matrix_text": matrix["text"]})
    return found


def _page(subject: Derivation | Topic | Page, form: str, steps: bool) -> Page:
    from derive.deriving import Derivation
    from derive.present.page import Page, page_of

    if isinstance(subject, Derivation):
        return page_of(subject, form, steps)
    return subject if isinstance(subject, Page) else subject.page(steps)

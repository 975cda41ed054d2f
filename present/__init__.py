"""Presentation: equations, derivations and topics as LaTeX, plain text, Markdown, HTML, TeX or JSON.

``present(derivation, form, format, steps)`` and ``document(derivation)`` give texts, ``records(derivation)``
gives dictionaries.  What each of them shows is a ``Page``; a ``Topic`` is one already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.derive.reader import Reader, reading
from chainrule.derive.reader import reader as current

if TYPE_CHECKING:
    from chainrule.derive.derivation import Derivation
    from chainrule.present.display import Paged
    from chainrule.present.page import Page

FORMS = ("index", "matrix", "both")
FORMATS = ("latex", "text", "markdown", "html", "tex", "json")


def present(
    subject: Derivation | Paged | Page,
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
    from chainrule.present.formats import FORMATS as WRITERS

    if form not in FORMS or format not in FORMATS:
        raise ValueError(f"form is one of {', '.join(FORMS)}; format is one of {', '.join(FORMATS)}")
    with reading(reader or current()):
        return WRITERS[format](page_for(subject, form, steps), steps)


def document(subject: Derivation | Paged | Page, form: str = "matrix", steps: bool = True) -> str:
    """Return a LaTeX document of its own, the same bytes for the same derivation."""
    from chainrule.present.tex import document_of

    return document_of(page_for(subject, form, steps), steps)


def records(derivation: Derivation) -> list[dict[str, Any]]:
    """Return the equations as dictionaries: index form, with matrix form as matrix_latex and matrix_text."""
    from chainrule.present.formats import record

    found = [record(entry) for entry in page_for(derivation, "both", False).entries]
    for one in found:
        for kind in ("latex", "text"):
            one[f"matrix_{kind}"] = one.pop(f"matrix_{kind}", one[kind])
    return found


def page_for(subject: Derivation | Paged | Page, form: str = "index", steps: bool = False) -> Page:
    """Return the page of a derivation or a topic, in the notation of whoever reads now.

    Its prose is in English still, or in the reader's language: ``chainrule.derive.prose.say`` takes both.
    """
    from chainrule.derive.derivation import Derivation
    from chainrule.present.letters import in_notation
    from chainrule.present.page import Page, page_of

    if isinstance(subject, Derivation):
        return in_notation(page_of(subject, form, steps))
    return in_notation(subject if isinstance(subject, Page) else subject.page(steps=steps))

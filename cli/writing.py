"""A page in a format, into a file or onto stdout."""

from __future__ import annotations

import json
import sys
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from derive.deriving import Derivation
    from derive.present.page import Page
    from derive.topics.model import Topic

FORMATS = ("latex", "text", "markdown", "html", "tex", "pdf", "json")
FORMS = ("index", "matrix", "both")
ENDINGS = {".tex": "tex", ".pdf": "pdf", ".md": "markdown", ".html": "html", ".json": "json", ".txt": "text"}


def format_for(chosen: str | None, output: Path | None) -> str:
    """Return the format that is asked for, else the one that the output file's ending means, else LaTeX."""
    return chosen or ENDINGS.get(output.suffix.lower() if output else "", "latex")


def write_page(
    subject: Derivation | Topic | Page, form: str, format: str, steps: bool, output: Path | None = None
) -> None:
    """Write a page in one of FORMATS.  Raises OSError, click.UsageError, cli.typeset.NoTypesetting."""
    from derive.present import present

    if format != "pdf":
        written = present(subject, form, format, steps)
        if output is None:
            click.echo(written)
        else:
            output.write_text(written, encoding="utf-8")
        return
    from cli.typeset import pdf
    from derive.present.tex import has_hangul

    if output is None and _is_terminal():
        raise click.UsageError("A PDF goes into a file: add -o FILE.pdf.")
    document = present(subject, form, "tex", steps)
    made = pdf(document, has_hangul(document))
    if output is None:
        click.echo(made, nl=False)
    else:
        output.write_bytes(made)


def echo_json(value: Any) -> None:
    """Print one JSON object: what is not finite is null, what the output's encoding lacks is escaped."""
    plain = _finite(value)
    text = json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)
    click.echo(text if _encodable(text) else json.dumps(plain, indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _encodable(text: str) -> bool:
    """Whether standard output's encoding has every letter of a text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_terminal() -> bool:
    return sys.stdout.isatty()

"""A page in a format, into a file or onto stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import click

from chainrule.runtime.files import write_atomically

FORMATS = ("latex", "text", "markdown", "html", "tex", "pdf", "json")
FORMS = ("index", "matrix", "both")
ENDINGS = {".tex": "tex", ".pdf": "pdf", ".md": "markdown", ".html": "html", ".json": "json", ".txt": "text"}


def format_for(chosen: str | None, output: Path | None) -> str:
    """Return the format that is asked for, else the one that the output file's ending means, else LaTeX.

    Raises click.UsageError for an ending that means nothing, and for one that means PDF where none is asked
    for, or the other way round.
    """
    ending = output.suffix.lower() if output else ""
    meant = ENDINGS.get(ending)
    if chosen is None and ending and meant is None:
        known = ", ".join(ENDINGS)
        raise click.UsageError(f"{output}: {ending} is no format; known are {known}, or say --format.")
    if chosen and meant and (chosen == "pdf") != (meant == "pdf"):
        raise click.UsageError(f"{output}: not {chosen}; choose another ending, or another --format.")
    return chosen or meant or "latex"


def require_new(option: str, output: Path | None, *taken: Path | None) -> None:
    """Raise click.UsageError where an output is one of the files that are read, or written, beside it."""
    for path in taken:
        if output is not None and path is not None and _same(output, path):
            raise click.UsageError(f"{option} {output} would overwrite {path}; choose another file.")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def write_file(path: Path, content: bytes) -> None:
    """Write a file that a user named: whole or not at all; a pipe or a device gets the bytes as they are.

    A symbolic link stays one.  Raises OSError, with the file's name.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        try:
            path.write_bytes(content)
        except OSError as error:  # of a full device, say, without its name
            raise OSError(error.errno, error.strerror, str(path)) from error
    else:
        write_atomically(Path(os.path.realpath(path)), content)


def write_page(text: str, format: str, output: Path | None = None) -> None:
    """Write a page in one of FORMATS; of a PDF, ``text`` is the document.

    Raises OSError, click.UsageError, NoTypesetting.
    """
    content = _pdf(text, output) if format == "pdf" else text.encode()
    if output is not None:
        write_file(output, content)
    elif format == "pdf":
        click.echo(content, nl=False)
    else:
        _echo_page(text, format)


def _pdf(document: str, output: Path | None) -> bytes:
    from chainrule.cli.typeset import pdf
    from chainrule.present.tex import has_hangul

    if output is None and sys.stdout.isatty():
        raise click.UsageError("A PDF goes into a file: add -o FILE.pdf.")
    return pdf(document, has_hangul(document))


def _echo_page(text: str, format: str) -> None:
    """Print a page.  Raises click.UsageError where the output's encoding lacks a letter of it."""
    if format == "json" and not _encodable(text):
        text = json.dumps(json.loads(text), indent=2)
    if not _encodable(text):
        raise click.UsageError(
            f"Standard output is {sys.stdout.encoding}, which has not all letters of this page: set "
            "PYTHONIOENCODING=utf-8, or write a file with -o FILE."
        )
    click.echo(text)


def echo_json(value: Any) -> None:
    """Print one JSON object: what is not finite is null, what the output's encoding lacks is escaped."""
    plain = _finite(value)
    text = json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)
    click.echo(text if _encodable(text) else json.dumps(plain, indent=1, allow_nan=False))


def echo_each(values: Sequence[Any], asked: int) -> None:
    """Print what came of specs: one JSON object for one that was asked for, a list of them for several."""
    echo_json(list(values) if asked > 1 else values[0])


def echo_part(text: str, path: Path, number: int, asked: int) -> None:
    """Print what came of a spec, under its path where several were asked for."""
    heading = f"{path}\n" if asked > 1 else ""
    click.echo(("\n" if number else "") + heading + text)


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

"""Translations: collect what the code marks with ``_()``, bring each catalogue up to date, compile it.

``make messages`` runs this.  What a catalogue lacks is printed: translate it in chainrule.po and run it
again.  The files change only where messages do: they hold no dates and no line numbers.
"""

from __future__ import annotations

import ast
import io
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT: Final = Path(__file__).parent.parent
LOCALE: Final = ROOT / "derive" / "locale"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES: Final = tuple(PROJECT["tool"]["setuptools"]["package-dir"].values())
DOMAIN: Final = "chainrule"


class Undated(Catalog):
    """A catalogue without the dates that make every file of its own."""

    mime_headers = (("Content-Type", "text/plain; charset=utf-8"),)  # type: ignore[assignment]


def marked(path: Path) -> Iterator[str]:
    """Yield the texts that a module marks with ``_()``.  Raises ValueError for one that is no plain text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
            first = node.args[0] if len(node.args) == 1 else None
            if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
                raise ValueError(f"{path}:{node.lineno}: _() takes a text as it is, and values by name")
            yield first.value


def template() -> Catalog:
    """Return the catalogue of all texts that the sources mark, with the files they are in."""
    found = Catalog(project=DOMAIN, charset="utf-8", fuzzy=False)
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for text in sorted(set(marked(path))):
                found.add(text, locations=[(path.relative_to(ROOT).as_posix(), 0)])
    return found


def updated(language: str) -> Catalog:
    """Return a language's catalogue with the messages of now; new ones are empty, old ones gone."""
    path = LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    written = io.BytesIO(path.read_bytes() if path.exists() else b"")
    known = read_po(written, locale=language)
    found = template()
    found.locale = language
    for message in found:
        before = known.get(message.id) if message.id else None
        if before is not None and not before.fuzzy:
            message.string = before.string
    return found


def po(catalog: Catalog) -> bytes:
    """Return the text of a catalogue, always the same for the same messages."""
    head = [f'"Language: {catalog.locale}\\n"'] if catalog.locale else []
    body = io.BytesIO()
    write_po(body, catalog, width=100, omit_header=True, sort_output=True, include_lineno=False)
    lines = ['msgid ""', 'msgstr ""', *head, '"MIME-Version: 1.0\\n"']
    lines += ['"Content-Type: text/plain; charset=utf-8\\n"', '"Content-Transfer-Encoding: 8bit\\n"']
    return "\n".join(lines).encode() + b"\n\n" + body.getvalue()


def mo(written: bytes) -> bytes:
    """Return what a program reads of the text of a catalogue."""
    found = io.BytesIO()
    catalog = read_po(io.BytesIO(written))
    compiled = Undated(charset="utf-8", fuzzy=False)
    for message in catalog:
        if message.id and message.string:
            compiled.add(message.id, message.string)
    write_mo(found, compiled)
    return found.getvalue()


def languages() -> list[str]:
    """Return the languages that have a catalogue."""
    return sorted(path.parent.parent.name for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def main() -> int:
    """Write the template and every catalogue; print what they lack.  Returns how many messages that is."""
    LOCALE.mkdir(exist_ok=True)
    (LOCALE / f"{DOMAIN}.pot").write_bytes(po(template()))
    missing = 0
    for language in languages():
        folder = LOCALE / language / "LC_MESSAGES"
        catalog = updated(language)
        written = po(catalog)
        (folder / f"{DOMAIN}.po").write_bytes(written)
        (folder / f"{DOMAIN}.mo").write_bytes(mo(written))
        for message in catalog:
            if message.id and not message.string:
                missing += 1
                print(f"{language} lacks {message.id!r}")
    return min(missing, 1)


if __name__ == "__main__":
    sys.exit(main())

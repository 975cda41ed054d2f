"""The names of topics and specs that are there, to suggest and to complete them.

Imports neither SymPy nor NumPy: a shell asks while somebody types.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from chainrule.lectures import TOPICS

STDIN: Final = "-"
MARK: Final = b"spec_version"  # what tells a spec from other TOML files
MOST_BYTES: Final = 1 << 16  # of a file, in which the mark is looked for


def names_a_spec(subject: str) -> bool:
    """Whether a first argument is taken for a spec, there or not."""
    return subject == STDIN or subject.endswith(".toml") or Path(subject).is_file()


def specs(beginning: str = "") -> list[str]:
    """Return the paths of specs that begin so, in the folder that is named or right below it."""
    typed = beginning[: beginning.rfind("/") + 1]
    folder = Path(typed)
    found = (*folder.glob("*.toml"), *folder.glob("[!.]*/*.toml"))
    names = ((typed + str(path.relative_to(folder)), path) for path in found)
    return sorted(name for name, path in names if name.startswith(beginning) and _is_spec(path))


def _is_spec(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return MARK in file.read(MOST_BYTES)
    except OSError:
        return False


def require_subject(subject: str) -> None:
    """Raise click.UsageError, with what it may have meant, where an argument is neither topic nor spec."""
    if subject in TOPICS or names_a_spec(subject):
        return
    context = click.get_current_context().find_root()
    commands = context.command.list_commands(context) if isinstance(context.command, click.Group) else []
    if subject in commands:
        raise click.UsageError(f"{subject!r} is a command: it stands first, before the options.", context)
    if subject and Path(subject).is_dir():
        near = specs(f"{subject.rstrip('/')}/")[:3]
    else:
        near = close(subject, {**{name: name for name in (*commands, *TOPICS)}, **dict(_short(specs()))})
    kinds = "topic, command or spec file (a spec ends in .toml)"
    raise click.UsageError(
        f"{subject!r} is no {kinds}.{did_you_mean(near)} `derive list` names topics.", context
    )


def _short(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield paths by what may be written for them: the whole, the file's name and that without its ending."""
    for path in paths:
        for name in (path, Path(path).name, Path(path).stem):
            yield name, path


def close(word: str, names: Mapping[str, str]) -> list[str]:
    """Return the meanings of the names that are closest to a word, at most three."""
    return list(dict.fromkeys(names[each] for each in difflib.get_close_matches(word, names, n=3)))


def did_you_mean(near: Iterable[str]) -> str:
    """Return a question with a blank before it, "" where nothing is near."""
    listed = ", ".join(near)
    return f" Did you mean {listed}?" if listed else ""

"""What was derived before, kept in a folder of the user's: JSON values by all that they depend on.

An entry is a file: a line with its whole key and the hash of the rest, then the value.  One that is damaged,
half written, of another key or not ours is none; where nothing can be written, nothing is kept.  Neither is a
fault, for everything can be derived again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from chainrule.cli.options import CACHED
from chainrule.cli.provenance import provenance
from chainrule.runtime.caches import cache_folder
from chainrule.runtime.files import NEW, NotRead, read_regular

MOST_BYTES: Final = 1 << 28  # of all entries; the ones that were not used for longest go first
MOST_ENTRY: Final = MOST_BYTES >> 3
ABANDONED: Final = 3600.0  # seconds after which a temporary file's writer is taken for dead
ENDING: Final = ".json"

T = TypeVar("T")


def remembered(what: str, key: Mapping[str, Any] | None, make: Callable[[], T]) -> T:
    """Return the JSON value that ``make`` gives, from the cache where the running command has CACHE.

    ``what`` and ``key`` are all that the value depends on, beside the program itself and its libraries; a key
    that is None names nothing.  What ``make`` raises is raised, and not kept.
    """
    context = click.get_current_context(silent=True)
    whole = _whole(what, key) if key is not None and context and context.meta.get(CACHED) else None
    store = Store.of_the_user() if whole is not None else None
    if store is None or whole is None:
        return make()
    found = store.read(whole)
    if found is None:
        found = json.dumps(make())
        if _whole(what, key) == whole:  # the program is still the one that ran
            store.write(whole, found)
    value: T = json.loads(found)
    return value


def options(*without: str) -> dict[str, Any]:
    """Return every option of the running command, less those that its value does not depend on."""
    values = click.get_current_context().params
    return {name: value for name, value in values.items() if name not in without}


def _whole(what: str, key: Mapping[str, Any] | None) -> str | None:
    """Return the text of a key with what all values depend on, None where that cannot be told."""
    try:
        whole = {"what": what, "key": key, "provenance": provenance()}
    except OSError:
        return None
    return json.dumps(whole, sort_keys=True, default=str)


@dataclass(frozen=True)
class Store:
    """A folder of entries, texts by key; any number of processes read and write it at a time."""

    folder: Path

    @classmethod
    def of_the_user(cls) -> Store | None:
        try:
            return cls(cache_folder() / "derived")
        except RuntimeError:  # a user without a home
            return None

    def read(self, key: str) -> str | None:
        """Return the value of a key, None where there is none that is whole."""
        path = self._path(key)
        try:
            if not self._private():
                return None
            head, _, value = read_regular(path, MOST_ENTRY).partition(b"\n")
            found = json.loads(head)
            if found != {"key": key, "sha256": hashlib.sha256(value).hexdigest()}:
                return None
            text = value.decode()
        except (OSError, NotRead, ValueError, RecursionError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return text

    def write(self, key: str, value: str) -> None:
        """Keep a value, if that can be done."""
        head = {"key": key, "sha256": hashlib.sha256(value.encode()).hexdigest()}
        content = f"{json.dumps(head)}\n{value}".encode()
        if len(content) > MOST_ENTRY:
            return
        with contextlib.suppress(OSError):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if self._private():
                self._put(self._path(key), content)
                self._prune()

    def files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield the files of the folder, as long as they are there.  Raises OSError."""
        if not self.folder.is_dir():
            return
        with os.scandir(self.folder) as listed:
            for each in listed:
                with contextlib.suppress(FileNotFoundError):
                    yield Path(each.path), each.stat(follow_symlinks=False)

    def clear(self) -> None:
        """Remove every entry.  Raises OSError."""
        for path, _ in self.files():
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / (hashlib.sha256(key.encode()).hexdigest() + ENDING)

    def _private(self) -> bool:
        """Whether nobody else can have written the entries: programs that are run come out of them."""
        found = os.lstat(self.folder)
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022

    def _put(self, path: Path, content: bytes) -> None:
        temporary = self.folder / f".{os.urandom(8).hex()}.tmp"
        try:
            with os.fdopen(os.open(temporary, NEW, 0o600), "wb") as file:
                file.write(content)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def _prune(self) -> None:
        """Remove the entries that were not used for longest beyond MOST_BYTES, and what dead writers left."""
        files = sorted(self.files(), key=lambda found: found[1].st_mtime, reverse=True)
        total = 0
        for path, found in files:
            total += found.st_size
            unfinished = path.suffix != ENDING
            if time.time() - found.st_mtime > ABANDONED if unfinished else total > MOST_BYTES:
                path.unlink(missing_ok=True)

"""Files that are either the old ones or the new ones, never half of each; and files read with care."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
PIECE = 1 << 20  # bytes a write
MOST_JSON = 1 << 24  # bytes of a JSON file that is read
MOST_DIGITS = 300  # of a whole number: a float holds no more than 308


class NotRead(ValueError):
    """A file that is there and is not what it should be; the message says why."""


def write_atomically(path: Path, content: bytes | bytearray) -> None:
    """Writes `content` to `path`: temporary file, fsync, rename.  A symbolic link there is replaced.

    Raises OSError, with `path` as its filename, and leaves nothing.
    """
    temporary = path.parent / f".{os.urandom(8).hex()}.tmp"
    try:
        handle = os.open(temporary, NEW, 0o666)
        try:
            try:
                _write(handle, content)
                os.fsync(handle)
            finally:
                os.close(handle)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
    _sync(path.parent)


def remove_temporaries(folder: Path) -> None:
    """Removes what writers that were killed left in `folder`; nobody may be writing there."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """The value in a JSON file.  Raises OSError where it cannot be read, NotRead for anything but JSON."""
    content = read_regular(path, MOST_JSON)
    try:
        return json.loads(
            content.decode("utf-8"), parse_constant=_no_number, parse_float=_finite, parse_int=whole
        )
    except RecursionError as error:
        raise NotRead("nested too deeply") from error
    except ValueError as error:
        raise NotRead(str(error)) from error


def write_json(path: Path, value: Any) -> None:
    """Writes JSON values, atomically.  Raises OSError; ValueError for a number that is not finite."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, text.encode(errors="backslashreplace"))  # names of files that are not UTF-8


def read_regular(path: Path, most: int) -> bytes:
    """All bytes of a regular file.  Raises OSError, and NotRead for a device, a pipe, more than `most`."""
    with regular(path) as (handle, size):
        if size > most:
            raise NotRead(f"{size:,} bytes, at most {most:,} are expected")
        return read_exactly(handle, size)


@contextlib.contextmanager
def regular(path: Path) -> Iterator[tuple[int, int]]:
    """A regular file, open for reading, and its size in bytes; a pipe or a device is not waited for.

    Raises OSError, and NotRead where it is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise NotRead("not a regular file")
        yield handle, found.st_size
    finally:
        os.close(handle)


def read_exactly(handle: int, count: int) -> bytes:
    """The next `count` bytes of a file, fewer at its end.  Raises OSError."""
    parts = [os.read(handle, count)]
    while parts[-1] and (count := count - len(parts[-1])):
        parts.append(os.read(handle, count))
    return parts[0] if len(parts) == 1 else b"".join(parts)


def whole(text: str) -> int:
    """The whole number that JSON writes so.  Raises ValueError for one beyond all that is ever written."""
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text.lstrip('-')):,} digits")
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text:.20} is too large a number")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _write(handle: int, content: bytes | bytearray) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest[:PIECE]) :]


def _sync(folder: Path) -> None:
    """Makes a rename durable, where folders can be synchronized at all."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

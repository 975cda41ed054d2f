"""Files that are either the old ones or the new ones, never half of each."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

PIECE = 1 << 20  # bytes a write


def write_atomically(path: Path, content: bytes | bytearray) -> None:
    """Writes `content` to `path`: temporary file, fsync, rename.  Raises OSError, and leaves nothing."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        try:
            _write(handle, content)
            os.fchmod(handle, 0o644)
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync(path.parent)


def remove_temporaries(folder: Path) -> None:
    """Removes what writers that were killed left in `folder`; nobody may be writing there."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


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

"""A disk that is full."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainrule.runtime import files


class Disk:
    """Counts what goes to the disk, and fails from call number `full` on, until there is room again."""

    CALLS = ("write", "fsync")

    def __init__(self, full: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full, self.calls = full, 0
        for name in self.CALLS:
            monkeypatch.setattr(files.os, name, self.wrapped(getattr(os, name)))
        replace_file, open_file = Path.replace, os.open
        monkeypatch.setattr(Path, "replace", lambda a, b: (self.count(), replace_file(a, b))[1])
        monkeypatch.setattr(
            files.os, "open", lambda p, how, *m: (how & os.O_CREAT and self.count(), open_file(p, how, *m))[1]
        )

    def count(self) -> None:
        self.calls += 1
        if self.calls >= self.full:
            raise OSError(28, "No space left on device")

    def wrapped(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(handle: int, *arguments: Any) -> Any:
            if not os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112 - a folder's fsync is no write
                self.count()
            return real(handle, *arguments)

        return call

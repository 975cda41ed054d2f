"""What every derived text depends on beside its spec and options: our own files, Python and its libraries."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOMS: Final = ("formula", "derive", "spec", "present", "lectures", "codegen", "runtime", "cli")
PACKAGES: Final = ("chainrule", *(f"chainrule.{room}" for room in ROOMS))  # a folder each
LIBRARIES: Final = ("sympy", "mpmath", "numpy", "jinja2", "markupsafe", "gmpy2", "flint")


def provenance() -> dict[str, str | None]:
    """Return what tells this program from every other: a changed file, another library, another Python.

    Files are told apart by size and times, so that nothing is read and nothing is imported.  Raises OSError
    where they cannot be looked at.
    """
    return {
        "python": sys.version,
        "chainrule": _source(),
        **{name: _library(name) for name in LIBRARIES},
    }


def _source() -> str:
    digest = hashlib.sha256()
    found = [folder for package in PACKAGES for folder in _folders(package)]
    for folder in found:
        if not any(folder.startswith(above + os.sep) for above in found):  # all, once installed
            for line in sorted(_files(folder)):
                digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(folder: str) -> Iterator[str]:
    """Yield a line for each file in a folder and the folders in it, which another content changes."""
    with os.scandir(folder) as listed:
        for each in listed:
            if each.is_dir():
                if each.name != "__pycache__":
                    yield from _files(each.path)
            else:
                found = each.stat()
                yield f"{each.path}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ctime_ns}\n"


@functools.cache
def _folders(package: str) -> tuple[str, ...]:
    found = importlib.util.find_spec(package)
    return tuple(found.submodule_search_locations or ()) if found else ()


@functools.cache
def _library(name: str) -> str | None:
    """Return where a package is and which file that was, None where it is not installed."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        return None
    file = Path(found.origin).stat()
    return f"{found.origin} {file.st_size} {file.st_mtime_ns} {file.st_ctime_ns}"

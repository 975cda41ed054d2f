"""Where a named data set lies: the folders that are looked through, in order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chainrule.runtime.caches import cache_folder
from chainrule.runtime.datasets.sources import SOURCES, DataSource, File
from chainrule.runtime.errors import DataError

DATA_VARIABLE = "CHAINRULE_DATA"


@dataclass(frozen=True)
class DataPlace:
    """A folder to look in; `what` is how a message names it, files of the `cache` are checked by hash."""

    folder: Path
    what: str
    cache: bool = False


@dataclass(frozen=True)
class Found:
    """The files of a source, in its order, and the place they lie in."""

    paths: tuple[Path, ...]
    place: DataPlace


def places(data_dir: Path | None) -> Iterator[DataPlace]:
    """The folders to look in, in order.  Raises DataError when `data_dir` is no folder."""
    if data_dir is not None:
        if not data_dir.is_dir():
            raise DataError(f"{data_dir}: no such folder; --data-dir names the one that holds the data")
        yield DataPlace(data_dir, f"--data-dir {data_dir}")
    if chosen := os.environ.get(DATA_VARIABLE):
        yield DataPlace(Path(chosen), f"${DATA_VARIABLE} {chosen}")
    yield DataPlace(cache_folder(), f"the cache {cache_folder()}", cache=True)


def locate(source: DataSource, data_dir: Path | None, looked: list[str]) -> Found | None:
    """The first place with all files of `source`; a line for every place without them goes to `looked`.

    A file of the cache whose content is not the published one is removed, and not used.
    """
    for place in places(data_dir):
        roots = [place.folder / name for name in source.folders]
        if not place.cache:
            roots.append(place.folder)
        lacking = ""
        for root in roots:
            if not place.cache and source.binary:
                binary = [root / name for name in source.binary]
                if absent := [path.name for path in binary if not path.is_file()]:
                    if len(absent) < len(binary):
                        lacking = f" ({root} lacks {', '.join(absent)})"
                else:
                    return Found(tuple(binary), place)
            if there := [name for name in source.pickled if (root / name).exists()]:
                lacking = f" ({root / there[0]} is pickled, and never loaded: get the binary version)"
            paths = [_file(root, file) for file in source.files]
            complete = [path for path in paths if path is not None]
            if len(complete) == len(source.files):
                if place.cache and (damaged := _damaged(complete, source)):
                    for path in damaged:
                        path.unlink(missing_ok=True)
                    lacking = f" (damaged, removed: {', '.join(path.name for path in damaged)})"
                elif root == place.folder and (other := _other(complete, source)):
                    lacking = f" (it holds {other})"
                else:
                    return Found(tuple(complete), place)
            elif complete:
                absent = [file.name for file, path in zip(source.files, paths, strict=True) if path is None]
                lacking = f" ({root} lacks {', '.join(absent)})"
        looked.append(f"{place.what}: no {source.name}{lacking}")
    return None


def _file(root: Path, file: File) -> Path | None:
    return next((root / name for name in file.names if (root / name).is_file()), None)


def _damaged(paths: list[Path], source: DataSource) -> list[Path]:
    """The files whose unpacked content has not the published hash."""
    damaged = []
    for path, file in zip(paths, source.files, strict=True):
        try:
            good = hashlib.sha256(file.content(path.read_bytes())).hexdigest() == file.sha256
        except (OSError, ValueError):
            good = False
        if not good:
            damaged.append(path)
    return damaged


def _other(paths: list[Path], source: DataSource) -> str:
    """The name of another set whose last file this is: file names alone do not tell the sets apart."""
    try:
        digest = hashlib.sha256(source.files[-1].content(paths[-1].read_bytes())).hexdigest()
    except (OSError, ValueError):
        return ""
    return next((o.name for o in SOURCES.values() if o is not source and o.files[-1].sha256 == digest), "")
